"""Performs ``patterns.discover`` and ``specialist.train``: long work on what the ledger of model calls recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import MetaQoreError
from metaqore.hmcp.build import Built, build
from metaqore.hmcp.discover import discover
from metaqore.hmcp.effects import MovePattern, NewSpecialist, SavePattern
from metaqore.hmcp.model import Pattern, Signature
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.ports import Adversary, Source
from metaqore.hmcp.review import replace_others
from metaqore.hmcp.rules import PatternState, SpecialistState, move_pattern, state_after_gate
from metaqore.hmcp.train import NotTrainable
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Prepared, Request, Verdict, failed

_DAY_MS = 86_400_000
#: Most calls that one discovery or training looks at; the latest ones.
MAX_EVENTS = 50_000


_TAGS = {
    SpecialistState.PROPOSED: Tag.SPECIALIST_PROPOSED,
    SpecialistState.ACTIVE: Tag.SPECIALIST_ACTIVATED,
    SpecialistState.REFUSED: Tag.SPECIALIST_REFUSED,
}
_EVENTS = {
    SpecialistState.PROPOSED: "specialist.proposed",
    SpecialistState.ACTIVE: "specialist.activated",
    SpecialistState.REFUSED: "specialist.refused",
}


class PatternReads(Protocol):
    """Look-ups inside the claiming transaction."""

    def pattern_row(self, organization: str, pattern: str) -> Mapping[str, Any] | None:
        """Return a pattern's row."""


def signature_key(signature: Signature) -> str:
    """Return the text under which a signature is unique in its organization."""
    return f"{signature.kind}:{signature.value}"


class Discover:
    """Long work: mine the ledger, propose what repeats."""

    def __init__(self, source: Source, policy: Policy, clock: Callable[[], int]) -> None:
        self._source = source
        self._policy = policy
        self._clock = clock

    def prepare(self, batch: Sequence[Request], reads: Any, now: int) -> list[Outcome | Prepared]:
        """Nothing has to be decided before looking."""
        return [Prepared(work=None) for _ in batch]

    def perform(self, batch: Sequence[tuple[Request, None]]) -> list[Outcome]:
        """Discover patterns for each request's organization."""
        return [self._discover(request) for request, _ in batch]

    def _discover(self, request: Request) -> Outcome:
        now = self._clock()
        since = now - self._policy.discover.window_days * _DAY_MS
        events = self._source.events(request.organization, since, MAX_EVENTS)
        known = self._source.patterns(request.organization)
        outcome = Outcome(verdict=Verdict.APPROVED)
        shown = []
        for pattern in discover(events, self._policy, now):
            key = signature_key(pattern.signature)
            row = known.get(key)
            wanted = PatternState.PROPOSED if pattern.proposed else PatternState.REFUSED
            state = _next_state(row, wanted)
            pattern_id = row["id"] if row is not None else new_id("pat")
            body = msgspec.json.encode(pattern.to_json()).decode()
            outcome.writes.append(
                SavePattern(pattern_id, request.organization, key, state, pattern.events, body, request.id, now, now)
            )
            shown.append({"id": pattern_id, "signature": key, "state": state, "support": pattern.events,
                          "agents": pattern.agents, "labels": list(pattern.output.labels),
                          "reasons": list(pattern.reasons)})  # fmt: skip
            if state == PatternState.PROPOSED and (row is None or row["state"] != state):
                details = {"support": pattern.events, "agents": pattern.agents}
                outcome.audit.append(AuditNote(tag=Tag.PATTERN_PROPOSED, subject=pattern_id, details=details))
                outcome.events.append(EventNote("pattern.proposed", pattern_id, {"support": pattern.events}))
        outcome.result = {"events": len(events), "patterns": shown}
        return outcome


