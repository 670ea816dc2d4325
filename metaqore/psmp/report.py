"""What is kept with a blocked declaration: the conflicts that were found. What to do is worked out when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaqore.psmp.model import Conflict, Declaration


def blocking_report(
    *,
    project: str,
    proposal: str | None,
    declaration: Declaration,
    head_version: int,
    conflicts: Sequence[Conflict],
    policy_digest: str,
) -> dict[str, Any]:
    """Return the report that is stored as the result of a blocked declaration; see ``reports`` for the rest of it.

    Args:
        proposal: None where it is not kept.
    """
    return {
        "project": project,
        "proposal": proposal,
        "artifact": {"type": declaration.type, "name": declaration.name},
        "base_version": declaration.base_version or 0,
        "head_version": head_version,
        "conflicts": [conflict.shown() for conflict in conflicts],
        "policy_digest": policy_digest,
        "links": {"remedies": f"/api/v1/proposals/{proposal}"} if proposal is not None else {},
    }
