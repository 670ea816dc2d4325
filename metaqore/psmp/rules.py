"""The conflict rules and the modes. Pure: facts in, conflicts and a ruling out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from metaqore.canonical import canonical_json, sha256_hex
from metaqore.errors import InvalidInput
from metaqore.ids import new_id
from metaqore.messages import Request
from metaqore.psmp.model import (
    CIRCULAR_DEPENDENCY,
    LIFECYCLES,
    MISSING_DEPENDENCY,
    PARALLEL_CREATION,
    RESERVED_TYPES,
    VERSION_MISMATCH,
    Conflict,
    Declaration,
    Dependency,
    Head,
    Mode,
    Rule,
    Studied,
)

_TYPE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LABELS = ("PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL")
MAX_NAME = 512
MAX_DEPENDENCIES = 256


class Ruling(Enum):
    """What a mode makes of conflicts."""

    ADMIT = "admit"
    BLOCK = "block"
    RESOLVE = "resolve"


def study(request: Request) -> Studied:
    """Parse, check and hash a declaration.

    Raises:
        InvalidInput: the payload is no valid declaration; the message has the JSON path.
    """
    try:
        declaration = msgspec.convert(request.payload, Declaration)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.declare: {error}") from error
    check(declaration)
    content = canonical_json(declaration.content)
    body = msgspec.json.encode(
        {
            "depends_on": declaration.depends_on,
            "requires": declaration.requires,
            "claims": declaration.claims,
            "metadata": declaration.metadata,
        }
    )
    return Studied(declaration, content.decode(), sha256_hex(content), body.decode())


def check(declaration: Declaration) -> None:
    """Refuse what no project could admit.

    Raises:
        InvalidInput: says which field, its value and what is allowed.
    """
    if not _TYPE.fullmatch(declaration.type):
        raise InvalidInput(f"type {declaration.type!r}: use lower case letters, digits, '_', '.', '-' (at most 64)")
    if declaration.type in RESERVED_TYPES:
        raise InvalidInput(f"type {declaration.type!r} is reserved: only MetaQore itself declares it")
    if not declaration.name.strip() or len(declaration.name) > MAX_NAME:
        raise InvalidInput(f"name: 1 to {MAX_NAME} characters that are not all blank")
    if declaration.label is not None and declaration.label not in _LABELS:
        raise InvalidInput(f"label {declaration.label!r}: one of {', '.join(_LABELS)}")
    if declaration.base_version is not None and declaration.base_version < 0:
        raise InvalidInput("base_version: 0 or more")
    if len(declaration.depends_on) > MAX_DEPENDENCIES:
        raise InvalidInput(f"depends_on: at most {MAX_DEPENDENCIES} entries")
    for index, dependency in enumerate(declaration.depends_on):
        by_name = dependency.type is not None and dependency.name is not None
        if (dependency.artifact is None) != by_name:
            raise InvalidInput(f"depends_on[{index}]: give either artifact, or type and name")


def found(rule: Rule, message: str, evidence: Mapping[str, Any]) -> Conflict:
    """Return a conflict of ``rule`` with a new id."""
    return Conflict(id=new_id("conf"), rule=rule, message=message, evidence=evidence)


def version_conflict(
    declaration: Declaration, principal: str, head: Head | None, movers: Sequence[str]
) -> Conflict | None:
    """Compare the base version with the head.

    Args:
        movers: who made the versions after the base, where the base is behind the head.
    """
    base = declaration.base_version or 0
    present = head.head if head is not None else 0
    if base == present:
        return None
    where = f"{declaration.type}/{declaration.name}"
    evidence = {"base_version": base, "head_version": present, "moved_by": sorted(set(movers))}
    if base > present:
        return found(VERSION_MISMATCH, f"{where} is at version {present}, not at {base}", evidence)
    others = sorted(set(movers) - {principal})
    if others:
        return found(
            PARALLEL_CREATION,
            f"{where} moved from version {base} to {present} by {', '.join(others)} while this was made",
            evidence,
        )
    return found(VERSION_MISMATCH, f"{where} is at version {present}; this was made from version {base}", evidence)


def missing_dependency(index: int, dependency: Dependency, head: Head | None) -> Conflict | None:
    """Say that a dependency is not there, or not at the version that is asked for."""
    shown = dependency.artifact or f"{dependency.type}/{dependency.name}"
    evidence = {"pointer": f"/depends_on/{index}", "dependency": shown, "version": dependency.version}
    if head is None:
        return found(MISSING_DEPENDENCY, f"{shown} does not exist in this project", evidence)
    if dependency.version is not None and not 1 <= dependency.version <= head.head:
        return found(MISSING_DEPENDENCY, f"{shown} has no version {dependency.version} (head {head.head})", evidence)
    return None


def circular_dependency(index: int, path: Sequence[str]) -> Conflict:
    """Say which cycle a dependency would close."""
    return found(
        CIRCULAR_DEPENDENCY,
        "this dependency closes a cycle: " + " → ".join(path),
        {"pointer": f"/depends_on/{index}", "cycle": list(path)},
    )


def rule_on(mode: Mode, conflicts: Sequence[Conflict]) -> Ruling:
    """Return what the mode makes of the conflicts.

    strict blocks on any conflict; adaptive resolves where the strategy can be carried out safely by the engine and
    blocks where it cannot; playground records and never blocks.
    """
    if not conflicts or mode == "playground":
        return Ruling.ADMIT
    if mode == "adaptive" and all(c.rule in (VERSION_MISMATCH, PARALLEL_CREATION) for c in conflicts):
        return Ruling.RESOLVE
    return Ruling.BLOCK


def legal_moves(subject: str, state: str) -> tuple[str, ...]:
    """Return where a ``subject`` (artifact, task, project) may go from ``state``."""
    return LIFECYCLES[subject].get(state, ())
