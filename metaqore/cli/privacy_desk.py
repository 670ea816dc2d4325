"""What the privacy commands do, step by step: decide through the gate, then clean caches and files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from metaqore.adapters.forgetting import forget_results
from metaqore.audit.privacy import CLASSES
from metaqore.audit.vault import Unreadable, is_sealed
from metaqore.bootstrap import one_off
from metaqore.embedded.broker import running_url
from metaqore.errors import NotFound
from metaqore.messages import Submission
from metaqore.settings import Settings
from metaqore.store.sealed import open_whole


class Privacy:
    """One organization's data subjects.

    Args:
        by: who acts, in every entry.
    """

    def __init__(self, settings: Settings, organization: str | None, *, by: str) -> None:
        self._settings = settings
        self._organization = organization or settings.organization
        self._by = by
        self._open = contextlib.ExitStack()
        self._store, _, self._executor = self._open.enter_context(one_off(settings))

    def close(self) -> None:
        """Close the database."""
        self._open.close()

    def run(self, kind: str, subject: str | None = None, /, **payload: Any) -> Mapping[str, Any]:
        """Run one privacy request; a subject is named by the id of its key.

        Raises:
            NotFound: nothing is kept of the subject.
            Conflict: a legal hold forbids it.
        """
        if subject is not None:
            payload["key"] = self._key(subject)
        asked = Submission(organization=self._organization, project=None, principal=self._by, kind=kind,
                           payload=payload)  # fmt: skip
        return self._executor.run_now(asked).result

    def belongings(self, subject: str) -> Mapping[str, int]:
        """Return what there is of a subject.

        Raises:
            NotFound: nothing.
        """
        self._key(subject)
        with self._store.read() as tx:
            found: Mapping[str, int] = tx.reads("privacy").belongings(self._organization, subject)
        return found

    def erase(self, subject: str, basis: str, redis_url: str | None) -> Iterator[str]:
        """Erase a subject, and what is left of it in caches and files; yield what was done.

        Whatever fails after the first step can be repeated: there is nothing of the subject in the database by then,
        and ``repeat`` cleans caches and files again.

        Raises:
            NotFound: nothing is kept of the subject.
            Conflict: a legal hold forbids it.
            Unavailable: Redis or the database cannot be used; the message says which.
        """
        with self._store.read() as tx:
            requests = tx.reads("privacy").request_ids(self._organization, subject)
        result = self.run("subject.erase", subject, basis=basis)
        yield f"erased {result['key']}: " + ", ".join(f"{n} {what}" for what, n in result["erased"].items())
        url = redis_url or self._settings.redis_url or running_url(self._settings.data_path / "broker")
        if url is None:
            yield "no broker runs: start it and run this again with --redis-url, results may be in its files"
        else:
            yield f"forgot {forget_results(url, requests)} cached results, and rewrote the broker's files"
        clean = self._store.database.compact()
        yield "rewrote the database" + ("" if clean else "; its write-ahead log goes by the server's own schedule")

    def export(self, subject: str) -> dict[str, Any]:
        """Return everything that is kept of a subject, payloads readable; the export itself is recorded.

        Raises:
            NotFound: nothing.
        """
        self.run("subject.export", subject)
        with self._store.read() as tx:
            found = tx.reads("privacy").everything(self._organization, subject)
            for row in found["requests"]:
                row["payload"] = self._readable(tx.connection, row["payload"])
        shown = {name: [{k: _json(v) for k, v in row.items()} for row in rows] for name, rows in found.items()}
        return {"organization": self._organization, "subject": subject, **shown}

    def holds(self) -> list[dict[str, Any]]:
        """Return the legal holds in force."""
        with self._store.read() as tx:
            found: list[dict[str, Any]] = tx.reads("privacy").holds(self._organization)
        return found

    def retention(self) -> dict[str, int]:
        """Return class → days."""
        with self._store.read() as tx:
            chosen = tx.reads("privacy").retention(self._organization)
        return {name: chosen.get(name, self._settings.retention_days) for name in CLASSES}

    def _key(self, subject: str) -> str:
        with self._store.read() as tx:
            found: str | None = tx.reads("privacy").key_of(self._organization, subject)
        if found is None:
            raise NotFound(f"nothing is kept of {subject} in {self._organization}")
        return found

    def _readable(self, connection: Any, text: str) -> str:
        if not is_sealed(text):
            return text
        try:
            return open_whole(self._store.database, connection, text)[1].decode()
        except Unreadable:
            return '{"erased":true}'


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
    except ValueError:
        return value
