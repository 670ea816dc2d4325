"""The subset of CEL: the same meaning as in CEL itself, and nothing that can fail once it is accepted."""

from __future__ import annotations

import ast
from pathlib import Path

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.errors import InvalidInput
from metaqore.security import cel_syntax
from metaqore.security.cel_check import MAX_COST, check, cost, show
from metaqore.security.cel_compile import compiled
from metaqore.security.constraints import demands
from metaqore.security.facts import NOTHING, NUMBER, TEXT, VOCABULARY
from metaqore.security.finding_types import FINDING_TYPES
from metaqore.security.model import Label

_TEXTS = [name for name, fact in VOCABULARY.items() if fact.type == TEXT and fact.values is None]
_CLOSED = [name for name, fact in VOCABULARY.items() if fact.type == TEXT and fact.values]
_NUMBERS = [name for name, fact in VOCABULARY.items() if fact.type == NUMBER]
WORDS = ["", "a", "ab", "b", "llm.generate", 'q"\\', "é\n"]


def quoted(text):
    return show(cel_syntax.Literal(text))


def conditions():
    name = st.sampled_from(_TEXTS)
    word = st.sampled_from(WORDS).map(quoted)
    found = st.sampled_from(["email", "phone", "iban"]).map(quoted)
    number = st.one_of(st.sampled_from(_NUMBERS), st.integers(-3, 5).map(str))
    amount = st.one_of(
        number, st.tuples(number, st.sampled_from("+-"), number).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    )
    method = st.sampled_from(["contains", "startsWith", "endsWith", "matches"])
    closed = st.sampled_from(_CLOSED).flatmap(
        lambda n: st.tuples(st.just(n), st.sampled_from(["==", "!="]), st.sampled_from(sorted(VOCABULARY[n].values)))
    )
    leaf = st.one_of(
        st.tuples(name, st.sampled_from(["==", "!="]), word).map(" ".join),
        closed.map(lambda t: f'{t[0]} {t[1]} "{t[2]}"'),
        st.tuples(name, st.lists(word, min_size=1, max_size=3)).map(lambda t: f"{t[0]} in [{', '.join(t[1])}]"),
        found.map(lambda text: f"{text} in findings"),
        st.tuples(amount, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), amount).map(" ".join),
        st.tuples(name, method, st.sampled_from(["a", "b", "l", ""])).map(lambda t: f'{t[0]}.{t[1]}("{t[2]}")'),
        st.tuples(st.sampled_from(["exists", "all"]), found).map(lambda t: f"findings.{t[0]}(f, f == {t[1]})"),
        st.sampled_from(["size(findings) > 1", "threats.size() == 0", '"jailbreak" in threats']),
    )  # fmt: skip
    return st.recursive(
        leaf,
        lambda below: st.one_of(
            st.tuples(below, st.sampled_from(["&&", "||"]), below).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
            below.map(lambda text: f"!({text})"),
            st.tuples(below, below, below).map(lambda t: f"({t[0]}) ? ({t[1]}) : ({t[2]})"),
        ),
        max_leaves=6,
    )


@st.composite
def given_facts(draw):
    facts = dict(NOTHING)
    for name, fact in VOCABULARY.items():
        if fact.values is not None and fact.type == TEXT:
            facts[name] = draw(st.sampled_from(sorted(fact.values)))
        elif fact.type == TEXT:
            facts[name] = draw(st.sampled_from(WORDS))
        elif fact.type == NUMBER:
            facts[name] = draw(st.integers(0, 4))
        else:
            some = ["email", "phone", "iban"] if name == "findings" else sorted(fact.values or ())
            facts[name] = tuple(draw(st.lists(st.sampled_from(some), unique=True, max_size=3)))
    facts["level"] = int(Label[facts["label"]])
    return facts


def nested(facts):
    """The same facts as CEL takes them: dots are members."""
    found = {}
    for name, value in facts.items():
        *path, last = name.split(".")
        here = found
        for step in path:
            here = here.setdefault(step, {})
        here[last] = list(value) if isinstance(value, tuple) else value
    return found


