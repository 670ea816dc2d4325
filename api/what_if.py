"""Trying decisions on behalf of a caller; see ``metaqore.psmp.preview`` and ``metaqore.psmp.replay``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import msgspec
from flask import Response, request

from api.door import caller, door
from api.moments import place_of
from api.submit import submission
from metaqore.errors import MetaQoreError
from metaqore.ids import new_id
from metaqore.kinds import candidate_policy
from metaqore.psmp.checkpoints import MAX_HOLD_S, refuse
from metaqore.psmp.policy import Policy
from metaqore.psmp.replay import Progress, Replayed

#: A line of JSON for each report of progress, and the result at the end.
LINES = "application/x-ndjson"
#: The most decisions that are decided again for a single answer, in some seconds.
MAX_AT_ONCE = 5000


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
    """Return what would have become of a range of a project's history; a long one as a stream of lines, with progress.

    Raises:
        NotFound: there is no such project.
        InvalidInput: no such range, too long a one for a single answer, or the candidate policy cannot be used.
        RateLimited: another replay is running here.
    """
    begin = place_of(body["project"], body["from"], "from")
    start, end = begin.position, place_of(body["project"], body["to"], "to").position
    if start > end:
        refuse("from", f"position {start} comes after position {end}: give the earlier moment first")
    streamed = request.accept_mimetypes.best == LINES
    if end - start > MAX_AT_ONCE and not streamed:
        refuse("to", f"more than {MAX_AT_ONCE} decisions take a while: send Accept: {LINES}, which tells how far it is")
    candidate, engine = _candidate(body), door().engine
    asked = {"project": body["project"], "from": start, "to": end, "mode": body["mode"],
             "policy_digest": (candidate or engine.psmp).digest}  # fmt: skip
    steps = engine.replays.stream(
        caller().organization, body["project"], start, door().views.time.recorded(body["project"], start, end),
        mode=body["mode"], policy=candidate,
    )  # fmt: skip
    if begin.checkpoint is not None:
        steps = _held(begin.checkpoint, body["project"], steps)
    if streamed:
        # What refuses a replay does so before its first line.
        return Response(_lines(next(steps), steps, asked), content_type=LINES)
    done = next(step for step in steps if isinstance(step, Replayed))
    return {**asked, **msgspec.to_builtins(done)}


def _held(checkpoint: str, project: str, steps: Iterator[Progress | Replayed]) -> Iterator[Progress | Replayed]:
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


def _lines(first: Progress | Replayed, rest: Iterator[Progress | Replayed], asked: dict[str, Any]) -> Iterator[bytes]:
    try:
        for step in chain((first,), rest):
            ended = isinstance(step, Replayed)
            yield msgspec.json.encode(
                {"result": {**asked, **msgspec.to_builtins(step)}} if ended else {"progress": step}
            ) + b"\n"  # fmt: skip
    except MetaQoreError as error:
        yield msgspec.json.encode({"error": {"code": error.code, "message": error.message}}) + b"\n"


def _candidate(body: dict[str, Any]) -> Policy | None:
    return None if body["policy"] is None else candidate_policy(door().settings, body["policy"])
