"""Decides ``project.restore``: one request after which a project's artifacts and tasks are as they were at a moment.

Nothing is erased. An artifact whose content differs gets a new version with the content of then; one that only moved
along its lifecycle is moved back; one that did not exist yet is deprecated (or deleted, or kept, as asked); a task is
saved again as it was. So a restore can be undone by another one, to the position before it.

It goes through the same checks as any declaration. A cycle, or a label below the present one, refuses the whole of it
with a report; other conflicts are recorded with what is restored, since going back is meant to go over what was built
since. A project's own row (mode, name, state) is governance and stays.

Bounds: ``MAX_MEMBERS`` that changed and ``MAX_BYTES`` of their content, because everything is decided in one
transaction; larger restores are made in parts (``only``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp.catalogue import CIRCULAR_DEPENDENCY, LABEL_LOWERED
from metaqore.psmp.checkpoints import parse_point
from metaqore.psmp.checks import workspace_for
from metaqore.psmp.declaration import LABELS, studied
from metaqore.psmp.diff import Difference, Member, compare
from metaqore.psmp.effects import SaveTask, SetAlias
from metaqore.psmp.handlers import open_case
from metaqore.psmp.lifecycle import state_effects
from metaqore.psmp.model import Case, Conflict, Declaration, Head, conflict_of
from metaqore.psmp.outcomes import admit
from metaqore.psmp.policy import Policy
from metaqore.psmp.regain import regained
from metaqore.psmp.restore_work import PastReads, Restore, Work
from metaqore.psmp.workspace import Workspace

MAX_MEMBERS = 1000
MAX_BYTES = 32_000_000
#: The content hash of a version whose content was erased for its data subject.
ERASED = "erased"
#: Conflicts that no restore goes over.
REFUSED = frozenset({CIRCULAR_DEPENDENCY.conflict_class, LABEL_LOWERED.conflict_class})


def study(request: Request) -> Restore:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid restore.
    """
    try:
        asked = msgspec.convert(request.payload, Restore)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"project.restore: {error}") from error
    parse_point(asked.to, "to")
    return asked