@settings(max_examples=100)
@given(conditions(), given_facts())
def test_a_condition_means_what_it_means_in_cel(text, facts):
    try:
        tree = cel_syntax.parse(text)
        check(tree)
    except InvalidInput as error:
        assert "no fact" in error.message
        return

    found = compiled(tree)(facts)

    assert found is cel.evaluate(text, nested(facts))
    assert compiled(cel_syntax.parse(show(tree)))(facts) is found


@settings(max_examples=100)
@given(conditions(), given_facts())
def test_what_a_condition_demands_is_true_wherever_it_holds(text, facts):
    tree = cel_syntax.parse(text)
    found = demands(tree)

    if not compiled(tree)(facts):
        return
    assert found is not None, "it can hold"
    for name, values in found.items():
        value = facts[name]
        assert (values & set(value)) if isinstance(value, tuple) else value in values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lable == "PUBLIC"', r"unknown fact 'lable'.*'label'"),
        ('label == "SECRET"', r"label is never 'SECRET'.*CRITICAL"),
        ('label == "PUBLIC" && "jailbrake" in threats', r"threats is never 'jailbrake'"),
        ('"paymet_card" in findings', r"findings is never 'paymet_card'"),
        ("level == \"2\"", r"is a text, where a number"),
        ("label", r"no truth value"),
        ("true", r"looks at no fact"),
        ("1 < level < 3", r"do not chain"),
        ("level == 1.5", r"not of the subset"),
        ("payload.size * 2 > 1", r"not of the subset"),
        ("findings == []", r"ask with in"),
        ('request.kind.upper() == "A"', r"upper is not known"),
        ('agent.matches("(")', r"no RE2 pattern"),
        ("agent.matches(task_type)", r"pattern written out"),
        ('agent == "a', r"not of the subset"),
        ('agent == "a" &&', r"the end"),
        ('label in ["PUBLIC", 1]', r"is a number, where a text"),
        ("findings.exists(agent, agent == \"x\")", r"hides a fact"),
        ("level > 9007199254740993", r"larger than"),
        ("(" * 30 + "level == 1" + ")" * 30, r"nested deeper"),
        ("findings.exists(a, threats.exists(b, a == b))", r"steps: 2000 at most"),
        ('agent == "' + "x" * 5000 + '"', r"4000 at most"),
        ('agent == "\\ud800"', r"surrogate"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_condition_is_said_before_it_is_used(text, message):
    with pytest.raises(InvalidInput, match=message):
        check(cel_syntax.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        'label == "PUBLIC" && label == "CRITICAL"',
        'label == "PUBLIC" && level > 1',
        'request.kind == "a" && request.kind in ["b", "c"]',
        'level > 3',
        '!(label in ["PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL"])',
        '(agent == "a" && agent == "b") || level < 0',
    ],
)  # fmt: skip
def test_a_condition_that_excludes_itself_demands_the_impossible(text):
    assert demands(cel_syntax.parse(text)) is None


def test_the_cost_of_a_condition_is_known_before():
    cheap, dear = cel_syntax.parse('agent == "a"'), cel_syntax.parse('findings.exists(f, f == "a" || f == "b")')

    assert cost(cheap) == 3
    assert 3 < cost(dear) < MAX_COST


def test_every_type_that_a_detector_finds_may_be_asked_for_and_no_other():
    from metaqore.security import detect_secrets
    from metaqore.security.detect_numbers import NATIONAL_NUMBERS

    found = {*detect_secrets._ISSUED, *NATIONAL_NUMBERS}
    for file in Path(detect_secrets.__file__).parent.glob("detect*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Hit", "critical", "_always")
            ):
                leaves = [leaf.value for leaf in ast.walk(node.args[0]) if isinstance(leaf, ast.Constant)]
                found |= {leaf for leaf in leaves if isinstance(leaf, str)}

    assert found == FINDING_TYPES
