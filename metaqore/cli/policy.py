"""``metaqore policy``: check, test, explain and compare policies, offline."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, TextIO

import click

from metaqore.kinds import configured_providers
from metaqore.security import policy_cases as cases
from metaqore.security import policy_diff
from metaqore.security.facts import VOCABULARY, early_facts, facts_of
from metaqore.security.layers import Stack
from metaqore.security.model import Decision, Label, Position
from metaqore.security.places import Place, parse_yaml
from metaqore.security.policy_file import Policies, load_policies, read_layer
from metaqore.security.policy_trace import Traced, trace
from metaqore.security.records import DECISIONS
from metaqore.security.routes import provider_class
from metaqore.security.rule_file import check_providers
from metaqore.security.ruleset import is_early
from metaqore.settings import load

_EXISTING = click.Path(exists=True, path_type=Path)


def _shipped() -> Path:
    return load().config_path / "policies" / "security.yaml"


def _configured() -> Collection[str]:
    """Return the names of the providers of this installation."""
    return configured_providers(load())


@click.group()
def group() -> None:
    """Check, test, explain and compare SecureGateway's policies."""


@group.command("facts")
def facts_command() -> None:
    """List the facts that a rule's condition may ask for."""
    for name, fact in VOCABULARY.items():
        values = f": {', '.join(sorted(fact.values))}" if fact.values else ""
        click.echo(f"{name:22} {fact.type:14} {fact.about}{values}{' (of each provider)' if fact.late else ''}")


@group.command("lint")
@click.argument("files", nargs=-1, type=_EXISTING)
def lint_command(files: tuple[Path, ...]) -> None:
    """Read policy FILES (the installed one by default) and run their rules' own tests.

    A document of an organization or a project (policy, otherwise, rules) is read on top of the installed file.
    Exits with 1 where one cannot be used; the message has file, line and key.
    """
    for file in files or (_shipped(),):
        if _is_document(file):
            policies = load_policies(_shipped())
            rules = _document(file, policies).layers[-1].rules.rules
            at = Place(str(file), parse_yaml(str(file), file.read_text("utf-8"))[1], ("rules",))
            check_providers(at, rules, {*policies.providers, *_configured()})
            click.echo(f"{file}: {len(rules)} rules")
        else:
            policies = load_policies(file)
            policies.check(_configured())
            click.echo(f"{file}: {len(policies)} policies, {len(policies.layer.rules.rules)} rules, {policies.digest}")


@group.command("test")
@click.argument("paths", nargs=-1, required=True, type=_EXISTING)
@click.option("--policy-file", type=_EXISTING, help="Test this file instead of the installed one.")
def test_command(paths: tuple[Path, ...], policy_file: Path | None) -> None:
    """Run the cases (YAML) of PATHS, files or folders. Exits with 1 where one does not hold."""
    policies = load_policies(policy_file or _shipped())
    known = [case for path in paths for case in cases.load_cases(path)]
    wrong = cases.failures(known, policies)
    for case, lines in wrong:
        click.echo(f"{case.source}: {case.name}")
        for line in lines:
            click.echo(f"  {line}")
    click.echo(f"{len(known) - len(wrong)} of {len(known)} cases hold")
    if wrong:
        raise click.exceptions.Exit(1)


