"""A blocked declaration, decided again against what is there now. Pure but for the look-ups."""

from __future__ import annotations

from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.messages import AuditNote, Outcome, Request, Verdict
from metaqore.psmp.checks import workspace_for
from metaqore.psmp.declaration import studied_again
from metaqore.psmp.effects import NewConflict, NewProposal
from metaqore.psmp.handlers import decide
from metaqore.psmp.outcomes import KEPT_AT_ONCE
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads
from metaqore.psmp.proposals import Cause, Proposal, cause, declared


def decide_again(
    request: Request,
    proposal: Proposal,
    reads: PsmpReads,
    now: int,
    *,
    policy: Policy,
    over_conflicts: bool,
    provenance: dict[str, Any],
) -> Outcome:
    """Decide a kept declaration as its author's, in the name of ``request``.

    Nothing is kept twice: where it is still blocked, the proposal stays as it is, and the outcome writes and announces
    only the conflicts that have come up since.

    Args:
        over_conflicts: admit it whatever is in the way; else what can be resolved safely is.
    """
    payload = declared(proposal.payload)
    blocked = msgspec.structs.replace(
        request, principal=proposal.author, payload=payload, studied=studied_again(payload, None, policy.look)
    )
    outcome = decide(
        blocked, blocked.studied, workspace_for([blocked], reads, policy), now,
        mode="playground" if over_conflicts else "adaptive", provenance=provenance,
    )  # fmt: skip
    if outcome.error is None and outcome.verdict is not Verdict.APPROVED:
        return _still_blocked(outcome, proposal, policy)
    # The conflicts of the proposal are closed with it; what has come up since is recorded with the artifact.
    known = {cause(conflict) for conflict in proposal.conflicts}
    outcome.writes = [
        write for write in outcome.writes
        if not isinstance(write, NewProposal) and not (isinstance(write, NewConflict) and _cause(write) in known)
    ]  # fmt: skip
    return outcome


def _still_blocked(outcome: Outcome, proposal: Proposal, policy: Policy) -> Outcome:
    """Return the outcome of a declaration that stays blocked, as the proposal that it was kept as."""
    report = outcome.result["blocking_report"]
    stored = {cause(conflict): conflict["id"] for conflict in proposal.conflicts}
    # That the project keeps too many proposals says nothing of one that it keeps.
    shown = [each for each in report["conflicts"] if each["evidence"].get("bound") != KEPT_AT_ONCE]
    fresh = {each["id"] for each in shown if cause(each) not in stored}
    shown = [{**each, "id": stored.get(cause(each), each["id"])} for each in shown]
    opened = [
        msgspec.structs.replace(write, proposal=proposal.id, state="open", resolution=None, resolved_by=None)
        for write in outcome.writes if isinstance(write, NewConflict) and write.id in fresh
    ]  # fmt: skip
    report = {**report, "proposal": proposal.id, "conflicts": shown}
    return Outcome(
        verdict=outcome.verdict, result={**outcome.result, "blocking_report": report}, writes=[*opened],
        audit=[AuditNote(tag=Tag.CONFLICT_OPENED, subject=write.id, outcome=write.rule.conflict_class,
                         policy_digest=policy.digest) for write in opened],
        events=[event for event in outcome.events if event.subject in fresh],
    )  # fmt: skip


def _cause(write: NewConflict) -> Cause:
    evidence = msgspec.json.decode(write.evidence, type=dict[str, Any])
    return cause({"class": write.rule.conflict_class, "evidence": evidence})
