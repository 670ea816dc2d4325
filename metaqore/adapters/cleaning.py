"""Brings erasures to where no transaction reaches: cached results, the broker's files, the files of the database.

Each step is recorded when it is done, so what could not be reached (no broker runs, a file cannot be written) is tried
again, by the system worker or by whoever asks, until it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import structlog

from metaqore.adapters.forgetting import forget_results
from metaqore.errors import MetaQoreError
from metaqore.messages import Submission
from metaqore.requests.executor import Executor

#: A database up to this size is rewritten in seconds.
_QUICK_BYTES = 512 * 1024 * 1024
#: What no client can reach.
LEFT_BY_POSTGRES = (
    "its tables hold nothing of what was deleted. PostgreSQL's write-ahead log may until the server has used its "
    "segments again, and so may archived segments, replicas and base backups until they expire"
)

log = structlog.get_logger(__name__)


class Files(Protocol):
    """The database's files."""

    def compact(self, *, rewrite: bool = True) -> bool:
        """Rewrite them without what was deleted; return whether nothing of it is left."""

    def size(self) -> int:
        """Return how many bytes they have."""


class Cleaner:
    """Cleans after erasures.

    Args:
        broker: returns the URL of the broker, None where none runs.
    """

    def __init__(self, executor: Executor, files: Files, broker: Callable[[], str | None]) -> None:
        self._executor, self._files, self._broker = executor, files, broker

    def after_retention(self) -> None:
        """Let go, in the files, of what has expired; where rewriting all would hold writers up for long, not at once.

        Then the log says that ``metaqore db compact`` is to be run when writers can wait.

        Raises:
            Unavailable: the database cannot be used.
        """
        size = self._files.size()
        self._files.compact(rewrite=size <= _QUICK_BYTES)
        if size > _QUICK_BYTES:
            log.warning(
                "expired_content_may_remain", bytes=size, what_to_do="run metaqore db compact, writers wait for it"
            )

    def run(self) -> int:
        """Clean after all erasures; return how many steps were done. What cannot be reached is left for next time."""
        done = 0
        try:
            for line in self.steps():
                done += 1
                log.info("erasure_cleaned", what=line)
        except MetaQoreError as error:
            log.warning("erasure_not_cleaned", reason=error.code, message=error.message)
        return done

    def steps(self) -> Iterator[str]:
        """Clean step by step; yield what was done, and say where no broker runs.

        Raises:
            Unavailable: broker or database cannot be used.
        """
        waiting = self._waiting()
        url = self._broker() if any(row["results_at"] is None for row in waiting) else None
        for row in waiting if url is not None else ():
            if row["results_at"] is None:
                with self._executor.store.read() as tx:
                    requests = tx.reads("privacy").request_ids(row["organization"], row["subject"])
                gone = forget_results(str(url), requests)
                self._note(row, "results")
                yield f"forgot {gone} cached results, and rewrote the broker's files"
        rewritten = [row for row in waiting if row["files_at"] is None]
        if rewritten:
            clean = self._files.compact()
            for row in rewritten:
                self._note(row, "files")
            yield "rewrote the database" + ("" if clean else f": {LEFT_BY_POSTGRES}")

    def _waiting(self) -> list[dict[str, Any]]:
        with self._executor.store.read() as tx:
            found: list[dict[str, Any]] = tx.reads("privacy").uncleaned()
        return found

    def _note(self, row: dict[str, Any], what: str) -> None:
        asked = Submission(organization=row["organization"], project=None, principal="metaqore",
                           kind="erasure.cleaned", payload={"erasure": row["id"], "what": what})  # fmt: skip
        self._executor.run_now(asked)
