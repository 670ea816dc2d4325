"""The hot routes are checked by msgspec, their contract is written in marshmallow: both must say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from api.blueprint import explain
from api.schemas import accept
from api.schemas.llm import GenerateSchema
from api.schemas.psmp import DeclareSchema
from metaqore.errors import InvalidInput, MetaQoreError

text = st.text(max_size=3) | st.sampled_from(["code", "user", "", " ", "x" * 64, "x" * 65, "x" * 513])
leaves = st.none() | st.booleans() | st.integers(-2, 300) | st.floats(-1, 3) | text
anything = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(text, v, max_size=3), max_leaves=5)


def one_off(sound: dict[str, Any], fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that differ from a sound one in one member (or lack it)."""
    wrong = st.one_of([value.map(lambda v, name=name: {**sound, name: v}) for name, value in fields.items()])
    less = st.sampled_from([*sound]).map(lambda name: {k: v for k, v in sound.items() if k != name})
    return wrong | less | st.just(sound)


names = text | st.none() | anything
by_name = {"type": "code", "name": "n"}
versions = leaves | st.sampled_from([">=2,<4", "3", "*", ">=", "^1", "1,", "1" * 10, ",".join(["1"] * 17)])
dependency = one_off(
    {"artifact": "art_1"}, {"version": versions, "kind": names, "colour": names, "type": names}
) | one_off(by_name, {"artifact": names, "type": names, "name": names, "version": versions, "kind": names})
read = one_off({"artifact": "art_1", "version": 1}, {"version": leaves, "colour": names, "type": names}) | one_off(
    {**by_name, "version": 2}, {"artifact": names, "type": names, "name": names, "version": leaves}
)
claimed = st.lists(names, max_size=3) | st.sampled_from([["a"] * 256, ["a"] * 257, ["x" * 513], [" "]])
claims = claimed | one_off({"paths": ["a"]}, {"paths": claimed, "resources": claimed, "colour": names})
pointers = st.lists(
    st.sampled_from(["", "/", "/a/0", "/~0~1", "/~2", "a", "/\n", "/a\n", "/" * 513]) | names, max_size=3
)
requirement = one_off(
    {"name": "requests"},
    {
        "name": names, "specifier": names, "ecosystem": st.sampled_from(["pypi", "npm", "cargo"]) | names,
        "scope": st.sampled_from(["runtime", "dev", "build", "test"]) | names, "colour": names,
    },
)  # fmt: skip
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
message = one_off({"role": "user", "content": "c"}, {"role": roles | names, "content": names, "colour": names})
template = one_off({"id": "t", "text": "x"}, {"id": names, "text": names, "system": names, "colour": names})
types = st.sampled_from(
    ["a.b-c_1", "A", "1a", "a\n", "a b", "specialist_model", "compliance_report", "a" * 64, "a" * 65]
)
blanks = st.sampled_from(["\n", "a\n", "\u2003", "\u200b", "x" * 512, "x" * 513])
labels = st.sampled_from(["PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL", "SECRET", "public", "", None])
slots = st.sampled_from(["a", "_b1", "a\n", "1", "a-b", "a" * 64, "a" * 65])
long_names = st.sampled_from(["x" * 200, "x" * 201, "", None])

DECLARE: dict[str, Any] = {"project": "prj_1", "type": "code", "name": "src/a.py", "content": {"x": 1}}
DECLARE_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "project": text, "type": types | text, "name": blanks | text, "content": anything,
    "base_version": st.integers(-2, 9) | st.sampled_from([None, 1.0, True, "1"]),
    "depends_on": st.lists(dependency, max_size=3) | st.integers(254, 258).map(lambda n: [{"artifact": "a"}] * n),
    "requires": st.lists(requirement, max_size=3), "claims": claims, "label": labels,
    "read_set": st.lists(read, max_size=3) | st.integers(254, 258).map(lambda n: [{"artifact": "a", "version": 1}] * n),
    "owns": pointers | st.none(), "force": pointers | st.none(), "intent": text | st.none(),
    "if_match": st.integers(-2, 9) | st.sampled_from([None, 1.0, True, "1"]), "replaces": text | st.none(),
    "provenance": st.dictionaries(text, anything, max_size=2),
    "metadata": st.dictionaries(text, anything, max_size=2), "colour": anything,
}  # fmt: skip

