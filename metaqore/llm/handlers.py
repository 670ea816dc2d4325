"""Performs ``llm.generate``: decided and recorded, then called in a batch, then settled.

A call that was made and whose answer was stored is never made again: a second attempt finds it in the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.ids import new_id
from metaqore.llm.assemble import Assembled, assemble, tokens_with_answer
from metaqore.llm.batch import Batch, Limits, Waiting, plan
from metaqore.llm.effects import NewCall, SettleCall
from metaqore.llm.model import Completion, GenerateCommand, ProviderError
from metaqore.llm.ports import Provider
from metaqore.llm.rules import Offer, route, routed
from metaqore.messages import AuditNote, EventNote, Outcome, Prepared, Request, Verdict, Write, failed

#: How long a prefix counts as warm after it was sent, in seconds; providers keep theirs for 5 minutes or more.
WARM_S = 300.0


class Judgement(Protocol):
    """What SecureGateway says about one call. See ``metaqore.security.gate.Judged``."""

    approved: bool
    decision_id: str
    label: str
    reasons: list[str]
    providers_allowed: list[str]
    provider: str | None
    write: Any
    audit: AuditNote
    events: list[EventNote]
    shown: dict[str, Any]


class Gate(Protocol):
    """SecureGateway, as the gateway asks it."""

    def assess(self, content: Any, declared: Mapping[str, Any]) -> Any:
        """Classify; pure."""

    def judge(self, request: Request, assessment: Any, requested: str | None, now: int, reads: Any) -> Judgement:
        """Decide, with what stands in the database now."""


class CallReads(Protocol):
    """Look-ups in the ledger."""

    def calls(self, request_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return request id → the call's row, for the calls there are."""


class Studied(msgspec.Struct, frozen=True):
    """A command, parsed, assembled and assessed before it is claimed."""

    command: GenerateCommand
    assembled: Assembled
    assessment: Any


class Call(msgspec.Struct, kw_only=True):
    """What ``perform`` needs to know of one call."""

    id: str
    decision: dict[str, Any]
    command: GenerateCommand
    waiting: Waiting


