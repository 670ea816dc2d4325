"""The ledger of model calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaqore.llm import effects
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert, BulkUpdate, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories.security_gate import GateRows
from metaqore.store.rows import many
from metaqore.store.tables.llm import llm_calls

_call = BulkInsert(
    llm_calls,
    "id organization project principal request_id decision_id provider model label prefix_hash state command "
    "prepared_at",
)
_settle = BulkUpdate(
    llm_calls, "state batch_id response error prompt_tokens completion_tokens cached_tokens settled_at", "id"
)


class LlmRows(GateRows):
    """Look-ups of model calls, and what SecureGateway looks up to decide them."""

    def calls(self, request_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return request id → the call's row, for the calls there are."""
        if not request_ids:
            return {}
        sql = f"SELECT * FROM llm_calls WHERE request_id IN ({placeholders(len(request_ids))})"
        return {row["request_id"]: row for row in many(self._db, self._connection, sql, request_ids)}

    def settled(self, organization: str, since: int, limit: int) -> list[dict[str, Any]]:
        """Return the latest calls with their answers, oldest first: what specialists may be made of."""
        sql = (
            "SELECT * FROM (SELECT principal, label, command, response, prompt_tokens, completion_tokens, settled_at, "
            "request_id FROM llm_calls WHERE organization = ? AND settled_at >= ? AND state = 'settled' "
            "ORDER BY settled_at DESC LIMIT ?) AS latest ORDER BY settled_at, request_id"
        )
        return many(self._db, self._connection, sql, (organization, since, limit))


def _new_calls(_db: Database, connection: Connection, writes: Sequence[effects.NewCall]) -> None:
    _call(
        connection,
        [
            (w.id, w.organization, w.project, w.principal, w.request_id, w.decision_id, w.provider, w.model, w.label,
             w.prefix_hash, "prepared", w.command, w.at)
            for w in writes
        ],
    )  # fmt: skip


def _settle_calls(_db: Database, connection: Connection, writes: Sequence[effects.SettleCall]) -> None:
    _settle(
        connection,
        [
            (w.state, w.batch_id, w.response, w.error, w.prompt_tokens, w.completion_tokens, w.cached_tokens, w.at,
             w.id)
            for w in writes
        ],
    )  # fmt: skip


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    effects.NewCall: _new_calls,
    effects.SettleCall: _settle_calls,
}
