"""Decides ``artifact.*`` requests. Returns outcomes; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from metaqore.audit.tags import Tag
from metaqore.canonical import canonical_json, sha256_hex
from metaqore.errors import InvalidInput
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, Write, failed
from metaqore.psmp import graph
from metaqore.psmp.model import (
    Conflict,
    Declaration,
    Head,
    MoveHead,
    NewArtifact,
    NewConflict,
    NewProposal,
    NewVersion,
    Project,
    SetArtifactState,
    SetEdges,
    SetRank,
    Studied,
)
from metaqore.psmp.ports import PsmpReads
from metaqore.psmp.report import blocking_report
from metaqore.psmp.resolve import merge_contents
from metaqore.psmp.rules import (
    Ruling,
    circular_dependency,
    legal_moves,
    missing_dependency,
    rule_on,
    version_conflict,
)
from metaqore.psmp.workspace import Workspace

CLOSED = frozenset({"completed", "archived"})
DEFAULT_LABEL = "INTERNAL"

#: In which state a conflict is recorded.
Kept = Literal["open", "recorded", "resolved"]


def declare(batch: Sequence[Request], reads: PsmpReads, now: int) -> list[Outcome]:
    """Decide a run of declarations, each on top of what the ones before it did."""
    workspace = Workspace(batch, reads)
    return [decide(request, request.studied, workspace, now) for request in batch]


class Case(msgspec.Struct, kw_only=True):
    """One declaration being decided."""

    request: Request
    studied: Studied
    project: Project
    head: Head | None
    #: The id of the artifact, also of one that is still to be made.
    artifact: str
    #: Resolved dependencies, in the order of ``depends_on``.
    dependencies: list[Head]
    conflicts: list[Conflict]
    ranks: dict[str, int]
    now: int


def decide(
    request: Request,
    studied: Studied,
    workspace: Workspace,
    now: int,
    *,
    mode: str | None = None,
    provenance: dict[str, Any] | None = None,
) -> Outcome:
    """Decide one declaration.

    Args:
        mode: overrules the project's mode; a resolution uses it.
        provenance: added to that of the admitted version.
    """
    project = workspace.projects.get(request.project or "")
    if project is None or project.organization != request.organization:
        return failed("not_found", f"project {request.project} does not exist")
    if project.state in CLOSED:
        return failed("project_closed", f"project {project.id} is {project.state}: it admits nothing more")
    case = _open_case(request, studied, project, workspace, now)
    ruling = rule_on(mode or project.mode, case.conflicts)  # type: ignore[arg-type]
    if ruling is Ruling.RESOLVE:
        return resolve_by_merge(case, workspace, by="adaptive")
    if ruling is Ruling.BLOCK:
        return block(case, mode=mode or project.mode)
    recorded: list[tuple[Conflict, Kept, str]] = [(c, "recorded", "let_through") for c in case.conflicts]
    return admit(case, workspace, studied, recorded, provenance or {})


def _open_case(request: Request, studied: Studied, project: Project, workspace: Workspace, now: int) -> Case:
    declaration = studied.declaration
    head = workspace.head((project.id, declaration.type, declaration.name))
    case = Case(
        request=request, studied=studied, project=project, head=head,
        artifact=head.id if head is not None else new_id("art"), dependencies=[], conflicts=[], ranks={}, now=now,
    )  # fmt: skip
    base = declaration.base_version or 0
    movers = workspace.movers(head.id, base) if head is not None and base < head.head else []
    conflict = version_conflict(declaration, request.principal, head, movers)
    if conflict is not None:
        case.conflicts.append(conflict)
    for index, dependency in enumerate(declaration.depends_on):
        target = workspace.dependency(project.id, dependency)
        if target is None and (dependency.type, dependency.name) == (declaration.type, declaration.name):
            itself = f"{declaration.type}/{declaration.name}"
            case.conflicts.append(circular_dependency(index, [itself, itself]))
            continue
        missing = missing_dependency(index, dependency, target)
        if missing is not None or target is None:
            case.conflicts += [missing] if missing is not None else []
            continue
        if _closes_no_cycle(case, index, target, workspace):
            case.dependencies.append(target)
    return case


def _closes_no_cycle(case: Case, index: int, target: Head, workspace: Workspace) -> bool:
    """Find the ranks that let the artifact come after ``target``.

    An edge that closes a cycle is never stored, even where the mode lets the declaration through: the order must
    stay sound.
    """

    def moved(rows: Iterable[tuple[str, str, int]]) -> Iterable[tuple[str, str, int]]:
        # What an earlier dependency of this very declaration has moved.
        return ((node, other, case.ranks.get(other, rank)) for node, other, rank in rows)

    try:
        ranks = graph.add_edge(
            case.artifact, _rank(case), target.id, case.ranks.get(target.id, target.rank),
            down=lambda ids: moved(workspace.down(ids)), up=lambda ids: moved(workspace.up(ids)),
        )  # fmt: skip
    except graph.CycleFound as cycle:
        case.conflicts.append(circular_dependency(index, cycle.path))
        return False
    case.ranks.update(ranks)
    return True


def _rank(case: Case) -> int:
    """The number of its request is a new artifact's rank: nearly always higher than that of all it can depend on."""
    return case.ranks.get(case.artifact, case.head.rank if case.head is not None else case.request.seq)


