from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaqore.errors import InvalidInput
from metaqore.llm.assemble import HEAD_CHARS, Assembled, assemble, slots
from metaqore.llm.model import GenerateCommand, Message, Template


def from_template(words: str, system: str | None = None, **variables: object) -> Assembled:
    template = Template("t", words, system)
    return assemble(GenerateCommand(template=template, variables=dict(variables)))


def test_slots_are_filled_and_braces_of_a_json_example_are_text() -> None:
    text = 'Answer like {"a": {"b": 1}} or {x} or {} about {{ topic }}: {"v": {{value}}}'
    assembled = from_template(text, topic="trees", value=[1, {"z": None}])
    assert assembled.text == 'Answer like {"a": {"b": 1}} or {x} or {} about trees: {"v": [1,{"z":null}]}'


def test_a_backslash_keeps_a_slot_as_text() -> None:
    assert from_template(r"write \{{name}} for {{name}}", name="n").text == "write {{name}} for n"


def test_a_value_that_looks_like_a_slot_is_not_filled_again() -> None:
    assert from_template("{{a}} {{b}}", a="{{b}}", b="secret").text == "{{b}} secret"


def test_a_value_with_regex_escapes_is_taken_literally() -> None:
    assert from_template("x {{a}}", a=r"\1 \g<0> \n").text == r"x \1 \g<0> \n"


def test_missing_and_surplus_variables_are_all_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        from_template("{{a}} {{b}}", b=1, c=2)
    assert [error["pointer"] for error in caught.value.details["errors"]] == ["/variables/a", "/variables/c"]


def test_the_prefix_of_a_template_ends_at_its_first_slot() -> None:
    assembled = from_template("Label it.\nText: {{input}}\nLabel:", system="You label.", input="abc")
    assert assembled.prefix == (Message("system", "You label."), Message("user", "Label it.\nText: "))
    assert assembled.suffix == "abc\nLabel:"


def test_a_slot_in_the_system_message_ends_the_prefix_there() -> None:
    assembled = from_template("static", system="You work for {{who}}.", who="us")
    assert assembled.prefix == (Message("system", "You work for "),)
    assert assembled.suffix == "us.\nstatic"


def test_calls_of_one_template_share_the_prefix_hash_and_those_of_another_do_not() -> None:
    one, two = (from_template("Label: {{x}}", x=x).prefix_hash for x in ("a", "b"))
    other = from_template("Label; {{x}}", x="a").prefix_hash
    assert one == two != other


def test_the_static_part_counts_and_not_how_it_came_about() -> None:
    plain = assemble(GenerateCommand(messages=(Message("system", "S"), Message("user", "one"))))
    again = assemble(GenerateCommand(messages=(Message("system", "S"), Message("user", "two"))))
    other = assemble(GenerateCommand(messages=(Message("developer", "S"), Message("user", "one"))))
    assert plain.prefix_hash == again.prefix_hash != other.prefix_hash
    assert plain.suffix == "one"


def test_a_short_prompt_has_no_static_prefix() -> None:
    assembled = assemble(GenerateCommand(prompt="short"))
    assert (assembled.prefix, assembled.prefix_hash, assembled.prefix_tokens) == ((), "", 0)
    assert assembled.suffix == "short"


def test_long_prompts_share_a_prefix_where_their_heads_agree() -> None:
    head = "h" * HEAD_CHARS
    one = assemble(GenerateCommand(prompt=head + "one"))
    two = assemble(GenerateCommand(prompt=head + "two"))
    other = assemble(GenerateCommand(prompt="x" + head))
    assert one.prefix_hash == two.prefix_hash != other.prefix_hash
    assert (one.suffix, two.suffix) == ("one", "two")


def test_several_messages_are_written_as_lines_of_a_conversation() -> None:
    command = GenerateCommand(messages=(Message("system", "S"), Message("user", "U")))
    assert assemble(command).text == "system: S\nuser: U"


def test_slots_are_listed_once_and_in_order() -> None:
    assert slots(r"{{b}} {{a}} {{b}} \{{c}} {{1}} {{}}") == ["b", "a"]


@given(st.text(), st.text(), st.text())
def test_prefix_and_suffix_together_are_the_prompt(before: str, value: str, after: str) -> None:
    static = before.replace("{", "(").replace("\\", "/")
    tail = after.replace("{", "(")
    assembled = from_template(static + "{{v}}" + tail, v=value)
    assert "".join(m.content for m in assembled.prefix) + assembled.suffix == static + value + tail


@given(st.text(alphabet='{}ab \\"', max_size=40))
def test_no_braces_can_break_assembly(text: str) -> None:
    template = "x" + text
    assembled = from_template(template, **dict.fromkeys(slots(template), "v"))
    assert assembled.text
