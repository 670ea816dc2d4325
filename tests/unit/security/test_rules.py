"""Rules: linted when they are read, found by an index, applied layer by layer."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore import bootstrap
from metaqore.errors import SettingsError
from metaqore.security import assess, request_kinds
from metaqore.security.facts import NOTHING, Asked, early_facts
from metaqore.security.layers import stack
from metaqore.security.model import Duties, Label, ProviderStatus, Verdict
from metaqore.security.places import Place, parse_yaml
from metaqore.security.policy import asked_early, decide
from metaqore.security.policy_file import load_policies, read_layer
from metaqore.security.rule_file import check_here, check_providers, read_rules
from metaqore.security.ruleset import ruleset
from metaqore.settings import load
from tests.unit.security.test_policy import FILE

POLICIES = load_policies(FILE)
PROVIDERS = {
    "openai": ProviderStatus(local=False, available=True, region="us"),
    "azure": ProviderStatus(local=False, available=True, region="eu"),
    "ollama": ProviderStatus(local=True, available=True, region="local"),
}
NEVER = 9e18


def rule(name="r", when='request.kind == "llm.generate"', effect="deny", **more):
    return {"id": name, "version": 1, "mode": "enforce", "when": when, "effect": effect, "message": f"{name}!", **more}


def document(*rules, **more):
    return {"rules": list(rules), **more}


def layer(*rules, scope="organization", **more):
    return read_layer(scope, "acme", 1, document(*rules, **more), POLICIES)


def decision(*layers, label=Label.PUBLIC, requested=None, approved=(), **asked):
    assessment = dataclasses.replace(assess("Paris is the capital of France."), label=label)
    return decide(
        assessment, policy=POLICIES["default"], providers=PROVIDERS, requested=requested,
        asked=Asked(**{"kind": "llm.generate", "principal": "ann", **asked}), layers=stack(layers), approved=approved,
    )  # fmt: skip


# Reading


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (rule(when='label == "PUBLC"'), r"rules\.0\.when: rule 'r': label is never 'PUBLC'"),
        (rule(when='labell == "PUBLIC"'), r"unknown fact 'labell'"),
        (rule(when='label == "PUBLIC" && level == 3'), r"can never match"),
        (rule(when="size(findings) > 2 && size(findings) < 3"), r"can never match"),
        (rule(when="payload.size >= 9 && task_type == 'a' && 8 >= payload.size"), r"can never match"),
        (rule(when="requested.max_tokens < 0"), r"can never match"),
        (rule(when='agent == "a" && agent != "a"'), r"can never match"),
        (rule(effect="refuse"), r"effect: 'refuse'.*use allow or deny"),
        (rule(effect="redact"), r"redact needs the label"),
        (rule(effect={"deny": 1}), r"deny takes no argument"),
        (rule(effect={"limit_tokens": 0}), r"limit_tokens: 0.*from 1"),
        (rule(effect={"raise_label": "SECRET"}), r"'SECRET'.*PUBLIC or INTERNAL"),
        (rule(effect={"raise_label": "INTERNAL"}, when='label == "CRITICAL"'), r"changes nothing.*at least INTERNAL"),
        (rule(effect={"raise_label": "CRITICAL"}, when='provider.class == "cloud"'), r"leave out provider\.class"),
        (rule(effect={"require_approval": "the boss"}), r"name a scope"),
        (rule(mode="enforced"), r"'enforced'.*enforce or warn or shadow"),
        (rule(version=0), r"version: 0"),
        (rule(colour="red"), r"rules\.0\.colour: 'colour'"),
        ({"id": "r"}, r"'effect' is missing"),
        (rule("R 1"), r"lower-case"),
        (rule(tests=[{"given": {"request.kind": "x"}, "matches": True}]), r"tests\.0: rule 'r' does not match"),
        (rule(tests=[{"given": {"request.kind": "llm.generate"}, "matches": False}]), r"rule 'r' matches what"),
        (rule(tests=[{"given": {"kind": "x"}, "matches": True}]), r"given\.kind: 'kind'.*request\.kind"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_meant_is_refused_with_its_place(broken, message):
    with pytest.raises(SettingsError, match=message):
        read_rules(Place("file.yaml") / "rules", [broken])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (rule("a"), rule("a", when='agent == "x"'), r"rules\.1\.id: 'a' is given twice: rules\.0"),
        (rule("a"), rule("b"), r"rule 'b' changes nothing.*'a' already decides"),
        (rule("a"), rule("b", when='request.kind == "llm.generate" && agent == "x"'), r"rule 'b' changes nothing"),
        (rule("a", when='agent == "x" && task_type == "k"'), rule("b", when='task_type == "k"'), r"'a' changes"),
        (rule("a", when='label in ["PUBLIC", "INTERNAL"]'), rule("b", when="level == 1"), r"rule 'b' changes nothing"),
        (rule("a"), rule("b", effect={"limit_tokens": 5}), r"rule 'b' changes nothing"),
        (rule("a", effect={"limit_tokens": 5}), rule("b", effect={"limit_tokens": 5}), r"rule 'b' changes nothing"),
    ],
)  # fmt: skip
def test_a_rule_that_changes_nothing_is_refused(first, second, message):
    with pytest.raises(SettingsError, match=message):
        read_rules(Place("file.yaml") / "rules", [first, second])


@pytest.mark.parametrize(
    "second",
    [
        rule("b", mode="shadow"),
        rule("b", when='request.kind == "payload.assess"'),
        rule("b", when='request.kind in ["llm.generate", "payload.assess"]', effect={"limit_tokens": 5}),
    ],
)
def test_a_rule_that_may_change_something_stays(second):
    assert len(read_rules(Place("file.yaml"), [rule("a"), second])) == 2


def test_a_mistake_in_a_file_is_named_with_its_line():
    text = FILE.read_text().replace('label == "CRITICAL"', 'label == "CRITICL"')
    line = 1 + text[: text.index("CRITICL")].count("\n")

    with pytest.raises(SettingsError, match=rf"policies:{line}: rules\.1\.when"):
        load_policies(text)


def test_lines_are_those_of_the_keys():
    data, lines = parse_yaml("x", "a:\n  - b: 1\n    c: 2\n")

    assert data == {"a": [{"b": 1, "c": 2}]}
    assert (lines["a"], lines["a.0.b"], lines["a.0.c"]) == (1, 2, 3)


# The index


AGENTS, KINDS, TYPES = ["a", "b", "c"], ["llm.generate", "payload.assess"], ["email", "phone", "iban"]
_part = st.one_of(
    st.sampled_from(AGENTS).map(lambda v: f'agent == "{v}"'),
    st.lists(st.sampled_from(AGENTS), min_size=1, unique=True).map(lambda v: f"agent in {v}".replace("'", '"')),
    st.sampled_from(KINDS).map(lambda v: f'request.kind == "{v}"'),
    st.sampled_from(TYPES).map(lambda v: f'"{v}" in findings'),
    st.integers(0, 3).map(lambda v: f"level >= {v}"),
    st.just("payload.size > 3"),
)
_conditions = st.lists(_part, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([" && ", " || "]).map(lambda op: op.join(parts))
)


@settings(max_examples=80)
@given(
    st.lists(_conditions, max_size=25),
    st.sampled_from(AGENTS), st.sampled_from(KINDS), st.lists(st.sampled_from(TYPES), unique=True),
    st.sampled_from(list(Label)), st.integers(0, 9),
)  # fmt: skip
def test_the_index_finds_exactly_the_rules_that_match(texts, agent, kind, findings, label, size):
    # In shadow mode nothing is shadowed, so any set of rules may stand.
    rules = read_rules(
        Place("x"), [rule(f"r{i}", when=text, mode="shadow") for i, text in enumerate(texts) if _possible(text)]
    )
    facts = {**NOTHING, "agent": agent, "request.kind": kind, "findings": tuple(findings), "label": label.name,
             "level": int(label), "payload.size": size}  # fmt: skip

    found = ruleset(rules).plain.matching(facts, NEVER)

    assert found == [r for r in rules if r.test(facts)]


def _possible(text):
    try:
        read_rules(Place("x"), [rule(when=text)])
    except SettingsError:
        return False
    return True


def test_what_cannot_match_is_not_asked():
    rules = [rule(f"r{i}", when=f'request.principal == "p{i}" && label == "PUBLIC"') for i in range(1000)]
    index = ruleset(read_rules(Place("x"), rules)).plain

    assert [r.id for r in index.candidates({**NOTHING, "request.principal": "p7", "label": "PUBLIC"})] == ["r7"]
    assert not index.candidates({**NOTHING, "request.principal": "nobody", "label": "PUBLIC"})


# Decisions


def test_a_denial_names_rule_version_and_message():
    vetoed = decision(layer(rule("no-ann", when='request.principal == "ann"')))

    assert vetoed.verdict is Verdict.VETOED
    assert (vetoed.rules, vetoed.reasons) == (("no-ann@1",), ("no-ann!",))


def test_a_warning_is_told_and_a_shadow_is_only_recorded():
    approved = decision(layer(rule("w", mode="warn"), rule("s", mode="shadow")))

    assert approved.verdict is Verdict.APPROVED
    assert approved.warnings == ("w@1: w!",)
    assert approved.shadow == ("s@1",)


def test_every_layer_is_asked_and_the_stricter_wins():
    loose = layer(rule(effect="allow"), scope="project", otherwise="deny")
    strict = layer(rule("no"))

    assert decision(loose).verdict is Verdict.APPROVED
    assert decision(strict, loose).verdict is decision(loose, strict).verdict is Verdict.VETOED


def test_where_a_policy_denies_what_is_not_allowed_only_its_own_rules_allow():
    closed = layer(rule(effect="allow"), otherwise="deny")
    empty = layer(otherwise="deny", scope="project")

    assert decision(closed).verdict is Verdict.APPROVED
    assert decision(closed, kind="payload.assess").rules == ("otherwise.organization",)
    assert decision(closed, empty).rules == ("otherwise.project",)
    in_shadow = layer(rule(effect="allow", mode="shadow"), otherwise="deny")
    assert decision(in_shadow).verdict is Verdict.VETOED


def test_a_layer_can_narrow_the_routing_and_not_widen_it():
    narrow = read_layer("project", "p", 1, {"policy": "compliance"}, POLICIES)
    wide = read_layer("project", "p", 1, {"policy": "default"}, POLICIES)

    assert decision(narrow).providers_allowed == ("ollama",)
    assert decision(narrow, requested="openai").verdict is Verdict.VETOED
    assert decision(narrow, wide).providers_allowed == ("ollama",)


def test_a_layer_can_bring_a_routing_and_obligations_of_its_own():
    routing = {"PUBLIC": ["local", "cloud/eu"], "INTERNAL": ["local"], "SENSITIVE": ["local"], "CRITICAL": []}
    owed = {"PUBLIC": ["no_cache"], "INTERNAL": [], "SENSITIVE": [], "CRITICAL": []}
    own = read_layer("project", "p", 1, {"policy": {"routing": routing, "obligations": owed}}, POLICIES)

    assert decision(own).providers_allowed == ("ollama", "azure")
    assert decision(own).obligations == ("no_cache",)
    assert decision(own, label=Label.CRITICAL).rules == ("routing.none_available",)
    with pytest.raises(SettingsError, match=r"policy\.routing\.CRITICAL: 'cloud'.*never leave"):
        read_layer("project", "p", 1, {"policy": {"routing": {**routing, "CRITICAL": ["cloud"]}}}, POLICIES)


def test_a_raised_label_changes_the_routing_and_may_raise_again():
    raising = layer(
        rule("one", when='task_type == "merger"', effect={"raise_label": "INTERNAL"}),
        rule("two", when='label == "INTERNAL"', effect={"raise_label": "CRITICAL"}),
    )

    approved = decision(raising, task_type="merger")

    assert approved.label is Label.CRITICAL
    assert approved.providers_allowed == ("ollama",)
    assert decision(raising, task_type="merger", requested="openai").verdict is Verdict.VETOED
    assert decision(raising).label is Label.PUBLIC


def test_a_rule_about_providers_takes_out_those_it_denies():
    no_us = layer(rule("eu-only", when='provider.class == "cloud" && provider.region != "eu"'))

    assert decision(no_us).providers_allowed == ("ollama", "azure")
    assert decision(no_us, requested="openai").rules == ("eu-only@1",)
    assert decision(no_us, requested="azure").verdict is Verdict.APPROVED


def test_duties_belong_to_the_provider_that_they_are_about():
    duties = layer(
        rule("short", effect={"limit_tokens": 100}),
        rule("shorter", when='provider.class == "cloud"', effect={"limit_tokens": 10}),
        rule("names", when='provider.region == "us"', effect={"redact": "INTERNAL"}),
    )

    found = decision(duties, requested="openai")

    assert found.duties["ollama"] == Duties(None, 100)
    assert found.duties["azure"] == Duties(None, 10)
    assert found.duties["openai"] == Duties(Label.INTERNAL, 10)
    assert found.obligations == ("redact:INTERNAL", "limit_tokens:10")


def test_a_missing_approval_is_a_veto_that_says_whose():
    asking = layer(rule("four-eyes", effect={"require_approval": "approvals:answer"}))

    vetoed = decision(asking)

    assert vetoed.verdict is Verdict.VETOED
    assert vetoed.approvals == ("approvals:answer",)
    assert "needs approval: approvals:answer" in vetoed.reasons[0]
    assert decision(asking, approved=["approvals:answer"]).verdict is Verdict.APPROVED


def test_no_approval_is_asked_for_what_is_denied_anyway():
    both = layer(
        rule("four-eyes", effect={"require_approval": "approvals:answer"}), rule("no", when='level >= 0 && agent == ""')
    )

    assert decision(both).approvals == ()


def test_without_a_wish_a_provider_that_needs_an_approval_is_left_out():
    asking = layer(rule("four-eyes", when='provider.class == "cloud"', effect={"require_approval": "approvals:answer"}))

    assert decision(asking).providers_allowed == ("ollama",)
    assert decision(asking, approved=["approvals:answer"]).providers_allowed == ("ollama", "openai", "azure")
    assert decision(asking, requested="azure").approvals == ("approvals:answer",)


def test_a_stopped_provider_is_vetoed_with_the_reason():
    stopped = {**PROVIDERS, "openai": ProviderStatus(False, True, "us", stopped="it leaks")}
    found = decide(assess("Paris."), policy=POLICIES["default"], providers=stopped, requested="openai")

    assert found.rules == ("provider.stopped",)
    assert "it leaks" in found.reasons[0]


def test_rules_that_take_too_long_are_a_veto():
    many = layer(*(rule(f"r{i}", when=f"payload.size > {10**6 + i}", mode="shadow") for i in range(200)))
    times = iter([0.0])

    found = decide(
        assess("Paris."), policy=POLICIES["default"], providers=PROVIDERS, requested=None, layers=stack([many]),
        clock=lambda: next(times),
    )  # fmt: skip

    assert found.rules == ("policy.deadline",)
    assert found.verdict is Verdict.VETOED


def test_what_needs_only_the_request_is_denied_for_every_kind():
    layers = stack([layer(rule("no-bob", when='request.principal == "bob"'), rule("big", when="payload.size > 1"))])

    assert asked_early(layers, early_facts(Asked(kind="artifact.declare", principal="bob"))).against == [
        ("no-bob@1", "no-bob!")
    ]
    assert asked_early(layers, early_facts(Asked(kind="artifact.declare", principal="ann"))).against == []


def test_what_needs_only_the_request_is_approved_and_watched_for_every_kind():
    declared = 'request.kind == "artifact.declare"'
    layers = stack([layer(
        rule("eyes", when=declared, effect={"require_approval": "approvals:answer"}),
        rule("soon", when='request.principal == "bob"', mode="warn"),
        rule("try", when='request.kind.startsWith("artifact.")', mode="shadow"),
    )])  # fmt: skip

    found = asked_early(layers, early_facts(Asked(kind="artifact.declare", principal="bob")))

    assert found.approvals == [("eyes@1", "approvals:answer", "eyes!")]
    assert (found.against, found.warnings, found.shadow) == ([], ["soon@1: soon!"], ["try@1"])
    assert (layers.has_early, layers.has_remarks) == (True, True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"when": 'request.kind == "artifact.declair"'}, r"no request is of such a kind: .*artifact\.declare"),
        ({"when": 'request.kind.startsWith("artefact.")'}, r"no request is of such a kind"),
        ({"when": 'request.kind == "artifact.declare" && label == "CRITICAL"'}, r"only llm\.generate and payload"),
        ({"when": 'request.kind == "artifact.declare"', "effect": {"redact": "PUBLIC"}}, r"only llm\.generate and pay"),
        ({"when": 'request.kind == "artifact.declare"', "effect": "allow"}, r"only llm\.generate and payload"),
        ({"when": 'request.kind == "stop.set"'}, r"stop\.set cannot be held up"),
        ({"when": 'request.kind == "approval.answer"', "effect": {"require_approval": "approvals:answer"}},
         r"approval\.answer cannot wait for an approval"),
    ],
)  # fmt: skip
def test_a_rule_that_can_never_act_on_what_it_names_is_refused_when_it_is_new(given, message):
    broken = rule(**given)
    with pytest.raises(SettingsError, match=rf"rule 'r' can never act: .*{message}"):
        read_rules(Place("file.yaml") / "rules", [broken])

    assert len(read_rules(Place("stored") / "rules", [broken], is_stored=True)) == 1


@pytest.mark.parametrize(
    "when",
    ['request.kind == "artifact.declare" && request.principal != "ann"', 'request.kind != "llm.generate"',
     'request.kind in ["artifact.declare", "llm.generate"] && label == "CRITICAL"', 'request.principal == "eve"'],
)  # fmt: skip
def test_a_rule_that_can_act_on_some_kind_stays(when):
    assert len(read_rules(Place("file.yaml") / "rules", [rule(when=when)])) == 1


@pytest.mark.parametrize(
    "when",
    [
        "size(findings) > 1 && size(findings) < 3", "payload.size >= 9 && payload.size <= 9",
        'agent == "a" && task_type != "a"', "size(findings) > 2 || size(findings) < 2",
    ],
)  # fmt: skip
def test_a_rule_that_can_match_a_single_value_stays(when):
    assert layer(rule(when=when)).rules.rules[0].when == when


@pytest.mark.parametrize("fact", ["provider.name", "requested.provider"])
def test_a_rule_about_a_provider_of_which_nobody_has_heard_is_refused(fact):
    known = {"openai", "mine"}
    for when in (f'{fact} == "openai"', f'{fact} in ["opnai", "mine"]', f'{fact} != "opnai"', f'{fact} == "mine"'):
        check_providers(Place("x", steps=("rules",)), layer(rule(when=when)).rules.rules, known)
    with pytest.raises(SettingsError, match=r"rules\.0\.when: rule 'r' can never match.*'opnai': one of mine, openai"):
        check_providers(Place("x", steps=("rules",)), layer(rule(when=f'{fact} == "opnai"')).rules.rules, known)


def test_a_rule_that_looks_for_another_place_is_refused():
    rules = layer(rule(when='request.project == "prj_a"')).rules.rules
    check_here(Place("x", steps=("rules",)), rules, "request.project", "prj_a")
    with pytest.raises(SettingsError, match=r"can never match: this is the policy of prj_b"):
        check_here(Place("x", steps=("rules",)), rules, "request.project", "prj_b")


def test_the_rules_know_every_kind_of_request_that_there_is(tmp_path):
    installed = load({"storage_dsn": f"sqlite:///{tmp_path}/m.db", "redis_url": "redis://127.0.0.1:1/0"}, environ={})
    engine = bootstrap.build(installed, lambda _: None)

    assert set(engine.catalogue.all()) == request_kinds.KINDS


def test_a_decision_names_every_document_that_was_asked():
    found = decision(POLICIES.layer, layer(rule(when='agent == "x"')))

    assert [shown["scope"] for shown in found.layers] == ["built_in", "organization"]
    assert found.policy_digest not in (POLICIES.digest, "")
    assert decision(POLICIES.layer).policy_digest == POLICIES.digest


def test_a_region_can_be_part_of_the_routing():
    text = FILE.read_text().replace("PUBLIC: [local, cloud]\n      INTERNAL: [local, cloud]",
                                    "PUBLIC: [local, cloud]\n      INTERNAL: [local, cloud/eu]", 1)  # fmt: skip
    policies = load_policies(text)
    assessment = dataclasses.replace(assess("Paris."), label=Label.INTERNAL)

    found = decide(assessment, policy=policies["default"], providers=PROVIDERS, requested=None)

    assert found.providers_allowed == ("ollama", "azure")


def test_the_shipped_file_is_what_yaml_says():
    assert len(POLICIES.layer.rules.rules) == len(yaml.safe_load(FILE.read_text())["rules"])
