from __future__ import annotations

from typing import Any

import pytest

from metaqore.errors import InvalidInput, Retryable
from metaqore.llm.model import (
    CallKey,
    Completion,
    GenerateCommand,
    ProviderRefused,
    ProviderUnavailable,
    Template,
    Usage,
)


def pointers(payload: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        GenerateCommand.from_json(payload)
    return [error["pointer"] for error in caught.value.details["errors"]]


def test_a_prompt_alone_is_a_command_with_the_documented_defaults() -> None:
    command = GenerateCommand.from_json({"prompt": "hello"})
    assert (command.model, command.provider, command.max_tokens, command.temperature) == (None, None, 256, 0.0)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"prompt": 1}, "/prompt"),
        ({"prompt": ""}, "/prompt"),
        ({"prompt": "x", "max_tokens": 0}, "/max_tokens"),
        ({"prompt": "x", "max_tokens": 1.5}, "/max_tokens"),
        ({"prompt": "x", "max_tokens": True}, "/max_tokens"),
        ({"prompt": "x", "temperature": 2.1}, "/temperature"),
        ({"prompt": "x", "seed": -1}, "/seed"),
        ({"prompt": "x", "stop": ["", "a"]}, "/stop/0"),
        ({"prompt": "x", "surprise": 1}, "/surprise"),
        ({"prompt": "x", "a/b~c": 1}, "/a~1b~0c"),
        ({"messages": []}, "/messages"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}]}, "/messages/1/role"),
        ({"messages": [{"role": "user"}]}, "/messages/0"),
        ({"messages": [{"role": "user", "content": "x", "name": "n"}]}, "/messages/0/name"),
        ({"template": {"id": "t"}}, "/template"),
        ({"template": {"id": "t", "text": "{{a}}"}, "variables": {"a b": 1}}, "/variables"),
        ({"prompt": "x", "variables": {"a": 1}}, "/variables"),
        ({"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, "/messages"),
        ({}, ""),
        ([], ""),
    ],
)
def test_what_is_wrong_is_named_by_its_json_pointer(payload: Any, pointer: str) -> None:
    assert pointers(payload) == [pointer]


@pytest.mark.parametrize("value", [float("nan"), "\ud800", 2**60])
def test_a_value_without_canonical_json_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        GenerateCommand.from_json({"template": {"id": "t", "text": "{{a}}"}, "variables": {"a": value}})


def test_a_command_survives_the_way_through_json() -> None:
    payload = {
        "template": {"id": "t", "text": "say {{a}}", "system": "be brief"},
        "variables": {"a": {"deep": [1, 2]}},
        "model": "m",
        "temperature": 0.5,
        "stop": ["END"],
        "has_private_data": True,
    }
    command = GenerateCommand.from_json(payload)
    assert command.to_json() == payload
    assert GenerateCommand.from_json(command.to_json()) == command


def test_the_content_hash_sees_what_shapes_the_answer_and_nothing_else() -> None:
    base = {"prompt": "x", "model": "m"}
    same = GenerateCommand.from_json({**base, "agent_name": "a", "has_private_data": True})
    assert GenerateCommand.from_json(base).content_hash == same.content_hash
    for change in ({"prompt": "y"}, {"model": "n"}, {"temperature": 1.0}, {"seed": 1}, {"max_tokens": 2}):
        assert GenerateCommand.from_json({**base, **change}).content_hash != same.content_hash


def test_the_same_template_id_with_other_words_is_another_template() -> None:
    assert Template("t", "a {{x}}").key == Template("t", "a {{x}}").key
    assert Template("t", "a {{x}}").key != Template("t", "b {{x}}").key
    assert Template("t", "a {{x}}").key != Template("t", "a {{x}}", system="s").key


def test_a_call_key_is_stable_and_differs_by_organization_and_request() -> None:
    keys = {str(CallKey(o, r)) for o in ("a", "b") for r in ("req_1", "req_2")}
    assert len(keys) == 4
    assert str(CallKey("a", "req_1")) in keys


def test_a_completion_survives_the_way_through_json() -> None:
    completion = Completion("hi", Usage(3, 1, 2), "mock", "mock-1", "stop")
    assert Completion.from_json(completion.to_json()) == completion


def test_only_a_passing_fault_is_retryable() -> None:
    passing = ProviderUnavailable("down", provider="p", reason="connect", retry_after_s=2.0)
    final = ProviderRefused("no", provider="p", reason="status_400")
    assert isinstance(passing, Retryable)
    assert not isinstance(final, Retryable)
    assert (passing.retryable, final.retryable) == (True, False)
