"""Submitting: 202 with an id, or, for those who prefer to wait, the verdict itself."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from flask import Response, request

from api import answers, bounds
from api.data_subject import data_subject
from api.door import caller, door, header
from api.idempotency import idempotency
from metaqore.adapters.announcements import Waiting
from metaqore.errors import Unavailable
from metaqore.messages import Submission
from metaqore.psmp.control import check_moved
from metaqore.requests.model import Ran, Receipt
from metaqore.security.keys import Principal

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)

#: Seconds between two looks at the key of somebody who waits, and for which the one at the door is enough.
_LOOK_S, _BELIEVED_S = 1.0, 0.5


def preferred_wait() -> int | None:
    """Return the seconds of ``Prefer: wait=N`` (RFC 7240), at most ``max_wait_s``; None where it is not asked for."""
    text = header("HTTP_PREFER")
    match = _WAIT.search(text) if text else None
    return None if match is None else min(int(match[1]), door().settings.max_wait_s)


def submission(kind: str, project: str | None, payload: Mapping[str, Any], who: Principal | None = None) -> Submission:
    """Return what ``who`` (the caller, where not given) asks for.

    Raises:
        Stopped: the caller or the project is stopped.
    """
    who = who or caller()
    door().stops.check(who, project)
    if who.project is not None:
        bounds.check_submission(request.environ, project, who)
    return Submission(
        organization=who.organization, project=project, principal=who.name, kind=kind, payload=payload,
        subject=data_subject(),
    )  # fmt: skip


def submit(kind: str, project: str | None, payload: Mapping[str, Any], *, body: Any = None) -> Response:
    """Accept one request, and answer with its id or its verdict.

    Args:
        body: what was sent, where the payload says more (or less) than that.

    Raises:
        MetaQoreError: nothing was stored.
    """
    sent = body if body is not None else {"project": project, **payload}
    wanted = submission(kind, project, payload)
    check_quota(wanted.organization, kind, {project: 1})
    receipt = door().engine.intake.submit([wanted], idempotency(sent))
    waited = wait_for(receipt.ids, fresh=not receipt.replayed)
    document = waited.documents.get(receipt.ids[0])
    answer = answers.accepted(receipt.ids[0]) if document is None else answers.decided(document)
    return labelled(answer, receipt, waited)


def check_quota(organization: str, kind: str, projects: Mapping[str | None, int]) -> None:
    """Refuse what would make a queue longer than the organization, or a project, may.

    Raises:
        QuotaExceeded: too much waits there already.
    """
    here = door()
    here.quotas.check(here.engine.catalogue[kind].queue, organization, projects)


class Waited(msgspec.Struct, frozen=True):
    """What came of waiting: id → finished document, and the ``Preference-Applied`` that it deserves."""

    documents: Mapping[str, bytes] = {}
    applied: str | None = None


def wait_for(ids: Sequence[str], *, fresh: bool) -> Waited:
    """Wait for ``ids`` as long as the caller prefers.

    Args:
        fresh: they were accepted a moment ago, so that whatever was announced since is still remembered here.
    """
    seconds = preferred_wait()
    if seconds is None:
        return Waited()
    here = door()
    until = time.monotonic() + seconds
    with here.held_threads.one(caller()) as may_wait, here.announcements.waiting(ids) as waiting:
        if not fresh:
            here.announcements.tell(here.views.requests.finished(ids))
        done = wait_while_welcome(waiting, until - time.monotonic() if may_wait else 0)
        return Waited(dict(waiting.documents), f"wait={seconds}" if may_wait or done else None)


def wait_while_welcome(waiting: Waiting, seconds: float) -> bool:
    """Wait until all are finished, at most ``seconds``; return whether they are.

    Who was refused meanwhile waits no longer than a second or two, and gets no answer.

    Raises:
        Unauthenticated: the caller's key was revoked.
        Stopped: the caller was stopped.
        Unavailable: at the end nobody can say.
    """
    started = time.monotonic()
    until = started + seconds
    while not (done := waiting.wait(min(until - time.monotonic(), _LOOK_S))) and time.monotonic() < until:
        with contextlib.suppress(Unavailable):
            _check_key()
    if time.monotonic() - started > _BELIEVED_S:
        _check_key()
    return done


def _check_key() -> None:
    door().stops.check(door().keys.authenticate(header("HTTP_AUTHORIZATION")))


def run(kind: str, payload: Mapping[str, Any], *, body: Any, project: str | None = None) -> Ran:
    """Run a control-plane request inside this call.

    Args:
        body: what was sent; the fingerprint of an idempotency key is taken of it.

    Raises:
        MetaQoreError: it was refused; nothing was stored but, of an illegal move, its conflict.
    """
    ran = door().engine.executor.run_now(submission(kind, project, payload), idempotency(body))
    check_moved(ran.result)
    return ran


def labelled(answer: Response, receipt: Receipt, waited: Waited) -> Response:
    """Say in the headers what was replayed, and which preference was honoured."""
    if receipt.replayed:
        answer.headers["Idempotency-Replayed"] = "true"
    if waited.applied is not None:
        answer.headers["Preference-Applied"] = waited.applied
    return answer
