"""Reads policies: the engine's own file (YAML), and the documents of organizations and projects (JSON)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from metaqore.canonical import content_hash
from metaqore.errors import SettingsError
from metaqore.security.layers import Layer, Policy
from metaqore.security.model import Label
from metaqore.security.places import Place, parse_yaml
from metaqore.security.policy import CLASSES
from metaqore.security.rule_file import check_providers, read_rules
from metaqore.security.ruleset import RuleSet, ruleset

#: What specialists answer as.
SPECIALIST = "specialist"
_THREAT_MODES = ("veto", "flag")
_STAYS = (Label.SENSITIVE, Label.CRITICAL)
_TARGET = re.compile(r"(?:local|cloud)(?:/[a-z0-9][a-z0-9-]{0,31})?")


class Policies(Mapping[str, Policy]):
    """The policies of a file, by name or alias. Names are trimmed, in any case, with ``-`` for ``_``."""

    def __init__(self, policies: Mapping[str, Policy], default: str, digest: str, rules: RuleSet) -> None:
        self._policies = dict(policies)
        self._by_alias = {alias: policy for policy in policies.values() for alias in (policy.name, *policy.aliases)}
        self.default = self[default]
        self.digest = digest
        #: Providers that the file knows, and the part of the engine that answers as one.
        self.providers = frozenset({*self.default.classes, SPECIALIST})
        #: The rules of the file, as the lowest layer.
        self.layer = Layer("built_in", "security.yaml", 1, digest, rules)

    def check(self, providers: Collection[str]) -> None:
        """Refuse rules about providers that are neither named in the file nor configured.

        Raises:
            SettingsError: there is one.
        """
        at = Place(self.layer.name, steps=("rules",))
        check_providers(at, self.layer.rules.rules, {*self.providers, *providers})

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
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: cannot be read: {error}") from error
    return _parse(name, text)


@lru_cache(maxsize=8)
def _parse(name: str, text: str) -> Policies:
    data, lines = parse_yaml(name, text)
    return _policies(Place(name, lines), data)


#: Most rules of an organization's or a project's policy: they are compiled in every process.
MAX_CUSTOM_RULES = 500


def read_layer(
    scope: str,
    name: str,
    version: int,
    document: Any,
    policies: Policies,
    *,
    below: tuple[str, ...] = (),
    at: Place | None = None,
    most: int = MAX_CUSTOM_RULES,
    is_stored: bool = False,
) -> Layer:
    """Return the policy of an organization or a project.

    Args:
        document: ``{"policy": …, "otherwise": "allow" or "deny", "rules": […]}``, all optional. ``policy`` is the
            name of a routing policy, or one written out: ``{"routing": label → where it may go, "threats": …,
            "obligations": …}``.
        below: where the document stands in the body that it came in.
        at: the place of a document that is a file of its own.
        most: how many rules it may have.
        is_stored: it was read before, see ``read_rules``.

    Raises:
        SettingsError: it cannot be used; ``details["pointer"]`` says where.
    """
    at = at or Place(f"policy of {scope} {name}", steps=below)
    given = at.mapping(document, (), ("policy", "otherwise", "rules"))
    policy = (
        _custom_routing(at / "policy", f"{scope} {name}", version, given["policy"], policies)
        if "policy" in given
        else None
    )
    rules = read_rules(at / "rules", given.get("rules", []), most=most, is_stored=is_stored)
    otherwise = (at / "otherwise").one_of(given.get("otherwise", "allow"), ("allow", "deny"))
    return Layer(
        scope, name, version, content_hash(document), ruleset(rules, "deny" if otherwise == "deny" else "allow"),
        policy,
    )  # fmt: skip


def _custom_routing(place: Place, name: str, version: int, value: Any, policies: Policies) -> Policy:
    """Return a routing policy by its name, or one that is written out here."""
    if not isinstance(value, dict):
        if value not in policies:
            raise place.refused(value, f"use one of {', '.join(policies)}, or write out routing and threats")
        return policies[value]
    given = place.mapping(value, ("routing",), ("threats", "obligations"))
    base = policies.default
    owed = _obligations(place / "obligations", given["obligations"]) if "obligations" in given else base.obligations
    threats = (place / "threats").one_of(given.get("threats", "veto"), _THREAT_MODES)
    routing = _routing(place / "routing", given["routing"])
    return Policy(name, version, (), "", routing, threats, owed, base.classes, content_hash(value))


def _policies(place: Place, data: Any) -> Policies:
    top = place.mapping(data, ("version", "default", "providers", "obligations", "policies"), ("rules", "otherwise"))
    if top["version"] != 1:
        raise (place / "version").refused(top["version"], "use 1")
    digest = content_hash(data)
    classes = _classes(place / "providers", top["providers"])
    owed = _obligations(place / "obligations", top["obligations"])
    here = place / "policies"
    if not isinstance(top["policies"], dict) or not top["policies"]:
        raise here.refused(top["policies"], "give at least one policy")
    policies = {name: _policy(here / name, name, value, classes, owed, digest)
                for name, value in top["policies"].items()}  # fmt: skip
    _unique(here, policies)
    if top["default"] not in policies:
        raise (place / "default").refused(top["default"], f"use one of {', '.join(policies)}")
    rules = read_rules(place / "rules", top.get("rules", []))
    otherwise = (place / "otherwise").one_of(top.get("otherwise", "allow"), ("allow", "deny"))
    return Policies(policies, top["default"], digest, ruleset(rules, "deny" if otherwise == "deny" else "allow"))


def _policy(
    place: Place, name: Any, value: Any, classes: dict[str, str], owed: dict[Label, tuple[str, ...]], digest: str
) -> Policy:
    if not isinstance(name, str) or canonical_name(name) != name:
        raise place.refused(name, "use a name in lower case with _")
    given = place.mapping(value, ("version", "aliases", "description", "routing", "threats"))
    version = (place / "version").whole(given["version"], 1)
    if not isinstance(given["description"], str):
        raise (place / "description").refused(given["description"], "use a text")
    threats = (place / "threats").one_of(given["threats"], _THREAT_MODES)
    routing = _routing(place / "routing", given["routing"])
    aliases = (place / "aliases").texts(given["aliases"])
    return Policy(name, version, aliases, given["description"], routing, threats, owed, classes, digest)


def _routing(place: Place, value: Any) -> dict[Label, tuple[str, ...]]:
    routing = {}
    given = place.mapping(value, list(Label.__members__))
    for label in Label:
        routing[label] = (place / label.name).texts(given[label.name])
        for target in routing[label]:
            if not _TARGET.fullmatch(target):
                raise (place / label.name).refused(target, f"use {', '.join(CLASSES)}, or with a region: cloud/eu")
    for label in _STAYS:
        leaves = [target for target in routing[label] if target.startswith("cloud")]
        if leaves:
            raise (place / label.name).refused(leaves[0], "such payloads never leave: use local")
    for lower, higher in zip(Label, list(Label)[1:], strict=False):
        for target in routing[higher]:
            if target not in routing[lower] and target.split("/")[0] not in routing[lower]:
                raise (place / higher.name).refused(target, f"{higher.name} may go no further than {lower.name}")
    return routing


def _classes(place: Place, value: Any) -> dict[str, str]:
    given = place.mapping(value, CLASSES)
    classes: dict[str, str] = {}
    for kind in CLASSES:
        for name in (place / kind).texts(given[kind]):
            if name in classes:
                raise (place / kind).refused(name, "name each provider once")
            classes[name] = kind
    return classes


def _obligations(place: Place, value: Any) -> dict[Label, tuple[str, ...]]:
    given = place.mapping(value, list(Label.__members__))
    return {label: (place / label.name).texts(given[label.name]) for label in Label}


def _unique(place: Place, policies: dict[str, Policy]) -> None:
    owner: dict[str, str] = {}
    for policy in policies.values():
        for alias in (policy.name, *map(canonical_name, policy.aliases)):
            if owner.setdefault(alias, policy.name) != policy.name:
                raise (place / policy.name / "aliases").refused(alias, f"it is already {owner[alias]}")
