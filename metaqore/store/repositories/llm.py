"""The ledger of model calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaqore.errors import MetaQoreError
from metaqore.llm import effects
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert, BulkUpdate, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import budgets
from metaqore.store.repositories.budgets import BudgetRows
from metaqore.store.repositories.security_gate import GateRows
from metaqore.store.repositories.specialists import ServingRows
from metaqore.store.rows import many
from metaqore.store.tables.llm import llm_calls

_call = BulkInsert(
    llm_calls,
    "id organization project principal request_id decision_id provider model label prefix_hash state command "
    "redacted trainable prepared_at",
)
_settle = BulkUpdate(
    llm_calls, "state batch_id response error prompt_tokens completion_tokens cached_tokens settled_at", "id"
)
_raise = BulkUpdate(llm_calls, "label", "id")
_keep_from_training = BulkUpdate(llm_calls, "trainable", "id")


class LlmRows(GateRows, BudgetRows, ServingRows):
    """Look-ups of model calls, and what SecureGateway looks up to decide them."""

    def calls(self, request_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return request id → the call's row, for the calls there are."""
        if not request_ids:
            return {}
        sql = f"SELECT * FROM llm_calls WHERE request_id IN ({placeholders(len(request_ids))})"
        return {row["request_id"]: row for row in many(self._db, self._connection, sql, request_ids)}

    def artifacts(self, organization: str, artifacts: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return artifact id → (label, state), for those that the organization has."""
        if not artifacts:
            return {}
        sql = (
            f"SELECT id, label, state FROM artifacts WHERE organization = ? AND id IN ({placeholders(len(artifacts))})"
        )
        rows = self._connection.exec_driver_sql(self._db.sql(sql), (organization, *artifacts))
        return {str(artifact): (str(label), str(state)) for artifact, label, state in rows}

    def settled(self, organization: str, since: int, limit: int) -> list[dict[str, Any]]:
        """Return the latest calls with their answers, oldest first: what specialists may be made of.

        A call whose decision forbids to learn from it is left out.
        """
        sql = (
            "SELECT * FROM (SELECT principal, project, label, command, response, prompt_tokens, completion_tokens, "
            "settled_at, request_id FROM llm_calls WHERE organization = ? AND settled_at >= ? AND state = 'settled' "
            "AND trainable = 1 ORDER BY settled_at DESC LIMIT ?) AS latest ORDER BY settled_at, request_id"
        )
        return many(self._db, self._connection, sql, (organization, since, limit))


class UndecidedCall(MetaQoreError):
    """A model call needs an approval of SecureGateway, recorded for the very same request."""

    code = "undecided_call"


def _new_calls(db: Database, connection: Connection, writes: Sequence[effects.NewCall]) -> None:
    _call(
        connection,
        [
            (w.id, w.organization, w.project, w.principal, w.request_id, w.decision_id, w.provider, w.model, w.label,
             w.prefix_hash, "prepared", w.command, w.redacted, int(w.trainable), w.at)
            for w in writes
        ],
    )  # fmt: skip
    _must_be_decided(db, connection, [w.id for w in writes])


def _must_be_decided(db: Database, connection: Connection, ids: Sequence[str]) -> None:
    # That there is a decision is the schema's matter; this is about which one it is.
    sql = (
        "SELECT count(*) FROM llm_calls c JOIN decisions d ON d.id = c.decision_id AND d.request_id = c.request_id "
        "AND d.organization = c.organization AND d.verdict = 'approved' "
        f"WHERE c.id IN ({placeholders(len(ids))})"
    )
    if connection.exec_driver_sql(db.sql(sql), tuple(ids)).scalar_one() != len(ids):
        raise UndecidedCall


def _settle_calls(_db: Database, connection: Connection, writes: Sequence[effects.SettleCall]) -> None:
    _settle(
        connection,
        [
            (w.state, w.batch_id, w.response, w.error, w.prompt_tokens, w.completion_tokens, w.cached_tokens, w.at,
             w.id)
            for w in writes
        ],
    )  # fmt: skip


def _raise_calls(_db: Database, connection: Connection, writes: Sequence[effects.RaiseCall]) -> None:
    _raise(connection, [(w.label, w.id) for w in writes])
    # What the decision of the call forbids, no answer allows.
    _keep_from_training(connection, [(0, w.id) for w in writes if not w.trainable])


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    **budgets.WRITERS,
    effects.NewCall: _new_calls,
    effects.SettleCall: _settle_calls,
    effects.RaiseCall: _raise_calls,
}
