"""Policies laid over each other: what ships with the engine, then the organization's, then the project's. Pure.

A layer can only add: another denial, a narrower routing, a higher label, one more duty. So the stricter always wins,
and no organization and no project can loosen what stands below it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metaqore.canonical import content_hash
from metaqore.security.facts import VOCABULARY
from metaqore.security.model import Label
from metaqore.security.rule import Effect, Rule, RuleMode
from metaqore.security.ruleset import RuleSet, is_early


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """One routing policy."""

    name: str
    version: int
    aliases: tuple[str, ...]
    description: str
    #: Label → where it may go: provider classes, each alone (``cloud``) or with a region (``cloud/eu``).
    routing: Mapping[Label, tuple[str, ...]]
    #: ``veto`` or ``flag``.
    threats: str
    #: Label → what the caller owes for an approved payload.
    obligations: Mapping[Label, tuple[str, ...]]
    #: Provider → its class, in the order of preference.
    classes: Mapping[str, str]
    #: Of the whole file, ``sha256:…``.
    digest: str

    def admits(self, label: Label, kind: str, region: str) -> bool:
        """True where a payload of this label may go to a provider of this class in this region."""
        wanted = self.routing[label]
        return kind in wanted or f"{kind}/{region}" in wanted


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One policy document."""

    #: ``built_in``, ``organization`` or ``project``.
    scope: str
    #: The file, the organization or the project.
    name: str
    version: int
    digest: str
    rules: RuleSet
    #: A routing policy that also has to admit a provider.
    policy: Policy | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return which document this is."""
        return {"scope": self.scope, "name": self.name, "version": self.version, "digest": self.digest}


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The layers that hold for one request, lowest first."""

    layers: tuple[Layer, ...] = ()
    #: Of all layers together; that of the file where there is no other.
    digest: str = ""
    #: Routing policies of the layers.
    narrowing: tuple[Policy, ...] = field(default=())
    has_raising: bool = False
    #: Classes of providers that a rule may have something to say about.
    asks_about: frozenset[str] = frozenset()
    has_early: bool = False
    #: Some of the early rules only watch or warn.
    has_remarks: bool = False
    #: Scopes whose approval some rule about payloads may ask for.
    approvers: frozenset[str] = frozenset()
    #: The documents, as decisions name them.
    shown: tuple[dict[str, Any], ...] = ()
    #: Worked out before, by label. See ``routes.routes``.
    routes: dict[Label, tuple[Any, Any, Any]] = field(default_factory=dict)


def stack(layers: Sequence[Layer]) -> Stack:
    """Return the layers, lowest first, as one."""
    digests = [layer.digest for layer in layers]
    return Stack(
        tuple(layers),
        digests[0] if len(digests) == 1 else content_hash(digests),
        tuple(layer.policy for layer in layers if layer.policy is not None),
        any(layer.rules.raising.size for layer in layers),
        frozenset(kind for layer in layers for rule in layer.rules.rules for kind in _asks_about(rule)),
        any(layer.rules.early.size for layer in layers),
        any(
            rule.mode is not RuleMode.ENFORCE and is_early(rule.effect, rule.facts)
            for layer in layers
            for rule in layer.rules.rules
        ),
        frozenset(
            str(rule.argument)
            for layer in layers
            for rule in layer.rules.rules
            if rule.effect is Effect.REQUIRE_APPROVAL and rule.mode is RuleMode.ENFORCE
        ),
        tuple(layer.to_dict() for layer in layers),
    )


def _asks_about(rule: Rule) -> Collection[str]:
    """Return the classes of providers that a rule may match for; none where it is about no provider."""
    if not any(VOCABULARY[fact].late for fact in rule.facts):
        return ()
    return rule.demands.get("provider.class", VOCABULARY["provider.class"].values or ())


NO_LAYERS = Stack()
