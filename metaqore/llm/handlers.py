"""Performs ``llm.generate``: decided and recorded, then called in a batch, then settled.

A call that was made and whose answer was stored is never made again: a second attempt finds it in the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.ids import new_id
from metaqore.llm import specialists
from metaqore.llm.answers import (
    NEVER_CACHED,
    Call,
    Exit,
    Names,
    answered,
    instructions_and_said,
    settled,
    withheld,
)
from metaqore.llm.assemble import Assembled, assemble, made_from, tokens_with_answer
from metaqore.llm.batch import Batch, Limits, Waiting, plan
from metaqore.llm.effects import NewCall
from metaqore.llm.halts import Halts
from metaqore.llm.model import Completion, GenerateCommand, Message, ProviderError
from metaqore.llm.ports import Provider, Sight, Specialists
from metaqore.llm.rules import Offer, route, routed
from metaqore.messages import AuditNote, Outcome, Prepared, Request, Verdict, failed

#: How long a prefix counts as warm after it was sent, in seconds; providers keep theirs for 5 minutes or more.
WARM_S = 300.0


class Duties(Protocol):
    """What has to be done with an approved call on its way. See ``metaqore.security.model.Duties``."""

    @property
    def redact(self) -> Any:
        """The label from which on findings are replaced by names; None for nothing."""

    @property
    def max_tokens(self) -> int | None:
        """The longest answer; None for any."""


class Judgement(Protocol):
    """What SecureGateway says about one call. See ``metaqore.security.judged.Judged``."""

    approved: bool
    decision_id: str
    label: str
    reasons: list[str]
    providers_allowed: list[str]
    provider: str | None
    duties: Mapping[str, Any]
    obligations: list[str]
    warnings: list[str]
    write: Any
    audit: AuditNote

    def vetoed(self) -> Outcome:
        """Return the outcome of a call that was vetoed."""

    def without(self, reason: tuple[str, str], now: int) -> Judgement:
        """Return the same as a veto, with one more (rule, reason)."""


class Gate(Protocol):
    """SecureGateway, as the gateway asks it."""

    def assess(self, content: Any, declared: Mapping[str, Any]) -> Any:
        """Classify; pure."""

    def judge(
        self, request: Request, assessment: Any, requested: str | None, now: int, reads: Any, inherited: Sequence[str],
        *, is_inside: bool = False,
    ) -> Judgement:  # fmt: skip
        """Decide, with what stands in the database now; ``inherited`` are labels of what the prompt was made from.

        Args:
            is_inside: ``requested`` is no provider of the file, but a part of the engine.
        """

    def held(self, request: Request, provider: str, stopped: Sequence[Any], now: int) -> Outcome | None:
        """Return the veto of an approved call of which somebody, or the provider, was stopped since; else None."""

    def exit(self, request: Request, label: str, provider: str, reads: Any, now: int) -> Exit:
        """Return who judges the answer to an approved call of ``label``."""

    def conceal(self, texts: Sequence[str], at_least: str) -> tuple[list[str], Names]:
        """Return texts with names in place of what was found in them, and what the names stand for.

        Raises:
            InvalidInput: not everything could be taken out.
        """


class CallReads(Protocol):
    """Look-ups in the ledger."""

    def calls(self, request_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return request id → the call's row, for the calls there are."""

    def artifacts(self, organization: str, artifacts: Sequence[str]) -> Mapping[str, tuple[str, str]]:
        """Return artifact id → (label, state), for those that the organization has."""

    def serving(self, specialists: Collection[str]) -> set[str]:
        """Return which specialists may answer; none of them is retired before the commit."""


class Studied(msgspec.Struct, frozen=True):
    """A command, parsed, assembled and assessed before it is claimed."""

    command: GenerateCommand
    assembled: Assembled
    assessment: Any
    #: What specialists say to it.
    sights: Sequence[Sight] = ()


