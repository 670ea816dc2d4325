"""Decides ``specialist.review``: whether a specialist that was compared with its teacher begins to answer, or stops.

And ``specialist.retire``, which somebody asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from metaqore.audit.tags import Tag
from metaqore.errors import Conflict, NotFound
from metaqore.hmcp.effects import MovePattern, MoveSpecialist
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.rules import PatternState, SpecialistState
from metaqore.hmcp.watch import Standing, drifted, proven
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict

_LIVE = (SpecialistState.PROPOSED, SpecialistState.ACTIVE)


class ReviewReads(Protocol):
    """Look-ups inside the transaction."""

    def specialist_row(self, organization: str, specialist: str) -> Mapping[str, Any] | None:
        """Return id, pattern, version, state and created_at, locked until the commit."""

    def live(self, pattern: str) -> Sequence[Mapping[str, Any]]:
        """Return id, version and state of a pattern's specialists that are active or proposed."""

    def comparisons(self, specialist: str, limit: int) -> list[bool]:
        """Return whether it disagreed with its teacher, for the latest calls where both answered, oldest first."""


class Review:
    """Reviews specialists under a policy."""

    def __init__(self, policy: Policy, *, promotes: bool) -> None:
        self._policy = policy
        #: Whether a proposed specialist that is proven begins to answer.
        self._promotes = promotes

    def review(self, batch: Sequence[Request], reads: ReviewReads, now: int) -> list[Outcome]:
        """Review specialists; payload ``{"specialist"}``. One that is gone or retired stays so."""
        return [self._review(request, reads, now) for request in batch]

    def _review(self, request: Request, reads: ReviewReads, now: int) -> Outcome:
        row = reads.specialist_row(request.organization, str(request.payload.get("specialist")))
        if row is None or row["state"] not in _LIVE:
            return Outcome(verdict=Verdict.APPROVED, result={"state": row["state"] if row else None})
        route, certify = self._policy.route, self._policy.certify
        errors = reads.comparisons(row["id"], route.max_observations)
        drift = drifted(errors, certify.alpha, route.arl)
        if drift.passed:
            return self._stop(request, row, errors, drift, now, tag=Tag.SPECIALIST_DRIFTED, why="drifted")
        if row["state"] == SpecialistState.PROPOSED and self._promotes:
            proof = proven(errors, certify.alpha, certify.delta)
            if proof.passed:
                return self._begin(request, row, reads, errors, proof)
            if len(errors) >= route.max_observations:
                return self._stop(request, row, errors, proof, now, tag=Tag.SPECIALIST_RETIRED, why="unproven")
        return Outcome(verdict=Verdict.APPROVED, result=_result(row, row["state"], errors, drift))

    def _begin(
        self, request: Request, row: Mapping[str, Any], reads: ReviewReads, errors: Sequence[bool], proof: Standing
    ) -> Outcome:
        """Have it answer, in place of the one that did until now."""
        details = {"compared": len(errors), "disagreed": sum(errors), "by": "proof"}
        outcome = Outcome(
            verdict=Verdict.APPROVED,
            result=_result(row, SpecialistState.ACTIVE, errors, proof),
            writes=[MoveSpecialist(row["id"], request.organization, SpecialistState.ACTIVE)],
            audit=[
                AuditNote(tag=Tag.SPECIALIST_ACTIVATED, subject=row["id"], outcome="active", details=details),
            ],
            events=[EventNote("specialist.activated", row["id"], {"pattern": row["pattern"]})],
        )
        replace_others(outcome, request.organization, row["id"], reads.live(row["pattern"]))
        return outcome

    def _stop(
        self, request: Request, row: Mapping[str, Any], errors: Sequence[bool], test: Standing, now: int, *, tag: Tag,
        why: str,
    ) -> Outcome:  # fmt: skip
        details = {"compared": len(errors), "disagreed": sum(errors), "was": row["state"], "by": why}
        return Outcome(
            verdict=Verdict.APPROVED,
            result=_result(row, SpecialistState.RETIRED, errors, test),
            writes=_retired(request.organization, row, now),
            audit=[AuditNote(tag=tag, subject=row["id"], outcome="retired", details=details)],
            events=[
                EventNote(f"specialist.{'drifted' if tag is Tag.SPECIALIST_DRIFTED else 'retired'}", row["id"],
                          {"pattern": row["pattern"], "compared": len(errors), "disagreed": sum(errors)})
            ],
        )  # fmt: skip


def retire(batch: Sequence[Request], reads: ReviewReads, now: int) -> list[Outcome]:
    """Retire specialists, because somebody says so; payload ``{"specialist"}``.

    Raises:
        NotFound: there is no such specialist.
        Conflict: it answers no more, or never did.
    """
    outcomes = []
    for request in batch:
        specialist = str(request.payload.get("specialist"))
        row = reads.specialist_row(request.organization, specialist)
        if row is None:
            raise NotFound(f"there is no specialist {specialist}")
        if row["state"] not in _LIVE:
            raise Conflict(f"specialist {specialist} is {row['state']}: there is nothing to retire")
        outcomes.append(
            Outcome(
                verdict=Verdict.APPROVED,
                result={"id": specialist, "state": SpecialistState.RETIRED},
                writes=_retired(request.organization, row, now),
                audit=[AuditNote(tag=Tag.SPECIALIST_RETIRED, subject=specialist, outcome="retired",
                                 details={"by": "request", "was": row["state"]})],
                events=[EventNote("specialist.retired", specialist, {"pattern": row["pattern"]})],
            )
        )  # fmt: skip
    return outcomes


def replace_others(outcome: Outcome, organization: str, by: str, live: Sequence[Mapping[str, Any]]) -> None:
    """Add to an outcome that all other specialists of a pattern are asked no more."""
    for other in live:
        if other["id"] != by:
            note = AuditNote(tag=Tag.SPECIALIST_RETIRED, subject=other["id"], outcome="retired",
                             details={"by": by, "was": other["state"]})  # fmt: skip
            outcome.writes.append(MoveSpecialist(other["id"], organization, SpecialistState.RETIRED))
            outcome.audit.append(note)
            outcome.events.append(EventNote("specialist.retired", other["id"], {"replaced_by": by}))


def _retired(organization: str, row: Mapping[str, Any], now: int) -> list[Any]:
    """Return the effects that end a specialist; where nobody answers for its pattern then, it is proposed again."""
    writes: list[Any] = [MoveSpecialist(row["id"], organization, SpecialistState.RETIRED)]
    if row["state"] == SpecialistState.ACTIVE:
        writes.append(MovePattern(row["pattern"], organization, PatternState.PROPOSED, now))
    return writes


def _result(row: Mapping[str, Any], state: str, errors: Sequence[bool], test: Standing) -> dict[str, Any]:
    return {"specialist": row["id"], "state": state, "compared": len(errors), "disagreed": sum(errors),
            "value": round(test.value, 3), "needed": test.needed}  # fmt: skip
