"""Decides the quick control-plane writes of PSMP: projects and tasks. They run inside the API call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import Conflict, Forbidden, InvalidInput, NotFound, PreconditionFailed
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict
from metaqore.psmp.catalogue import BOUND_EXCEEDED, ILLEGAL_TRANSITION, MODES, Mode
from metaqore.psmp.check_bounds import Turns, conversation_of, over
from metaqore.psmp.effects import CountTurn, SaveProject, SaveTask
from metaqore.psmp.gates import project_gate, task_gate
from metaqore.psmp.model import conflict_of
from metaqore.psmp.moves import Refused, ask, roles
from metaqore.psmp.outcomes import conflict_row
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads


class BoundExceeded(Conflict):
    """A bound of the policy would be passed."""

    code = "bound_exceeded"


class IllegalTransition(Conflict):
    """The lifecycle does not allow this move; see ``check_moved``."""

    code = "illegal_transition"


def save_project(
    batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy, default_mode: str = "strict"
) -> list[Outcome]:
    """Create (no ``id``) or change a project. Unknown fields were refused at the door.

    Args:
        policy: whose lifecycle it has.
        default_mode: of a new project that names none.
    """
    return [_save_project(request, reads, now, policy, default_mode) for request in batch]


def _save_project(request: Request, reads: PsmpReads, now: int, policy: Policy, default_mode: str) -> Outcome:
    asked = request.payload
    old: Mapping[str, Any] | None = None
    if "id" in asked:
        old = reads.project_row(request.organization, asked["id"])
        if old is None:
            raise NotFound(f"project {asked['id']} does not exist")
        _check_version(asked, old)
    state = asked.get("state", old["state"] if old else policy.project.initial)
    refused = _move_project(request, old, state, reads, policy) if old is not None else None
    if old is not None and refused is not None:
        return _refusal(request, old["id"], old["mode"], refused, (old["state"], state), now, policy)
    mode = asked.get("mode", old["mode"] if old else default_mode)
    if mode not in MODES:
        raise InvalidInput(f"mode {mode!r}: one of {', '.join(MODES)}")
    write = SaveProject(
        id=old["id"] if old else new_id("prj"), organization=request.organization,
        name=_name(asked.get("name", old["name"] if old else None)),
        description=asked.get("description", old["description"] if old else ""),
        owner=asked.get("owner", old["owner"] if old else request.principal), mode=mode, state=state,
        metadata=_json(asked, old, "metadata", {}), version=old["version"] + 1 if old else 1,
        created_by=old["created_by"] if old else request.principal, at=now,
    )  # fmt: skip
    shown = {**msgspec.to_builtins(write), "metadata": msgspec.json.decode(write.metadata)}
    shown["created_at"] = old["created_at"] if old else now
    shown["updated_at"] = shown.pop("at")
    shown.pop("step")
    tag = Tag.PROJECT_CREATED if old is None else Tag.PROJECT_ARCHIVED if state == "archived" else Tag.PROJECT_CHANGED
    kind = "project.created" if old is None else "project.updated"
    events = [EventNote(kind, write.id, {"mode": mode, "state": state})]
    if old is not None and old["state"] != state:
        events.append(EventNote("project.status_changed", write.id, {"from": old["state"], "to": state}))
    details = {"mode": mode, "state": state, "version": write.version}
    audit = [AuditNote(tag=tag, subject=write.id, outcome="approved", details=details, policy_digest=policy.digest)]
    return Outcome(verdict=Verdict.APPROVED, result=shown, writes=[write], audit=audit, events=events)


def save_task(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Create (no ``id``) or change a task."""
    return [_save_task(request, reads, now, policy) for request in batch]


