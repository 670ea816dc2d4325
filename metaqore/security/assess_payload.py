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
    #: False where there is nothing that could be judged: no letters or digits at all.
    judgeable: bool
    _folded: Folded
    _starts: tuple[int, ...]

    def prose(self) -> list[tuple[int, int]]:
        """Return the spans of ``text`` that are running text: values with a blank in them."""
        if len(self.values) == 1 and self.values[0][2] is None:
            return [(0, len(self.text))]
        return [(start, end) for start, end, _ in self.values if " " in self.text[start:end].strip()]

    def place(self, start: int, end: int) -> Place:
        """Return where ``text[start:end]`` came from; a span over several values is cut to the first."""
        start, end = self._folded.span(start, end)
        index = bisect_right(self._starts, start) - 1
        if index < 0:
            return Place(self.values[0][2] if self.values else None, 0, 0)
        value_start, value_end, pointer = self._origin(index)
        return Place(pointer, min(start, value_end) - value_start, max(start, min(end, value_end)) - value_start)

    def _origin(self, index: int) -> tuple[int, int, str | None]:
        start, end, pointer = self.values[index]
        return *self._folded.span(start, end), pointer


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
    for pointer, key, value in _leaves(payload):
        line = f"{key}: {value}\n" if key else f"{value}\n"
        parts.append(line)
        start = offset + len(line) - 1 - len(value)
        values.append((start, start + len(value), pointer))
        offset += len(line)
    return _document("".join(parts), values)


def _document(original: str, values: list[tuple[int, int, str | None]]) -> Document:
    folded = fold(original)
    if folded.origins is not None and len(values) > 1:
        values = _refold(original, values)
    elif folded.origins is not None:
        values = [(0, len(folded.text), pointer) for _, _, pointer in values]
    starts = tuple(folded.span(start, end)[0] for start, end, _ in values)
    judgeable = any(char.isalnum() for char in folded.text)
    return Document(folded.text, original, tuple(values), judgeable, folded, starts)


def _refold(original: str, values: list[tuple[int, int, str | None]]) -> list[tuple[int, int, str | None]]:
    """Move value spans from the original to the folded text."""
    moved, read_to, length = [], 0, 0
    for start, end, pointer in values:
        length += len(fold(original[read_to:start]).text)
        size = len(fold(original[start:end]).text)
        moved.append((length, length + size, pointer))
        length, read_to = length + size, end
    return moved


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all of its members, repeated names included."""


def _parsed(text: str) -> Any | None:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None


def _leaves(payload: Any) -> list[tuple[str, str, str]]:
    """Return (JSON pointer, key, value as text) of everything in ``payload``, in order. Iterative: any depth."""
    leaves: list[tuple[str, str, str]] = []
    stack: list[tuple[str, str, Any]] = [("", "", payload)]
    while stack:
        pointer, key, value = stack.pop()
        members: Any = None
        if isinstance(value, _Pairs):
            members = value
        elif isinstance(value, dict):
            members = value.items()
        if members is not None:
            stack += [
                (f"{pointer}/{_escape(name)}", _named(key, str(name)), item) for name, item in reversed(list(members))
            ]
        elif isinstance(value, list | tuple):
            stack += [(f"{pointer}/{i}", key, value[i]) for i in range(len(value) - 1, -1, -1)]
        elif isinstance(value, str):
            leaves.append((pointer, key, value))
        else:
            leaves.append((pointer, key, json.dumps(value) if value is None or isinstance(value, bool) else str(value)))
    return leaves


def _named(parent: str, name: str) -> str:
    """Return the key to show: the last two names, since ``patient.name`` says more than ``name``."""
    return f"{parent.rpartition('.')[2]}.{name}" if parent else name


def _escape(name: object) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
