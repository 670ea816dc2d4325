"""Reading a configuration file (YAML) straight into a type: unknown keys, wrong types and repeated keys are refused."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from metaqore.errors import SettingsError

T = TypeVar("T")


class _Once:
    """YAML in which a key may occur once only: the last one winning in silence hides mistakes."""

    def construct_mapping(self: Any, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping; named by the base class."""
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                why = f"key {key!r} is given twice" if isinstance(key, Hashable) else "a key must be a scalar"
                raise yaml.constructor.ConstructorError(None, None, why, key_node.start_mark)
            seen.add(key)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)  # type: ignore[misc]
        return found


class Strict(_Once, yaml.SafeLoader):
    """Reads anybody's text."""


class Quick(_Once, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads what was installed, in a tenth of the time; deep nesting kills it, so nobody's request."""


def read(path: Path) -> str:
    """Return the text of a file.

    Raises:
        SettingsError: it cannot be read; says which and why.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error


def parse(text: str, into: type[T], *, source: str, loader: Any = Strict) -> T:
    """Return a YAML text as ``into``, an empty one as an empty mapping; ``source`` is what messages call it.

    Raises:
        SettingsError: it is not valid YAML, or not of that type; says where and what is allowed.
    """
    try:
        found = yaml.load(text, Loader=loader)  # noqa: S506  both loaders are safe ones
        return msgspec.convert({} if found is None else found, into)
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{source}: not valid YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {error}") from error