def restore(batch: Sequence[Request], reads: PastReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide restores. A run of them is one long: each must see what the one before it did."""
    return [_restore(request, request.studied, reads, now, policy) for request in batch]


def _restore(request: Request, asked: Restore, reads: PastReads, now: int, policy: Policy) -> Outcome:
    project = str(request.project)
    found = reads.projects([project]).get(project)
    point = parse_point(asked.to if asked.position is None else str(asked.position), "to")
    place = reads.place(request.organization, project, point, now, "to")
    if found is None or place is None or found.organization != request.organization:
        return failed("not_found", f"project {project} does not exist")
    if policy.project.state(found.state).closed:
        return failed("project_closed", f"project {project} is {found.state}: it admits nothing more")
    changes = _chosen(asked) or reads.changed_since(project, place.position, MAX_MEMBERS + 1)
    if len(changes) > MAX_MEMBERS:
        return failed("restore_too_large", f"more than {MAX_MEMBERS} members have changed since position "
                      f"{place.position}: restore in parts, with their ids in only")  # fmt: skip
    heads = reads.heads((), {subject for _, subject, kind in changes if kind == "artifact"})
    known = {head.id for head in heads if head.project == project}
    known |= reads.tasks_exist(project, {subject for _, subject, kind in changes if kind == "task"})
    unknown = sorted({subject for _, subject, _ in changes} - known)
    if unknown:
        return failed("not_found", f"only: {', '.join(unknown[:5])}: no such artifact or task in this project")
    gone = policy.artifact.flagged("tombstone")
    before, after = reads.members_at(changes, place.position), reads.members_at(changes, place.present)
    compared = [compare(before.get(subject), after.get(subject), gone) for _, subject, _ in changes]
    work = Work(
        request=request, asked=asked, place=place, reads=reads, policy=policy, now=now, mode=found.mode,
        differences=[difference for difference in compared if difference is not None],
        heads={head.id: head for head in heads}, then=before, outcome=Outcome(verdict=Verdict.APPROVED),
    )  # fmt: skip
    return _carried_out(work, len(changes) - len(work.differences))


def _chosen(asked: Restore) -> list[tuple[int, str, str]]:
    """Return the members that were named, in the form of changes."""
    return [(0, member, "task" if member.startswith("tsk_") else "artifact") for member in dict.fromkeys(asked.only)]


def _carried_out(work: Work, unchanged: int) -> Outcome:
    versions = [difference for difference in work.differences if _needs_version(difference, work.policy)]
    size = work.reads.version_sizes([(d.before.id, d.before.version) for d in versions if d.before is not None])
    if size > MAX_BYTES:
        return failed("restore_too_large", f"{size} characters of content are to be restored, at most {MAX_BYTES} at "
                      "once: restore in parts, with the ids of members in only")  # fmt: skip
    _restore_versions(work, versions)
    for difference in work.differences:
        _restore_rest(work, difference)
    return _refused(work) if work.conflicts else _done(work, unchanged)


def _needs_version(difference: Difference, policy: Policy) -> bool:
    """True where more than the state is another than then, or where what the artifact held was given up since."""
    member, after = difference.before, difference.after
    if member is None or member.kind != "artifact" or member.content_hash == ERASED:
        return False
    if after is None or set(difference.differs) - {"state", "aliases"}:
        return True
    holds = bool(member.parts.get("requires") or member.parts.get("claims"))
    return holds and policy.artifact.state(after.state).as_dependency != "sound"


def _restore_versions(work: Work, versions: Sequence[Difference]) -> None:
    """Append a version with what each artifact was then, through the checks of a declaration."""
    wanted = [(d.before.id, d.before.version) for d in versions if d.before is not None]
    rows = work.reads.declarations(wanted)
    requests = [_declared(work, rows[artifact], work.heads[artifact]) for artifact, _ in wanted]
    workspace = workspace_for(requests, work.reads, work.policy)
    for artifact, _ in wanted:
        # What was built since may depend the other way round: all that is restored lets go first.
        workspace.set_edges(artifact, ())
    states = {d.before.id: d.before.state for d in work.differences if d.before is not None}
    for head in workspace.heads_by_id(sorted(states)):
        # What comes back counts as back, or what depends on it would lose it.
        head.state = states[head.id]
    for difference, request in zip(versions, requests, strict=True):
        if difference.before is not None:
            _restore_version(work, workspace, difference, request, rows[difference.before.id]["edges"])


def _declared(work: Work, row: Mapping[str, Any], head: Head) -> Request:
    """Return the restored version as a declaration on top of the present head."""
    body = row["body"]
    declaration = msgspec.convert(
        {"type": row["type"], "name": row["name"], "content": row["content"], "base_version": head.head,
         "label": _label(work, row["label"], head.label), "depends_on": body.get("depends_on", ()),
         "requires": body.get("requires", ()), "claims": body.get("claims", ()),
         "metadata": body.get("metadata", {})}, Declaration,
    )  # fmt: skip
    return msgspec.structs.replace(work.request, studied=studied(declaration))


def _label(work: Work, then: str, now: str) -> str:
    return max(then, now, key=LABELS.index) if work.asked.labels == "keep" else then


def _restore_version(
    work: Work, workspace: Workspace, difference: Difference, request: Request, edges: Sequence[str] | None
) -> None:
    member = difference.before
    if member is None:
        return
    project = workspace.projects[str(request.project)]
    case = open_case(request, request.studied, project, workspace, work.now, "playground")
    head = case.head
    if head is None:
        raise LookupError(f"artifact {member.id} has versions but no head")
    if LABELS.index(request.studied.declaration.label) < LABELS.index(head.label):
        others = [c for c in case.conflicts if c.rule.conflict_class != LABEL_LOWERED.conflict_class]
        case.conflicts = [*others, conflict_of(
            work.policy, LABEL_LOWERED, f"{member.title} is {head.label} today and was {member.label} then: restore it "
            'with labels: "keep", or declassify it first', "/labels", artifact=member.id, label=head.label,
            then=member.label,
        )]  # fmt: skip
    if edges is not None:
        # What was missing then, or let through though it closes a cycle, was no edge and becomes none.
        case.dependencies = [head for head in case.dependencies if head.id in edges]
    refuses = REFUSED if work.asked.labels == "exact" else REFUSED - {LABEL_LOWERED.conflict_class}
    refused = [c for c in case.conflicts if c.rule.conflict_class in refuses and not _was_no_edge(case, c, edges)]
    if refused and work.mode != "playground":
        work.conflicts += refused
        return
    case.provenance = {"restored": {"position": work.place.position, "version": member.version}}
    outcome = admit(case, workspace, [(conflict, "recorded", "let_through") for conflict in case.conflicts])
    work.outcome.writes += outcome.writes
    work.outcome.audit += outcome.audit
    work.outcome.events += outcome.events
    let_through = sorted({conflict.rule.conflict_class for conflict in case.conflicts})
    more = {"conflicts": let_through} if let_through else {}
    work.note(difference, "restored", from_version=member.version, version=head.head + 1, **more)


def _was_no_edge(case: Case, conflict: Conflict, edges: Sequence[str] | None) -> bool:
    """True for a cycle over a dependency that was not kept as an edge then either."""
    if edges is None or conflict.rule.conflict_class != CIRCULAR_DEPENDENCY.conflict_class:
        return False
    target = case.targets[int(str(conflict.evidence["pointer"]).rsplit("/", 1)[1])]
    return target is None or target.id not in edges


def _restore_rest(work: Work, difference: Difference) -> None:
    """Move states back, put away what did not exist then, save tasks as they were."""
    before, after = difference.before, difference.after
    member = before or after
    if member is None:
        return
    if member.kind == "task":
        _restore_task(work, difference)
    elif before is None and after is not None:
        _put_away(work, difference, after)
    elif before is not None and before.content_hash == ERASED:
        work.note(difference, "kept", because="the content of then was erased")
    elif before is not None:
        _restore_aliases(work, difference)
        state = work.heads[before.id].state
        if state != before.state:
            head = work.heads[before.id]
            _move(work, before.id, before.state)
            # What it required and claimed then, it does again.
            again = regained(
                work.policy, head, before.state, lambda: work.reads.body(before.id, before.version), work.request
            )
            work.outcome.writes += again
            work.note(difference, "moved", state=before.state, was=state)


def _restore_aliases(work: Work, difference: Difference) -> None:
    """Let aliases point at the versions at which they pointed then."""
    before = difference.before
    if before is None or (difference.after is not None and "aliases" not in difference.differs):
        return
    then, now = before.parts["aliases"], work.reads.aliases(before.id)
    if not (moved := {alias: then.get(alias) for alias in {*then, *now} if then.get(alias) != now.get(alias)}):
        return
    for alias, version in sorted(moved.items()):
        work.outcome.writes.append(SetAlias(before.id, alias, version, work.request.principal, work.now))
    work.outcome.audit.append(AuditNote(tag=Tag.ARTIFACT_CHANGED, subject=before.id, outcome="approved",
                                        details={"aliases": len(moved), "restored": work.place.position}))  # fmt: skip
    work.note(difference, "retagged", aliases=moved)


def _put_away(work: Work, difference: Difference, member: Member) -> None:
    """Deprecate or delete an artifact that did not exist then; delete one that was deleted then. Its versions stay."""
    then = work.then.get(member.id)
    if then is not None:
        _move(work, member.id, then.state)
        return work.note(difference, "deleted", state=then.state)
    if work.asked.created_since == "keep":
        return work.note(difference, "kept")
    lifecycle = work.policy.artifact
    to = _state_that(work.policy, work.asked.created_since)
    if to is None or member.state == to or lifecycle.state(member.state).tombstone:
        return work.note(difference, "kept", state=member.state)
    _move(work, member.id, to)
    return work.note(difference, "deprecated" if work.asked.created_since == "deprecate" else "deleted", state=to)


def _state_that(policy: Policy, wanted: str) -> str | None:
    """Return the state of the lifecycle that means deprecated, or deleted; None where it has none."""
    states = policy.artifact.states.values()
    if wanted == "delete":
        return next((state.name for state in states if state.tombstone), None)
    named = [state.name for state in states if state.as_dependency == "deprecated" and not state.tombstone]
    return "deprecated" if "deprecated" in named else next(iter(named), None)


def _move(work: Work, artifact: str, to: str) -> None:
    work.outcome.writes += state_effects(work.heads[artifact], to, work.request.principal, work.now, work.policy)
    work.outcome.audit.append(AuditNote(tag=Tag.ARTIFACT_CHANGED, subject=artifact, outcome="approved",
                                        details={"state": to, "restored": work.place.position}))  # fmt: skip
    work.outcome.events.append(EventNote("artifact.updated", artifact, {"state": to}))


def _restore_task(work: Work, difference: Difference) -> None:
    before, after = difference.before, difference.after
    member = before or after
    row = work.reads.task_row(work.request.organization, member.id) if member is not None else None
    if row is None or member is None:
        return None
    state = before.state if before is not None else _cancelled(work.policy, row["state"])
    parts = before.parts if before is not None else {}
    if before is None and (work.asked.created_since == "keep" or state == row["state"]):
        return work.note(difference, "kept", state=row["state"])
    then = {name: parts.get(name, row[name]) for name in ("title", "assigned_to", "depends_on", "metadata")}
    work.outcome.writes.append(
        SaveTask(
            id=row["id"], organization=row["organization"], project=row["project"], state=state, **then,
            version=row["version"] + 1, created_by=row["created_by"], at=work.now,
        )
    )  # fmt: skip
    work.outcome.audit.append(AuditNote(tag=Tag.TASK_CHANGED, subject=row["id"], outcome="approved",
                                        details={"state": state, "restored": work.place.position}))  # fmt: skip
    work.outcome.events.append(EventNote("task.updated", row["id"], {"state": state}))
    return work.note(difference, "restored" if before is not None else "cancelled", state=state)


def _cancelled(policy: Policy, state: str) -> str:
    """Return the state in which a task that did not exist then is put away; its own where it is over anyway."""
    final = policy.task.flagged("final")
    return state if state in final or "cancelled" not in policy.task.states else "cancelled"


def _refused(work: Work) -> Outcome:
    """Return the outcome of a restore that no mode but playground carries out; nothing was changed."""
    report = {
        "project": work.request.project, "restore": {"to": work.asked.to, "position": work.place.position},
        "conflicts": [conflict.shown() for conflict in work.conflicts],
    }  # fmt: skip
    note = AuditNote(tag=Tag.CHECKPOINT_RESTORED, subject=work.request.project, outcome="blocked",
                     details={"position": work.place.position, "conflicts": len(work.conflicts)})  # fmt: skip
    return Outcome(verdict=Verdict.BLOCKED, result={"blocking_report": report}, audit=[note])


def _done(work: Work, unchanged: int) -> Outcome:
    outcome, place = work.outcome, work.place
    counts: dict[str, int] = {"unchanged": unchanged}
    for member in work.members:
        counts[member["did"]] = counts.get(member["did"], 0) + 1
    outcome.result = {
        "restored": {"to": work.asked.to, "position": place.position, "checkpoint": work.asked.checkpoint},
        "before": place.present, "position": place.present + 1, "counts": counts, "members": work.members,
        "built_since": _built_since(work),
    }  # fmt: skip
    details: dict[str, Any] = {"position": place.position, "before": place.present, **counts}
    outcome.audit.insert(0, AuditNote(tag=Tag.CHECKPOINT_RESTORED, subject=work.request.project, outcome="approved",
                                      details=details))  # fmt: skip
    data = {"position": place.position, "before": place.present, "counts": counts}
    outcome.events.append(EventNote("project.restored", str(work.request.project), data))
    return outcome


def _built_since(work: Work) -> list[dict[str, str]]:
    """Return which artifacts that did not exist then depend on one that was restored: they were built on another."""
    restored = {m["id"] for m in work.members if m["kind"] == "artifact" and m["did"] == "restored"}
    new = {d.after.id: d.after.title for d in work.differences if d.before is None and d.after is not None}
    if not restored or not new:
        return []
    edges = sorted({(dependant, artifact) for artifact, dependant, _ in work.reads.up(restored) if dependant in new})
    return [{"artifact": dependant, "title": new[dependant], "depends_on": artifact} for dependant, artifact in edges]