class Handlers:
    """The gateway: a gate before it, providers behind it."""

    def __init__(
        self,
        gate: Gate,
        providers: Mapping[str, Provider],
        offers: Sequence[Offer],
        limits: Limits,
        clock: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._providers = providers
        self._offers = offers
        self._limits = limits
        self._clock = clock
        self._warm: dict[str, float] = {}

    def study(self, request: Request) -> Studied:
        """Parse, assemble and classify.

        Raises:
            InvalidInput: the payload is no command; ``errors`` has JSON pointers.
        """
        command = GenerateCommand.from_json(request.payload)
        assembled = assemble(command)
        return Studied(command, assembled, self._gate.assess(assembled.text, request.payload))

    def prepare(self, batch: Sequence[Request], reads: CallReads, now: int) -> list[Outcome | Prepared]:
        """Decide each call; write its decision and its place in the ledger before anything leaves."""
        known = reads.calls([request.id for request in batch])
        return [self._prepare(request, known.get(request.id), reads, now) for request in batch]

    def _prepare(
        self, request: Request, row: Mapping[str, Any] | None, reads: CallReads, now: int
    ) -> Outcome | Prepared:
        studied: Studied = request.studied
        if row is not None:
            if row["state"] == "settled":
                answer = Completion.from_json(msgspec.json.decode(row["response"]))
                return _answered(answer, row["decision_id"], row["label"])
            command = msgspec.structs.replace(studied.command, provider=row["provider"], model=row["model"])
            decision = {"id": row["decision_id"], "label": row["label"]}
            return Prepared(work=self._call(request, row["id"], decision, command, studied, now))
        judged = self._gate.judge(request, studied.assessment, studied.command.provider, now, reads)
        if not judged.approved:
            return Outcome(
                verdict=Verdict.VETOED, result={"decision": judged.shown}, writes=[judged.write],
                audit=[judged.audit], events=judged.events,
            )  # fmt: skip
        try:
            to = route(studied.command, self._offers, judged.providers_allowed)
        except InvalidInput as error:
            refused = failed(error.code, error.message)
            refused.writes, refused.audit = [judged.write], [judged.audit]
            return refused
        command = routed(studied.command, to)
        call_id = new_id("call")
        new = NewCall(
            call_id, request.organization, request.project, request.principal, request.id, judged.decision_id,
            to.provider, to.model, judged.label, studied.assembled.prefix_hash,
            msgspec.json.encode(command.to_json()).decode(), now,
        )  # fmt: skip
        noted = AuditNote(
            tag=Tag.CALL_PREPARED, subject=call_id, outcome="approved",
            details={"provider": to.provider, "model": to.model, "decision": judged.decision_id},
        )  # fmt: skip
        decision = {"id": judged.decision_id, "label": judged.label}
        work = self._call(request, call_id, decision, command, studied, now)
        return Prepared(work=work, writes=[judged.write, new], audit=[judged.audit, noted])

    def _call(
        self, request: Request, call_id: str, decision: dict[str, Any], command: GenerateCommand, studied: Studied,
        now: int,
    ) -> Call:  # fmt: skip
        waiting = Waiting(
            request.id, command.provider or "", command.model or "", studied.assembled.prefix_hash,
            tokens_with_answer(command, studied.assembled), request.created_at,
        )  # fmt: skip
        return Call(id=call_id, decision=decision, command=command, waiting=waiting)

    def perform(self, batch: Sequence[tuple[Request, Call]]) -> list[Outcome]:
        """Call the providers, batch by batch; return one outcome for each call, in the order given."""
        calls = {call.waiting.request_id: call for _, call in batch}
        warm = {prefix for prefix, until in self._warm.items() if until > time.monotonic()}
        outcomes: dict[str, Outcome] = {}
        for group in plan([call.waiting for call in calls.values()], self._limits, self._clock(), warm=warm):
            members = [calls[member.request_id] for member in group.members]
            outcomes.update(self._send(group, members))
        return [outcomes[request.id] for request, _ in batch]

    def _send(self, group: Batch, members: Sequence[Call]) -> dict[str, Outcome]:
        batch_id = new_id("bat")
        provider = self._providers[group.provider]
        answers = provider.complete([call.command for call in members])
        if group.prefix_hash:
            self._warm[group.prefix_hash] = time.monotonic() + WARM_S
        shared = {"id": batch_id, "size": len(members), "prefix_hash": group.prefix_hash}
        at = self._clock()
        return {
            call.waiting.request_id: _settled(call, answer, batch_id, shared, at)
            for call, answer in zip(members, answers, strict=True)
        }


def _settled(call: Call, answer: Completion | ProviderError, batch_id: str, shared: dict[str, Any], at: int) -> Outcome:
    if isinstance(answer, ProviderError):
        outcome = failed(answer.code, answer.message, retryable=answer.retryable)
        if not answer.retryable:
            error = msgspec.json.encode({"code": answer.code, "message": answer.message}).decode()
            outcome.writes = [SettleCall(call.id, "failed", batch_id, None, error, 0, 0, 0, at)]
            outcome.audit = [AuditNote(tag=Tag.CALL_REFUSED, subject=call.id, outcome=answer.code)]
        return outcome
    outcome = _answered(answer, call.decision["id"], call.decision["label"])
    outcome.result = {**outcome.result, "batch": shared}
    usage = answer.usage
    writes: list[Write] = [
        SettleCall(
            call.id, "settled", batch_id, msgspec.json.encode(answer.to_json()).decode(), None,
            usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, at,
        )
    ]  # fmt: skip
    outcome.writes = writes
    outcome.audit = [
        AuditNote(
            tag=Tag.CALL_SETTLED, subject=call.id, outcome="approved",
            details={"provider": answer.provider, "model": answer.model, "prompt_tokens": usage.prompt_tokens,
                     "completion_tokens": usage.completion_tokens},
        )
    ]  # fmt: skip
    outcome.events = [EventNote("llm.completed", call.id, {"provider": answer.provider, "model": answer.model})]
    return outcome


def _answered(completion: Completion, decision: str, label: str) -> Outcome:
    return Outcome(
        verdict=Verdict.APPROVED, result={**completion.to_json(), "decision": {"id": decision, "label": label}}
    )
