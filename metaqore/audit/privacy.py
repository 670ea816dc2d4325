"""Decides what becomes of a data subject's payloads: erasure (GDPR Art. 17), access (Art. 15), holds, retention.

A *data subject* is whoever a request's payload is about: the name given with it (``Data-Subject``), else the principal
who sent it. What a request brought in belongs to its subject: payload and result, the artifact versions it made, the
model call with its answer, its blocked proposal and conflicts. Names and ids (of principals, projects, artifacts) are
identifiers and stay; so do other subjects' versions, though somebody copied a text into them.

A request names its subject by the id of the subject's key, never by name: requests and entries outlive an erasure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from metaqore.audit.tags import Tag
from metaqore.errors import Conflict, InvalidInput, NotFound
from metaqore.ids import new_id
from metaqore.messages import AuditNote, Outcome, Request, Verdict, Write

#: The fewest days that a record is kept (EU AI Act Art. 19 and 26(6): at least six months).
FLOOR_DAYS = 183
_DAY_MS = 86_400_000
#: What expires by itself, and what it is: ``requests`` payloads and results, ``calls`` commands and answers.
CLASSES = ("requests", "calls")
BASES = ("art17", "art21", "contract_end", "retention")


class EraseSubject(Write, frozen=True):
    """Effect: a subject's key is destroyed, and everything that its requests brought in is gone; caches and files that
    still hold it are to be cleaned."""

    id: str
    organization: str
    subject: str
    key: str
    basis: str
    requested_by: str
    at: int


class NoteCleaned(Write, frozen=True):
    """Effect: an erasure has reached the broker (``results``), or the files of the database (``files``)."""

    erasure: str
    organization: str
    what: Literal["results", "files"]
    at: int


class PlaceHold(Write, frozen=True):
    """Effect: nothing of a subject, or of the whole organization (None), may be erased or expire."""

    id: str
    organization: str
    subject: str | None
    reason: str
    placed_by: str
    at: int


class ReleaseHold(Write, frozen=True):
    """Effect: a hold ends."""

    id: str
    organization: str
    at: int


class SaveRetention(Write, frozen=True):
    """Effect: a class of payloads is kept for so many days."""

    organization: str
    data_class: str
    days: int
    at: int


class ApplyRetention(Write, frozen=True):
    """Effect: what of a class is older than ``before`` (ms) and on no hold is gone."""

    organization: str
    data_class: str
    before: int


class PrivacyReads(Protocol):
    """Look-ups inside the transaction."""

    def subject_of(self, organization: str, key: str) -> str | None:
        """Return whose key it is."""

    def holds_on(self, organization: str, subject: str | None) -> list[str]:
        """Return the holds that are in force on a subject; None: on the organization as a whole."""

    def hold(self, organization: str, hold: str) -> Mapping[str, Any] | None:
        """Return a hold that was not released."""

    def open_requests(self, organization: str, subject: str) -> list[str]:
        """Return the subject's requests that are not finished."""

    def belongings(self, organization: str, subject: str) -> dict[str, int]:
        """Return what there is of a subject: what → how many."""

    def pupils(self, organization: str, subject: str) -> list[str]:
        """Return the active specialists that may have been trained on the subject's model calls."""

    def erasure(self, organization: str, erasure: str) -> Mapping[str, Any] | None:
        """Return an erasure."""

    def expired(self, organization: str, data_class: str, before: int) -> int:
        """Return how much of a class would expire."""

    def retention(self, organization: str) -> Mapping[str, int]:
        """Return class → days, where the organization has chosen."""


def erase(batch: Sequence[Request], reads: PrivacyReads, now: int) -> list[Outcome]:
    """Erase subjects; payload ``{"key", "basis"}``. Their open requests end as cancelled.

    Raises:
        NotFound: no such key.
        Conflict: a legal hold is in force.
        InvalidInput: the basis is none.
    """
    return [_erase(request, reads, now) for request in batch]


