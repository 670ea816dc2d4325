"""SecureGateway as the other features meet it: judge a payload, get a decision that is also a record.

What cannot be judged or decided is vetoed. An approval is worth nothing until its record is committed with the work
that it allows; the schema sees to that (``llm_calls.decision_id``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any

import msgspec

from metaqore.errors import InvalidInput, MetaQoreError
from metaqore.messages import AuditNote, Outcome, Request, Submission
from metaqore.security import stops
from metaqore.security.answers import Exit, examine
from metaqore.security.approved import approved_by, questions
from metaqore.security.assessment import assess
from metaqore.security.early import GATE, held_up, remark
from metaqore.security.facts import Asked, as_name
from metaqore.security.judged import Judged, denied, judged
from metaqore.security.layers import Layer, Stack, stack
from metaqore.security.model import Assessment, Context, Decision, Finding, Label, Position, ProviderStatus
from metaqore.security.policy import decide, with_label
from metaqore.security.policy_file import Policies, read_layer
from metaqore.security.policy_replay import Preview, Recorded, replay
from metaqore.security.ports import GateReads, Stop, StoredPolicy
from metaqore.security.records import ALWAYS, DECISIONS
from metaqore.security.redact import WHOLE, Pseudonyms, pseudonymise

_MAX_STACKS = 1024


class SecureGate:
    """Judges by the policies in force over the providers there are.

    Args:
        policies: returns the policies of the file as they are now.
        policy: the routing policy of this installation, by name.
        providers: returns what is known of the providers now; unknown ones are vetoed.
    """

    def __init__(
        self,
        policies: Callable[[], Policies],
        policy: str,
        providers: Callable[[], Mapping[str, ProviderStatus]],
    ) -> None:
        self._policies = policies
        self._policy = policy
        self._providers = providers
        self._stacks: dict[tuple[str, ...], Stack] = {}

    def assess(self, content: Any, declared: Mapping[str, Any]) -> Assessment:
        """Return the label of ``content`` with what the caller declares about it. Pure; may be done before a claim."""
        context = context_of(declared)
        if context.position is Position.ANSWER and isinstance(content, str):
            return examine(content, context=context)
        return assess(content, context)

    def judge(
        self,
        request: Request,
        assessment: Assessment,
        requested: str | None,
        now: int,
        reads: GateReads,
        inherited: Sequence[str] = (),
        *,
        is_inside: bool = False,
    ) -> Judged:
        """Decide whether the payload of ``request`` may go to a provider, and to which.

        Args:
            inherited: labels of everything that the payload was made from.
            is_inside: ``requested`` is no provider of the file but a part of the engine: local, and always there.
        """
        assessment = with_label(assessment, Label.join(*map(Label.parse, inherited)))
        policies = self._policies()
        layers = self.layers(request.organization, stops.project_of(request), reads, policies)
        known = self._providers()
        if is_inside and requested is not None:
            known = {**known, requested: ProviderStatus(local=True, available=True, region="local")}
        providers = stops.without_stopped(known, reads.stops(request.organization, request.project))
        asked = asked_of(request, requested)

        def decided(approved: Sequence[str]) -> Decision:
            return decide(
                assessment, policy=policies[self._policy], providers=providers, requested=requested, asked=asked,
                layers=layers, approved=approved,
            )  # fmt: skip

        decision = decided(())
        follow_ups: list[Submission] = []
        if decision.approvals:
            approved = approved_by(request, decision.approvals, reads, now)
            missing = [scope for scope in decision.approvals if scope not in approved]
            follow_ups = questions(request, missing, decision.reasons)
            if approved:
                decision = decided(approved)
        return judged(request, assessment, decision, asked, now, follow_ups if decision.approvals else ())

    def exit(self, request: Request, label: str, provider: str, reads: GateReads, now: int) -> Exit:
        """Return who judges the answer to an approved call: the policies that hold now.

        Args:
            label: of the call.
            provider: who will answer.
        """
        policies = self._policies()
        layers = self.layers(request.organization, stops.project_of(request), reads, policies)
        scopes = sorted(layers.approvers)
        return Exit(
            request=request, asked=msgspec.structs.replace(asked_of(request, provider), position=Position.ANSWER.value),
            policy=policies[self._policy], layers=layers, label=Label.parse(label), provider=provider,
            approved=approved_by(request, scopes, reads, now) if scopes else (), questions=partial(questions, request),
        )  # fmt: skip

    def preview(
        self, organization: str, project: str | None, document: Any, recorded: Sequence[Recorded], reads: GateReads
    ) -> Preview:
        """Say which recorded decisions a policy would have decided otherwise; writes nothing.

        Args:
            project: whose policy ``document`` would be; None for the organization's.

        Raises:
            SettingsError: the document cannot be used; with a JSON pointer.
        """
        policies = self._policies()
        scope, name = ("project", project) if project else ("organization", organization)
        candidate = read_layer(scope, name, 0, document, policies, below=("document",))
        others: dict[str | None, Stack] = {}

        def layers_for(place: str | None) -> Stack:
            if place not in others:
                stored = [row for row in reads.policies(organization, place) if (row.project or None) != project]
                custom = [compile_stored(row, reads, policies) for row in stored]
                others[place] = stack([policies.layer, *custom, candidate])
            return others[place]

        return replay(recorded, layers_for, policies[self._policy], self._providers(), candidate)

    def held(self, request: Request, provider: str, stopped: Sequence[Stop], now: int) -> Outcome | None:
        """Return the veto of an approved call of which somebody, or the provider, was stopped since; else None."""
        objections = stops.against(request, stopped) + [
            ("provider.stopped", f"Provider {provider!r} is stopped: {stop.reason}")
            for stop in stopped
            if stop.kind == "provider" and stop.subject == provider
        ]
        return denied(request, objections, "stop", "", now) if objections else None

    def conceal(self, texts: Sequence[str], at_least: str) -> tuple[list[str], Pseudonyms]:
        """Return texts with names in place of what was found in them, and what the names stand for.

        Args:
            at_least: findings of a lower label stay.

        Raises:
            InvalidInput: not everything could be taken out.
        """
        floor = Label[at_least]
        cut, names = pseudonymise(list(texts), assess(list(texts)).findings, at_least=floor)
        # What only shows where the texts are read as one, or reaches from one into the next, cannot be cut out of any.
        left = [f for f in assess("\n".join(cut)).findings if f.label >= floor and f.type not in WHOLE]
        left += [f for f in _over_ends(texts) if f.label >= floor and f.type not in WHOLE]
        if left:
            raise InvalidInput(f"a {left[0].type.replace('_', ' ')} could not be taken out of the payload")
        return cut, names

    def check(self, batch: Sequence[Request], reads: GateReads, now: int) -> dict[str, Outcome]:
        """Return the veto of each request that is held up for what it is, by id. See ``requests.ports``."""
        vetoed: dict[str, Outcome] = {}
        policies = self._policies()
        places: dict[tuple[str, str | None], tuple[Sequence[Stop], Stack]] = {}
        for request in batch:
            place = (request.organization, stops.project_of(request))
            if place not in places:
                places[place] = (reads.stops(*place), self.layers(*place, reads, policies))
            stopped, layers = places[place]
            if not (stopped or layers.has_early) or request.kind in ALWAYS:
                continue
            veto = held_up(request, asked_of(request, None), stopped, layers, reads, self._policy, now)
            if veto is not None:
                vetoed[request.id] = veto
        return vetoed

    def remark(self, batch: Sequence[Request], outcomes: Sequence[Outcome], reads: GateReads) -> None:
        """Name in the audit note of each decision the policies that let the request through. See ``requests.ports``."""
        policies = self._policies()
        known: dict[tuple[str, str | None], Stack] = {}
        for request, outcome in zip(batch, outcomes, strict=True):
            if outcome.audit and request.kind not in DECISIONS:
                place = (request.organization, stops.project_of(request))
                layers = known.get(place)
                if layers is None:
                    layers = known[place] = self.layers(*place, reads, policies)
                if request.queue == "control" and not layers.has_remarks:
                    # Its entry stands between those of the changes of policies, and says what it changed itself.
                    continue
                note = outcome.audit[0]
                outcome.audit[0] = AuditNote(
                    note.tag, note.subject, note.outcome, {**note.details, GATE: layers.digest},
                    note.policy_digest, note.commitment,
                )  # fmt: skip
                if layers.has_remarks:
                    remark(outcome, asked_of(request, None), layers)

    def layers(self, organization: str, project: str | None, reads: GateReads, policies: Policies) -> Stack:
        """Return the policies that hold in a place: the file's, the organization's, the project's."""
        stored = reads.policies(organization, project)
        wanted = (policies.digest, *(part for row in stored for part in (row.organization, row.project, row.digest)))
        found = self._stacks.get(wanted)
        if found is None:
            if len(self._stacks) >= _MAX_STACKS:
                self._stacks.clear()
            found = stack([policies.layer, *(compile_stored(row, reads, policies) for row in stored)])
            self._stacks[wanted] = found
        return found