class Handlers:
    """The gateway: a gate before it, providers behind it."""

    def __init__(
        self,
        gate: Gate,
        providers: Mapping[str, Provider],
        offers: Sequence[Offer],
        limits: Limits,
        clock: Callable[[], int],
        stopped: Callable[[str], Sequence[Any]] = lambda organization: (),
        specialists: Specialists | None = None,
        set_aside: Collection[str] = (),
    ) -> None:
        self._gate = gate
        self._providers = providers
        self._offers = offers
        self._limits = limits
        self._clock = clock
        #: Organization → what is stopped there now.
        self._stopped = stopped
        self._specialists = specialists
        #: States of artifacts of which no prompt is made.
        self._set_aside = frozenset(set_aside)
        self._warm: dict[str, float] = {}

    def study(self, request: Request) -> Studied:
        """Parse, assemble and classify.

        Raises:
            InvalidInput: the payload is no command; ``errors`` has JSON pointers.
        """
        command = GenerateCommand.from_json(request.payload)
        assembled = assemble(command)
        # Message by message: with their roles before them, a conversation reads like one that somebody made up.
        contents = [message.content for message in assembled.messages]
        return Studied(
            command, assembled, self._gate.assess(contents if len(contents) > 1 else contents[0], request.payload)
        )

    def survey(self, batch: Sequence[Request]) -> None:
        """Ask the specialists there are about calls, all at once; before any transaction."""
        if self._specialists is not None:
            found = specialists.look(self._specialists, [(request, request.studied) for request in batch])
            for request, sights in zip(batch, found, strict=True):
                request.studied = msgspec.structs.replace(request.studied, sights=sights)

    def prepare(self, batch: Sequence[Request], reads: CallReads, now: int) -> list[Outcome | Prepared]:
        """Decide each call; write its decision and its place in the ledger before anything leaves."""
        known = reads.calls([request.id for request in batch])
        willing = {r.id: sight for r in batch if (sight := specialists.willing(r.studied, r.studied.sights))}
        serving = reads.serving({sight.specialist for sight in willing.values()}) if willing else set()
        willing = {request: sight for request, sight in willing.items() if sight.specialist in serving}
        return [self._prepare(r, known.get(r.id), willing.get(r.id), reads, now) for r in batch]

    def _prepare(
        self, request: Request, row: Mapping[str, Any] | None, sight: Sight | None, reads: CallReads, now: int
    ) -> Outcome | Prepared:
        studied: Studied = request.studied
        if row is not None:
            return self._again(request, studied, row, reads, now)
        known = reads.artifacts(request.organization, made_from(studied.command, studied.assembled))
        missing = [artifact for artifact in studied.command.inputs if artifact not in known]
        if missing:
            return failed("not_found", f"inputs: artifact {missing[0]} does not exist")
        wanted, labels = studied.command.provider, [label for label, _ in known.values()]
        judged = self._gate.judge(request, studied.assessment, wanted, now, reads, labels)
        if not judged.approved:
            return judged.vetoed()
        # Named in a text is not made of: whoever looks into a quarantine has to be able to speak of what is in it.
        apart = [artifact for artifact in studied.command.inputs if known[artifact][1] in self._set_aside]
        if apart:
            why = (
                f"inputs: artifact {apart[0]} is {known[apart[0]][1]}: release it first, or leave it out of the prompt"
            )
            return judged.without(("input.set_aside", why), now).vetoed()
        served = self._served(request, sight, labels, reads, now) if sight is not None else None
        if served is not None:
            return served
        try:
            to = route(studied.command, self._offers, judged.providers_allowed)
        except InvalidInput as error:
            refused = failed(error.code, error.message)
            refused.writes, refused.audit = [judged.write], [judged.audit]
            return refused
        duties = judged.duties.get(to.provider)
        redacted = duties.redact.name if duties is not None and duties.redact is not None else None
        try:
            command, names = self._concealed(studied, redacted)
        except InvalidInput as error:
            return judged.without(("redact.impossible", error.message), now).vetoed()
        if duties is not None and duties.max_tokens is not None:
            command = msgspec.structs.replace(command, max_tokens=min(command.max_tokens, duties.max_tokens))
        exit_ = self._gate.exit(request, judged.label, to.provider, reads, now)
        return self._first(request, studied, judged, routed(command, to), (redacted, names), exit_, now)

    def _served(
        self, request: Request, sight: Sight, inherited: Sequence[str], reads: CallReads, now: int
    ) -> Outcome | None:
        """Return a specialist's answer where SecureGateway lets it answer, and its answer pass as it is."""
        studied: Studied = request.studied
        # What it learnt from is in its answer, as an artifact is in the answer to a prompt that was made from it.
        labels = [*inherited, sight.sensitivity]
        judged = self._gate.judge(
            request, studied.assessment, specialists.PROVIDER, now, reads, labels, is_inside=True
        )  # fmt: skip
        if not judged.approved or not specialists.answers_by(sight, judged):
            return None
        found = self._gate.exit(request, judged.label, specialists.PROVIDER, reads, now).judge(
            sight.answer, *instructions_and_said(studied.assembled.messages), now
        )
        return specialists.served(request, studied, sight, judged, now) if found.judged is None else None

    def _first(
        self, request: Request, studied: Studied, judged: Judgement, command: GenerateCommand,
        taken_out: tuple[str | None, Names | None], exit_: Exit, now: int,
    ) -> Prepared:  # fmt: skip
        redacted, names = taken_out
        provider, model, call_id = command.provider or "", command.model or "", new_id("call")
        new = NewCall(
            call_id, request.organization, request.project, request.principal, request.id, judged.decision_id,
            provider, model, judged.label, studied.assembled.prefix_hash,
            msgspec.json.encode(command.to_json()).decode(), redacted, "no_training" not in judged.obligations, now,
        )  # fmt: skip
        noted = AuditNote(
            tag=Tag.CALL_PREPARED, subject=call_id, outcome="approved",
            details={"provider": provider, "model": model, "decision": judged.decision_id}
            | ({"redacted": redacted} if redacted else {}),
        )  # fmt: skip
        decision = {"id": judged.decision_id, "label": judged.label}
        work = self._call(request, call_id, decision, command, studied, names, exit_)
        work.no_cache = work.no_cache or "no_cache" in judged.obligations
        work.warnings = judged.warnings
        return Prepared(work=work, writes=[judged.write, new], audit=[judged.audit, noted])

    def _again(
        self, request: Request, studied: Studied, row: Mapping[str, Any], reads: CallReads, now: int
    ) -> Outcome | Prepared:
        """Go on with a call that is in the ledger already, as it was decided and sent then."""
        try:
            _, names = self._concealed(studied, row["redacted"])
        except InvalidInput as error:
            return failed(error.code, error.message)
        if row["state"] == "settled":
            return self._from_ledger(row, names)
        command = GenerateCommand.from_json(msgspec.json.decode(row["command"]))
        decision = {"id": row["decision_id"], "label": row["label"]}
        exit_ = self._gate.exit(request, row["label"], row["provider"], reads, now)
        return Prepared(work=self._call(request, row["id"], decision, command, studied, names, exit_))

    def _from_ledger(self, row: Mapping[str, Any], names: Names | None) -> Outcome:
        """Return the answer that was judged and stored before, or its veto."""
        if row["error"]:
            told = {"id": msgspec.json.decode(row["error"])["decision"], "verdict": "vetoed", "label": row["label"]}
            return Outcome(verdict=Verdict.VETOED, result={"decision": told})
        answer = Completion.from_json(msgspec.json.decode(row["response"]))
        return answered(answer, row["decision_id"], row["label"], names, no_cache=False)

    def _concealed(self, studied: Studied, at_least: str | None) -> tuple[GenerateCommand, Names | None]:
        """Return the command as it may leave: the same, or its messages without what was found in them."""
        if at_least is None:
            return studied.command, None
        before = studied.assembled.messages
        texts, names = self._gate.conceal([message.content for message in before], at_least)
        if texts == [message.content for message in before]:
            return studied.command, names
        messages = tuple(Message(m.role, text) for m, text in zip(before, texts, strict=True))
        return msgspec.structs.replace(
            studied.command, prompt=None, template=None, variables={}, messages=messages
        ), names

    def _call(
        self, request: Request, call_id: str, decision: dict[str, Any], command: GenerateCommand, studied: Studied,
        names: Names | None, exit_: Exit,
    ) -> Call:  # fmt: skip
        waiting = Waiting(
            request.id, command.provider or "", command.model or "", studied.assembled.prefix_hash,
            tokens_with_answer(command, studied.assembled), request.created_at,
        )  # fmt: skip
        # What is sensitive is never cached; policies may say so of more.
        return Call(
            id=call_id, decision=decision, command=command, waiting=waiting, messages=studied.assembled.messages,
            exit=exit_, names=names, no_cache=decision["label"] in NEVER_CACHED,
            # Where something was taken out, both would not have been asked the same.
            sights=studied.sights if names is None else (),
        )  # fmt: skip

    def perform(self, batch: Sequence[tuple[Request, Call]]) -> list[Outcome]:
        """Call the providers, batch by batch; return one outcome for each call, in the order given."""
        calls = {call.waiting.request_id: call for _, call in batch}
        requests = {request.id: request for request, _ in batch}
        warm = {prefix for prefix, until in self._warm.items() if until > time.monotonic()}
        outcomes: dict[str, Outcome] = {}
        for group in plan([call.waiting for call in calls.values()], self._limits, self._clock(), warm=warm):
            members = [calls[member.request_id] for member in group.members]
            held = self._held(group.provider, [requests[call.waiting.request_id] for call in members])
            sent = [call for call in members if call.waiting.request_id not in held]
            answered, lost = self._send(group, sent, requests) if sent else ({}, set())
            # Whoever was stopped while it answered is not listened to; what it cost is still written down.
            late = self._held(group.provider, [requests[request] for request in answered])
            outcomes.update(answered)
            for call in members:
                request = call.waiting.request_id
                veto = held.get(request) or late.get(request)
                if veto is not None:
                    ended = answered.get(request)
                    outcomes[request] = withheld(call, veto, ended, self._clock(), may_have_run=request in lost)
        return [outcomes[request.id] for request, _ in batch]

    def _held(self, provider: str, requests: Sequence[Request]) -> dict[str, Outcome]:
        """Return the veto of each request that something stopped has a part in, by id."""
        stopped = {organization: self._stopped(organization) for organization in {r.organization for r in requests}}
        now = self._clock()
        found = {r.id: self._gate.held(r, provider, stopped[r.organization], now) for r in requests}
        return {request: veto for request, veto in found.items() if veto is not None}

    def _send(
        self, group: Batch, members: Sequence[Call], requests: Mapping[str, Request]
    ) -> tuple[dict[str, Outcome], set[str]]:
        """Return how each call ended, and which got no answer though the provider may have worked on them."""
        batch_id = new_id("bat")
        provider = self._providers[group.provider]
        halts = Halts([requests[call.waiting.request_id] for call in members], partial(self._held, group.provider))
        answers = provider.complete([call.command for call in members], halts.go_on)
        if group.prefix_hash:
            self._warm[group.prefix_hash] = time.monotonic() + WARM_S
        shared = {"id": batch_id, "size": len(members), "prefix_hash": group.prefix_hash}
        at = self._clock()
        ended = [
            (requests[call.waiting.request_id], call, answer, settled(call, answer, batch_id, shared, at))
            for call, answer in zip(members, answers, strict=True)
        ]
        if self._specialists is not None:
            specialists.compare(self._specialists, ended, at)
        lost = {
            request.id for request, _, answer, _ in ended if isinstance(answer, ProviderError) and answer.may_have_run
        }
        return {request.id: outcome for request, _, _, outcome in ended}, lost