GENERATE: dict[str, Any] = {"prompt": "hello"}
GENERATE_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "project": text | st.none(), "prompt": text | st.none(),
    "messages": st.lists(message, max_size=3) | st.sampled_from([None, [], [{"role": "user", "content": ""}] * 1001]),
    "template": template | st.none(), "variables": st.dictionaries(slots | text, anything, max_size=2),
    "model": long_names, "provider": long_names,
    "max_tokens": st.sampled_from([-1, 0, 1, 10**6, 10**6 + 1, 1.0, True, "1", None]),
    "temperature": st.floats(-1, 3) | st.sampled_from([0, 2, 3, -1, True, "1", None]),
    "seed": st.sampled_from([-1, 0, 2**31 - 1, 2**31, 1.0, True, None]), "stop": st.lists(text, max_size=6),
    "task_type": names, "agent_name": names,
    **dict.fromkeys(("has_private_data", "has_sensitive_data", "is_security_task"), leaves), "colour": anything,
}  # fmt: skip


def accepted(check: Callable[[Any], Any], body: Any) -> bool:
    try:
        check(body)
    except (msgspec.ValidationError, MetaQoreError):
        return False
    return True


def described(schema: type[Schema], body: Any) -> bool:
    try:
        schema().load(body)
    except ValidationError:
        return False
    return True


def agree(check: Callable[[Any], Any], schema: type[Schema], body: Any) -> bool:
    assert accepted(check, body) == described(schema, body), body
    return True


@pytest.mark.parametrize("field", DECLARE_FIELDS)
@given(data=st.data())
@settings(max_examples=25)
def test_a_declaration_is_accepted_where_the_documented_schema_accepts_it(data: st.DataObject, field: str) -> None:
    value = data.draw(DECLARE_FIELDS[field] | DECLARE_FIELDS[field] | anything)
    assert agree(accept.declaration, DeclareSchema, {**DECLARE, field: value})


@pytest.mark.parametrize("field", GENERATE_FIELDS)
@given(data=st.data())
@settings(max_examples=25)
def test_a_model_call_is_accepted_where_the_documented_schema_accepts_it(data: st.DataObject, field: str) -> None:
    value = data.draw(GENERATE_FIELDS[field] | GENERATE_FIELDS[field] | anything)
    source = data.draw(st.sampled_from([{"prompt": "p"}, {"template": {"id": "t", "text": "{{a}}"}}, {}]))
    assert agree(accept.generation, GenerateSchema, {**source, field: value})


@pytest.mark.parametrize(("field", "part"), [
    ("depends_on", dependency), ("requires", requirement), ("read_set", read)
])  # fmt: skip
@given(data=st.data())
@settings(max_examples=200)
def test_they_agree_on_the_parts_of_a_declaration(
    data: st.DataObject, field: str, part: st.SearchStrategy[Any]
) -> None:
    assert agree(accept.declaration, DeclareSchema, {**DECLARE, field: [data.draw(part)]})


@given(message, template)
@settings(max_examples=200)
def test_they_agree_on_the_parts_of_a_model_call(a_message: Any, a_template: Any) -> None:
    assert agree(accept.generation, GenerateSchema, {"messages": [a_message]})
    assert agree(accept.generation, GenerateSchema, {"template": a_template})


@given(anything)
def test_they_agree_on_what_is_nothing_like_it(body: Any) -> None:
    assert agree(accept.declaration, DeclareSchema, body)
    assert agree(accept.generation, GenerateSchema, body)


@pytest.mark.parametrize("field", DECLARE)
def test_they_agree_on_what_is_missing(field: str) -> None:
    assert agree(accept.declaration, DeclareSchema, {k: v for k, v in DECLARE.items() if k != field})


@pytest.mark.parametrize(("check", "schema", "body"), [
    (accept.declaration, DeclareSchema, DECLARE), (accept.generation, GenerateSchema, GENERATE),
])  # fmt: skip
def test_both_accept_what_is_sound(check: Callable[[Any], Any], schema: type[Schema], body: dict[str, Any]) -> None:
    assert accepted(check, body)
    assert described(schema, body)


@pytest.mark.parametrize(("struct", "schema"), [(accept.DeclareBody, DeclareSchema)])
def test_both_know_the_same_fields(struct: type[msgspec.Struct], schema: type[Schema]) -> None:
    assert {field.name for field in msgspec.structs.fields(struct)} == set(schema().fields)


def test_what_is_accepted_is_passed_on_unchanged() -> None:
    assert accept.declaration(DECLARE) == ("prj_1", {k: v for k, v in DECLARE.items() if k != "project"})
    assert accept.generation({"prompt": "p", "project": None}) == (None, {"prompt": "p"})


def test_a_refusal_that_the_schema_cannot_explain_is_still_explained() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"a": [1, "x"]}, dict[str, list[int]])

    with pytest.raises(InvalidInput) as explained:
        explain(DeclareSchema, DECLARE, caught.value)

    assert explained.value.details["errors"][0]["pointer"] in ("/a/1", "/1")
