"""Specialists in the gateway: whether one may answer a call in its provider's place, and what is written of it.

SecureGateway decides first, with the specialist as the provider that is asked for; where that is not approved, the call
goes the way it would go without specialists. A specialist is a part of the engine: what it answers has left nobody, and
there is no outside call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from metaqore.audit.tags import Tag
from metaqore.errors import MetaQoreError
from metaqore.ids import new_id
from metaqore.llm.assemble import Assembled
from metaqore.llm.effects import SpecialistCall
from metaqore.llm.model import Completion, GenerateCommand, Usage
from metaqore.llm.ports import Question, Sight, Specialists
from metaqore.llm.rules import estimate_tokens
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Submission, Verdict

log = structlog.get_logger(__name__)

#: The provider that specialists are, to policies, stops and callers. No provider may be configured under this name.
PROVIDER = "specialist"
_REVIEW = "specialist.review"
#: What a caller is told of a certificate.
_TOLD = ("threshold", "alpha", "delta", "routed", "errors")

#: The form in which answers are compared. See ``metaqore.hmcp.outputs.canonical_answer``.
Canonical = Callable[[str], str]


class Studied(Protocol):
    """A call as it was studied. See ``metaqore.llm.handlers.Studied``."""

    @property
    def command(self) -> GenerateCommand:
        """What is asked."""

    @property
    def assembled(self) -> Assembled:
        """What would be sent."""

    @property
    def assessment(self) -> Any:
        """What SecureGateway found in it."""


class Decided(Protocol):
    """An approval. See ``metaqore.llm.handlers.Judgement``."""

    decision_id: str
    label: str


def may_ask(studied: Studied) -> bool:
    """Return whether a specialist may be asked about a call at all.

    Who names a provider or a model wants it and no other, unless they say ``specialist: true``. Who wants variety
    (``temperature``) or cuts the answer (``stop``) asks for something that no specialist has learnt, and what reads
    like an attack is its teacher's business.
    """
    command = studied.command
    if command.specialist is None and (command.provider is not None or command.model is not None):
        return False
    threats = getattr(studied.assessment, "threats", ())
    return command.specialist is not False and command.temperature == 0 and not command.stop and not threats


def look(specialists: Specialists, batch: Sequence[tuple[Request, Studied]]) -> list[Sequence[Sight]]:
    """Return for each call what specialists say to it; nothing where they cannot be asked."""
    asked = [at for at, (_, studied) in enumerate(batch) if may_ask(studied)]
    found: list[Sequence[Sight]] = [() for _ in batch]
    if not asked:
        return found
    try:
        sights = specialists.look([_question(*batch[at]) for at in asked])
    except MetaQoreError as error:
        # Nobody has to wait for a specialist: its teacher answers.
        log.warning("specialists_not_asked", reason=error.code)
        return found
    for at, own in zip(asked, sights, strict=True):
        found[at] = own
    return found


def willing(sights: Sequence[Sight], max_tokens: int) -> Sight | None:
    """Return the specialist that would answer in its provider's place, None where there is none."""
    for sight in sights:
        if sight.serves and sight.routed and not sight.audited and estimate_tokens(sight.answer) <= max_tokens:
            return sight
    return None


def served(request: Request, sight: Sight, decided: Decided, saved: int, now: int, *, no_cache: bool) -> Outcome:
    """Return the answer of a specialist, without the writes and notes of the decision that allows it."""
    certificate, call = sight.certificate, new_id("spc")
    completion = Completion(
        text=sight.answer, usage=Usage(0, 0), provider=PROVIDER, model=sight.specialist, finish_reason="stop"
    )
    details = {"specialist": sight.specialist, "version": sight.version, "decision": decided.decision_id,
               "confidence_ppm": _ppm(sight.confidence), "threshold_ppm": _ppm(certificate.threshold)}  # fmt: skip
    told = {
        "id": sight.specialist, "version": sight.version, "pattern": sight.pattern, "confidence": sight.confidence,
        "sensitivity": sight.sensitivity, "saved_tokens": saved,
        "certificate": {name: getattr(certificate, name) for name in _TOLD},
    }  # fmt: skip
    return Outcome(
        verdict=Verdict.APPROVED,
        result={**completion.to_json(), "decision": {"id": decided.decision_id, "label": decided.label},
                "specialist": told},
        writes=[_written(request, sight, decided.decision_id, "served", None, saved, now, call)],
        audit=[AuditNote(tag=Tag.SPECIALIST_ROUTED, subject=call, outcome="served", details=details)],
        events=[EventNote("llm.completed", call, {"provider": PROVIDER, "model": sight.specialist})],
        no_cache=no_cache,
    )  # fmt: skip


class Compared(msgspec.Struct, frozen=True):
    """What came of the specialists of a call that its provider has answered."""

    writes: list[SpecialistCall]
    #: For the call's own entry.
    details: dict[str, Any]
    #: Specialists that should be reviewed.
    due: set[str]


def compared(
    request: Request, sights: Sequence[Sight], decision: str, label: str, said: str, canonical: Canonical, now: int
) -> Compared:
    """Return what to write of the specialists of a call to which its provider said ``said``.

    One that has not the certificate for the call's label is not compared: it would never have answered.
    """
    writes: list[SpecialistCall] = []
    due: set[str] = set()
    for sight in sights:
        if label not in sight.labels or not (sight.routed or sight.serves):
            continue
        agreed = canonical(said) == sight.answer if sight.routed else None
        if agreed is None:
            kind = "abstained"
        elif sight.serves:
            # Not drawn, it had no leave to answer: what was compared without a draw is no fair sample.
            if not sight.audited:
                continue
            kind = "audited"
        elif not sight.audited and any(other.serves for other in sights):
            # Where another one answers, only calls that were drawn reach the teacher whatever that one says.
            continue
        else:
            kind = "shadow"
        writes.append(_written(request, sight, decision, kind, agreed, 0, now, new_id("spc")))
        if agreed is False or (agreed and sight.due):
            due.add(sight.specialist)
    details = {"specialists": " ".join(_word(write) for write in writes)} if writes else {}
    return Compared(writes, details, due)


def review(organization: str, specialist: str) -> Submission:
    """Return the request to look whether a specialist may go on, or begin."""
    return Submission(
        organization=organization, project=None, principal="metaqore", kind=_REVIEW, payload={"specialist": specialist}
    )


def _question(request: Request, studied: Studied) -> Question:
    assembled = studied.assembled
    return Question(request.id, request.organization, request.project, assembled.template_key, assembled.text)


def _written(
    request: Request, sight: Sight, decision: str, kind: Any, agreed: bool | None, saved: int, now: int, key: str
) -> SpecialistCall:
    return SpecialistCall(
        key, request.organization, request.project, request.id, decision, sight.specialist, kind, agreed,
        _ppm(sight.confidence), saved, now,
    )  # fmt: skip


def _word(write: SpecialistCall) -> str:
    said = "" if write.agreed is None else ":agreed" if write.agreed else ":disagreed"
    return f"{write.specialist}:{write.kind}{said}"


def _ppm(share: float) -> int:
    return round(share * 1_000_000)
