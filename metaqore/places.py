"""Reading a configuration file (YAML) strictly: whatever is wrong is refused with file, line and key.

What is a name is taken as it is written: ``12.1``, ``on`` and ``007`` are names where names stand, whatever YAML would
make of them elsewhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from metaqore import strict_yaml
from metaqore.errors import SettingsError

_MAX_TEXT = 1_000
#: So many names are listed where another one was given.
_MOST_LISTED = 40


class Place:
    """One value of a file, with where it stands."""

    def __init__(self, file: str, key: str, node: yaml.Node) -> None:
        self.file = file
        self.key = key
        self.node = node

    def refuse(self, why: str) -> SettingsError:
        """Return what is to be raised about this place."""
        return SettingsError(f"{self.file}:{self.node.start_mark.line + 1}: {self.key or 'the file'}: {why}")

    def value(self) -> Any:
        """Return a scalar as YAML reads it."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.refuse("a single value is expected here")
        try:
            return yaml.constructor.SafeConstructor().construct_object(self.node)
        except (ValueError, yaml.YAMLError) as error:
            raise self.refuse(f"{self.node.value!r} cannot be read: {error}") from error

    def is_mapping(self) -> bool:
        """Tell whether a mapping stands here."""
        return isinstance(self.node, yaml.MappingNode)

    def members(self) -> dict[str, Place]:
        """Return the members of a mapping."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.refuse("a mapping is expected here")
        found: dict[str, Place] = {}
        for name, value in self.node.value:
            key = str(name.value) if isinstance(name, yaml.ScalarNode) else ""
            place = Place(self.file, f"{self.key}.{key}" if self.key else key, name)
            if not key:
                raise place.refuse("a key is a text")
            if key in found:
                raise place.refuse("is given twice")
            found[key] = Place(self.file, place.key, value)
        return found

    def only(self, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Place]:
        """Return the members of a mapping that has all that is required and nothing unknown."""
        required, members = [*required], self.members()
        known = [*required, *optional]
        for name, place in members.items():
            if name not in known:
                raise place.refuse(f"is unknown here{_near(name, known)}: use {', '.join(known)}")
        for name in required:
            if name not in members:
                raise self.refuse(f"{name!r} is missing")
        return members

    def items(self) -> list[Place]:
        """Return the elements of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.refuse("a list is expected here")
        return [Place(self.file, f"{self.key}[{i}]", node) for i, node in enumerate(self.node.value)]

    def one_or_more(self) -> list[Place]:
        """Return the elements of a list that is not empty, or the one value itself."""
        if not isinstance(self.node, yaml.SequenceNode):
            return [self]
        if not self.node.value:
            raise self.refuse("the list is empty")
        return self.items()

    def text(self) -> str:
        """Return a text that is not blank."""
        found = self.value()
        if not isinstance(found, str) or not found.strip() or len(found) > _MAX_TEXT:
            raise self.refuse(f"{found!r}: use a text of 1 to {_MAX_TEXT} characters")
        return found.strip()

    def name(self) -> str:
        """Return the text as it is written, whatever YAML would make of it."""
        if not isinstance(self.node, yaml.ScalarNode) or not self.node.value:
            raise self.refuse("a name is expected here")
        return str(self.node.value)

    def whole(self, least: int = 1) -> int:
        """Return a whole number."""
        found = self.value()
        if type(found) is not int or found < least:
            raise self.refuse(f"{found!r}: a whole number from {least} on is expected")
        return found

    def flag(self) -> bool:
        """Return true or false."""
        found = self.value()
        if not isinstance(found, bool):
            raise self.refuse(f"{found!r}: use true or false")
        return found

    def known(self, names: Iterable[str], what: str) -> str:
        """Return one of ``names``."""
        found, names = self.name(), [*names]
        if found not in names:
            use = f": use {', '.join(names)}" if len(names) <= _MOST_LISTED else ""
            raise self.refuse(f"{found!r} is no {what}{_near(found, names)}{use}")
        return found


def read_places(path: Path) -> tuple[str, Place]:
    """Return the text of an installed file and its root.

    Raises:
        SettingsError: it cannot be read, or is not valid YAML.
    """
    text = strict_yaml.read(path)
    return text, place_of(str(path), text, strict_yaml.Quick)


def place_of(file: str, text: str, loader: Any = yaml.SafeLoader) -> Place:
    """Return the root of a text; ``file`` is what messages call it.

    Raises:
        SettingsError: it is empty, or not valid YAML.
    """
    try:
        root = yaml.compose(text, Loader=loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{file}: is not valid YAML: {error}") from error
    if root is None:
        raise SettingsError(f"{file}:1: the file is empty")
    return Place(file, "", root)


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [*known], n=1)
    return f", did you mean {near[0]!r}?" if near else ""