class Train:
    """Long work: train a specialist for a pattern, and register it only where it passes every stage of the gate."""

    def __init__(
        self, source: Source, policy: Policy, adversary: Callable[[], Adversary], clock: Callable[[], int], *,
        at_once: bool = False,
    ) -> None:  # fmt: skip
        self._source = source
        self._policy = policy
        #: Whether who passes the gate answers, without being proven on live traffic first.
        self._at_once = at_once
        #: Made when it is needed: most processes never train.
        self._adversary = adversary
        self._clock = clock

    def prepare(self, batch: Sequence[Request], reads: PatternReads, now: int) -> list[Outcome | Prepared]:
        """Find the pattern and mark it as being trained."""
        return [self._prepare(request, reads, now) for request in batch]

    def _prepare(self, request: Request, reads: PatternReads, now: int) -> Outcome | Prepared:
        pattern = str(request.payload.get("pattern"))
        row = reads.pattern_row(request.organization, pattern)
        if row is None:
            return failed("not_found", f"pattern {pattern} does not exist")
        try:
            state = move_pattern(PatternState(row["state"]), PatternState.TRAINING)
        except MetaQoreError as error:
            return failed(error.code, error.message)
        return Prepared(work=dict(row), writes=[MovePattern(row["id"], request.organization, state, now)])

    def perform(self, batch: Sequence[tuple[Request, Mapping[str, Any]]]) -> list[Outcome]:
        """Train and gate a specialist for each request."""
        return [self._train(request, row) for request, row in batch]

    def _train(self, request: Request, row: Mapping[str, Any]) -> Outcome:
        pattern = Pattern.from_json(msgspec.json.decode(row["body"]))
        read_at = self._clock()
        since = read_at - self._policy.discover.window_days * _DAY_MS
        events = self._source.events(request.organization, since, MAX_EVENTS)
        version, champion = self._source.champion(row["id"])
        try:
            built = build(pattern, events, self._policy, self._adversary(), champion=champion)
        except NotTrainable as error:
            refused = MovePattern(row["id"], request.organization, PatternState.REFUSED, self._clock())
            return Outcome(
                verdict=Verdict.BLOCKED,
                result={"pattern": row["id"], "specialist": None, "reasons": [error.message]},
                writes=[refused],
                audit=[AuditNote(tag=Tag.SPECIALIST_REFUSED, subject=row["id"], outcome="not_trainable")],
                events=[EventNote("specialist.refused", row["id"], {"reason": "not_trainable"})],
            )
        return self._register(request, row["id"], version + 1, built, read_at)

    def _register(self, request: Request, pattern: str, version: int, built: Built, read_at: int) -> Outcome:
        now = self._clock()
        state = state_after_gate(built.report, at_once=self._at_once)
        passed = state is not SpecialistState.REFUSED
        specialist = new_id("spec")
        gate = built.report.to_json()
        new = NewSpecialist(
            specialist, request.organization, pattern, version, state, built.artefact.manifest.decode(),
            msgspec.json.encode(gate).decode(), built.artefact.weights, built.artefact.digest,
            request.id, now, read_at,
        )  # fmt: skip
        became = PatternState.SPECIALISED if passed else PatternState.REFUSED
        outcome = Outcome(
            verdict=Verdict.APPROVED if passed else Verdict.BLOCKED,
            result={
                "pattern": pattern,
                "specialist": {"id": specialist, "version": version, "state": state,
                               "labels": list(built.specialist.labels), "measures": built.specialist.measures,
                               "digest": built.artefact.digest},
                "gate": gate,
            },
            writes=[new, MovePattern(pattern, request.organization, became, now)],
            audit=[
                AuditNote(tag=Tag.SPECIALIST_TRAINED, subject=specialist, details={"manifest": built.artefact.digest}),
                AuditNote(tag=_TAGS[state], subject=specialist, outcome=state),
            ],
            events=[EventNote(_EVENTS[state], specialist, {"pattern": pattern})],
        )  # fmt: skip
        # A new one that has to prove itself takes the place of another that had to; the one that answers stays.
        others = self._source.live(pattern) if passed else ()
        others = [other for other in others if self._at_once or other["state"] == state]
        replace_others(outcome, request.organization, specialist, others)
        return outcome


def _next_state(row: Mapping[str, Any] | None, wanted: PatternState) -> PatternState:
    """A pattern that has a specialist, or is getting one, stays so; otherwise it is what discovery says."""
    if row is None:
        return wanted
    now = PatternState(row["state"])
    return now if now in (PatternState.SPECIALISED, PatternState.TRAINING) else move_pattern(now, wanted)