@group.command("explain")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="surrogateescape"))
@click.option("--policy-file", type=_EXISTING, help="Explain by this file instead of the installed one.")
@click.option("--policy", help="The routing policy; that of this installation where left out.")
@click.option("--document", type=_EXISTING, help="The document of an organization or a project, laid on top.")
@click.option("--provider", help="The provider that is asked for.")
@click.option("--principal", default="", help="Who asks.")
@click.option("--kind", default="llm.generate", show_default=True, help="What is asked for.")
@click.option("--task-type", default="", help="As declared.")
@click.option("--position", type=click.Choice([p.value for p in Position]), default="user", show_default=True)
@click.option("--answer", type=click.File("r", encoding="utf-8", errors="surrogateescape"),
              help="Decide about this answer to the payload instead.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
def explain_command(
    file: TextIO, policy_file: Path | None, policy: str | None, document: Path | None, answer: TextIO | None,
    as_json: bool, **asked: Any,
) -> None:  # fmt: skip
    """Decide about the payload in FILE (- reads standard input) and say which rule said what, and why."""
    policies = load_policies(policy_file or _shipped())
    given = {"content": file.read(), **{name: value for name, value in asked.items() if value}}
    if answer is not None:
        given["answer"] = answer.read()
    documents = {"organization": parse_yaml(str(document), document.read_text("utf-8"))[0]} if document else {}
    case = cases.Case("", "", given, {}, policy or _installed(policies), configured_providers(load()), documents)
    decision = cases.decide_case(case, policies)
    if as_json:
        click.echo(json.dumps(decision.to_dict(), indent=2, sort_keys=True))
        return
    _show(decision)
    for traced in _traced(case, decision, policies):
        _show_rule(traced)


@group.command("diff")
@click.argument("old", type=_EXISTING)
@click.argument("new", type=_EXISTING)
@click.option("--cases", "paths", multiple=True, type=_EXISTING, help="Also compare the decisions of these cases.")
def diff_command(old: Path, new: Path, paths: tuple[Path, ...]) -> None:
    """Say what changes between the policy files OLD and NEW. Exits with 1 where anything does."""
    before, after = load_policies(old), load_policies(new)
    found = list(policy_diff.changes(before, after))
    known = [case for path in paths for case in cases.load_cases(path)]
    decided = list(policy_diff.decisions(known, before, after))
    for line in found:
        click.echo(line)
    for line in decided:
        click.echo(f"! {line}")
    if known:
        click.echo(f"{len(decided)} of {len(known)} cases are decided otherwise")
    if found or decided:
        raise click.exceptions.Exit(1)


def _installed(policies: Policies) -> str:
    """Return the routing policy of this installation; the file's default where the file does not know it."""
    name = load().secure_gateway_policy
    return name if name in policies else policies.default.name


def _is_document(file: Path) -> bool:
    data, _ = parse_yaml(str(file), file.read_text("utf-8"))
    return isinstance(data, dict) and "policies" not in data


def _document(file: Path, policies: Policies) -> Stack:
    data, lines = parse_yaml(str(file), file.read_text("utf-8"))
    layer = read_layer("organization", str(file), 1, data, policies, at=Place(str(file), lines))
    return Stack((policies.layer, layer))


def _traced(case: cases.Case, decision: Decision, policies: Policies) -> list[Traced]:
    layers = cases.layers_of(case, policies)
    given = case.given
    asked = cases.asked_of_case(case)
    if asked.kind not in DECISIONS:
        return [found for found in trace(layers, early_facts(asked), late=False)
                if is_early(found.rule.effect, found.rule.facts)]  # fmt: skip
    assessment = cases.assess_case(case)
    facts = facts_of(asked, assessment, decision.label or Label.PUBLIC)
    found = trace(layers, facts, late=False)
    if "answer" in given:
        return found
    name = str(given.get("provider") or decision.provider_recommended)
    if name in case.providers:
        status = case.providers[name]
        kind = provider_class(policies.default, name, status)
        about = {"provider.name": name, "provider.class": kind, "provider.region": status.region}
        found += trace(layers, {**facts, **about}, late=True)
    return found


def _show(decision: Decision) -> None:
    label = decision.label.name if decision.label is not None else "no label"
    click.echo(f"{decision.verdict.value.upper()}  {label}  by {decision.policy} {decision.policy_digest[:19]}…")
    for rule, reason in zip(decision.rules, decision.reasons, strict=False):
        click.echo(f"  {rule}: {reason}")
    for title, items in (("providers", decision.providers_allowed), ("obligations", decision.obligations),
                         ("warnings", decision.warnings), ("shadow", decision.shadow)):  # fmt: skip
        if items:
            click.echo(f"  {title}: {', '.join(items)}")


def _show_rule(traced: Traced) -> None:
    rule = traced.rule
    became = f"matches → {rule.effect.value}" if traced.matched else f"no: {traced.failed}"
    facts = ", ".join(f"{name}={value!r}" for name, value in traced.facts.items())
    click.echo(f"  [{traced.scope}] {rule.name} ({rule.mode.value}) {became}   ({facts})")
