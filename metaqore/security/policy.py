"""Routing policies: which label may go to which class of provider.

Policies are data (``config/policies/security.yaml``), read strictly by :func:`load_policies`; :func:`decide` applies
one. A decision that cannot be made is a veto: an unknown provider, one that does not answer, a label that is none,
no local provider for what may not leave.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metaqore.canonical import content_hash
from metaqore.errors import SettingsError
from metaqore.security.model import Assessment, Decision, Label, ProviderStatus, Threat, Verdict

CLASSES = ("local", "cloud")
_THREAT_MODES = ("veto", "flag")
_STAYS = (Label.SENSITIVE, Label.CRITICAL)


@dataclass(frozen=True, slots=True)
class Policy:
    """One routing policy."""

    name: str
    version: int
    aliases: tuple[str, ...]
    description: str
    #: Label → provider classes it may go to.
    routing: Mapping[Label, tuple[str, ...]]
    #: ``veto`` or ``flag``.
    threats: str
    #: Label → what the caller owes for an approved payload.
    obligations: Mapping[Label, tuple[str, ...]]
    #: Provider → its class, in the order of preference.
    classes: Mapping[str, str]
    #: Of the whole file, ``sha256:…``.
    digest: str


class Policies(Mapping[str, Policy]):
    """The policies of a file, by name or alias. Names are trimmed, in any case, with ``-`` for ``_``."""

    def __init__(self, policies: Mapping[str, Policy], default: str, digest: str) -> None:
        self._policies = dict(policies)
        self._by_alias = {alias: policy for policy in policies.values() for alias in (policy.name, *policy.aliases)}
        self.default = self[default]
        self.digest = digest

    def __getitem__(self, name: str) -> Policy:
        """Return the policy of that name.

        Raises:
            SettingsError: there is none; says which there are.
        """
        policy = self._by_alias.get(canonical_name(name))
        if policy is None:
            known = ", ".join(sorted(self._by_alias))
            raise SettingsError(f"{name!r} is no SecureGateway policy: use one of {known}")
        return policy

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and canonical_name(name) in self._by_alias

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)


def canonical_name(name: str) -> str:
    """Return a policy name as it is looked up."""
    return name.strip().lower().replace("-", "_")


def decide(
    assessment: Assessment, *, policy: Policy, providers: Mapping[str, ProviderStatus], requested: str | None
) -> Decision:
    """Return whether an assessed payload may go to a provider, and to which.

    Args:
        providers: What is known now of each provider, by name.
        requested: The provider that the caller wants; None leaves the choice to the policy.
    """
    label = assessment.label
    if label not in policy.routing:
        return _decision(policy, None, [("label.unknown", f"{label!r} is no label of policy {policy.name}")], ())
    wanted = policy.routing[label]
    allowed = tuple(
        name
        for name in _ordered(policy, providers)
        if providers[name].available and _class(policy, name, providers) in wanted
    )
    against = _against_request(policy, label, providers, requested)
    if not against and not allowed:
        scope = "local " if wanted == ("local",) else ""
        against.append(("routing.none_available", f"No {scope}provider is available for {label.name} payloads"))
    notes = []
    if assessment.threats:
        families = sorted({threat.family for threat in assessment.threats})
        if policy.threats == "veto":
            against += [(f"threat.{family}", _threat_reason(family, assessment.threats)) for family in families]
        else:
            notes = [f"threat.{family}" for family in families]
    return _decision(policy, label, against, allowed, requested, notes)


def _against_request(
    policy: Policy, label: Label, providers: Mapping[str, ProviderStatus], requested: str | None
) -> list[tuple[str, str]]:
    """Return (rule id, reason) for each objection to the requested provider."""
    if requested is None:
        return []
    if requested not in providers:
        known = ", ".join(sorted(providers)) or "none"
        return [("provider.unknown", f"Provider {requested!r} is unknown. Known: {known}")]
    objections = []
    kind = _class(policy, requested, providers)
    if kind not in policy.routing[label]:
        where = " or ".join(policy.routing[label]) or "no provider"
        text = f"Provider {requested!r} ({kind}) disallowed for {label.name} payloads by {policy.name}: {where} only"
        objections.append((f"routing.{label.name.lower()}.{kind}", text))
    if not providers[requested].available:
        objections.append(("provider.unavailable", f"Provider {requested!r} is unavailable"))
    return objections


def _ordered(policy: Policy, providers: Mapping[str, ProviderStatus]) -> list[str]:
    """Return the known providers, local first, then in the order of the file, then by name."""
    preference = list(policy.classes)

    def rank(name: str) -> tuple[int, int, str]:
        place = preference.index(name) if name in policy.classes else len(preference)
        return CLASSES.index(_class(policy, name, providers)), place, name

    return sorted(providers, key=rank)


def _class(policy: Policy, name: str, providers: Mapping[str, ProviderStatus]) -> str:
    """Return the class of a provider: local only where the file does not say otherwise and it runs locally."""
    return "local" if providers[name].local and policy.classes.get(name, "local") == "local" else "cloud"


def _threat_reason(family: str, threats: tuple[Threat, ...]) -> str:
    first = next(threat for threat in threats if threat.family == family)
    return f"The payload reads like {family.replace('_', ' ')}: {first.explanation}"


def _decision(
    policy: Policy,
    label: Label | None,
    against: list[tuple[str, str]],
    allowed: tuple[str, ...],
    requested: str | None = None,
    notes: list[str] | None = None,
) -> Decision:
    recommended = requested if requested in allowed else (allowed[0] if allowed else None)
    vetoed = bool(against)
    owed = () if vetoed or label is None else policy.obligations.get(label, ())
    if notes and not vetoed:
        owed = (*owed, "review_threats")
    reasons = tuple(reason for _, reason in against)
    if not vetoed and label is not None:
        reasons = (f"{label.name} may go to {recommended} by {policy.name}",)
    rules = tuple(rule for rule, _ in against) or ("routing.allowed", *(notes or ()))
    return Decision(
        verdict=Verdict.VETOED if vetoed else Verdict.APPROVED,
        reasons=reasons,
        rules=rules,
        policy=policy.name,
        policy_version=policy.version,
        policy_digest=policy.digest,
        label=label,
        providers_allowed=allowed,
        provider_recommended=recommended,
        obligations=owed,
    )


def load_policies(source: Path | str) -> Policies:
    """Return the policies of a file, or of its text.

    Args:
        source: The path of the file, or (``str``) the text itself.

    Raises:
        SettingsError: the file cannot be read or used; says where, what stands there and what is allowed.
    """
    name = str(source) if isinstance(source, Path) else "policies"
    try:
        text = source.read_text("utf-8") if isinstance(source, Path) else source
        data = yaml.load(text, Loader=_StrictLoader)
    except OSError as error:
        raise SettingsError(f"{name}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: is not valid YAML: {error}") from error
    return _Reader(name).policies(data)


class _StrictLoader(yaml.SafeLoader):
    """YAML without the last of two equal keys silently winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


