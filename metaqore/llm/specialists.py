"""Specialists in the gateway: whether one may answer a call in its provider's place, and what is written of it.

SecureGateway decides first, with the specialist as the provider that is asked for; where that is not approved, the call
goes the way it would go without specialists. A specialist is a part of the engine: what it answers has left nobody, and
there is no outside call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from metaqore.audit.tags import Tag
from metaqore.ids import new_id
from metaqore.llm.answers import NEVER_CACHED, Call, warned
from metaqore.llm.assemble import Assembled, made_from
from metaqore.llm.config import RESERVED
from metaqore.llm.effects import SpecialistCall
from metaqore.llm.model import Completion, GenerateCommand, ProviderError, Usage
from metaqore.llm.ports import Question, Sight, Specialists
from metaqore.llm.rules import estimate_tokens
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Submission, Verdict

log = structlog.get_logger(__name__)

#: The provider that specialists are, to policies, stops and callers. No provider may be configured under this name.
PROVIDER = RESERVED
_REVIEW = "specialist.review"
#: What a caller is told of a certificate.
_TOLD = ("threshold", "alpha", "delta", "routed", "errors")


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
    duties: Mapping[str, Any]
    obligations: list[str]
    warnings: list[str]
    write: Any
    audit: AuditNote


def may_ask(studied: Studied) -> bool:
    """Return whether a specialist may be asked about a call at all.

    Who names a provider or a model wants it and no other, unless they say ``specialist: true``. Who wants variety
    (``temperature``) or cuts the answer (``stop``) asks for something that no specialist has learnt. What was made from
    artifacts holds what others wrote, and what reads like an attack may be one: both are their teacher's business.
    """
    command = studied.command
    if command.specialist is None and (command.provider is not None or command.model is not None):
        return False
    threats = getattr(studied.assessment, "threats", ())
    plain = command.temperature == 0 and not command.stop and not threats
    return command.specialist is not False and plain and not made_from(command, studied.assembled)


def look(specialists: Specialists, batch: Sequence[tuple[Request, Studied]]) -> list[Sequence[Sight]]:
    """Return for each call what specialists say to it; nothing where they cannot be asked."""
    asked = [at for at, (_, studied) in enumerate(batch) if may_ask(studied)]
    found: list[Sequence[Sight]] = [() for _ in batch]
    if not asked:
        return found
    try:
        sights = specialists.look([_question(*batch[at]) for at in asked])
    except Exception:
        # Nobody has to wait for a specialist, whatever is wrong with it: its teacher answers.
        log.exception("specialists_not_asked", requests=[batch[at][0].id for at in asked])
        return found
    for at, own in zip(asked, sights, strict=True):
        found[at] = own
    return found


def willing(studied: Studied, sights: Sequence[Sight]) -> Sight | None:
    """Return the specialist that would answer a call in its provider's place, None where there is none."""
    for sight in sights:
        if sight.serves and sight.routed and not sight.audited and _fits(sight, studied.command.max_tokens):
            return sight
    return None


def answers_by(sight: Sight, decided: Decided) -> bool:
    """Return whether a specialist may answer a call that SecureGateway lets it have: with a label that it may see, and
    with nothing to be taken out of the prompt, since it learnt from prompts as they are.
    """
    duties = decided.duties.get(PROVIDER)
    if decided.label not in sight.labels:
        return False
    return duties is None or (duties.redact is None and (duties.max_tokens is None or _fits(sight, duties.max_tokens)))


def _fits(sight: Sight, max_tokens: int) -> bool:
    return estimate_tokens(sight.answer) <= max_tokens


def served(request: Request, studied: Studied, sight: Sight, decided: Decided, now: int) -> Outcome:
    """Return the answer of a specialist, with the decision that allows it."""
    saved = studied.assembled.prompt_tokens + estimate_tokens(sight.answer)
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
                "specialist": told, **warned(decided.warnings)},
        writes=[decided.write, _written(request, sight, decided.decision_id, "served", None, saved, now, call)],
        audit=[decided.audit, AuditNote(tag=Tag.SPECIALIST_ROUTED, subject=call, outcome="served", details=details)],
        events=[EventNote("llm.completed", call, {"provider": PROVIDER, "model": sight.specialist})],
        no_cache="no_cache" in decided.obligations or decided.label in NEVER_CACHED,
    )  # fmt: skip


def compare(
    specialists: Specialists, ended: Sequence[tuple[Request, Call, Completion | ProviderError, Outcome]], now: int
) -> None:
    """Add to the outcomes of calls that providers have answered what specialists would have said."""
    due: set[str] = set()
    for request, call, answer, outcome in ended:
        if not call.sights or isinstance(answer, ProviderError) or outcome.verdict is not Verdict.APPROVED:
            continue
        label = call.decision["label"]
        found = [
            (sight, write)
            for sight in call.sights
            if label in sight.labels
            and (write := _compared(specialists, request, call, sight, answer.text, now)) is not None
        ]
        if not found:
            continue
        outcome.writes = [*outcome.writes, *(write for _, write in found)]
        told = {"specialists": " ".join(_word(write) for _, write in found)}
        first, *others = outcome.audit
        outcome.audit = [msgspec.structs.replace(first, details={**first.details, **told}), *others]
        for sight, write in found:
            # Drift can only show where both disagreed, and one review is enough for all that came together.
            if (write.agreed is False or (write.agreed and sight.due)) and sight.specialist not in due:
                due.add(sight.specialist)
                outcome.follow_ups = [*outcome.follow_ups, review(request.organization, sight.specialist)]


def _compared(
    specialists: Specialists, request: Request, call: Call, sight: Sight, said: str, now: int
) -> SpecialistCall | None:
    """Return what to write of a specialist of a call to which its provider said ``said``; None for nothing."""
    decision = call.decision["id"]
    if not sight.routed:
        return _written(request, sight, decision, "abstained", None, 0, now, new_id("spc")) if sight.serves else None
    # It would not have answered what leaves no room for its answer; and whoever cuts the teacher's could retire it.
    if not _fits(sight, call.command.max_tokens):
        return None
    # Where somebody answers, a fair sample is what was drawn: what else reached the teacher did so for a reason.
    if not sight.audited and any(other.serves for other in call.sights):
        return None
    agreed = specialists.agrees(said, sight.answer)
    return _written(request, sight, decision, "audited" if sight.serves else "shadow", agreed, 0, now, new_id("spc"))


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
