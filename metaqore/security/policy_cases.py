"""Cases for policies, as YAML: what is given, and what has to be decided. Adding one needs no Python.

A file has ``cases`` and, for all of them, optionally ``policy`` (the routing policy), ``providers`` and the documents
of an ``organization`` and a ``project``::

    policy: enterprise
    cases:
      - name: what is internal stays
        given: {content: "…", task_type: release_plan, provider: openai}
        expect: {verdict: vetoed, label: INTERNAL, rules: [routing.internal.cloud]}

With ``answer`` a case is about what a provider answered to ``content`` (and to ``instructions``, a system message).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metaqore.errors import InvalidInput, SettingsError
from metaqore.security.answers import examine
from metaqore.security.assessment import assess
from metaqore.security.facts import Asked, early_facts
from metaqore.security.layers import Stack, stack
from metaqore.security.model import Assessment, Context, Decision, Label, Position, ProviderStatus, Verdict
from metaqore.security.places import Place, parse_yaml
from metaqore.security.policy import CLASSES, asked_early, decide, decide_answer, needs
from metaqore.security.policy_file import Policies, read_layer
from metaqore.security.records import DECISIONS

_FLAGS = ("has_private_data", "has_sensitive_data", "is_security_task")
_TEXTS = ("task_type", "agent_name", "kind", "principal", "project", "provider", "model", "answer", "instructions")
_GIVEN = ("content", "label", "inherited", "position", "max_tokens", "approved", *_FLAGS, *_TEXTS)
#: What a case may expect: of lists, that these are among them; an empty list, that there are none.
_EXPECTED = ("verdict", "label", "provider", "providers", "rules", "obligations", "warnings", "shadow", "approvals")
#: The providers of a case that names none: one of each kind.
PROVIDERS = {
    "ollama": ProviderStatus(local=True, available=True, region="local"),
    "openai": ProviderStatus(local=False, available=True, region="us"),
    "azure": ProviderStatus(local=False, available=True, region="eu"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One case, with everything that its file says for all."""

    source: str
    name: str
    given: Mapping[str, Any]
    expect: Mapping[str, Any]
    policy: str | None
    providers: Mapping[str, ProviderStatus]
    #: Scope → document.
    documents: Mapping[str, Any]


def load_cases(path: Path) -> list[Case]:
    """Return the cases of a file, or of all files below a folder.

    Raises:
        SettingsError: a file cannot be used; says where.
    """
    files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    return [case for file in files for case in _cases(file)]


def run_case(case: Case, policies: Policies) -> list[str]:
    """Return what was decided otherwise than expected; empty where the case holds.

    Raises:
        SettingsError: the case's own documents or routing policy cannot be used.
    """
    decision = decide_case(case, policies)
    found: dict[str, Any] = {**decision.to_dict(), "provider": decision.provider_recommended,
                             "providers": list(decision.providers_allowed)}  # fmt: skip
    wrong = []
    for name, wanted in case.expect.items():
        value = found[name]
        if name == "providers":
            fits = value == wanted
        elif isinstance(value, list):
            fits = all(any(_matches(item, each) for each in value) for item in wanted) and (bool(wanted) or not value)
        else:
            fits = value == wanted
        if not fits:
            wrong.append(f"{name} is {value!r}, expected {wanted!r}")
    if wrong:
        wrong.append(f"because: {'; '.join(decision.reasons)}")
    return wrong


def decide_case(case: Case, policies: Policies) -> Decision:
    """Return what is decided of a case."""
    given, asked = case.given, asked_of_case(case)
    if asked.kind not in DECISIONS:
        return _decide_early(case, asked, policies)
    policy = policies[case.policy] if case.policy else policies.default
    layers, approved = layers_of(case, policies), given.get("approved", ())
    if "answer" in given:
        provider = given.get("provider") or next(iter(case.providers), "")
        return decide_answer(
            assess_case(case), policy=policy, provider=provider, asked=asked, layers=layers, approved=approved
        )
    return decide(
        assess_case(case), policy=policy, providers=case.providers, requested=given.get("provider"), asked=asked,
        layers=layers, approved=approved,
    )  # fmt: skip


def _decide_early(case: Case, asked: Asked, policies: Policies) -> Decision:
    """Return what is decided of a request of a kind whose payload is not judged."""
    layers, approved = layers_of(case, policies), case.given.get("approved", ())
    found = asked_early(layers, early_facts(asked))
    missing = [] if found.against else [item for item in found.approvals if item[1] not in approved]
    against = found.against + [needs(item) for item in missing]
    policy = policies[case.policy] if case.policy else policies.default
    return Decision(
        verdict=Verdict.VETOED if against else Verdict.APPROVED,
        reasons=tuple(reason for _, reason in against) or (f"no rule holds up {asked.kind}",),
        rules=tuple(rule for rule, _ in against) or ("request.allowed",), policy=policy.name,
        policy_version=policy.version, policy_digest=layers.digest, label=None, providers_allowed=(),
        provider_recommended=None, obligations=(), warnings=tuple(found.warnings), shadow=tuple(found.shadow),
        approvals=tuple(dict.fromkeys(scope for _, scope, _ in missing)), duties={}, layers=layers.shown,
    )  # fmt: skip


