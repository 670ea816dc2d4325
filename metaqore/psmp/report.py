"""The blocking report: what stands in the way, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaqore.psmp.catalogue import MISSING_DEPENDENCY, PARALLEL_CREATION, VERSION_MISMATCH, Strategy
from metaqore.psmp.model import Conflict, Declaration

#: The scope that each way out needs.
NEEDS = {
    Strategy.RETRY: "artifacts:write",
    Strategy.MERGE: "conflicts:resolve",
    Strategy.OVERRIDE: "conflicts:override",
    Strategy.ESCALATE: "conflicts:resolve",
}


def blocking_report(
    *, project: str, proposal: str, declaration: Declaration, head_version: int, conflicts: Sequence[Conflict]
) -> dict[str, Any]:
    """Return the report that goes with a blocked declaration."""
    return {
        "project": project,
        "proposal": proposal,
        "artifact": {"type": declaration.type, "name": declaration.name},
        "base_version": declaration.base_version or 0,
        "head_version": head_version,
        "conflicts": [conflict.shown() for conflict in conflicts],
        "suggestions": [step for conflict in conflicts for step in _suggest(conflict, head_version)],
    }


def _suggest(conflict: Conflict, head_version: int) -> list[dict[str, Any]]:
    ways = [conflict.rule.strategy]
    if conflict.rule.id in (VERSION_MISMATCH.id, PARALLEL_CREATION.id):
        ways += [s for s in (Strategy.MERGE, Strategy.RETRY) if s not in ways]
    ways += [s for s in (Strategy.OVERRIDE, Strategy.ESCALATE) if s not in ways]
    return [
        {
            "strategy": way.value,
            "what": _what(way, conflict, head_version),
            "needs_scope": NEEDS[way],
            "request": {
                "method": "POST",
                "url": f"/api/v1/conflicts/{conflict.id}/resolve",
                "body": {"strategy": way.value, **({"reason": ""} if way is Strategy.OVERRIDE else {})},
            },
        }
        for way in ways
    ]


def _what(way: Strategy, conflict: Conflict, head_version: int) -> str:
    if way is Strategy.MERGE:
        return f"Merge this content with version {head_version}; it is admitted if no change collides."
    if way is Strategy.OVERRIDE:
        return "Admit it as it is, over the conflict. Say why; the reason is kept in the audit log."
    if way is Strategy.ESCALATE:
        return "Hand the decision to a person."
    if conflict.rule.id == MISSING_DEPENDENCY.id:
        return f"Declare {conflict.evidence['dependency']} first, then repeat this; or leave the dependency out."
    return f"Read version {head_version}, make the change on top of it, and declare with base_version {head_version}."
