"""Decides ``conflict.resolve``: each strategy has an effect, an authority and an audit entry.

retry      look at the blocked declaration again, against what is there now; a stale base is merged if that is clean
merge      merge it with the head, three-way; blocked again where changes collide
override   admit it over the conflict; needs the scope ``conflicts:override`` and a reason
escalate   hand it to a person: the conflict is marked and announced, other work goes on around it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp.checks import workspace_for
from metaqore.psmp.declaration import studied_again
from metaqore.psmp.effects import CloseProposal, NewConflict, NewProposal, ResolveConflicts
from metaqore.psmp.handlers import decide
from metaqore.psmp.ports import PsmpReads


class Resolve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``conflict.resolve``. ``authority`` is set by the door, from the caller's scopes."""

    conflict: str
    strategy: Literal["retry", "merge", "override", "escalate"] = "retry"
    reason: str = ""
    authority: tuple[str, ...] = ()


def study(request: Request) -> Resolve:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid resolution; override without a reason.
    """
    try:
        resolve = msgspec.convert(request.payload, Resolve)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"conflict.resolve: {error}") from error
    if resolve.strategy == "override" and not resolve.reason.strip():
        raise InvalidInput("conflict.resolve: override needs a reason; it is kept in the audit log")
    return resolve


def resolve(batch: Sequence[Request], reads: PsmpReads, now: int) -> list[Outcome]:
    """Decide resolutions. A run of them is one long: each must see what the one before it did."""
    return [_resolve(request, request.studied, reads, now) for request in batch]


def _resolve(request: Request, asked: Resolve, reads: PsmpReads, now: int) -> Outcome:
    row = reads.conflict(request.organization, asked.conflict)
    if row is None or row["project"] != request.project:
        return failed("not_found", f"conflict {asked.conflict} does not exist")
    if row["state"] not in ("open", "escalated"):
        return failed("already_resolved", f"conflict {asked.conflict} is {row['state']} by {row['resolution']}")
    if asked.strategy == "escalate":
        return _escalate(request, asked, now)
    if asked.strategy == "override" and "conflicts:override" not in asked.authority:
        return failed("forbidden", "override needs the scope conflicts:override")
    return _decide_again(request, asked, row, reads, now)


def _escalate(request: Request, asked: Resolve, now: int) -> Outcome:
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"conflict": {"id": asked.conflict, "state": "escalated"}},
        writes=[ResolveConflicts((asked.conflict,), "escalated", "escalate", request.principal, now)],
        audit=[AuditNote(tag=Tag.APPROVAL_REQUESTED, subject=asked.conflict, outcome="escalated")],
        events=[EventNote("conflict.escalated", asked.conflict, {"by": request.principal})],
    )


def _decide_again(request: Request, asked: Resolve, row: Mapping[str, Any], reads: PsmpReads, now: int) -> Outcome:
    blocked = _as_blocked_request(request, row)
    override = asked.strategy == "override"
    studied = studied_again(row["payload"], None)
    blocked.studied = studied
    workspace = workspace_for([blocked], reads)
    provenance = {"resolution": asked.strategy, "resolved_by": request.principal, "conflict": asked.conflict}
    if override:
        provenance["reason"] = asked.reason
    outcome = decide(
        blocked, studied, workspace, now, mode="playground" if override else "adaptive", provenance=provenance
    )
    if outcome.error is not None:
        return outcome
    if outcome.verdict is not Verdict.APPROVED:
        # Still in the way: the first proposal and its conflicts stay as they are; nothing is kept twice.
        outcome.writes = [w for w in outcome.writes if not isinstance(w, NewProposal | NewConflict)]
        outcome.events = []
        report = {**outcome.result["blocking_report"], "proposal": row["proposal"]}
        outcome.result = {"blocking_report": report}
        outcome.audit = [AuditNote(tag=Tag.CONFLICT_RESOLVED, subject=asked.conflict, outcome="blocked",
                                   details={"strategy": asked.strategy})]  # fmt: skip
        return outcome
    closed = tuple(reads.open_conflicts(row["proposal"]))
    outcome.writes = [w for w in outcome.writes if not isinstance(w, NewConflict)]
    outcome.writes += [
        CloseProposal(row["proposal"], "admitted", now),
        ResolveConflicts(closed, "resolved", asked.strategy, request.principal, now),
    ]
    outcome.audit += [
        AuditNote(tag=Tag.CONFLICT_RESOLVED, subject=conflict, outcome="resolved",
                  details={"strategy": asked.strategy}) for conflict in closed
    ]  # fmt: skip
    outcome.events += [EventNote("conflict.resolved", c, {"strategy": asked.strategy}) for c in closed]
    outcome.result = {**outcome.result, "resolved": list(closed), "strategy": asked.strategy}
    outcome.result.pop("conflicts", None)
    return outcome


def _as_blocked_request(request: Request, row: Mapping[str, Any]) -> Request:
    """Return the request as whose outcome the new version counts: this one's id, the author's name."""
    return msgspec.structs.replace(request, principal=row["created_by"], payload=dict(row["payload"]), studied=None)
