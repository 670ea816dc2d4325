"""Polling and long-polling one request."""

from __future__ import annotations

from flask import Response, request

from api import answers, evidence
from api.door import caller, door
from api.preconditions import tag
from api.submit import preferred_wait, wait_while_welcome
from metaqore.errors import NotFound
from metaqore.store.views.requests import Shown


def poll(request_id: str) -> Response:
    """Answer with a request as it is, or as it is once it is finished where the caller prefers to wait.

    Raises:
        NotFound: there is none in the caller's organization.
    """
    seconds = preferred_wait()
    if seconds is None:
        return _answer(_find(request_id), None)
    here = door()
    # Register first, look then: whatever happens after the look is heard.
    with here.held_threads.one(caller()) as may_wait, here.announcements.waiting([request_id]) as waiting:
        found = _find(request_id)
        if found.is_finished:
            return _answer(found, seconds)
        done = may_wait and wait_while_welcome(waiting, seconds)
        if done:
            return _finished(request_id, waiting.documents[request_id], seconds)
    return _answer(_find(request_id), seconds if may_wait else None)


def _find(request_id: str) -> Shown:
    found = door().views.requests.get(caller().organization, request_id)
    if found is None:
        raise NotFound(f"request {request_id} does not exist")
    return found


def _finished(request_id: str, document: bytes, seconds: int | None) -> Response:
    whole, word = evidence.with_evidence(document, request_id)
    return _labelled(answers.Whole(whole), f"{request_id}-{word}", seconds)


def _answer(found: Shown, seconds: int | None) -> Response:
    if found.is_finished:
        return _finished(found.id, found.document, seconds)
    answer: Response = answers.Whole(found.document)
    answer.headers["Retry-After"] = answers.RETRY_AFTER_S
    moved = f"-{found.progress_at}" if found.progress_at else ""
    return _labelled(answer, f"{found.id}-{found.state}-{found.attempt}{moved}", seconds)


def _labelled(answer: Response, version: str, seconds: int | None) -> Response:
    if request.if_none_match.contains(version):
        answer = Response(status=304)
    answer.headers["ETag"] = tag(version)
    if seconds is not None:
        answer.headers["Preference-Applied"] = f"wait={seconds}"
    return answer
