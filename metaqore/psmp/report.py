"""What is kept with a blocked declaration: the conflicts that were found. What to do is worked out when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaqore.psmp.model import Conflict, Declaration


def blocking_report(
    *, project: str, proposal: str, declaration: Declaration, head_version: int, conflicts: Sequence[Conflict]
) -> dict[str, Any]:
    """Return the report that is stored as the result of a blocked declaration; see ``reports`` for the rest of it."""
    return {
        "project": project,
        "proposal": proposal,
        "artifact": {"type": declaration.type, "name": declaration.name},
        "base_version": declaration.base_version or 0,
        "head_version": head_version,
        "conflicts": [conflict.shown() for conflict in conflicts],
        "links": {"remedies": f"/api/v1/proposals/{proposal}"},
    }
