"""May this payload go to a provider, and to which: routing by label, then the rules of every layer. Pure.

A decision that cannot be made is a veto: an unknown provider, one that does not answer, a label that is none, no local
provider for what may not leave, rules that take too long.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import msgspec

from metaqore.security.facts import NO_NAME, Asked, Facts, as_name, facts_of
from metaqore.security.layers import NO_LAYERS, Layer, Policy, Stack
from metaqore.security.model import Assessment, Decision, Duties, Label, ProviderStatus, Threat, Verdict
from metaqore.security.routes import Route, routes
from metaqore.security.rule import Effect, Rule, RuleMode
from metaqore.security.rule_index import PolicyDeadline

CLASSES = ("local", "cloud")
#: Longest time for the rules of one decision, in seconds.
DEADLINE_S = 0.05
_NO_DUTIES = Duties()


class Found:
    """What rules have said so far."""

    __slots__ = ("against", "approvals", "duties", "for_it", "shadow", "warnings")

    def __init__(self) -> None:
        #: (rule, reason) for each objection.
        self.against: list[tuple[str, str]] = []
        #: Rules that had a say without objecting.
        self.for_it: list[str] = []
        self.warnings: list[str] = []
        self.shadow: list[str] = []
        #: (rule, scope, reason) for each approval that is needed.
        self.approvals: list[tuple[str, str, str]] = []
        self.duties = _NO_DUTIES

    def note(self, rule: Rule) -> bool:
        """Note a match; return whether the rule acts."""
        if rule.mode is RuleMode.ENFORCE:
            return True
        if rule.mode is RuleMode.WARN:
            self.warnings.append(f"{rule.name}: {rule.message}")
        else:
            self.shadow.append(rule.name)
        return False

    def apply(self, rule: Rule) -> None:
        """Note what follows from a match."""
        if not self.note(rule):
            return
        if rule.effect is Effect.DENY:
            self.against.append((rule.name, rule.message))
            return
        if rule.effect is Effect.REQUIRE_APPROVAL:
            self.approvals.append((rule.name, str(rule.argument), rule.message))
            return
        self.for_it.append(rule.name)
        if rule.effect is Effect.REDACT and isinstance(rule.argument, Label):
            self.duties = self.duties.join(Duties(redact=rule.argument))
        elif rule.effect is Effect.LIMIT_TOKENS and isinstance(rule.argument, int):
            self.duties = self.duties.join(Duties(max_tokens=rule.argument))


def decide(
    assessment: Assessment,
    *,
    policy: Policy,
    providers: Mapping[str, ProviderStatus],
    requested: str | None,
    asked: Asked | None = None,
    layers: Stack = NO_LAYERS,
    approved: Collection[str] = (),
    clock: Callable[[], float] = perf_counter,
) -> Decision:
    """Return whether an assessed payload may go to a provider, and to which.

    Args:
        providers: What is known now of each provider, by name.
        requested: The provider that the caller wants; None leaves the choice to the policy.
        asked: Who asks for what, for the rules.
        approved: Scopes of which somebody has approved exactly this payload.
    """
    case = _Case(assessment, policy, providers, requested, layers, approved, clock() + DEADLINE_S)
    if assessment.label not in policy.routing:
        case.found.against.append(("label.unknown", f"{assessment.label!r} is no label of policy {policy.name}"))
        return case.decision(None, {})
    try:
        return _decide(case, asked or Asked(provider=requested or ""))
    except PolicyDeadline as error:
        case.found.against.append(("policy.deadline", error.message))
        return case.decision(assessment.label, {})


#: What a rule can do to an answer; the others are about how a call is made.
_OF_ANSWERS = frozenset({Effect.DENY, Effect.REDACT, Effect.REQUIRE_APPROVAL})


def decide_answer(
    assessment: Assessment,
    *,
    policy: Policy,
    provider: str,
    asked: Asked,
    layers: Stack,
    approved: Collection[str] = (),
    clock: Callable[[], float] = perf_counter,
) -> Decision:
    """Return whether an answer may be delivered: by all rules about payloads, and none about where they may go.

    Args:
        provider: Who gave it.
    """
    case = _Case(assessment, policy, {}, None, layers, approved, clock() + DEADLINE_S)
    label = assessment.label
    try:
        label = case.raised(asked)
        facts = facts_of(asked, assessment, label)
        for layer in layers.layers:
            for rule in layer.rules.plain.matching(facts, case.deadline) if layer.rules.plain.size else ():
                if rule.effect in _OF_ANSWERS:
                    case.found.apply(rule)
    except PolicyDeadline as error:
        case.found.against.append(("policy.deadline", error.message))
    case.threats()
    decision = case.decision(label, {provider: case.found.duties})
    if decision.verdict is Verdict.VETOED:
        return msgspec.structs.replace(decision, providers_allowed=(), provider_recommended=provider)
    reason = f"the answer of {provider}, {label.name}, may be delivered by {policy.name}"
    return msgspec.structs.replace(decision, reasons=(reason,), rules=("answer.allowed", *decision.rules[1:]))


def _decide(case: _Case, asked: Asked) -> Decision:
    label = case.raised(asked)
    facts = facts_of(asked, case.assessment, label) if case.layers.layers else {}
    for layer in case.layers.layers:
        case.ask(layer, facts)
    allowed = case.providers_for(label, facts)
    if not case.found.against and not allowed:
        scope = "local " if case.policy.routing[label] == ("local",) else ""
        none = f"No {scope}provider is available for {label.name} payloads"
        case.found.against.append(("routing.none_available", none))
    case.threats()
    return case.decision(label, allowed)


@dataclass(slots=True)
class _Case:
    """One decision in the making."""

    assessment: Assessment
    policy: Policy
    providers: Mapping[str, ProviderStatus]
    requested: str | None
    layers: Stack
    approved: Collection[str]
    deadline: float
    found: Found = field(default_factory=Found)
    flagged: tuple[str, ...] = ()

    def raised(self, asked: Asked) -> Label:
        """Return the label with what the rules raise it to; a higher label may make further rules match."""
        label = self.assessment.label
        if not self.layers.has_raising:
            return label
        noted: set[Rule] = set()
        while True:
            facts = facts_of(asked, self.assessment, label)
            raised = label
            for layer in self.layers.layers:
                for rule in layer.rules.raising.matching(facts, self.deadline):
                    if rule in noted:
                        continue
                    noted.add(rule)
                    if self.found.note(rule) and isinstance(rule.argument, Label):
                        self.found.for_it.append(rule.name)
                        raised = Label.join(raised, rule.argument)
            if raised == label:
                return label
            label = raised

    def ask(self, layer: Layer, facts: Facts) -> None:
        """Ask the rules of a layer about the request and its payload."""
        rules = layer.rules
        matched = rules.plain.matching(facts, self.deadline) if rules.plain.size else []
        for rule in matched:
            self.found.apply(rule)
        if rules.otherwise == "deny" and not any(
            rule.effect is Effect.ALLOW and rule.mode is RuleMode.ENFORCE for rule in matched
        ):
            why = f"the policy of {layer.scope.replace('_', '-')} {layer.name} denies what no rule allows"
            self.found.against.append((f"otherwise.{layer.scope}", why))

    def providers_for(self, label: Label, facts: Facts) -> dict[str, Duties]:
        """Return the providers that may have it, best first, with the duties that come with each."""
        allowed: dict[str, Duties] = {}
        if self.requested is not None and self.requested not in self.providers:
            known = ", ".join(sorted(self.providers)) or "none"
            what = f" {self.requested!r}" if as_name(self.requested) != NO_NAME else ""
            self.found.against.append(("provider.unknown", f"Provider{what} is unknown. Known: {known}"))
        asks_about, here = self.layers.asks_about, None
        for route in routes(self.policy, self.layers, self.providers, label):
            objections, duties = route.objections, self.found.duties
            wanted = route.name == self.requested
            if route.kind in asks_about and (wanted or not objections):
                here = here if here is not None else {**facts}
                objections, duties = self._ask_about(route, here, wanted=wanted)
            if not objections:
                allowed[route.name] = duties
            elif wanted:
                self.found.against += objections
        return allowed

    def _ask_about(self, route: Route, here: Facts, *, wanted: bool) -> tuple[tuple[tuple[str, str], ...], Duties]:
        """Ask the rules about one provider; return all objections to it, and the duties that come with it."""
        here["provider.name"], here["provider.class"], here["provider.region"] = route.name, route.kind, route.region
        objections, duties, late = route.objections, self.found.duties, None
        for layer in self.layers.layers:
            for rule in layer.rules.late.matching(here, self.deadline) if layer.rules.late.size else ():
                late = late or Found()
                late.apply(rule)
        if late is None:
            return objections, duties
        objections += tuple(late.against)
        if wanted:
            self.found.approvals += late.approvals
        else:
            # Without a wish there is no need to wait for an approval: another provider may do.
            objections += tuple(needs(item) for item in late.approvals if item[1] not in self.approved)
        if not objections:
            self._take(late)
            duties = duties.join(late.duties)
        return objections, duties

    def _take(self, late: Found) -> None:
        """Keep what was noted about a provider that may be used."""
        for mine, new in ((self.found.warnings, late.warnings), (self.found.shadow, late.shadow),
                          (self.found.for_it, late.for_it)):  # fmt: skip
            mine += [item for item in new if item not in mine]

    def threats(self) -> None:
        """Let the routing policies object to attacks in the payload."""
        if not self.assessment.threats:
            return
        families = sorted({threat.family for threat in self.assessment.threats})
        if any(policy.threats == "veto" for policy in (self.policy, *self.layers.narrowing)):
            texts = [(f"threat.{family}", _threat_reason(family, self.assessment.threats)) for family in families]
            self.found.against += texts
        else:
            self.flagged = tuple(f"threat.{family}" for family in families)

    def decision(self, label: Label | None, allowed: Mapping[str, Duties]) -> Decision:
        """Return what was decided."""
        found, policy = self.found, self.policy
        against = found.against
        needed: tuple[str, ...] = ()
        if found.approvals:
            missing = [item for item in found.approvals if item[1] not in self.approved]
            needed = () if against else tuple(dict.fromkeys([scope for _, scope, _ in missing]))
            against = [*against, *map(needs, missing)]
        names = tuple(allowed)
        recommended = self.requested if self.requested in allowed else (names[0] if names else None)
        owed: tuple[str, ...] = ()
        if not against and label is not None and recommended is not None:
            owed = policy.obligations.get(label, ())
            for narrowing in self.layers.narrowing:
                owed = tuple(dict.fromkeys([*owed, *narrowing.obligations.get(label, ())]))
            owed += allowed[recommended].names()
            owed += ("review_threats",) if self.flagged else ()
            reasons: tuple[str, ...] = (f"{label.name} may go to {recommended} by {policy.name}",)
        else:
            reasons = tuple([reason for _, reason in against])
        rules = tuple([rule for rule, _ in against]) or ("routing.allowed", *found.for_it, *self.flagged)
        return Decision(
            verdict=Verdict.VETOED if against else Verdict.APPROVED, reasons=reasons, rules=rules,
            policy=policy.name, policy_version=policy.version, policy_digest=self.layers.digest or policy.digest,
            label=label, providers_allowed=names, provider_recommended=recommended, obligations=owed,
            warnings=tuple(found.warnings), shadow=tuple(found.shadow), approvals=needed,
            duties={name: duties for name, duties in allowed.items() if duties is not _NO_DUTIES},
            layers=self.layers.shown,
        )  # fmt: skip


def asked_early(layers: Stack, facts: Facts, clock: Callable[[], float] = perf_counter) -> Found:
    """Return what the rules say of a request for what it is, whatever is in it."""
    found = Found()
    if not layers.has_early:
        return found
    deadline = clock() + DEADLINE_S
    try:
        for layer in layers.layers:
            for rule in layer.rules.early.matching(facts, deadline):
                found.apply(rule)
    except PolicyDeadline as error:
        found.against.append(("policy.deadline", error.message))
    return found


def with_label(assessment: Assessment, inherited: Label) -> Assessment:
    """Return the assessment of a payload that was also made from something of label ``inherited``."""
    if inherited <= assessment.inherited:
        return assessment
    reason = f"{inherited.name}: inherited from what it was made from."
    return replace(
        assessment, inherited=inherited, label=Label.join(assessment.label, inherited),
        reasons=(*assessment.reasons, reason),
    )  # fmt: skip


def needs(approval: tuple[str, str, str]) -> tuple[str, str]:
    """Return (rule, reason) of an approval that is missing."""
    rule, scope, message = approval
    return rule, f"{message} (needs approval: {scope})"


def _threat_reason(family: str, threats: tuple[Threat, ...]) -> str:
    first = next(threat for threat in threats if threat.family == family)
    return f"The payload reads like {family.replace('_', ' ')}: {first.explanation}"