def asked_of_case(case: Case) -> Asked:
    """Return who asks for what in a case."""
    given = case.given
    position = Position.ANSWER if "answer" in given else given.get("position", Position.USER.value)
    return Asked(
        kind=given.get("kind", "llm.generate"), principal=given.get("principal", ""), project=given.get("project", ""),
        task_type=given.get("task_type", ""), agent=given.get("agent_name", ""), position=str(position),
        provider=given.get("provider", ""), model=given.get("model", ""), max_tokens=given.get("max_tokens", 0),
    )  # fmt: skip


def assess_case(case: Case) -> Assessment:
    """Return the assessment of what a case gives."""
    given = case.given
    context = Context(
        task_type=given.get("task_type", ""), agent_name=given.get("agent_name", ""),
        declared_label=Label.parse(given["label"]) if "label" in given else None,
        inherited=tuple(Label.parse(label) for label in given.get("inherited", ())),
        position=Position(given.get("position", "user")), has_private_data=bool(given.get("has_private_data")),
        has_sensitive_data=bool(given.get("has_sensitive_data")), is_security_task=bool(given.get("is_security_task")),
    )  # fmt: skip
    content, instructions = given.get("content", "Paris is the capital of France."), given.get("instructions", "")
    if "answer" not in given:
        return assess(content, context)
    # The answer inherits the label of its prompt.
    label = Label.join(assess(content, context).label, assess(instructions).label if instructions else Label.PUBLIC)
    said = content if isinstance(content, str) else json.dumps(content)
    found = examine(given["answer"], [instructions] if instructions else [], [said])
    return replace(found, inherited=label, label=Label.join(found.label, label))


def layers_of(case: Case, policies: Policies) -> Stack:
    """Return the layers that hold for a case."""
    custom = [read_layer(scope, scope, 1, document, policies, below=(scope,))
              for scope, document in case.documents.items()]  # fmt: skip
    return stack([policies.layer, *custom])


def _matches(wanted: str, found: str) -> bool:
    """A rule is found by its id alone too, and a warning by its rule."""
    return found == wanted or found.startswith((f"{wanted}@", f"{wanted}:"))


def _cases(file: Path) -> list[Case]:
    try:
        data, lines = parse_yaml(str(file), file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read: {error}") from error
    place = Place(str(file), lines)
    top = place.mapping(data, ("cases",), ("policy", "providers", "organization", "project"))
    providers = _providers(place / "providers", top["providers"]) if "providers" in top else PROVIDERS
    documents: dict[str, Any] = {scope: top[scope] for scope in ("organization", "project") if scope in top}
    if not isinstance(top["cases"], list) or not top["cases"]:
        raise (place / "cases").wrong("give at least one case")
    return [
        _case(place / "cases" / index, item, top.get("policy"), providers, documents)
        for index, item in enumerate(top["cases"])
    ]


def _case(
    place: Place, value: Any, policy: str | None, providers: Mapping[str, ProviderStatus], documents: Mapping[str, Any]
) -> Case:
    item = place.mapping(value, ("name", "given", "expect"), ("policy",))
    given = (place / "given").mapping(item["given"], (), _GIVEN)
    expect = (place / "expect").mapping(item["expect"], (), _EXPECTED)
    if not expect:
        raise (place / "expect").wrong(f"expect something: {', '.join(_EXPECTED)}")
    for name in _TEXTS:
        if name in given:
            (place / "given" / name).text(given[name])
    try:
        assess_case(Case("", "", given, {}, None, {}, {}))
    except (InvalidInput, ValueError) as error:
        raise (place / "given").wrong(str(error)) from error
    name = (place / "name").text(item["name"])
    return Case(place.source, name, given, expect, item.get("policy", policy), providers, documents)


def _providers(place: Place, value: Any) -> dict[str, ProviderStatus]:
    if not isinstance(value, dict):
        raise place.refused(value, "give a mapping of providers")
    found = {}
    for name, item in value.items():
        given = (place / name).mapping(item, ("class",), ("region", "available", "stopped"))
        kind = (place / name / "class").one_of(given["class"], CLASSES)
        found[str(name)] = ProviderStatus(
            kind == "local", bool(given.get("available", True)), str(given.get("region", "")), given.get("stopped")
        )
    return found


def failures(cases: Sequence[Case], policies: Policies) -> list[tuple[Case, list[str]]]:
    """Return the cases that do not hold, with what is wrong."""
    checked = [(case, run_case(case, policies)) for case in cases]
    return [(case, wrong) for case, wrong in checked if wrong]