def _save_task(request: Request, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    asked = request.payload
    old: Mapping[str, Any] | None = None
    if "id" in asked:
        old = reads.task_row(request.organization, asked["id"])
        if old is None:
            raise NotFound(f"task {asked['id']} does not exist")
        _check_version(asked, old)
    project = old["project"] if old else str(request.project)
    if not old and reads.project_row(request.organization, project) is None:
        raise NotFound(f"project {project} does not exist")
    state = asked.get("state", old["state"] if old else policy.task.initial)
    refused = _move_task(request, old, state, reads, policy) if old is not None else None
    if old is not None and refused is not None:
        mode = (reads.project_row(request.organization, project) or {"mode": "strict"})["mode"]
        return _refusal(request, project, mode, refused, (old["state"], state), now, policy)
    turns = _turns(request, project, reads, policy) if old is None else []
    depends_on = asked.get("depends_on", msgspec.json.decode(old["depends_on"]) if old else [])
    missing = sorted(set(depends_on) - reads.tasks_exist(project, set(depends_on)))
    if missing or (old is not None and old["id"] in depends_on):
        raise InvalidInput(f"depends_on: {', '.join(missing) or 'a task cannot depend on itself'} in this project")
    write = SaveTask(
        id=old["id"] if old else new_id("tsk"), organization=request.organization, project=project,
        title=_name(asked.get("title", old["title"] if old else None), "title"), state=state,
        assigned_to=asked.get("assigned_to", old["assigned_to"] if old else None),
        depends_on=msgspec.json.encode(depends_on).decode(), metadata=_json(asked, old, "metadata", {}),
        version=old["version"] + 1 if old else 1, created_by=old["created_by"] if old else request.principal, at=now,
    )  # fmt: skip
    shown = {**msgspec.to_builtins(write), "metadata": msgspec.json.decode(write.metadata), "depends_on": depends_on}
    shown["created_at"] = old["created_at"] if old else now
    shown["updated_at"] = shown.pop("at")
    shown.pop("step")
    kind = "task.created" if old is None else f"task.{state}" if state in ("completed", "failed") else "task.updated"
    tag = Tag.TASK_CREATED if old is None else Tag.TASK_CHANGED
    return Outcome(
        verdict=Verdict.APPROVED, result=shown, writes=[write, *turns],
        audit=[AuditNote(tag=tag, subject=write.id, outcome="approved", details={"state": state},
                         policy_digest=policy.digest)],
        events=[EventNote(kind, write.id, {"state": state})],
    )  # fmt: skip


def _check_version(asked: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    expected = asked.get("expected_version")
    if expected is not None and expected != old["version"]:
        raise PreconditionFailed(f"{old['id']} is at version {old['version']}, not {expected}: read it again")


def _turns(request: Request, project: str, reads: PsmpReads, policy: Policy) -> list[CountTurn]:
    """Count a new task as a turn of its conversation, if it names one.

    Raises:
        BoundExceeded: the conversation has as many turns, or participants, as the policy allows.
    """
    name = conversation_of(request.payload.get("metadata") or {})
    if name is None:
        return []
    present = Turns(reads.turns({(project, name)})).of((project, name))
    for bound, limit, reached in over(policy.bounds, present, request.principal):
        message = f"conversation {name}: {bound.replace('_', ' ')} would be {reached}; the policy allows {limit}"
        raise BoundExceeded(message, bound=bound, limit=limit, reached=reached, rule_id=BOUND_EXCEEDED.id)
    return [CountTurn(project, name, request.principal)]


def _move_project(
    request: Request, old: Mapping[str, Any], to: str, reads: PsmpReads, policy: Policy
) -> Refused | None:  # fmt: skip
    """Return why the lifecycle of projects, or one of its checks, does not allow a move; None where it does."""
    state, what = old["state"], f"project {old['id']}"
    if to == state:
        return None
    held = roles("project", request.principal, owner=old["owner"], creator=old["created_by"])
    move = ask(policy.project, what, state, to, held=held | {*request.payload.get("authority", ())})
    return move if isinstance(move, Refused) else project_gate(move, what, state, old["id"], reads, policy)


def _move_task(
    request: Request, old: Mapping[str, Any], to: str, reads: PsmpReads, policy: Policy
) -> Refused | None:  # fmt: skip
    """Return why the lifecycle of tasks, or one of its checks, does not allow a move; None where it does."""
    state, what = old["state"], f"task {old['id']}"
    if to == state:
        return None
    project = reads.project_row(request.organization, old["project"]) or {"owner": ""}
    held = roles(
        "task", request.principal, owner=project["owner"], creator=old["created_by"], assignee=old["assigned_to"]
    )  # fmt: skip
    move = ask(policy.task, what, state, to, held=held | {*request.payload.get("authority", ())})
    if isinstance(move, Refused):
        return move
    needed = request.payload.get("depends_on", msgspec.json.decode(old["depends_on"]))
    return task_gate(move, what, state, old["project"], needed, reads, policy)


def _refusal(
    request: Request, project: str, mode: Mode, found: Refused, move: tuple[str, str], now: int, policy: Policy
) -> Outcome:
    """Return the refusal of a move; its conflict is recorded, as that of an artifact's move is.

    Raises:
        Forbidden: it is the caller who may not make it.
    """
    if found.needs:
        raise Forbidden(found.message, needs=list(found.needs))
    subject, (state, to) = request.payload["id"], move
    moved = {"from": state, "to": to, "legal": list(found.legal)}
    check = {"check": found.check} if found.check else {}
    conflict = conflict_of(
        policy, ILLEGAL_TRANSITION, found.message, "/state", subject=subject, state=state, to=to,
        legal=list(found.legal), **check,
    )  # fmt: skip
    rule = conflict.rule
    return Outcome(
        verdict=Verdict.BLOCKED,
        result={"blocking_report": {"project": project, "conflicts": [conflict.shown()],
                                    "illegal_transition": {"subject": subject, **moved},
                                    "policy_digest": policy.digest}},
        writes=[conflict_row(conflict, request, project, mode, "recorded", now, resolution="refused")],
        audit=[AuditNote(tag=Tag.CONFLICT_RECORDED, subject=conflict.id, outcome=rule.conflict_class,
                         details={"subject": subject, "from": state, "to": to}, policy_digest=policy.digest)],
        events=[EventNote("conflict.detected", conflict.id,
                          {"class": rule.conflict_class, "severity": rule.severity.value})],
    )  # fmt: skip


def check_moved(result: Mapping[str, Any]) -> None:
    """Raise what a caller is told of a move that was refused, from the result that was stored.

    Raises:
        IllegalTransition: says state, legal moves and the conflict that was recorded.
    """
    report = result.get("blocking_report")
    if report is None:
        return
    conflict = report["conflicts"][0]
    told = {name: value for name, value in conflict["evidence"].items() if name not in ("pointer", "subject")}
    raise IllegalTransition(conflict["message"], rule_id=conflict["rule_id"], conflict=conflict["id"], **told)


def _name(value: Any, field: str = "name") -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise InvalidInput(f"{field}: 1 to 200 characters that are not all blank")
    return value


def _json(asked: Mapping[str, Any], old: Mapping[str, Any] | None, field: str, default: Any) -> str:
    if field not in asked and old is not None:
        return str(old[field])
    return msgspec.json.encode(asked.get(field, default)).decode()
