"""Reading a policy document strictly: every message names file, line, key, what stands there and what is allowed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from metaqore.errors import SettingsError
from metaqore.strict_yaml import Strict


def parse_yaml(source: str, text: str) -> tuple[Any, Mapping[str, int]]:
    """Return the document and, for each place in it (``rules.0.when``), its line.

    Raises:
        SettingsError: it is not valid YAML, or gives a key twice.
    """
    try:
        node = yaml.compose(text, Loader=Strict)
        data = yaml.load(text, Loader=Strict)
    except yaml.YAMLError as error:
        raise SettingsError(f"{source}: is not valid YAML: {error}") from error
    lines: dict[str, int] = {}
    if node is not None:
        _note_lines(node, "", lines)
    return data, lines


class Place:
    """A place in a document: its dotted path, and how to complain about what stands there."""

    def __init__(self, source: str, lines: Mapping[str, int] | None = None, steps: tuple[str, ...] = ()) -> None:
        self.source = source
        self._steps = steps
        self._lines = lines or {}

    def __truediv__(self, step: object) -> Place:
        """Return the place below."""
        return Place(self.source, self._lines, (*self._steps, str(step)))

    @property
    def path(self) -> str:
        """``rules.0.when``."""
        return ".".join(self._steps)

    @property
    def pointer(self) -> str:
        """The same as a JSON pointer (RFC 6901)."""
        return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in self._steps)

    def wrong(self, why: str) -> SettingsError:
        """Return the error that something is wrong here."""
        line = self._line()
        where = self.source if line is None else f"{self.source}:{line}"
        return SettingsError(f"{where}: {self.path or 'file'}: {why}", pointer=self.pointer, line=line, why=why)

    def refused(self, value: object, allowed: str) -> SettingsError:
        """Return the error that this value is not allowed here."""
        return self.wrong(f"{value!r} is not allowed here: {allowed}")

    def _line(self) -> int | None:
        steps = self._steps
        while steps and ".".join(steps) not in self._lines:
            steps = steps[:-1]
        return self._lines.get(".".join(steps))

    def mapping(self, value: Any, needed: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
        """Return a mapping that has all ``needed`` keys and no others than these and ``optional``."""
        known = ", ".join(sorted({*needed, *optional}))
        if not isinstance(value, dict):
            raise self.refused(value, f"give a mapping of {known}")
        for key in value:
            if key not in needed and key not in optional:
                raise (self / key).refused(key, f"use {known}")
        for key in sorted(set(needed) - value.keys()):
            raise self.wrong(f"{key!r} is missing")
        return value

    def texts(self, value: Any, known: Collection[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts, each one of ``known``."""
        if not isinstance(value, list):
            raise self.refused(value, "give a list")
        for item in value:
            if not isinstance(item, str) or (known is not None and item not in known):
                raise self.refused(item, f"use {', '.join(known)}" if known else "use a text")
        return tuple(value)

    def text(self, value: Any, most: int = 2000) -> str:
        """Return a text that is not empty."""
        if not isinstance(value, str) or not value.strip() or len(value) > most:
            raise self.refused(value, f"use a text of 1 to {most} characters")
        return value

    def whole(self, value: Any, least: int, most: int = 10**9) -> int:
        """Return a whole number."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refused(value, f"use a whole number from {least}")
        return value

    def one_of(self, value: Any, known: Collection[str]) -> str:
        """Return a text that is one of ``known``."""
        if not isinstance(value, str) or value not in known:
            raise self.refused(value, f"use {' or '.join(known)}")
        return value


def _note_lines(node: yaml.Node, path: str, lines: dict[str, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        steps = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        steps = [(str(index), item, item) for index, item in enumerate(node.value)]
    else:
        return
    for step, named, below in steps:
        inner = f"{path}.{step}" if path else step
        lines[inner] = named.start_mark.line + 1
        _note_lines(below, inner, lines)