def admit(
    case: Case,
    workspace: Workspace,
    studied: Studied,
    recorded: Sequence[tuple[Conflict, Kept, str]],
    provenance: dict[str, Any],
) -> Outcome:
    """Return the outcome that appends a version.

    Args:
        recorded: conflicts that were let through or resolved: (conflict, state, resolution).
    """
    request, head, declaration = case.request, case.head, studied.declaration
    label = declaration.label or (head.label if head is not None else DEFAULT_LABEL)
    version = head.head + 1 if head is not None else 1
    artifact = case.artifact
    body = studied.body if not provenance else _with_provenance(studied.body, provenance)
    edges = tuple(dict.fromkeys(d.id for d in case.dependencies))
    fresh = Head(
        id=artifact, project=case.project.id, type=declaration.type, name=declaration.name,
        state=head.state if head is not None else "proposed", head=version, content_hash=studied.content_hash,
        label=label, rank=_rank(case),
        created_by=head.created_by if head is not None else request.principal, updated_by=request.principal,
    )  # fmt: skip
    writes: list[Write] = [_head_moves(fresh, request, case.now, is_new=head is None)]
    writes += [
        NewVersion(artifact, version, request.organization, studied.content, studied.content_hash, label,
                   declaration.base_version, body, request.id, request.principal, case.now),
        *(SetRank(node, rank) for node, rank in case.ranks.items()),
        *_conflict_rows(case, recorded, None, artifact),
    ]  # fmt: skip
    if head is not None or edges:
        writes.append(SetEdges(artifact, edges, fresh=head is None))
    workspace.add_version(fresh, studied.content)
    workspace.set_edges(artifact, edges)
    for node, rank in case.ranks.items():
        workspace.set_rank(node, rank)
    return _admitted(fresh, writes, recorded, provenance, created=head is None)


def _head_moves(fresh: Head, request: Request, now: int, *, is_new: bool) -> NewArtifact | MoveHead:
    if is_new:
        return NewArtifact(
            fresh.id, request.organization, fresh.project, fresh.type, fresh.name, fresh.state, fresh.head,
            fresh.content_hash, fresh.label, fresh.rank, fresh.created_by, now,
        )  # fmt: skip
    return MoveHead(fresh.id, fresh.head, fresh.content_hash, fresh.label, request.principal, now)


def _admitted(
    fresh: Head,
    writes: list[Write],
    recorded: Sequence[tuple[Conflict, Kept, str]],
    provenance: dict[str, Any],
    *,
    created: bool,
) -> Outcome:
    """Return what is shown, audited and announced of an admitted version."""
    result: dict[str, Any] = {
        "artifact": {
            "id": fresh.id, "type": fresh.type, "name": fresh.name, "version": fresh.head, "state": fresh.state,
            "content_hash": fresh.content_hash, "label": fresh.label,
        },
        "created": created,
    }  # fmt: skip
    if recorded:
        result["conflicts"] = [{**c.shown(), "resolution": how} for c, _, how in recorded]
    if provenance:
        result["provenance"] = provenance
    merged = any(how == "merged" for _, _, how in recorded)
    note = AuditNote(
        tag=Tag.ARTIFACT_MERGED if merged else Tag.ARTIFACT_ADMITTED,
        subject=fresh.id,
        outcome="approved",
        details={"version": fresh.head, "content": fresh.content_hash},
    )
    kind = "artifact.created" if created else "artifact.updated"
    event = EventNote(kind, fresh.id, {"type": fresh.type, "name": fresh.name, "version": fresh.head})
    return Outcome(verdict=Verdict.APPROVED, result=result, writes=writes, audit=[note], events=[event])


def block(case: Case, *, mode: str, hunks: Sequence[Any] = ()) -> Outcome:
    """Return the outcome that keeps the declaration as a blocked proposal, with its conflicts, in the same commit."""
    request, declaration = case.request, case.studied.declaration
    proposal = new_id("prop")
    head_id = case.head.id if case.head is not None else None
    report = blocking_report(
        project=case.project.id, proposal=proposal, declaration=declaration,
        head_version=case.head.head if case.head is not None else 0, conflicts=case.conflicts,
    )  # fmt: skip
    if hunks:
        report["merge_conflicts"] = list(hunks)
    outcome = Outcome(verdict=Verdict.BLOCKED, result={"blocking_report": report})
    outcome.writes = [
        NewProposal(proposal, request.organization, case.project.id, head_id, declaration.type, declaration.name,
                    request.id, request.principal, case.now),
        *_conflict_rows(case, [(c, "open", None) for c in case.conflicts], proposal, head_id, mode),
    ]  # fmt: skip
    outcome.audit = [
        AuditNote(tag=Tag.ARTIFACT_BLOCKED, subject=proposal, outcome="blocked",
                  details={"conflicts": len(case.conflicts), "mode": mode}),
        *(AuditNote(tag=Tag.CONFLICT_OPENED, subject=c.id, outcome=c.rule.conflict_class)
          for c in case.conflicts),
    ]  # fmt: skip
    outcome.events = [
        EventNote("artifact.blocked", proposal, {"type": declaration.type, "name": declaration.name}),
        *(EventNote("conflict.detected", c.id, {"class": c.rule.conflict_class, "severity": c.rule.severity.value})
          for c in case.conflicts),
    ]  # fmt: skip
    return outcome