def _erase(request: Request, reads: PrivacyReads, now: int) -> Outcome:
    organization, key = request.organization, str(request.payload.get("key"))
    basis = request.payload.get("basis")
    if basis not in BASES:
        raise InvalidInput(f"basis {basis!r}: one of {', '.join(BASES)}")
    subject = _subject(reads, organization, key)
    held = reads.holds_on(organization, subject)
    if held:
        raise Conflict(f"a legal hold is in force ({', '.join(held)}): nothing may be erased until it is released")
    counts = reads.belongings(organization, subject)
    audit = [
        AuditNote(tag=Tag.REQUEST_CANCELLED, subject=open_request, outcome="cancelled", details={"by": "erasure"})
        for open_request in reads.open_requests(organization, subject)
    ]
    audit += [
        AuditNote(tag=Tag.SPECIALIST_RETIRED, subject=specialist, outcome="retired", details={"by": "erasure"})
        for specialist in reads.pupils(organization, subject)
    ]
    audit.append(AuditNote(tag=Tag.SUBJECT_ERASED, subject=key, outcome="erased", details={"basis": basis, **counts}))
    write = EraseSubject(new_id("ers"), organization, subject, key, str(basis), request.principal, now)
    result = {"id": write.id, "key": key, "erased": counts}
    return Outcome(verdict=Verdict.APPROVED, result=result, audit=audit, writes=[write])


def note_cleaned(batch: Sequence[Request], reads: PrivacyReads, now: int) -> list[Outcome]:
    """Record that an erasure has reached broker or files; payload ``{"erasure", "what": "results" or "files"}``.

    Raises:
        NotFound: no such erasure.
        InvalidInput: there is nothing else to be cleaned.
    """
    outcomes = []
    for request in batch:
        erasure, what = str(request.payload.get("erasure")), request.payload.get("what")
        row = reads.erasure(request.organization, erasure)
        if row is None:
            raise NotFound(f"there is no erasure {erasure}")
        if what not in ("results", "files"):
            raise InvalidInput(f"what {what!r}: results or files")
        note = AuditNote(tag=Tag.SUBJECT_CLEANED, subject=row["subject_key"], outcome=what)
        write = NoteCleaned(erasure, request.organization, what, now)
        outcomes.append(Outcome(verdict=Verdict.APPROVED, result={"id": erasure}, writes=[write], audit=[note]))
    return outcomes


def export(batch: Sequence[Request], reads: PrivacyReads, now: int) -> list[Outcome]:
    """Record that a subject's data were handed out; payload ``{"key"}``. The data are read by whoever asked.

    Raises:
        NotFound: no such key.
    """
    outcomes = []
    for request in batch:
        key = str(request.payload.get("key"))
        counts = reads.belongings(request.organization, _subject(reads, request.organization, key))
        note = AuditNote(tag=Tag.SUBJECT_EXPORTED, subject=key, outcome="exported", details=counts)
        outcomes.append(Outcome(verdict=Verdict.APPROVED, result={"key": key, "exported": counts}, audit=[note]))
    return outcomes


def place_hold(batch: Sequence[Request], reads: PrivacyReads, now: int) -> list[Outcome]:
    """Place legal holds; payload ``{"key" or null for the whole organization, "reason"}``.

    Raises:
        NotFound: no such key.
        InvalidInput: no reason.
    """
    outcomes = []
    for request in batch:
        key, reason = request.payload.get("key"), str(request.payload.get("reason") or "").strip()
        if not reason:
            raise InvalidInput("reason: say which matter the hold belongs to")
        subject = None if key is None else _subject(reads, request.organization, str(key))
        write = PlaceHold(new_id("hold"), request.organization, subject, reason, request.principal, now)
        note = AuditNote(tag=Tag.HOLD_PLACED, subject=write.id, outcome="approved", details={"key": key})
        outcomes.append(
            Outcome(verdict=Verdict.APPROVED, result={"id": write.id, "key": key}, writes=[write], audit=[note])
        )
    return outcomes


