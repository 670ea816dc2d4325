"""What came over the broker and was not taken: counted and audited, never shown."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from metaqore.audit.tags import Tag
from metaqore.messages import AuditNote
from metaqore.requests.counted import Count, Counted
from metaqore.requests.ports import Store

log = structlog.get_logger(__name__)


class _Message(NamedTuple):
    place: str
    reason: str


class Refused(Counted[_Message]):
    """Counts refused messages.

    Args:
        organization: the installation's own, since a forged message is nobody's.
    """

    actor = "broker"

    def __init__(self, store: Store, organization: str) -> None:
        super().__init__(store)
        self._organization = organization

    def note(self, place: str, reason: str) -> None:
        """Count one message on the queue or channel ``place``; never blocks and never raises."""
        log.warning("message_refused", place=place, reason=reason)
        self.count(_Message(place, reason))

    def together(self, kind: _Message) -> _Message:
        """Return a message of no place, for the same reason."""
        return _Message("", kind.reason)

    def entry(self, kind: _Message, counted: Count) -> tuple[str, AuditNote]:
        """Return the entry."""
        note = AuditNote(tag=Tag.MESSAGE_REFUSED, subject=kind.place, outcome=kind.reason, details={"count": counted.n})
        return self._organization, note