class _Reader:
    """Reads the parsed file; every message names the place."""

    def __init__(self, source: str) -> None:
        self._source = source

    def _fail(self, place: str, value: object, allowed: str) -> SettingsError:
        return SettingsError(f"{self._source}: {place}: {value!r} is not allowed here: {allowed}")

    def policies(self, data: Any) -> Policies:
        top = self._mapping("file", data, {"version", "default", "providers", "obligations", "policies"})
        if top["version"] != 1:
            raise self._fail("version", top["version"], "use 1")
        digest = content_hash(data)
        classes = self._classes(top["providers"])
        owed = self._by_label("obligations", top["obligations"], None)
        if not isinstance(top["policies"], dict) or not top["policies"]:
            raise self._fail("policies", top["policies"], "give at least one policy")
        policies = {name: self._policy(name, value, classes, owed, digest) for name, value in top["policies"].items()}
        self._unique(policies)
        default = top["default"]
        if default not in policies:
            raise self._fail("default", default, f"use one of {', '.join(policies)}")
        return Policies(policies, default, digest)

    def _policy(
        self, name: Any, value: Any, classes: dict[str, str], owed: dict[Label, tuple[str, ...]], digest: str
    ) -> Policy:
        place = f"policies.{name}"
        if not isinstance(name, str) or canonical_name(name) != name:
            raise self._fail(place, name, "use a name in lower case with _")
        given = self._mapping(place, value, {"version", "aliases", "description", "routing", "threats"})
        if isinstance(given["version"], bool) or not isinstance(given["version"], int) or given["version"] < 1:
            raise self._fail(f"{place}.version", given["version"], "use a whole number from 1")
        if not isinstance(given["description"], str):
            raise self._fail(f"{place}.description", given["description"], "use a text")
        if given["threats"] not in _THREAT_MODES:
            raise self._fail(f"{place}.threats", given["threats"], f"use {' or '.join(_THREAT_MODES)}")
        routing = self._by_label(f"{place}.routing", given["routing"], CLASSES)
        self._stays(place, routing)
        aliases = self._texts(f"{place}.aliases", given["aliases"])
        return Policy(
            name, given["version"], aliases, given["description"], routing, given["threats"], owed, classes, digest
        )

    def _stays(self, place: str, routing: dict[Label, tuple[str, ...]]) -> None:
        for label in _STAYS:
            if "cloud" in routing[label]:
                raise self._fail(f"{place}.routing.{label.name}", "cloud", "such payloads never leave: use local")
        for lower, higher in zip(Label, list(Label)[1:], strict=False):
            if wider := set(routing[higher]) - set(routing[lower]):
                allowed = f"{higher.name} may go no further than {lower.name}"
                raise self._fail(f"{place}.routing.{higher.name}", sorted(wider)[0], allowed)

    def _classes(self, value: Any) -> dict[str, str]:
        given = self._mapping("providers", value, set(CLASSES))
        classes: dict[str, str] = {}
        for kind in CLASSES:
            for name in self._texts(f"providers.{kind}", given[kind]):
                if name in classes:
                    raise self._fail(f"providers.{kind}", name, "name each provider once")
                classes[name] = kind
        return classes

    def _by_label(self, place: str, value: Any, known: tuple[str, ...] | None) -> dict[Label, tuple[str, ...]]:
        given = self._mapping(place, value, {label.name for label in Label})
        return {label: self._texts(f"{place}.{label.name}", given[label.name], known) for label in Label}

    def _mapping(self, place: str, value: Any, keys: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._fail(place, value, f"give a mapping of {', '.join(sorted(keys))}")
        for key in value:
            if key not in keys:
                raise self._fail(place, key, f"use {', '.join(sorted(keys))}")
        for key in sorted(keys - value.keys()):
            raise self._fail(place, None, f"{key!r} is missing")
        return value

    def _texts(self, place: str, value: Any, known: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self._fail(place, value, "give a list")
        for item in value:
            if not isinstance(item, str) or (known is not None and item not in known):
                raise self._fail(place, item, f"use {', '.join(known)}" if known else "use a text")
        return tuple(value)

    def _unique(self, policies: dict[str, Policy]) -> None:
        owner: dict[str, str] = {}
        for policy in policies.values():
            for alias in (policy.name, *map(canonical_name, policy.aliases)):
                if owner.setdefault(alias, policy.name) != policy.name:
                    raise self._fail(f"policies.{policy.name}.aliases", alias, f"it is already {owner[alias]}")
