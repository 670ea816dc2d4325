"""Naming a moment of a project's history: positions, times, checkpoints; and the handlers that keep checkpoints.

A checkpoint is a name for a position. It copies nothing: history is never rewritten, so the position says it all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.clock import from_rfc3339
from metaqore.errors import Conflict, InvalidInput, NotFound
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, Write

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ].*", re.DOTALL)
_POSITION = re.compile(r"\d{1,15}", re.ASCII)
#: A caller's clock may be ahead of ours by this much before its present is our future.
SKEW_MS = 5000
MAX_NOTE = 2000
#: Longest time, in seconds, for which a checkpoint is held by one who does not ask for it again.
MAX_HOLD_S = 120


class Point(msgspec.Struct, frozen=True):
    """A moment as it was asked for: a position, a time in milliseconds, or a checkpoint by id or name."""

    kind: Literal["position", "time", "checkpoint"]
    value: int | str


class Place(msgspec.Struct, frozen=True):
    """Where a moment is in a project's history.

    ``present`` is the position at which the project stands. ``at`` is the time (milliseconds) of the moment; a position
    lasts until the next one, and that is its time.
    """

    position: int
    present: int
    at: int
    checkpoint: str | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A name for a position."""

    id: str
    organization: str
    project: str
    name: str
    position: int


class SaveCheckpoint(Write, frozen=True):
    """Effect: a checkpoint appears."""

    id: str
    organization: str
    project: str
    name: str
    note: str
    position: int
    created_by: str
    at: int
    expires_at: int | None
    #: Where the project stood when it was named.
    since: int


class DeleteCheckpoint(Write, frozen=True):
    """Effect: a checkpoint names its position no longer; the position itself stays."""

    id: str
    at: int


class HoldCheckpoint(Write, frozen=True):
    """Effect: somebody who begins at a checkpoint uses it until a time (milliseconds)."""

    id: str
    by: str
    until: int


class PointReads(Protocol):
    """What checkpoints need to look up, inside the deciding transaction."""

    def place(self, organization: str, project: str, point: Point | None, now: int, field: str) -> Place | None:
        """Return where a moment is (None: the present); None where there is no such project.

        Raises:
            InvalidInput: the project has no such moment.
        """

    def checkpoint(self, organization: str, checkpoint: str) -> Checkpoint | None:
        """Return a checkpoint that was not deleted."""

    def checkpoint_named(self, project: str, name: str) -> Checkpoint | None:
        """Return the checkpoint of this name that was not deleted."""

    def checkpoint_users(self, checkpoint: Checkpoint, now: int) -> list[str]:
        """Return who uses a checkpoint: ids of unfinished restores, open approvals and blocked proposals that name it,
        and running replays.
        """

    def due_checkpoints(self, organization: str, now: int, limit: int) -> Sequence[Checkpoint]:
        """Return checkpoints whose time is over and that nobody uses."""


def parse_point(text: str, field: str = "as_of") -> Point:
    """Return the moment that a text names.

    ``17`` is a position, ``2026-01-02T03:04:05Z`` a time (RFC 3339), ``chk_…`` the id of a checkpoint, anything else
    its name.

    Raises:
        InvalidInput: it is none of these.
    """
    if _POSITION.fullmatch(text):
        return Point("position", int(text))
    if _TIME.fullmatch(text):
        try:
            return Point("time", from_rfc3339(text))
        except (ValueError, OverflowError) as error:
            refuse(field, f"{text[:40]!r} is no RFC 3339 time with an offset, e.g. 2026-01-02T03:04:05Z", error)
    if not _NAME.fullmatch(text):
        refuse(field, f"{text[:40]!r}: use a position (17), a time (2026-01-02T03:04:05Z) or a checkpoint's name or id")
    return Point("checkpoint", text)


def refuse(field: str, detail: str, cause: BaseException | None = None) -> NoReturn:
    """Refuse a moment.

    Raises:
        InvalidInput: always, with the place and what to do.
    """
    raise InvalidInput(f"{field}: {detail}", errors=[{"pointer": f"/{field}", "detail": detail}]) from cause


def create(batch: Sequence[Request], reads: PointReads, now: int) -> list[Outcome]:
    """Name a moment of a project: payload ``{"name", "note"?, "at"?, "expires_at"?}``; without ``at``, the present."""
    return [_create(request, reads, now) for request in batch]


