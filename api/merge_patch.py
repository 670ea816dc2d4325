"""JSON merge patch (RFC 7396) on the members of a thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """Return ``target`` changed by ``patch`` (RFC 7396 §2)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def merged(row: Mapping[str, Any], changes: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new values of the members that ``changes`` names.

    Args:
        defaults: what a member becomes when it is taken away.
    """
    patched = merge_patch({name: row[name] for name in changes}, changes)
    return {name: patched[name] if name in patched else defaults.get(name) for name in changes}
