"""What the privacy commands do, step by step: decide through the gate, then clean caches and files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from metaqore.adapters.cleaning import Cleaner
from metaqore.bootstrap import one_off
from metaqore.embedded.broker import running_url
from metaqore.errors import NotFound
from metaqore.messages import Submission
from metaqore.settings import Settings
from metaqore.store.views.privacy import PrivacyViews


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
        self._views = PrivacyViews(self._store.database)

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
            payload["key"] = self._views.key_of(self._organization, subject)
        asked = Submission(organization=self._organization, project=None, principal=self._by, kind=kind,
                           payload=payload)  # fmt: skip
        return self._executor.run_now(asked).result

    def belongings(self, subject: str) -> Mapping[str, int] | None:
        """Return what there is of a subject; None where it was erased and only broker or files are to be cleaned.

        Raises:
            NotFound: nothing.
        """
        try:
            self._views.key_of(self._organization, subject)
        except NotFound:
            if self._uncleaned(subject):
                return None
            raise
        return self._views.belongings(self._organization, subject)

    def erase(self, subject: str, basis: str, redis_url: str | None) -> Iterator[str]:
        """Erase a subject, and what is left of it in caches and files; yield what was done.

        Whatever fails after the first step can be repeated: broker and files are cleaned by the next call, or by the
        system worker.

        Raises:
            NotFound: nothing is kept of the subject.
            Conflict: a legal hold forbids it.
            Unavailable: Redis or the database cannot be used; the message says which.
        """
        if self.belongings(subject) is not None:
            result = self.run("subject.erase", subject, basis=basis)
            yield f"erased {result['key']}: " + ", ".join(f"{n} {what}" for what, n in result["erased"].items())
        url = redis_url or self._settings.redis_url or running_url(self._settings.data_path / "broker")
        yield from Cleaner(self._executor, self._store.database, lambda: url).steps()
        if url is None:
            yield (
                "no broker runs: results may be in its files. Start it, and the system worker cleans them; or run this "
                "again with --redis-url"
            )

    def export(self, subject: str) -> dict[str, Any]:
        """Return everything that is kept of a subject, payloads readable; the export itself is recorded.

        Raises:
            NotFound: nothing.
        """
        self.run("subject.export", subject)
        return {**self._views.everything(self._organization, subject), "kept_days": self.retention()}

    def holds(self) -> list[dict[str, Any]]:
        """Return the legal holds in force."""
        return self._views.holds(self._organization)

    def retention(self) -> dict[str, int]:
        """Return class → days."""
        return self._views.retention(self._organization, self._settings.retention_days)

    def _uncleaned(self, subject: str) -> bool:
        with self._store.read() as tx:
            rows = tx.reads("privacy").uncleaned()
        return any((row["organization"], row["subject"]) == (self._organization, subject) for row in rows)
