"""Reads and lints rules: what is not understood, can never match or changes nothing is refused, with its place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from metaqore.errors import InvalidInput
from metaqore.security import cel_syntax
from metaqore.security.cel_check import check, show
from metaqore.security.cel_compile import compiled
from metaqore.security.constraints import conjuncts, demands, exact, implies, is_contradiction
from metaqore.security.facts import MAX_ITEMS, NOTHING, TEXT, TEXTS, VOCABULARY, Facts
from metaqore.security.model import Label
from metaqore.security.places import Place
from metaqore.security.request_kinds import kinds_of, why_never
from metaqore.security.rule import Effect, Rule, RuleMode
from metaqore.security.ruleset import is_early

MAX_RULES = 20_000
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SCOPE = re.compile(r"[a-z]+:[a-z_]+")
_NEEDED = ("id", "version", "mode", "when", "effect", "message")
#: Effects that need an argument: what it is, for the message.
_ARGUMENT: Mapping[Effect, str] = {
    Effect.REDACT: "the label from which on findings are taken out",
    Effect.REQUIRE_APPROVAL: "the scope that may approve",
    Effect.RAISE_LABEL: "the label to raise to",
    Effect.LIMIT_TOKENS: "the longest answer, in tokens",
}


def read_rules(place: Place, value: Any, most: int = MAX_RULES, *, is_stored: bool = False) -> list[Rule]:
    """Return the rules of a document's list.

    Args:
        is_stored: it was read before, maybe by a release that knew other kinds of requests: these are not looked at.

    Raises:
        SettingsError: one of them cannot be used; with file, line and key.
    """
    if not isinstance(value, list) or len(value) > most:
        raise place.wrong(f"give a list of at most {most} rules")
    rules: list[Rule] = []
    places: dict[str, Place] = {}
    for index, item in enumerate(value):
        rule = _rule(place / index, item, index, is_stored=is_stored)
        if rule.id in places:
            raise (place / index / "id").wrong(f"{rule.id!r} is given twice: {places[rule.id].path} has it already")
        places[rule.id] = place / index
        rules.append(rule)
    for rule, by in shadowed(rules):
        raise places[rule.id].wrong(f"rule {rule.id!r} changes nothing: wherever it matches, {by.id!r} already decides")
    return rules


def check_providers(place: Place, rules: Sequence[Rule], known: Collection[str]) -> None:
    """Refuse rules about providers of which nobody has heard: most likely a name that is not spelt right.

    Args:
        place: of the list of rules.
        known: names of providers.

    Raises:
        SettingsError: one of them can only match for such a provider; with file, line and key.
    """
    for rule in rules:
        for fact in ("provider.name", "requested.provider"):
            named = rule.demands.get(fact, frozenset())
            strange = sorted(named - {*known, ""})
            if strange and len(strange) == len(named):
                why = f"{fact} is never {strange[0]!r}: one of {', '.join(sorted(known))}"
                raise (place / rule.position / "when").wrong(f"rule {rule.id!r} can never match: {why}")


def check_here(place: Place, rules: Sequence[Rule], fact: str, here: str) -> None:
    """Refuse rules of one place (an organization, a project) that can only match in another one.

    Raises:
        SettingsError: there is one; with its key.
    """
    for rule in rules:
        named = rule.demands.get(fact)
        if named is not None and here not in named:
            raise (place / rule.position / "when").wrong(
                f"rule {rule.id!r} can never match: this is the policy of {here}, and {fact} must be {min(named)!r}"
            )


def _rule(place: Place, value: Any, position: int, *, is_stored: bool) -> Rule:
    given = place.mapping(value, _NEEDED, ("tests",))
    name = given["id"]
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise (place / "id").refused(name, "use lower-case letters, digits, '.', '_' and '-'")
    effect, argument = _effect(place / "effect", given["effect"])
    when = (place / "when").text(given["when"], cel_syntax.MAX_CHARS)
    try:
        tree = cel_syntax.parse(when)
        facts = check(tree)
    except InvalidInput as error:
        raise (place / "when").wrong(f"rule {name!r}: {error.message}") from error
    demanded = demands(tree)
    if demanded is None or (not is_stored and is_contradiction(tree, demanded)):
        raise (place / "when").wrong(f"rule {name!r} can never match: its conditions exclude each other")
    if not is_stored:
        _check_kinds(place / "when", name, effect, tree, facts)
    if effect is Effect.RAISE_LABEL:
        _check_raise(place / "when", name, facts, argument, demanded.get("label"))
    rule = Rule(
        id=name, version=(place / "version").whole(given["version"], 1),
        mode=RuleMode((place / "mode").one_of(given["mode"], [m.value for m in RuleMode])), effect=effect,
        argument=argument, when=when, message=(place / "message").text(given["message"], 500), tree=tree,
        test=compiled(tree), facts=facts, demands=demanded, position=position,
    )  # fmt: skip
    _run_tests(place / "tests", rule, given.get("tests", []))
    return rule


def _effect(place: Place, value: Any) -> tuple[Effect, Label | int | str | None]:
    names = [effect.value for effect in Effect]
    if isinstance(value, str):
        effect = Effect(place.one_of(value, names))
        if effect in _ARGUMENT:
            raise place.wrong(f"{value} needs {_ARGUMENT[effect]}: write {{{value}: …}}")
        return effect, None
    if not isinstance(value, dict) or len(value) != 1:
        raise place.refused(value, f"use one of {', '.join(names)}")
    name, argument = next(iter(value.items()))
    effect = Effect(place.one_of(name, names))
    if effect not in _ARGUMENT:
        raise place.wrong(f"{name} takes no argument")
    if effect is Effect.LIMIT_TOKENS:
        return effect, (place / name).whole(argument, 1, 1_000_000)
    if effect is Effect.REQUIRE_APPROVAL:
        if not isinstance(argument, str) or not _SCOPE.fullmatch(argument):
            raise (place / name).refused(argument, "name a scope, e.g. approvals:answer")
        return effect, argument
    return effect, Label[(place / name).one_of(argument, list(Label.__members__))]


def _check_kinds(place: Place, name: str, effect: Effect, tree: cel_syntax.Node, facts: frozenset[str]) -> None:
    approves = effect is Effect.REQUIRE_APPROVAL
    why = why_never(kinds_of(tree), is_early=is_early(effect, facts), approves=approves)
    if why is not None:
        raise place.wrong(f"rule {name!r} can never act: {why}")


def _check_raise(place: Place, name: str, facts: frozenset[str], to: Any, labels: frozenset[str] | None) -> None:
    late = sorted(fact for fact in facts if VOCABULARY[fact].late)
    if late:
        raise place.wrong(f"rule {name!r}: the label is raised before a provider is chosen: leave out {late[0]}")
    if labels is not None and all(Label[label] >= to for label in labels):
        raise place.wrong(f"rule {name!r} changes nothing: what it matches is at least {to.name} already")


def _run_tests(place: Place, rule: Rule, value: Any) -> None:
    if not isinstance(value, list):
        raise place.refused(value, "give a list of {given: …, matches: true or false}")
    for index, item in enumerate(value):
        at = place / index
        test = at.mapping(item, ("given", "matches"))
        facts = read_facts(at / "given", test["given"])
        if not isinstance(test["matches"], bool):
            raise (at / "matches").refused(test["matches"], "use true or false")
        if bool(rule.test(facts)) != test["matches"]:
            found = "matches" if not test["matches"] else "does not match"
            raise at.wrong(f"rule {rule.id!r} {found} what its test gives: {show(rule.tree)}")


def read_facts(place: Place, value: Any) -> Facts:
    """Return the facts that a test gives; what it does not give is empty. ``level`` follows from ``label``.

    Raises:
        SettingsError: an unknown fact, or a value that it cannot have.
    """
    if not isinstance(value, dict):
        raise place.refused(value, "give a mapping of facts")
    facts = {**NOTHING, "label": "PUBLIC", "position": "user"}
    for name, given in value.items():
        at = place / name
        fact = VOCABULARY.get(name)
        if fact is None or name == "level":
            raise at.refused(name, f"use {', '.join(n for n in VOCABULARY if n != 'level')}")
        if fact.type == TEXTS:
            if not isinstance(given, list) or len(given) > MAX_ITEMS:
                raise at.refused(given, "give a list of texts")
            facts[name] = tuple(_text(at, item, fact.values) for item in given)
        else:
            facts[name] = _text(at, given, fact.values) if fact.type == TEXT else at.whole(given, 0, 2**53)
    facts["level"] = int(Label[facts["label"]])
    return facts


def _text(place: Place, value: Any, known: frozenset[str] | None) -> str:
    if not isinstance(value, str) or (known is not None and value not in known):
        raise place.refused(value, f"use {', '.join(sorted(known))}" if known else "use a text")
    return value


def shadowed(rules: Sequence[Rule]) -> list[tuple[Rule, Rule]]:
    """Return (rule, by) for each rule that can never change a decision, because another one always comes with it.

    That is: an enforced rule whose condition is implied, and which denies or has the same effect. A rule in shadow
    mode is an experiment and is left alone.
    """
    by_text: defaultdict[str, list[Rule]] = defaultdict(list)
    by_value: defaultdict[tuple[str, Any], list[Rule]] = defaultdict(list)
    said: dict[str, frozenset[str]] = {}
    for rule in rules:
        texts = [show(part) for part in conjuncts(rule.tree)]
        said[rule.id] = frozenset(texts)
        for text in texts:
            by_text[text].append(rule)
        for path, values in rule.demands.items():
            for value in values:
                by_value[path, value].append(rule)
    found = []
    for wide in rules:
        if wide.mode is not RuleMode.ENFORCE:
            continue
        parts = conjuncts(wide.tree)
        found += [
            (rule, wide)
            for rule in _narrower(parts, by_text, by_value)
            if rule is not wide and _decides(wide, rule) and implies(rule.demands, said[rule.id], parts)
        ]
    return found


def _narrower(
    parts: Sequence[cel_syntax.Node],
    by_text: Mapping[str, list[Rule]],
    by_value: Mapping[tuple[str, Any], list[Rule]],
) -> list[Rule]:
    """Return the fewest rules among which all that imply these conjuncts are."""
    choices: list[list[list[Rule]]] = []
    for part in parts:
        buckets = [by_text[show(part)]] if show(part) in by_text else []
        plain = exact(part)
        if plain is not None:
            buckets += [by_value[plain[0], value] for value in plain[1] if (plain[0], value) in by_value]
        choices.append(buckets)
    fewest = min(choices, key=lambda buckets: sum(map(len, buckets)))
    return list(dict.fromkeys(rule for bucket in fewest for rule in bucket))


def _decides(wide: Rule, narrow: Rule) -> bool:
    if narrow.mode is RuleMode.SHADOW:
        return False
    if wide.effect is Effect.DENY:
        # Of two that say the same, the later one is superfluous.
        return narrow.effect is not Effect.DENY or wide.position < narrow.position or wide.tree != narrow.tree
    same = (wide.effect, wide.argument) == (narrow.effect, narrow.argument)
    return same and (wide.position < narrow.position or wide.tree != narrow.tree)
