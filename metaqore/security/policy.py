"""May this payload go to a provider, and to which: routing by label, then the rules of every layer. Pure.

A decision that cannot be made is a veto: an unknown provider, one that does not answer, a label that is none, no local
provider for what may not leave, rules that take too long.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

from metaqore.security.facts import Asked, Facts, facts_of
from metaqore.security.layers import NO_LAYERS, Layer, Policy, Stack
from metaqore.security.model import Assessment, Decision, Duties, Label, ProviderStatus, Threat, Verdict
from metaqore.security.rule import Effect, Rule, RuleMode
from metaqore.security.rule_index import PolicyDeadline

CLASSES = ("local", "cloud")
#: Longest time for the rules of one decision, in seconds.
DEADLINE_S = 0.05
_NO_DUTIES = Duties()


@dataclass(slots=True)
class _Found:
    """What was found so far."""

    #: (rule, reason) for each objection.
    against: list[tuple[str, str]] = field(default_factory=list)
    #: Rules that had a say without objecting.
    for_it: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    shadow: list[str] = field(default_factory=list)
    approvals: list[tuple[str, str, str]] = field(default_factory=list)
    duties: Duties = _NO_DUTIES

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
    found: _Found = field(default_factory=_Found)
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
        matched = rules.plain.matching(facts, self.deadline)
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
            self.found.against.append(("provider.unknown", f"Provider {self.requested!r} is unknown. Known: {known}"))
        for name in _ordered(self.policy, self.providers):
            objections, duties = self._objections(name, label, facts)
            if not objections:
                allowed[name] = duties
            elif name == self.requested:
                self.found.against += objections
        return allowed

    def _objections(self, name: str, label: Label, facts: Facts) -> tuple[list[tuple[str, str]], Duties]:
        status = self.providers[name]
        kind = provider_class(self.policy, name, status)
        objections: list[tuple[str, str]] = []
        for policy in (self.policy, *self.layers.narrowing):
            if not policy.admits(label, kind, status.region):
                where = " or ".join(policy.routing[label]) or "no provider"
                what = f"Provider {name!r} ({kind}) disallowed for {label.name} payloads by {policy.name}: {where} only"
                objections.append((f"routing.{label.name.lower()}.{kind}", what))
        if status.stopped is not None:
            objections.append(("provider.stopped", f"Provider {name!r} is stopped: {status.stopped}"))
        elif not status.available:
            objections.append(("provider.unavailable", f"Provider {name!r} is unavailable"))
        duties = self.found.duties
        if self.layers.has_late and (not objections or name == self.requested):
            late = _Found()
            here = {**facts, "provider.name": name, "provider.class": kind, "provider.region": status.region}
            for layer in self.layers.layers:
                for rule in layer.rules.late.matching(here, self.deadline):
                    late.apply(rule)
            objections += late.against
            if name == self.requested:
                self.found.approvals += late.approvals
            else:
                # Without a wish there is no need to wait for an approval: another provider may do.
                objections += [_needs(item) for item in late.approvals if item[1] not in self.approved]
            if not objections:
                self._take(late)
                duties = duties.join(late.duties)
        return objections, duties

    def _take(self, late: _Found) -> None:
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
        missing = [item for item in found.approvals if item[1] not in self.approved]
        needed = () if found.against else tuple(dict.fromkeys(scope for _, scope, _ in missing))
        against = [*found.against, *map(_needs, missing)]
        names = tuple(allowed)
        recommended = self.requested if self.requested in allowed else (names[0] if names else None)
        owed: tuple[str, ...] = ()
        if not against and label is not None and recommended is not None:
            owed = (*policy.obligations.get(label, ()), *allowed[recommended].names())
            owed += ("review_threats",) if self.flagged else ()
            reasons: tuple[str, ...] = (f"{label.name} may go to {recommended} by {policy.name}",)
        else:
            reasons = tuple(reason for _, reason in against)
        rules = tuple(rule for rule, _ in against) or ("routing.allowed", *found.for_it, *self.flagged)
        return Decision(
            verdict=Verdict.VETOED if against else Verdict.APPROVED, reasons=reasons, rules=rules,
            policy=policy.name, policy_version=policy.version, policy_digest=self.layers.digest or policy.digest,
            label=label, providers_allowed=names, provider_recommended=recommended, obligations=owed,
            warnings=tuple(found.warnings), shadow=tuple(found.shadow), approvals=needed,
            duties={name: duties for name, duties in allowed.items() if duties != _NO_DUTIES},
            layers=tuple(layer.to_dict() for layer in self.layers.layers),
        )  # fmt: skip


def denied_early(layers: Stack, facts: Facts, clock: Callable[[], float] = perf_counter) -> list[tuple[str, str]]:
    """Return (rule, reason) for each rule that denies a request for what it is, whatever is in it."""
    if not layers.has_early:
        return []
    deadline = clock() + DEADLINE_S
    try:
        return [
            (rule.name, rule.message) for layer in layers.layers for rule in layer.rules.early.matching(facts, deadline)
        ]
    except PolicyDeadline as error:
        return [("policy.deadline", error.message)]


def with_label(assessment: Assessment, inherited: Label) -> Assessment:
    """Return the assessment of a payload that was also made from something of label ``inherited``."""
    if inherited <= assessment.inherited:
        return assessment
    reason = f"{inherited.name}: inherited from what it was made from."
    return replace(
        assessment, inherited=inherited, label=Label.join(assessment.label, inherited),
        reasons=(*assessment.reasons, reason),
    )  # fmt: skip


def _ordered(policy: Policy, providers: Mapping[str, ProviderStatus]) -> list[str]:
    """Return the known providers, local first, then in the order of the file, then by name."""
    preference = {name: place for place, name in enumerate(policy.classes)}
    last = len(preference)

    def rank(name: str) -> tuple[bool, int, str]:
        return provider_class(policy, name, providers[name]) != "local", preference.get(name, last), name

    return sorted(providers, key=rank)


def provider_class(policy: Policy, name: str, status: ProviderStatus) -> str:
    """Return the class of a provider: local only where the file does not say otherwise and it runs locally."""
    return "local" if status.local and policy.classes.get(name, "local") == "local" else "cloud"


def _needs(approval: tuple[str, str, str]) -> tuple[str, str]:
    rule, scope, message = approval
    return rule, f"{message} (needs approval: {scope})"


def _threat_reason(family: str, threats: tuple[Threat, ...]) -> str:
    first = next(threat for threat in threats if threat.family == family)
    return f"The payload reads like {family.replace('_', ' ')}: {first.explanation}"
