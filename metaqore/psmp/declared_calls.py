"""Which model calls the author of a version says that it was made from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_CALL = re.compile(r"(?:call|req|spc)_[0-9A-Za-z-]{20,40}")


def calls_named(value: Any) -> Iterator[str]:
    """Yield the calls, their requests and specialists that stand anywhere in a JSON value, each once."""
    found: set[str] = set()
    rest: list[Any] = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, Mapping):
            rest += value.values()
        elif isinstance(value, list):
            rest += value
        elif isinstance(value, str) and value not in found and _CALL.fullmatch(value):
            found.add(value)
            yield value