def resolve_by_merge(case: Case, workspace: Workspace, *, by: str) -> Outcome:
    """Merge the declared content with the head's; block where changes collide or there is no common base."""
    declaration, head = case.studied.declaration, case.head
    base_version = declaration.base_version or 0
    if head is None or not 0 < base_version < head.head:
        same = head is not None and head.content_hash == case.studied.content_hash
        if not same or head is None:
            return block(case, mode=case.project.mode)
        merged_content = declaration.content
    else:
        base = workspace.content(head.id, base_version)
        merged = merge_contents(base, workspace.content(head.id, head.head), declaration.content)
        if not merged.clean:
            return block(case, mode=case.project.mode, hunks=merged.hunks)
        merged_content = merged.content
    content = canonical_json(merged_content)
    studied = Studied(declaration, content.decode(), sha256_hex(content), case.studied.body)
    recorded: list[tuple[Conflict, Kept, str]] = [(c, "resolved", "merged") for c in case.conflicts]
    provenance = {"merged_by": by, "parents": [
        {"version": head.head, "content_hash": head.content_hash},
        {"request": case.request.id, "base_version": base_version, "content_hash": case.studied.content_hash},
    ]}  # fmt: skip
    return admit(case, workspace, studied, recorded, provenance)


def transition(batch: Sequence[Request], reads: PsmpReads, now: int) -> list[Outcome]:
    """Move artifacts along their lifecycle; payload ``{"artifact", "to"}``."""
    heads = {head.id: head for head in reads.heads((), {str(r.payload.get("artifact")) for r in batch})}
    outcomes = []
    for request in batch:
        head = heads.get(str(request.payload.get("artifact")))
        to = str(request.payload.get("to"))
        if head is None or head.project != request.project:
            outcomes.append(failed("not_found", f"artifact {request.payload.get('artifact')} does not exist"))
            continue
        legal = legal_moves("artifact", head.state)
        if to not in legal:
            report = {"project": head.project, "conflicts": [], "illegal_transition": {
                "artifact": head.id, "from": head.state, "to": to, "legal": list(legal)}}  # fmt: skip
            outcomes.append(
                Outcome(verdict=Verdict.BLOCKED, result={"blocking_report": report}, audit=[
                    AuditNote(tag=Tag.ARTIFACT_BLOCKED, subject=head.id, outcome="illegal_transition")])
            )  # fmt: skip
            continue
        head.state = to
        outcomes.append(
            Outcome(
                verdict=Verdict.APPROVED,
                result={"artifact": {"id": head.id, "version": head.head, "state": to}},
                writes=[SetArtifactState(head.id, to, request.principal, now)],
                audit=[AuditNote(tag=Tag.ARTIFACT_CHANGED, subject=head.id, outcome="approved", details={"state": to})],
                events=[EventNote("artifact.updated", head.id, {"state": to})],
            )
        )
    return outcomes


def studied_again(payload: dict[str, Any], base_version: int | None) -> Studied:
    """Return a kept declaration as if it were sent now, on another base.

    Raises:
        InvalidInput: the kept payload is no declaration (it was stored by another release).
    """
    try:
        declaration = msgspec.convert(payload, Declaration)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the blocked declaration cannot be read: {error}") from error
    content = canonical_json(declaration.content)
    body = msgspec.json.encode({k: getattr(declaration, k) for k in ("depends_on", "requires", "claims", "metadata")})
    if base_version is not None:
        declaration = msgspec.structs.replace(declaration, base_version=base_version)
    return Studied(declaration, content.decode(), sha256_hex(content), body.decode())


def _with_provenance(body: str, provenance: dict[str, Any]) -> str:
    return msgspec.json.encode({**msgspec.json.decode(body), "provenance": provenance}).decode()


def _conflict_rows(
    case: Case,
    conflicts: Sequence[tuple[Conflict, Kept, str | None]],
    proposal: str | None,
    artifact: str | None,
    mode: str | None = None,
) -> list[NewConflict]:
    return [
        NewConflict(
            conflict.id, case.request.organization, case.project.id, proposal, artifact, case.request.id,
            conflict.rule, mode or case.project.mode, state, msgspec.json.encode(
                {"message": conflict.message, **conflict.evidence}).decode(),
            resolution, None if state == "open" else "metaqore", case.now,
        )
        for conflict, state, resolution in conflicts
    ]  # fmt: skip
