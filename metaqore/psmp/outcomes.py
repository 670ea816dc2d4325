"""The outcomes of a declaration: a version is appended, or it is kept as a blocked proposal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from metaqore.audit.tags import Tag
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, Write
from metaqore.psmp.catalogue import BOUND_EXCEEDED, Mode
from metaqore.psmp.checks import BLOCKED, keepers
from metaqore.psmp.declaration import with_provenance
from metaqore.psmp.effects import MoveHead, NewArtifact, NewConflict, NewProposal, NewVersion, SetEdges, SetRank
from metaqore.psmp.model import Case, Conflict, Head
from metaqore.psmp.report import blocking_report
from metaqore.psmp.workspace import Workspace

KeptState = Literal["open", "recorded", "resolved"]
#: A conflict that did not block: (conflict, state in which it is kept, what became of it).
Kept = tuple[Conflict, Literal["recorded", "resolved"], str]
#: What becomes of a conflict that was merged away.
MERGES = frozenset({"merged", "rebased"})
#: The bound on the blocked proposals that a project keeps.
KEPT_AT_ONCE = "parallel_branches"
_SENSITIVE = frozenset({"SENSITIVE", "CRITICAL"})


def admit(case: Case, workspace: Workspace, kept: Sequence[Kept] = ()) -> Outcome:
    """Return the outcome that appends a version, and lay it over the workspace."""
    request, head, studied = case.request, case.head, case.studied
    fresh = _fresh_head(case)
    left = [write for keep in keepers(case.traits) for write in keep(case, fresh, workspace)]
    body = with_provenance(studied.body, case.provenance) if case.provenance else studied.body
    edges = tuple(dict.fromkeys(d.id for d in case.dependencies))
    writes: list[Write] = [_head_moves(fresh, request, case.now, is_new=head is None)]
    writes += [
        NewVersion(fresh.id, fresh.head, request.organization, studied.content, studied.content_hash, fresh.label,
                   studied.declaration.base_version, body, request.id, request.principal, case.now),
        *(SetRank(node, rank) for node, rank in case.ranks.items()),
        *(_row(case, conflict, state, how, None, fresh.id) for conflict, state, how in kept),
        *left,
    ]  # fmt: skip
    if head is not None or edges:
        writes.append(SetEdges(fresh.id, edges, fresh=head is None))
    workspace.add_version(fresh, studied.content, body)
    workspace.set_edges(fresh.id, edges)
    for node, rank in case.ranks.items():
        workspace.set_rank(node, rank)
    return _admitted(case, fresh, writes, kept)


def _fresh_head(case: Case) -> Head:
    head, declaration, by = case.head, case.declaration, case.request.principal
    return Head(
        id=case.artifact, project=case.project.id, type=declaration.type, name=declaration.name,
        state=head.state if head is not None else case.policy.artifact.initial,
        head=head.head + 1 if head is not None else 1, content_hash=case.studied.content_hash,
        label=case.label, rank=case.rank, depth=case.depth,
        created_by=head.created_by if head is not None else by, updated_by=by,
    )  # fmt: skip


def _head_moves(fresh: Head, request: Request, now: int, *, is_new: bool) -> NewArtifact | MoveHead:
    if is_new:
        return NewArtifact(
            fresh.id, request.organization, fresh.project, fresh.type, fresh.name, fresh.state, fresh.head,
            fresh.content_hash, fresh.label, fresh.rank, fresh.created_by, now, fresh.holds, fresh.depth,
        )  # fmt: skip
    return MoveHead(
        fresh.id, fresh.head, fresh.content_hash, fresh.label, request.principal, now, fresh.holds, fresh.depth
    )


def _admitted(case: Case, fresh: Head, writes: list[Write], kept: Sequence[Kept]) -> Outcome:
    """Return what is shown, audited and announced of an admitted version."""
    created = case.head is None
    result: dict[str, Any] = {
        "artifact": {
            "id": fresh.id, "type": fresh.type, "name": fresh.name, "version": fresh.head, "state": fresh.state,
            "content_hash": fresh.content_hash, "label": fresh.label,
        },
        "created": created,
        "policy_digest": case.policy.digest,
        **case.result,
    }  # fmt: skip
    if kept:
        result["conflicts"] = [{**conflict.shown(), "resolution": how} for conflict, _, how in kept]
    if case.provenance:
        result["provenance"] = case.provenance
    note = AuditNote(
        tag=Tag.ARTIFACT_MERGED if any(how in MERGES for _, _, how in kept) else Tag.ARTIFACT_ADMITTED,
        subject=fresh.id,
        outcome="approved",
        details={"version": fresh.head, "content": fresh.content_hash},
        policy_digest=case.policy.digest,
    )
    kind = "artifact.created" if created else "artifact.updated"
    event = EventNote(kind, fresh.id, {"type": fresh.type, "name": fresh.name, "version": fresh.head})
    return Outcome(
        verdict=Verdict.APPROVED, result=result, writes=writes, audit=[note, *case.audit], events=[event, *case.events],
        no_cache=bool(kept) and _stays(case),
    )  # fmt: skip


def _stays(case: Case) -> bool:
    """Return whether what a conflict shows of contents may be in no cache."""
    return case.label in _SENSITIVE or (case.head is not None and case.head.label in _SENSITIVE)


def block(case: Case, workspace: Workspace) -> Outcome:
    """Return the outcome that keeps the declaration as a blocked proposal, with its conflicts, in the same commit.

    Where the project keeps as many as the policy allows, it is answered and recorded, but not kept.
    """
    if case.declaration.replaces is not None:
        # It takes the place of another, or leaves nothing behind: see ``replacements``.
        return _blocked(case, None, Tag.CONFLICT_OPENED)
    bound = case.policy.bounds.parallel_branches
    if bound is not None and workspace.branches(case.project.id, bound) >= bound:
        return _not_kept(case, bound)
    request, declaration = case.request, case.declaration
    proposal = new_id("prop")
    workspace.add_proposal((case.project.id, declaration.type, declaration.name), proposal)
    head_id = case.head.id if case.head is not None else None
    outcome = _blocked(case, proposal, Tag.CONFLICT_OPENED)
    outcome.writes = [
        NewProposal(proposal, request.organization, case.project.id, head_id, declaration.type, declaration.name,
                    request.id, request.principal, case.now),
        *(_row(case, conflict, "open", None, proposal, head_id) for conflict in case.conflicts),
        *(write for hook in BLOCKED for write in hook(case, proposal, workspace)),
    ]  # fmt: skip
    return outcome


def _not_kept(case: Case, bound: int) -> Outcome:
    """Return the outcome of a blocked declaration for which the project has no room."""
    message = f"the project keeps {bound} blocked proposals already: resolve or withdraw one of them"
    full = case.found(BOUND_EXCEEDED, message, "", bound=KEPT_AT_ONCE, limit=bound, reached=bound + 1)
    case.conflicts = [*case.conflicts, full]
    outcome = _blocked(case, None, Tag.CONFLICT_RECORDED)
    head_id = case.head.id if case.head is not None else None
    outcome.writes = [_row(case, conflict, "recorded", "not_kept", None, head_id) for conflict in case.conflicts]
    return outcome


def _blocked(case: Case, proposal: str | None, tag: Tag) -> Outcome:
    """Return what is shown, audited and announced of a blocked declaration."""
    declaration, digest, subject = case.declaration, case.policy.digest, proposal or case.request.id
    report = blocking_report(
        project=case.project.id, proposal=proposal, declaration=declaration, policy_digest=digest,
        head_version=case.head.head if case.head is not None else 0, conflicts=case.conflicts,
    )  # fmt: skip
    if case.merged is not None and not case.merged.clean:
        report["merge_conflicts"] = list(case.merged.hunks)
    audit = [
        AuditNote(tag=Tag.ARTIFACT_BLOCKED, subject=subject, outcome="blocked",
                  details={"conflicts": len(case.conflicts), "mode": case.mode}, policy_digest=digest),
        *(AuditNote(tag=tag, subject=c.id, outcome=c.rule.conflict_class, policy_digest=digest)
          for c in case.conflicts),
    ]  # fmt: skip
    events = [
        EventNote("artifact.blocked", subject, {"type": declaration.type, "name": declaration.name}),
        *(EventNote("conflict.detected", c.id, {"class": c.rule.conflict_class, "severity": c.rule.severity.value})
          for c in case.conflicts),
    ]  # fmt: skip
    return Outcome(
        verdict=Verdict.BLOCKED, result={"blocking_report": report}, audit=audit, events=events, no_cache=_stays(case)
    )


def _row(
    case: Case, conflict: Conflict, state: KeptState, resolution: str | None, proposal: str | None,
    artifact: str | None,
) -> NewConflict:  # fmt: skip
    return conflict_row(
        conflict, case.request, case.project.id, case.mode, state, case.now,
        resolution=resolution, proposal=proposal, artifact=artifact,
    )  # fmt: skip


def conflict_row(
    conflict: Conflict,
    request: Request,
    project: str,
    mode: Mode,
    state: KeptState,
    now: int,
    *,
    resolution: str | None,
    proposal: str | None = None,
    artifact: str | None = None,
) -> NewConflict:
    """Return the effect that records a conflict."""
    evidence = msgspec.json.encode({"message": conflict.message, **conflict.evidence}).decode()
    return NewConflict(
        conflict.id, request.organization, project, proposal, artifact, request.id, conflict.rule, mode, state,
        evidence, resolution, None if state == "open" else "metaqore", now,
    )  # fmt: skip
