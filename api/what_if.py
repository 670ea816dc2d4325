"""Trying decisions on behalf of a caller; see ``metaqore.psmp.preview`` and ``metaqore.psmp.replay``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import msgspec
from flask import Response, request

from api import answers
from api.door import caller, door, header
from api.idempotency import idempotency
from api.moments import place_of
from api.submit import Waited, check_quota, labelled, submission
from api.welcome import while_welcome
from metaqore.errors import MetaQoreError
from metaqore.ids import new_id
from metaqore.kinds import candidate_policy
from metaqore.psmp.checkpoints import MAX_HOLD_S, refuse
from metaqore.psmp.policy import Policy
from metaqore.psmp.replay import Changed, Progress, Replayed
from metaqore.psmp.replaying import Range, reported

#: A line of JSON for each report of progress, and the result at the end.
LINES = "application/x-ndjson"
#: The most decisions that are decided again for a single answer, in some seconds; more are work for a worker.
MAX_AT_ONCE = 5000
#: What a replay tells on its way.
Step = Progress | Changed | Replayed
_ASYNC = re.compile(r"(?:^|[,;])\s*respond-async\s*(?=$|[,;])", re.IGNORECASE)


def preview(body: dict[str, Any]) -> dict[str, Any]:
    """Return what would become of declarations.

    Raises:
        NotFound: there is no such project.
        InvalidInput: the candidate policy cannot be used.
    """
    place_of(body["project"], None, "project")
    tried = door().engine.preview.of(
        caller().organization, body["project"], caller().name, body["declarations"], mode=body["mode"],
        policy=_candidate(body),
    )  # fmt: skip
    return {"project": body["project"], **msgspec.structs.asdict(tried)}


def replay(body: dict[str, Any]) -> dict[str, Any] | Response:
    """Return what would have become of a range of a project's history.

    As a stream of lines, with progress, for who asks for that; else a long range is accepted as a request.

    Raises:
        NotFound: there is no such project.
        InvalidInput: no such range, or the candidate policy cannot be used.
        RateLimited: another replay is running here.
    """
    begin = place_of(body["project"], body["from"], "from")
    start, end = begin.position, place_of(body["project"], body["to"], "to").position
    if start > end:
        refuse("from", f"position {start} comes after position {end}: give the earlier moment first")
    streamed = request.accept_mimetypes.best == LINES
    candidate, engine = _candidate(body), door().engine
    asked = Range(start, end, body["mode"], body["policy"], begin.checkpoint)
    if not streamed and (end - start > MAX_AT_ONCE or is_async()):
        return _accepted(body["project"], asked)
    tell = partial(reported, body["project"], asked, candidate or engine.psmp)
    steps: Iterator[Step] = engine.replays.stream(
        caller().organization, body["project"], start, door().views.time.recorded(body["project"], start, end),
        mode=body["mode"], policy=candidate,
    )  # fmt: skip
    if begin.checkpoint is not None:
        steps = _held(begin.checkpoint, body["project"], steps)
    if streamed:
        # What refuses a replay does so before its first line.
        rest = while_welcome(door(), header("HTTP_AUTHORIZATION"), steps)
        return Response(_lines(next(steps), rest, tell), content_type=LINES)
    return tell(next(step for step in steps if isinstance(step, Replayed)))


def is_async() -> bool:
    """Return whether the caller prefers a promise to an answer (RFC 7240, section 4.1)."""
    return _ASYNC.search(header("HTTP_PREFER") or "") is not None


def _accepted(project: str, asked: Range) -> Response:
    """Accept a replay as a request: a worker performs it, and its result is the request's."""
    payload = msgspec.to_builtins(asked)
    wanted = submission("history.replay", project, payload)
    check_quota(wanted.organization, wanted.kind, {project: 1})
    receipt = door().engine.intake.submit([wanted], idempotency({"project": project, **payload}))
    waited = Waited(applied="respond-async" if is_async() else None)
    return labelled(answers.accepted(receipt.ids[0]), receipt, waited)


def _held(checkpoint: str, project: str, steps: Iterator[Step]) -> Iterator[Step]:
    """Keep the checkpoint that a replay begins at from being deleted for as long as it runs."""
    by, executor = f"replay {new_id('hold')} of {caller().name}", door().engine.executor
    ask = partial(submission, "checkpoint.hold", project)
    keep, leave = (ask({"checkpoint": checkpoint, "by": by, "for_s": seconds}) for seconds in (MAX_HOLD_S, 0))
    held = 0.0
    try:
        while True:
            if time.monotonic() - held > MAX_HOLD_S / 2:
                executor.run_now(keep)
                held = time.monotonic()
            step = next(steps, None)
            if step is None:
                return
            yield step
    finally:
        close = getattr(steps, "close", None)
        if close is not None:
            close()
        executor.run_now(leave)


def _lines(first: Step, rest: Iterator[Step], tell: Callable[[Replayed], dict[str, Any]]) -> Iterator[bytes]:
    try:
        for step in chain((first,), rest):
            if isinstance(step, Replayed):
                line: dict[str, Any] = {"result": tell(step)}
            else:
                line = {"changed" if isinstance(step, Changed) else "progress": step}
            yield msgspec.json.encode(line) + b"\n"
    except MetaQoreError as error:
        yield msgspec.json.encode({"error": {"code": error.code, "message": error.message}}) + b"\n"


def _candidate(body: dict[str, Any]) -> Policy | None:
    return None if body["policy"] is None else candidate_policy(door().settings, body["policy"])
