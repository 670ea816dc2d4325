"""A declaration that takes the place of its author's own blocked one. Pure but for the look-ups.

Admitted, it closes that proposal and its conflicts in the same commit. Not admitted, it leaves nothing behind: the
answer is ``precondition_failed``, because a replacement is made for the state of the world that a report has shown.
"""

from __future__ import annotations

from metaqore.messages import Outcome, Request, Verdict, failed
from metaqore.psmp.conditions import UNMET, missed
from metaqore.psmp.proposals import Proposal, ProposalReads, close

#: Under which a run remembers what it has replaced.
MEMORY = "replaced"


def find(request: Request, replaces: str, reads: ProposalReads, done: set[str]) -> Proposal | Outcome:
    """Return the proposal to be replaced, or the refusal to do so.

    Args:
        done: what this run has replaced already; the look-ups do not see it yet.
    """
    proposal = reads.proposal(request.organization, replaces)
    if proposal is None or proposal.project != request.project:
        return failed("not_found", f"proposal {replaces} does not exist in this project")
    if proposal.author != request.principal:
        message = f"proposal {replaces} is {proposal.author}'s: resolve one of its conflicts instead"
        return failed("forbidden", message)
    if proposal.state != "blocked" or replaces in done:
        return failed(UNMET, f"proposal {replaces} is not blocked any more: there is nothing to replace")
    return proposal


def settle(request: Request, outcome: Outcome, proposal: Proposal, done: set[str], now: int) -> Outcome:
    """Return the outcome of a replacement: what it replaces is closed, or nothing is left behind."""
    if outcome.verdict is not Verdict.APPROVED:
        return missed(outcome)
    done.add(proposal.id)
    kept = outcome.result.get("conflicts")
    close(outcome, proposal, "admitted", "replace", request, now)
    if kept:
        outcome.result = {**outcome.result, "conflicts": kept}
    return outcome