def _create(request: Request, reads: PointReads, now: int) -> Outcome:
    asked, project = request.payload, str(request.project)
    name, note, expires_at = str(asked.get("name", "")), str(asked.get("note") or ""), asked.get("expires_at")
    if not _NAME.fullmatch(name) or name.startswith("chk_"):
        refuse("name", "a letter, then letters, digits, '.', '_' or '-', at most 100; not beginning with chk_")
    if len(note) > MAX_NOTE:
        refuse("note", f"at most {MAX_NOTE} characters")
    if expires_at is not None and (type(expires_at) is not int or expires_at <= now):
        refuse("expires_at", "a time to come")
    point = parse_point(str(asked["at"]), "at") if asked.get("at") is not None else None
    place = reads.place(request.organization, project, point, now, "at")
    if place is None:
        raise NotFound(f"project {project} does not exist")
    if reads.checkpoint_named(project, name) is not None:
        raise Conflict(f"checkpoint {name!r} exists already in this project: take another name, or delete it first")
    write = SaveCheckpoint(
        new_id("chk"), request.organization, project, name, note, place.position, request.principal, now, expires_at,
        place.present,
    )  # fmt: skip
    result = {
        "id": write.id, "project": project, "name": name, "note": note, "position": place.position,
        "created_by": request.principal, "created_at": now, "expires_at": expires_at,
    }  # fmt: skip
    return Outcome(
        verdict=Verdict.APPROVED, result=result, writes=[write],
        audit=[AuditNote(tag=Tag.CHECKPOINT_CREATED, subject=write.id, outcome="approved",
                         details={"position": place.position})],
        events=[EventNote("checkpoint.created", write.id, {"name": name, "position": place.position})],
    )  # fmt: skip


def delete(batch: Sequence[Request], reads: PointReads, now: int) -> list[Outcome]:
    """Delete checkpoints: payload ``{"checkpoint"}``, an id or a name. One that is in use is kept."""
    return [_delete(request, reads, now) for request in batch]


def _delete(request: Request, reads: PointReads, now: int) -> Outcome:
    name, project = str(request.payload["checkpoint"]), str(request.project)
    by_id = name.startswith("chk_")
    found = reads.checkpoint(request.organization, name) if by_id else reads.checkpoint_named(project, name)
    if found is None or (found.project, found.organization) != (project, request.organization):
        raise NotFound(f"checkpoint {name} does not exist")
    users = reads.checkpoint_users(found, now)
    if users:
        some = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        raise Conflict(f"checkpoint {found.name!r} is in use by {some}: wait until that is finished, or end it",
                       used_by=users)  # fmt: skip
    return _deleted([found], "deleted", now)


def names(value: object, checkpoint: Checkpoint) -> bool:
    """Return whether a JSON value names a checkpoint: by its id anywhere, or by its name under ``checkpoint``."""
    if isinstance(value, Mapping):
        return value.get("checkpoint") == checkpoint.name or any(names(each, checkpoint) for each in value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(names(each, checkpoint) for each in value)
    return value == checkpoint.id


def hold(batch: Sequence[Request], reads: PointReads, now: int) -> list[Outcome]:
    """Use a checkpoint for a while: payload ``{"checkpoint", "by", "for_s"}``; 0 seconds lets go of it."""
    return [_hold(request, reads, now) for request in batch]


def _hold(request: Request, reads: PointReads, now: int) -> Outcome:
    asked = request.payload
    found = reads.checkpoint(request.organization, str(asked["checkpoint"]))
    if found is None or found.project != request.project:
        raise NotFound(f"checkpoint {asked['checkpoint']} does not exist")
    until = now + min(int(asked["for_s"]), MAX_HOLD_S) * 1000
    return Outcome(verdict=Verdict.APPROVED, result={"checkpoint": found.id, "until": until},
                   writes=[HoldCheckpoint(found.id, str(asked["by"]), until)])  # fmt: skip


def prune(batch: Sequence[Request], reads: PointReads, now: int) -> list[Outcome]:
    """Delete checkpoints whose time is over; what is in use is left for the next time."""
    return [_deleted(reads.due_checkpoints(request.organization, now, 1000), "expired", now) for request in batch]


def _deleted(found: Sequence[Checkpoint], why: str, now: int) -> Outcome:
    return Outcome(
        verdict=Verdict.APPROVED, result={"deleted": [c.id for c in found]},
        writes=[DeleteCheckpoint(c.id, now) for c in found],
        audit=[AuditNote(tag=Tag.CHECKPOINT_DELETED, subject=c.id, outcome=why,
                         details={"position": c.position}) for c in found],
        events=[EventNote("checkpoint.deleted", c.id, {"name": c.name, "position": c.position}) for c in found],
    )  # fmt: skip
