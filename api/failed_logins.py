"""Failed logins go to the audit log, counted: a flood of them makes one entry a minute for each key, not one each.

An entry of a key that exists belongs to the key's organization. A key that does not exist is nobody's and is not named,
since whoever sends it could write anything there: those go to the installation's own organization, all in one count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from metaqore.audit.tags import Tag
from metaqore.clock import now_ms
from metaqore.messages import AuditNote
from metaqore.requests.counted import WINDOW_MS, Count, Counted
from metaqore.requests.ports import Store

__all__ = ["WINDOW_MS", "FailedLogins"]


class _Failure(NamedTuple):
    organization: str
    key: str | None
    reason: str


class FailedLogins(Counted[_Failure]):
    """One per process. ``note`` never blocks and never raises.

    Args:
        organization: the installation's own.
    """

    actor = "anonymous"

    def __init__(self, store: Store, organization: str, clock: Callable[[], int] = now_ms) -> None:
        super().__init__(store, clock)
        self._organization = organization

    def note(self, organization: str | None, key: str | None, reason: str) -> None:
        """Count one failure; it is written soon, from another thread."""
        self.count(_Failure(organization or self._organization, key, reason))

    def together(self, kind: _Failure) -> _Failure:
        """Return a failure of nobody's key, for the same reason."""
        return _Failure(self._organization, None, kind.reason)

    def entry(self, kind: _Failure, counted: Count) -> tuple[str, AuditNote]:
        """Return the entry; ``since`` and ``until`` in ms."""
        details = {"count": counted.n, "since": counted.since, "until": counted.until}
        note = AuditNote(tag=Tag.LOGIN_FAILED, subject=kind.key, outcome=kind.reason, details=details)
        return kind.organization, note
