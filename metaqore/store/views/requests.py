"""Look-ups of requests, for those who submitted them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metaqore.clock import to_rfc3339
from metaqore.messages import TERMINAL, Request, State, Verdict
from metaqore.requests.model import document
from metaqore.store.bulk import chunks, placeholders
from metaqore.store.views.lookup import Lookup, Page, Row

_COLUMNS = (
    "seq, id, organization, project, principal, kind, queue, ordering_key, state, verdict, result, error, attempt, "
    "fence, created_at, finished_at"
)
_CHUNK = 500


class Shown(msgspec.Struct, frozen=True):
    """A request as callers see it: the encoded document and what is needed to label it."""

    id: str
    state: State
    attempt: int
    document: bytes
    #: When (ms) it last said how far it is; 0 where it did not.
    progress_at: int = 0

    @property
    def is_finished(self) -> bool:
        """True where the request will never change again."""
        return self.state in TERMINAL


class RequestViews(Lookup):
    """Look-ups of requests."""

    def get(self, organization: str, request: str) -> Shown | None:
        """Return one request."""
        row = self.row(f"SELECT {_COLUMNS} FROM requests WHERE id = ? AND organization = ?", (request, organization))
        if row is None:
            return None
        # Another state has none: a request that nobody works on is spared the look.
        return _shown(row, self._progress(row) if row["state"] == "running" else None)

    def _progress(self, row: Row) -> Row | None:
        sql = "SELECT of, done, total, at FROM request_progress WHERE request = ? AND fence = ?"
        return self.row(sql, (row["id"], row["fence"]))

    def find(
        self,
        organization: str,
        *,
        state: str | None,
        kind: str | None,
        project: str | None,
        verdict: str | None,
        after: int | None,
        limit: int,
    ) -> Page:
        """Return requests, the newest first; ``after`` is a sequence number."""
        where = {"organization": organization, "state": state, "kind": kind, "project": project, "verdict": verdict}
        found = self.page(_COLUMNS, "requests", where, key="seq", after=after, limit=limit, descending=True)
        return Page([_shown(row) for row in found.items], found.last)

    def open_by_project(self, queue: str, organization: str) -> dict[str | None, int]:
        """Return how many requests of an organization wait on a queue, by project."""
        rows = self.rows(
            "SELECT project, count(*) AS n FROM requests WHERE queue = ? AND state IN ('accepted', 'running') "
            "AND organization = ? GROUP BY project",
            (queue, organization),
        )
        return {row["project"]: row["n"] for row in rows}

    def finished(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the documents of those of ``ids`` that are finished: one query for all who wait."""
        states = ", ".join(f"'{state.value}'" for state in sorted(TERMINAL))
        found: dict[str, bytes] = {}
        for chunk in chunks(ids, _CHUNK):
            rows = self.rows(
                f"SELECT {_COLUMNS} FROM requests WHERE id IN ({placeholders(len(chunk))}) AND state IN ({states})",
                chunk,
            )
            found.update((row["id"], _shown(row).document) for row in rows)
        return found


def _shown(row: Row, progress: Row | None = None) -> Shown:
    request = Request(
        seq=row["seq"], id=row["id"], organization=row["organization"], project=row["project"],
        principal=row["principal"], kind=row["kind"], queue=row["queue"], ordering_key=row["ordering_key"], payload={},
        attempt=row["attempt"], fence=row["fence"], created_at=row["created_at"],
    )  # fmt: skip
    state = State(row["state"])
    encoded = document(
        request,
        state=state,
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        result=None if row["result"] is None else row["result"].encode(),
        error=_decoded(row["error"]),
        attempt=row["attempt"],
        finished_at=row["finished_at"],
        progress=None if progress is None else _told(progress),
    )
    return Shown(request.id, state, request.attempt, encoded, 0 if progress is None else progress["at"])


def _told(progress: Row) -> dict[str, Any]:
    return {name: progress[name] for name in ("of", "done", "total")} | {"at": to_rfc3339(progress["at"])}


def _decoded(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else msgspec.json.decode(text)
