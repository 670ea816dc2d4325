"""The policy file is read strictly: whatever is unknown, missing or leads nowhere is refused with line and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from metaqore.errors import InvalidInput, SettingsError
from metaqore.psmp.catalogue import RULES, Severity
from metaqore.psmp.moves import Refused, ask, roles
from metaqore.psmp.policy import Move, Policy, with_bounds
from metaqore.psmp.policy_file import load_policy
from metaqore.security.keys import SCOPES

FILE = Path(__file__).resolve().parents[3] / "config" / "policies" / "psmp.yaml"
TEXT = FILE.read_text("utf-8")


def changed(old: str, new: str) -> Policy:
    """Read the shipped file with one part of it replaced."""
    assert TEXT.count(old) == 1, old
    return load_policy(TEXT.replace(old, new), scopes=SCOPES)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_the_shipped_file_says_what_was_built_in() -> None:
    policy = load_policy(FILE, scopes=SCOPES)

    assert policy.rules == RULES
    assert policy.artifact.initial == "proposed"
    assert "active" in policy.artifact.legal("proposed")
    assert policy.project.legal("initialized") == ("planning", "in_progress", "archived")
    assert policy.project.flagged("closed") == {"completed", "archived"}
    assert policy.task.legal("failed") == ("pending",)
    assert policy.artifact.flagged("tombstone") == {"deleted"}


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("version: 1", "version: 2", "version", "use 1"),
        ("version: 1", "version: 1\nvesrion: 1", "vesrion", "is unknown here"),
        ("version_mismatch: {severity: medium", "version_mismatch: {severity: bad", "rules.version_mismatch.severity",
         "'bad' is no known severity: use low, medium, high, critical"),
        ("version_mismatch: {", "version_clash: {", "rules.version_clash", "no conflict class has this name"),
        ("parallel_creation: {severity: high, strategy: merge", "parallel_creation: {severity: high, strategy: pray",
         "rules.parallel_creation.strategy", "'pray' is no known strategy"),
        ("circular_dependency: {severity: critical, strategy: escalate, adaptive: block}",
         "circular_dependency: {mode: loose}", "rules.circular_dependency.mode", "use strict, adaptive, playground"),
        ("circular_dependency: {severity: critical, strategy: escalate, adaptive: block}",
         "circular_dependency: {adaptive: resolve}", "rules.circular_dependency.adaptive", "knows no safe way out"),
        ("    initial: proposed", "    initial: born", "lifecycles.artifact.initial", "'born' is no known state"),
        ("- {from: proposed, to: active}", "- {from: proposed, to: live}", "lifecycles.artifact.moves[0].to",
         "'live' is no known state"),
        ("      active: {}", "      active: {colour: red}", "lifecycles.artifact.states.active.colour",
         "is unknown here"),
        ("      active: {}", "      active: {}\n      lonely: {final: true}", "lifecycles.artifact.states.lonely",
         "no moves lead from proposed to this state"),
        ("      - {from: failed, to: pending}\n", "", "lifecycles.task.states.failed",
         "no move leaves this state: give it one, or say final: true"),
        ('who: [owner, "conflicts:override"]', "who: [pope]", "lifecycles.artifact.moves[3].who[0]",
         "'pope' is no known role or scope"),
        ("- {from: proposed, to: active}", "- {from: proposed, to: active, checks: [good_mood]}",
         "lifecycles.artifact.moves[0].checks[0]", "'good_mood' is no known check"),
        ("- {from: proposed, to: active}", "- {from: deleted, to: active}\n      - {from: proposed, to: active}",
         "lifecycles.artifact.moves[0]", "deleted is final: nothing leaves it"),
        ("- {from: proposed, to: active}", "- {from: proposed, to: active}\n      - {from: proposed, to: active}",
         "lifecycles.artifact.moves[1]", "is given twice"),
        ("  dependency_depth: null", "  dependency_depth: 0", "bounds.dependency_depth", "a whole number from 1"),
        ("  dependency_depth: null", "  dependency_depth: true", "bounds.dependency_depth", "a whole number from 1"),
        ("  dependency_depth: null", "  depth: 3", "bounds.depth", "is unknown here"),
        ("reserved_types: [specialist_model,", "reserved_types: [3,", "reserved_types[0]", "use a text"),
        ("deprecated: {as_dependency: deprecated}", "deprecated: {tombstone: true}",
         "lifecycles.artifact.states.deleted", "only one state can be the tombstone"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line_and_its_key(old: str, new: str, key: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        changed(old, new)

    message = str(refused.value)
    match = re.fullmatch(r"policy:(\d+): ([^ ]+): (.*)", message)
    assert match is not None, message
    assert match[2] == key, message
    assert says in message
    if key.startswith("lifecycles.artifact.moves[0]"):
        assert int(match[1]) == line_of(TEXT, "- {from: proposed, to: active}")


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="rules: is given twice"):
        load_policy(TEXT + "\nrules: {}\n", scopes=SCOPES)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "version: 1"])
def test_what_is_no_policy_at_all_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        load_policy(text, scopes=SCOPES)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"no-such\.yaml: cannot be read"):
        load_policy(Path("/nowhere/no-such.yaml"), scopes=SCOPES)


def test_the_digest_is_of_what_is_said_and_not_of_how_it_is_written() -> None:
    first = load_policy(FILE, scopes=SCOPES)

    assert load_policy("# another comment\n" + TEXT, scopes=SCOPES).digest == first.digest
    assert changed("  dependency_depth: null", "  dependency_depth: 3").digest != first.digest
    assert with_bounds(first, dependency_depth=0).digest == first.digest
    assert with_bounds(first, dependency_depth=3).digest == changed("  dependency_depth: null",
                                                                     "  dependency_depth: 3").digest  # fmt: skip


def test_a_rule_that_the_file_leaves_out_keeps_its_defaults() -> None:
    policy = changed("  claim_collision: {severity: high, strategy: retry, adaptive: block}\n", "")

    assert policy.rules["claim_collision"] == RULES["claim_collision"]


def test_a_rule_can_be_changed_in_severity_strategy_and_mode() -> None:
    policy = changed(
        "missing_dependency: {severity: high, strategy: retry, adaptive: block}",
        "missing_dependency: {severity: critical, mode: playground}",
    )

    rule = policy.rules["missing_dependency"]
    assert (rule.severity, rule.mode, rule.id) == (Severity.CRITICAL, "playground", "psmp.missing_dependency.v1")


def test_a_reserved_type_is_refused_and_says_so() -> None:
    with pytest.raises(InvalidInput, match="'specialist_model' is reserved"):
        load_policy(FILE, scopes=SCOPES).check_type("specialist_model")
    load_policy(FILE, scopes=SCOPES).check_type("code")


def test_a_move_needs_one_of_the_scopes_or_roles_that_it_names() -> None:
    lifecycle = load_policy(FILE, scopes=SCOPES).artifact

    for held in ({"owner"}, {"conflicts:override"}):
        assert isinstance(ask(lifecycle, "artifact a", "quarantined", "active", held=held), Move)
    refused = ask(lifecycle, "artifact a", "quarantined", "active", held={"creator", "artifacts:write"})
    assert isinstance(refused, Refused)
    assert refused.needs == ("owner", "conflicts:override")


def test_an_illegal_move_names_the_legal_ones() -> None:
    refused = ask(load_policy(FILE, scopes=SCOPES).task, "task t", "completed", "pending", held=set())

    assert isinstance(refused, Refused)
    assert (refused.legal, refused.needs) == ((), ())
    assert "may go to no other state" in refused.message


def test_roles_are_what_a_principal_is_to_a_thing() -> None:
    assert roles("task", "ann", owner="ann", creator="ann", assignee="ann") == {"owner", "creator", "assignee"}
    assert roles("artifact", "ann", owner="bob", creator="ann") == {"creator"}
    assert roles("project", "eve", owner="ann", creator="bob") == set()
