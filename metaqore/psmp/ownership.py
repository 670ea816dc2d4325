"""Who manages which field of an artifact: several authors share one document without overwriting each other. Pure.

The rules are those of server-side apply in Kubernetes, with JSON pointers for field paths: a field has the value that
its manager gave it; whoever would change it needs to take it over by name (``force``); two who give a field the same
value manage it together; a manager that names its fields anew without one of them gives that one up. A change that was
let through all the same (playground, override) makes its author the manager.

A pointer is RFC 6901. In a list of files, ``/files/<path>`` may be written with its slashes as they are.

Source: Kubernetes documentation, "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from metaqore.canonical import canonical_json, sha256_hex

#: Stands for "there is no such field".
ABSENT: Final = object()
_FILES = "/files/"


class Field(msgspec.Struct, frozen=True):
    """A field under management. ``since`` is the version from which on it has been managed."""

    pointer: str
    manager: str
    value_hash: str
    since: int


class Clash(msgspec.Struct, frozen=True):
    """A managed field that a declaration changes; ``declared_hash`` is None where it takes the field away."""

    field: Field
    declared_hash: str | None


def canonical_pointer(content: Any, pointer: str) -> str:
    """Return the RFC 6901 form of a pointer into ``content``."""
    if not pointer.startswith(_FILES) or not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        return pointer
    return _FILES + pointer.removeprefix(_FILES).replace("/", "~1")


def value_at(content: Any, pointer: str) -> Any:
    """Return what an RFC 6901 pointer names, or ``ABSENT``."""
    if not pointer:
        return content
    for token in pointer[1:].split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(content, dict):
            content = content.get(name, ABSENT)
        elif isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        else:
            return ABSENT
        if content is ABSENT:
            return ABSENT
    return content


def hash_at(content: Any, pointer: str) -> str | None:
    """Return the hash of the value under a pointer; None where there is none."""
    value = value_at(content, pointer)
    return None if value is ABSENT else sha256_hex(canonical_json(value))


def inside(pointer: str, outer: str) -> bool:
    """Return whether ``pointer`` is ``outer`` or lies below it."""
    return pointer == outer or pointer.startswith(f"{outer}/")


def clashes(
    content: Any,
    fields: Iterable[Field],
    principal: str,
    taken: Sequence[str],
    *,
    base: Callable[[], Any] | None,
    present: Callable[[], Any],
) -> list[Clash]:
    """Return the fields of others that a declaration changes without taking them over.

    Args:
        content: what is declared.
        taken: pointers that the author takes over (``force``).
        base: the content that the declaration started from, where that is not the present one: what is as it was
            there is no change of this author's. None where it started from the present one, or from nothing.
        present: the present content.
    """
    found = []
    for field in fields:
        declared = hash_at(content, field.pointer)
        if field.manager == principal or declared == field.value_hash:
            continue
        if any(inside(field.pointer, pointer) for pointer in taken):
            continue
        if base is not None and declared == hash_at(base(), field.pointer):
            continue
        parts = [pointer for pointer in taken if inside(pointer, field.pointer)]
        if parts and _changes_only(present(), content, field.pointer, parts):
            continue
        found.append(Clash(field, declared))
    return found


def _changes_only(present: Any, content: Any, pointer: str, parts: Sequence[str]) -> bool:
    """Return whether the value under ``pointer`` differs in nothing but ``parts`` of it."""
    old, new = value_at(present, pointer), value_at(content, pointer)
    if old is ABSENT or new is ABSENT:
        return False
    below = [part[len(pointer) :] for part in parts]
    return bool(canonical_json(_without(old, below)) == canonical_json(_without(new, below)))


def _without(value: Any, pointers: Iterable[str]) -> Any:
    copied = msgspec.json.decode(canonical_json(value))
    for pointer in pointers:
        outer, _, last = pointer.rpartition("/")
        holder = value_at(copied, outer)
        name = last.replace("~1", "/").replace("~0", "~")
        if isinstance(holder, dict):
            holder.pop(name, None)
        elif isinstance(holder, list) and name.isdecimal() and int(name) < len(holder):
            # Elements keep their places.
            holder[int(name)] = None
    return copied


def managed(
    content: Any,
    fields: Sequence[Field],
    principal: str,
    owns: Sequence[str] | None,
    taken: Sequence[str],
    version: int,
) -> list[Field]:
    """Return who manages what of an admitted version.

    Args:
        fields: who managed what until now.
        owns: the pointers that the author names, RFC 6901; None where it names none: it keeps what it manages.
        taken: the pointers that it takes over from others.
        version: the admitted version.
    """
    kept: dict[tuple[str, str], Field] = {}
    won: list[str] = []
    for field in fields:
        present = hash_at(content, field.pointer)
        if present is None:
            continue
        if field.manager == principal:
            if owns is None or field.pointer in owns:
                kept[field.pointer, principal] = msgspec.structs.replace(field, value_hash=present)
        elif any(inside(field.pointer, pointer) for pointer in taken):
            continue
        elif present == field.value_hash:
            kept[field.pointer, field.manager] = field
        elif any(inside(pointer, field.pointer) for pointer in taken):
            # Only a part was taken over; the rest stays with its manager.
            kept[field.pointer, field.manager] = msgspec.structs.replace(field, value_hash=present)
        else:
            won.append(field.pointer)
    for pointer in (*(owns or ()), *taken, *won):
        value_hash = hash_at(content, pointer)
        if value_hash is not None and (pointer, principal) not in kept:
            kept[pointer, principal] = Field(pointer, principal, value_hash, version)
    return [kept[key] for key in sorted(kept)]
