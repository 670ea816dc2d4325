"""Performs ``history.replay``: a replay that takes longer than an answer may (``replay``), as long work of a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import msgspec

from metaqore import ongoing
from metaqore.errors import InvalidInput
from metaqore.messages import Outcome, Prepared, Request, Verdict, failed
from metaqore.psmp.catalogue import Mode
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads
from metaqore.psmp.replay import Progress, Recorded, Replayed, Replays

#: (project, position, position) → its decisions after the first one, up to the other.
History = Callable[[str, int, int], Iterable[Recorded]]


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``history.replay``: decide again what came after position ``start``, up to ``end``.

    ``policy`` is a whole document (YAML); without it, the one in force. ``checkpoint`` is the id of the one that the
    range begins at: it is in use for as long as this is open.
    """

    start: int
    end: int
    mode: Mode | None = None
    policy: str | None = None
    checkpoint: str | None = None


class Replaying:
    """Long work: decide a range of a project's history again, and report what comes out another way.

    Args:
        recorded: reads what was decided.
        candidate: reads a policy document.
        policy: the one in force.
    """

    def __init__(self, replays: Replays, recorded: History, candidate: Callable[[str], Policy], policy: Policy) -> None:
        self._replays = replays
        self._recorded = recorded
        self._candidate = candidate
        self._policy = policy

    def study(self, request: Request) -> tuple[Range, Policy | None]:
        """Parse the payload.

        Raises:
            InvalidInput: it is no range, or its policy cannot be used.
        """
        try:
            asked = msgspec.convert(request.payload, Range)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"history.replay: {error}") from error
        return asked, None if asked.policy is None else self._candidate(asked.policy)

    def prepare(self, batch: Sequence[Request], reads: PsmpReads, now: int) -> list[Outcome | Prepared]:
        """See that the projects are the callers'."""
        return [
            Prepared(work=None) if reads.project_row(request.organization, str(request.project)) is not None
            else failed("not_found", f"project {request.project} does not exist")
            for request in batch
        ]  # fmt: skip

    def perform(self, batch: Sequence[tuple[Request, None]]) -> list[Outcome]:
        """Replay each; the result is that of a replay that is answered at once."""
        return [self._perform(request) for request, _ in batch]

    def _perform(self, request: Request) -> Outcome:
        asked, candidate = request.studied
        project = str(request.project)
        recorded = _telling(request.id, asked, self._recorded(project, asked.start, asked.end))
        steps = self._replays.stream(
            request.organization, project, asked.start, recorded, mode=asked.mode, policy=candidate, wait=True
        )
        with closing(steps):
            for step in steps:
                if isinstance(step, Progress) and step.position is None:
                    # The state that it begins with, a row at a time; or it waits for its turn.
                    ongoing.report(request.id, done=step.rows, of="rows")
                elif isinstance(step, Replayed):
                    result = reported(project, asked, candidate or self._policy, step)
                    return Outcome(verdict=Verdict.APPROVED, result=result)
        raise AssertionError("a replay ends with its result")


def _telling(request: str, asked: Range, recorded: Iterable[Recorded]) -> Iterator[Recorded]:
    """Yield decisions, and say before each how far the replay is; so it can be stopped between any two."""
    for each in recorded:
        ongoing.report(request, done=each.position - asked.start - 1, total=asked.end - asked.start, of="positions")
        yield each


def reported(project: str, asked: Range, policy: Policy, done: Replayed) -> dict[str, Any]:
    """Return what is told of a replay."""
    told: dict[str, Any] = msgspec.to_builtins(done)
    return {"project": project, "from": asked.start, "to": asked.end, "mode": asked.mode,
            "policy_digest": policy.digest, **told}  # fmt: skip
