"""What was recorded, each look-up on a connection of its own: for work that goes on outside of transactions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from metaqore.hmcp.artefact import Artefact
from metaqore.hmcp.model import TaskEvent
from metaqore.store.repositories.hmcp import HmcpRows
from metaqore.store.unit_of_work import SqlStore


class Recorded:
    """See ``metaqore.hmcp.ports.Source`` and ``Shelf``."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def events(self, organization: str, since: int, limit: int) -> list[TaskEvent]:
        """Return the latest recorded calls, oldest first."""
        with self._store.read() as tx:
            return _rows(tx).events(organization, since, limit)

    def patterns(self, organization: str) -> Mapping[str, Mapping[str, Any]]:
        """Return signature key → row."""
        with self._store.read() as tx:
            return _rows(tx).patterns(organization)

    def champion(self, pattern: str) -> tuple[int, Artefact | None]:
        """Return the highest version and the active specialist."""
        with self._store.read() as tx:
            return _rows(tx).champion(pattern)

    def live(self, pattern: str) -> Sequence[Mapping[str, Any]]:
        """Return the specialists of a pattern that are active or proposed."""
        with self._store.read() as tx:
            return _rows(tx).live(pattern)

    def on_duty(self, organizations: Collection[str]) -> Sequence[Mapping[str, Any]]:
        """Return the specialists of organizations that may be asked."""
        with self._store.read() as tx:
            return _rows(tx).on_duty(organizations)

    def artefact(self, specialist: str) -> Artefact | None:
        """Return what is stored of a specialist."""
        with self._store.read() as tx:
            return _rows(tx).artefact(specialist)


def _rows(tx: Any) -> HmcpRows:
    found: HmcpRows = tx.reads("hmcp")
    return found
