"""Which conflicts of a blocked proposal still stand in its way, and why the others do not. Pure.

A conflict is kept as it was found. The world moves on: a dependency appears, a rival is withdrawn, the mode changes.
Nothing is written for that, as a declaration must not pay for conflicts of others: who reads a conflict is told.
"""

from __future__ import annotations

from collections.abc import Mapping

from metaqore.messages import Outcome, Verdict
from metaqore.psmp.proposals import Proposal, cause

_GONE = "it is not found any more; what blocks the proposal now is in its blocking report"
_NOTHING = "nothing is in the way of the proposal any more: resolve the conflict with the strategy retry"
_LET_THROUGH = "it would not block any more, as the project is governed now ({how}): resolve it with the strategy retry"


def obsolete(proposal: Proposal, present: Outcome) -> dict[str, str] | None:
    """Return why conflicts do not apply any more, by id; None where that cannot be told.

    Args:
        proposal: a blocked one, with its unresolved conflicts.
        present: what would be decided about its declaration now.
    """
    if present.error is not None or present.verdict is Verdict.VETOED:
        return None
    found = {cause(each): each for each in present.result.get("blocking_report", present.result).get("conflicts", ())}
    blocked = present.verdict is Verdict.BLOCKED
    why = {}
    for conflict in proposal.conflicts:
        still = found.get(cause(conflict))
        if still is None:
            why[conflict["id"]] = _GONE if blocked else _NOTHING
        elif not blocked:
            why[conflict["id"]] = _LET_THROUGH.format(how=still.get("resolution", "recorded"))
    return why


def told(conflict: Mapping[str, object], why: Mapping[str, str] | None) -> dict[str, object]:
    """Return what is said of an unresolved conflict: whether it applies, and why it does not."""
    reason = None if why is None else why.get(str(conflict["id"]))
    return {"applies": None if why is None else reason is None, "obsolete_reason": reason}
