"""What a payload may hold."""

from __future__ import annotations

import json

import pytest

from metaqore.errors import InvalidInput
from metaqore.requests.recorder import encode_payload


@pytest.mark.parametrize("text", ["\0", "a\0b", "\\\0", "\\\\\0"])
def test_the_character_nul_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"U\+0000"):
        encode_payload({"content": text})


@pytest.mark.parametrize("text", [r"\u0000", r"\\u0000", r'"\u0000"', r"re.compile('\\u0000')"])
def test_source_code_that_writes_nul_as_an_escape_is_kept(text: str) -> None:
    assert json.loads(encode_payload({"content": text})) == {"content": text}
