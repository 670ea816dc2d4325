"""Collects what one transaction must record, then numbers and writes it: audit entries, events, new requests.

Sequence numbers are reserved last, so that on PostgreSQL the organization's counter row is locked for as short a
time as can be; it is held until the commit, which makes numbers gapless and visible in order.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.audit.entry import commit_to, make_entry, spans
from metaqore.audit.tags import Tag
from metaqore.audit.vault import SALT_BYTES
from metaqore.canonical import canonical_json
from metaqore.errors import InvalidInput
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Submission
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.ports import Transaction

_encode = msgspec.json.Encoder().encode
#: U+0000 as JSON writes it; after an odd number of backslashes it is a text about it.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
#: Who did what nobody asked for.
ACTOR = "metaqore"
_DECIDED = {"failed": Tag.REQUEST_FAILED, "dead": Tag.REQUEST_DEAD, "cancelled": Tag.REQUEST_CANCELLED}


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """A payload as it is stored and committed to."""

    text: str
    #: Whoever holds payload and salt can show that this is what was asked; nobody else can even guess at it.
    salt: bytes
    commitment: str
    #: The payload sealed for its data subject, where that could be done before the transaction.
    sealed: str | None = None


class Recorder:
    """One per transaction; ``flush`` must be the last thing before the commit."""

    def __init__(self, catalogue: Catalogue, now: int) -> None:
        self._catalogue = catalogue
        self._now = now
        self._audit: defaultdict[str, list[tuple[AuditNote, str, str | None, str | None]]] = defaultdict(list)
        self._events: defaultdict[str, list[tuple[EventNote, str | None, str]]] = defaultdict(list)
        self._rows: list[tuple[Any, ...]] = []
        #: queue → ids to ring after the commit.
        self.rings: defaultdict[str, list[str]] = defaultdict(list)
        self.deliveries = 0

    @property
    def organizations(self) -> frozenset[str]:
        """Whose event streams have grown."""
        return frozenset(self._events)

    def accept(self, submission: Submission, encoded: Encoded | None = None) -> Request:
        """Note a new request and its audit entry; return it.

        Args:
            encoded: its payload, where that was encoded before the transaction.

        Raises:
            UnknownKind: no such kind.
        """
        kind = self._catalogue[submission.kind]
        request = Request(
            seq=0,
            id=new_id("req"),
            organization=submission.organization,
            project=submission.project,
            principal=submission.principal,
            kind=kind.name,
            queue=kind.queue,
            ordering_key=submission.project if kind.ordered_by_project else None,
            payload=dict(submission.payload),
            attempt=0,
            fence=0,
            created_at=self._now,
        )
        encoded = encoded or encode(submission)
        self._rows.append(
            (request.id, request.organization, request.project, request.principal, request.kind, request.queue,
             request.ordering_key, encoded.text, "accepted", self._now, self._now, submission.subject, encoded.salt,
             encoded.sealed)
        )  # fmt: skip
        self._note(
            request,
            AuditNote(
                tag=Tag.REQUEST_ACCEPTED,
                subject=request.id,
                outcome="accepted",
                details={"kind": kind.name},
                commitment=encoded.commitment,
            ),
        )
        if kind.queue != "control":
            self.rings[kind.queue].append(request.id)
        return request

    def record(self, request: Request, outcome: Outcome, state: str) -> None:
        """Note what was decided: every outcome leaves at least one audit entry."""
        notes = outcome.audit
        if not notes:
            verdict = outcome.verdict.value if outcome.verdict is not None else state
            notes = [
                AuditNote(
                    tag=_DECIDED.get(state, Tag.REQUEST_DECIDED),
                    subject=request.id,
                    outcome=verdict,
                    details={"kind": request.kind},
                )
            ]
        for note in notes:
            self._note(request, note)
        for event in outcome.events:
            self._events[request.organization].append((event, request.project, request.id))
        for submission in outcome.follow_ups:
            self.accept(submission)
        for queue in outcome.rings:
            self.rings[queue] += []

    def note(
        self, organization: str, actor: str, note: AuditNote, *, project: str | None = None, request: str | None = None
    ) -> None:
        """Note an audit entry that is not of a request being decided, e.g. a failed login or a delivery."""
        self._audit[organization].append((note, actor, project, request))

    def announce(self, organization: str, event: EventNote, *, project: str | None, request: str) -> None:
        """Note an event that follows from an earlier request."""
        self._events[organization].append((event, project, request))

    def note_request(self, request: Request, note: AuditNote) -> None:
        """Note one more audit entry of a request."""
        self._note(request, note)

    def note_event(self, request: Request, event: EventNote) -> None:
        """Note one more event of a request."""
        self._events[request.organization].append((event, request.project, request.id))

    def flush(self, tx: Transaction) -> None:
        """Write everything that was noted."""
        tx.requests.insert(self._rows)
        carried = {organization: self._carriers(organization) for organization in self._events}
        # Sorted, so that two transactions over several organizations never wait for each other.
        wanted = {
            organization: (len(self._audit.get(organization, ())), len(self._events.get(organization, ())))
            for organization in sorted(self._audit.keys() | self._events.keys())
        }
        first = tx.next_numbers(wanted)
        for organization, notes in self._audit.items():
            audit, told = first[organization]
            spoken = {at: spans([told + n for n in found]) for at, found in carried.get(organization, {}).items()}
            tx.append_audit(organization, self._entries(organization, notes, audit, spoken))
        rows = []
        for organization, events in self._events.items():
            seq = first[organization][1]
            for offset, (event, project, request_id) in enumerate(events):
                rows.append(
                    (organization, seq + offset, new_id("evt"), project, event.type, event.subject, request_id,
                     _encode(event.data).decode(), self._now)
                )  # fmt: skip
        if rows:
            self.deliveries = tx.append_events(rows)

    def _carriers(self, organization: str) -> dict[int, list[int]]:
        """Return which note speaks of which events, both by their place: the last one of the event's request.

        So every event is in one entry, and whoever holds the log can tell that one is missing or was added.
        """
        notes = self._audit[organization]
        last = {request: at for at, (_, _, _, request) in enumerate(notes)}
        carried: defaultdict[int, list[int]] = defaultdict(list)
        for number, (event, project, request) in enumerate(self._events[organization]):
            if request not in last:
                last[request] = len(notes)
                notes.append((AuditNote(tag=Tag.EVENT_PUBLISHED, subject=event.subject), ACTOR, project, request))
            carried[last[request]].append(number)
        return carried

    def _note(self, request: Request, note: AuditNote) -> None:
        self._audit[request.organization].append((note, request.principal, request.project, request.id))

    def _entries(
        self,
        organization: str,
        notes: Sequence[tuple[AuditNote, str, str | None, str | None]],
        first: int,
        spoken: Mapping[int, str],
    ) -> list[tuple[Any, str, str | None, str | None, int]]:
        now = self._now
        return [
            (
                make_entry(
                    organization=organization, seq=first + offset, tag=note.tag, actor=actor, ts_ms=now,
                    project=project, request=request_id, subject=note.subject, outcome=note.outcome,
                    policy_digest=note.policy_digest, details=note.details, events=spoken.get(offset),
                    commitment=note.commitment,
                ),
                actor, project, request_id, now,
            )
            for offset, (note, actor, project, request_id) in enumerate(notes)
        ]  # fmt: skip


def encode(submission: Submission, seal: Callable[[str, str, bytes, str], str | None] | None = None) -> Encoded:
    """Return the payload as it is stored: all that can be done before the transaction.

    Args:
        seal: see ``Store.seal``.

    Raises:
        InvalidInput: see ``encode_payload``.
    """
    text, salt = encode_payload(submission.payload), os.urandom(SALT_BYTES)
    owner = submission.subject or submission.principal
    sealed = seal(submission.organization, owner, salt, text) if seal is not None else None
    return Encoded(text, salt, commit_to(text.encode(), salt), sealed)


def encode_payload(payload: Any) -> str:
    """Return the canonical JSON text of a payload.

    Raises:
        InvalidInput: it has no canonical form, or holds U+0000, which PostgreSQL cannot store.
    """
    text = canonical_json(payload).decode()
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidInput("the payload holds the character U+0000, which cannot be stored: remove it")
    return text