def _over_ends(texts: Sequence[str]) -> list[Finding]:
    """Return what is found over the end of a text, into the next one."""
    if len(texts) < 2:
        return []
    ends = list(accumulate(len(text) + 1 for text in texts[:-1]))
    found = assess("\n".join(texts)).findings
    return [f for f in found if f.pointer is None and any(f.start < end <= f.end for end in ends)]


def compile_stored(row: StoredPolicy, reads: GateReads, policies: Policies) -> Layer:
    """Return a stored policy, ready to be asked; one that cannot be read any more denies everything."""
    scope, name = ("project", row.project) if row.project else ("organization", row.organization)
    try:
        document = msgspec.json.decode(reads.policy_document(row.organization, row.project, row.version))
        layer = read_layer(scope, name, row.version, document, policies, is_stored=True)
    except MetaQoreError:
        layer = read_layer(scope, name, row.version, {"otherwise": "deny"}, policies)
    return replace(layer, digest=row.digest)


def asked_of(request: Request, requested: str | None) -> Asked:
    """Return who asks for what, from a request and its payload's own fields."""
    payload = request.payload
    tokens = payload.get("max_tokens")
    return Asked(
        kind=request.kind, principal=request.principal, project=stops.project_of(request) or "",
        organization=request.organization, task_type=str(payload.get("task_type") or ""),
        agent=str(payload.get("agent_name") or ""), position=str(payload.get("position") or Position.USER.value),
        provider=as_name(requested or ""), model=as_name(str(payload.get("model") or "")),
        max_tokens=tokens if isinstance(tokens, int) and tokens > 0 else 0,
    )  # fmt: skip


def context_of(declared: Mapping[str, Any]) -> Context:
    """Return the context that a payload's own fields declare; what is not declared keeps its default."""
    label = declared.get("label")
    return Context(
        task_type=str(declared.get("task_type") or ""),
        agent_name=str(declared.get("agent_name") or ""),
        declared_label=Label.parse(label) if isinstance(label, str) else None,
        # What was made from artifacts holds what others wrote.
        position=Position(declared.get("position") or (Position.ARTIFACT if declared.get("inputs") else Position.USER)),
        has_private_data=bool(declared.get("has_private_data")),
        has_sensitive_data=bool(declared.get("has_sensitive_data")),
        is_security_task=bool(declared.get("is_security_task")),
    )
