"""Turn a payload, a text or any JSON value, into one text to look at, and offsets back into where it came from.

A JSON value becomes lines ``key: value``, so that a rule which reads ``password: …`` in a text reads it in an object
too. A text that is itself a JSON object or array is read as one, every member of a repeated name included.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from metaqore.security.normalise import Folded, fold

#: Deeper values are not read, and the payload counts as one that cannot be judged.
_MAX_DEPTH = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where a span lies: in a string of a JSON value, or in the text itself (``pointer`` None)."""

    pointer: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """The text of a payload."""

    #: What the rules read: ASCII, see :func:`metaqore.security.normalise.fold`.
    text: str
    original: str
    #: Spans of ``text`` that are values, not keys, with their JSON pointers; one span for a plain text.
    values: tuple[tuple[int, int, str | None], ...]
    #: False where there is nothing that could be judged: no letters or digits, or a value that is no JSON.
    judgeable: bool
    _folded: Folded
    #: Where the values stand in ``original``: what is dropped by folding belongs to them, too.
    _raw: tuple[tuple[int, int], ...]
    _starts: tuple[int, ...]

    def prose(self) -> list[tuple[int, int]]:
        """Return the spans of ``text`` that are running text: values with a blank in them."""
        if len(self.values) == 1 and self.values[0][2] is None:
            return [(0, len(self.text))]
        return [(start, end) for start, end, _ in self.values if " " in self.text[start:end].strip()]

    def place(self, start: int, end: int) -> Place:
        """Return where ``text[start:end]`` came from; a span over several values is cut to the first."""
        return self.place_raw(*self._folded.span(start, end))

    def place_raw(self, start: int, end: int) -> Place:
        """Return where ``original[start:end]`` came from."""
        index = max(0, bisect_right(self._starts, start) - 1)
        if index >= len(self.values):
            return Place(None, 0, 0)
        value_start, value_end, pointer = self._origin(index)
        if start > value_end and index + 1 < len(self.values):
            # In the name of the next member, not in a value.
            return Place(self.values[index + 1][2], 0, 0)
        clipped = max(start, value_start)
        return Place(pointer, min(clipped, value_end) - value_start, max(clipped, min(end, value_end)) - value_start)

    def _origin(self, index: int) -> tuple[int, int, str | None]:
        return *self._raw[index], self.values[index][2]


def read(payload: Any) -> Document:
    """Return the document of a payload. Never fails: what is no JSON value is read by its ``repr``."""
    if isinstance(payload, bytes | bytearray):
        payload = bytes(payload).decode("utf-8", "replace")
    if isinstance(payload, str):
        parsed = _parsed(payload)
        if parsed is None:
            return _document(payload, [(0, len(payload), None)])
        payload = parsed
    parts: list[str] = []
    values: list[tuple[int, int, str | None]] = []
    offset = 0
    leaves, is_json = _leaves(payload)
    for pointer, key, value in leaves:
        line = f"{key}: {value}\n" if key else f"{value}\n"
        parts.append(line)
        start = offset + len(line) - 1 - len(value)
        values.append((start, start + len(value), pointer))
        offset += len(line)
    return _document("".join(parts), values, is_json=is_json)


def _document(original: str, values: list[tuple[int, int, str | None]], *, is_json: bool = True) -> Document:
    folded = fold(original)
    raw = tuple((start, end) for start, end, _ in values)
    starts = tuple(start for start, _ in raw)
    if folded.moved:
        values = [(folded.folded(start), folded.folded(end), pointer) for start, end, pointer in values]
    judgeable = is_json and any(char.isalnum() for char in folded.text)
    return Document(folded.text, original, tuple(values), judgeable, folded, raw, starts)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all of its members, repeated names included."""


def _parsed(text: str) -> Any | None:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None


def _leaves(payload: Any) -> tuple[list[tuple[str, str, str]], bool]:
    """Return (JSON pointer, key, value as text) of everything in ``payload``, and whether it is all JSON."""
    leaves: list[tuple[str, str, str]] = []
    is_json = True
    stack: list[tuple[str, str, str, int, Any]] = [("", "", "", 0, payload)]
    while stack:
        pointer, parent, key, depth, value = stack.pop()
        members = value if isinstance(value, _Pairs) else list(value.items()) if isinstance(value, dict) else None
        if depth > _MAX_DEPTH:
            is_json = False
        elif members is not None:
            if key and all(isinstance(item, dict | list | tuple) for _, item in members):
                # No line of a value would say this name.
                leaves.append((pointer, _named(parent, key), ""))
            stack += [
                (f"{pointer}/{escape(name)}", key, str(name), depth + 1, item) for name, item in reversed(members)
            ]
        elif isinstance(value, list | tuple):
            if key and not value:
                leaves.append((pointer, _named(parent, key), ""))
            stack += [(f"{pointer}/{i}", parent, key, depth + 1, value[i]) for i in range(len(value) - 1, -1, -1)]
        elif isinstance(value, str):
            leaves.append((pointer, _named(parent, key), value))
        else:
            is_json = is_json and isinstance(value, bool | int | float | None)
            text = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
            leaves.append((pointer, _named(parent, key), text))
    return leaves, is_json


def _named(parent: str, name: str) -> str:
    """Return the key to show: the last two names, since ``patient.name`` says more than ``name``."""
    return f"{parent}.{name}" if parent else name


def escape(name: object) -> str:
    """Return the name of a member as a step of a JSON pointer (RFC 6901 §3)."""
    return str(name).replace("~", "~0").replace("/", "~1")