def release_hold(batch: Sequence[Request], reads: PrivacyReads, now: int) -> list[Outcome]:
    """Release legal holds; payload ``{"hold"}``.

    Raises:
        NotFound: no such hold is in force.
    """
    outcomes = []
    for request in batch:
        hold = str(request.payload.get("hold"))
        if reads.hold(request.organization, hold) is None:
            raise NotFound(f"no hold {hold} is in force")
        note = AuditNote(tag=Tag.HOLD_RELEASED, subject=hold, outcome="approved")
        write = ReleaseHold(hold, request.organization, now)
        outcomes.append(Outcome(verdict=Verdict.APPROVED, result={"id": hold}, writes=[write], audit=[note]))
    return outcomes


def save_retention(batch: Sequence[Request], reads: PrivacyReads, now: int) -> list[Outcome]:
    """Choose how long a class is kept; payload ``{"class", "days"}``.

    Raises:
        InvalidInput: no such class, or fewer days than the floor.
    """
    outcomes = []
    for request in batch:
        data_class, days = request.payload.get("class"), request.payload.get("days")
        if data_class not in CLASSES:
            raise InvalidInput(f"class {data_class!r}: one of {', '.join(CLASSES)}")
        if type(days) is not int or days < FLOOR_DAYS:
            raise InvalidInput(f"days {days!r}: {FLOOR_DAYS} at least, records must be kept for six months")
        note = AuditNote(tag=Tag.RETENTION_CHANGED, subject=data_class, outcome="approved", details={"days": days})
        write = SaveRetention(request.organization, data_class, days, now)
        result = {"class": data_class, "days": days}
        outcomes.append(Outcome(verdict=Verdict.APPROVED, result=result, writes=[write], audit=[note]))
    return outcomes


class Retention:
    """Decides ``retention.apply``: what is older than its class allows goes, unless it is on hold.

    Args:
        default_days: for classes that an organization has not chosen for.
    """

    def __init__(self, default_days: int) -> None:
        self._default_days = default_days

    def apply(self, batch: Sequence[Request], reads: PrivacyReads, now: int) -> list[Outcome]:
        """Apply retention to whole organizations; the payload is empty."""
        return [self._apply(request, reads, now) for request in batch]

    def _apply(self, request: Request, reads: PrivacyReads, now: int) -> Outcome:
        chosen = reads.retention(request.organization)
        held = bool(reads.holds_on(request.organization, None))
        expired: dict[str, int] = {}
        outcome = Outcome(verdict=Verdict.APPROVED, result={"held": held, "expired": expired})
        for data_class in CLASSES if not held else ():
            before = now - chosen.get(data_class, self._default_days) * _DAY_MS
            count = reads.expired(request.organization, data_class, before)
            if count:
                expired[data_class] = count
                details = {"before": before, "count": count}
                outcome.writes = [*outcome.writes, ApplyRetention(request.organization, data_class, before)]
                note = AuditNote(tag=Tag.RETENTION_APPLIED, subject=data_class, outcome="erased", details=details)
                outcome.audit = [*outcome.audit, note]
        return outcome


def rotate_signing_key(batch: Sequence[Request], reads: Any, now: int) -> list[Outcome]:
    """Record that the log's signing key was rotated; payload ``{"key_id", "retired"}``."""
    return [
        Outcome(
            verdict=Verdict.APPROVED,
            audit=[AuditNote(tag=Tag.SIGNING_KEY_ROTATED, subject=str(request.payload["key_id"]), outcome="approved",
                             details={"retired": bool(request.payload.get("retired"))})],
        )
        for request in batch
    ]  # fmt: skip


def _subject(reads: PrivacyReads, organization: str, key: str) -> str:
    subject = reads.subject_of(organization, key)
    if subject is None:
        raise NotFound(f"there is no data subject with the key {key}: it was erased, or nothing was ever kept of it")
    return subject
