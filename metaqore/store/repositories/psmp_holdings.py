"""Rows of what heads and open intents hold: requirements, claims, managed fields. See ``metaqore.psmp.holdings``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from metaqore.messages import Write
from metaqore.psmp import holdings
from metaqore.psmp.holdings import Claim, Intent
from metaqore.psmp.manifest import Held, Holder, Slot
from metaqore.psmp.ownership import Field
from metaqore.store.bulk import BulkInsert, BulkUpdate, chunks, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import psmp_time as past
from metaqore.store.rows import many
from metaqore.store.tables import psmp_holdings as t

_CHUNK = 256
#: By the short key of ``ix_artifacts_content`` first, then in full.
_SAME = (
    "substr(a.content_hash, 8, 12) = substr({hash}, 8, 12) AND substr(a.project, 33) = substr({project}, 33) "
    "AND a.content_hash = {hash} AND a.project = {project}"
)

_requirement = BulkInsert(
    t.artifact_requirements, "project ecosystem package environment specifier artifact scope declared_by"
)
_CLAIM = "project kind prefix pattern holder principal title seq expires_at"
_claim = BulkInsert(t.claims, _CLAIM)
_CLAIM_COLUMNS = ", ".join(_CLAIM.split())
_field = BulkInsert(t.field_managers, "artifact pointer manager value_hash since")
_intent = BulkInsert(
    t.intents,
    "id organization project principal purpose state body remaining request_id seq expires_at created_at updated_at "
    "position",
)
_change_intent = BulkUpdate(t.intents, "state remaining updated_at", "id")

_SLOT = (
    "r.project = {0}.project AND r.ecosystem = {0}.ecosystem AND r.package = {0}.package "
    "AND r.environment = {0}.environment"
)
_OF = _SLOT.format("s")
#: Goes from one specifier of a slot to the next by index, so that it costs as many steps as there are *different*
#: specifiers, however many artifacts share one.
_SPECIFIERS = f"""
WITH RECURSIVE wanted(project, ecosystem, package, environment) AS (VALUES {{values}}),
s(project, ecosystem, package, environment, specifier) AS (
  SELECT w.project, w.ecosystem, w.package, w.environment,
    (SELECT min(r.specifier) FROM artifact_requirements r WHERE {_SLOT.format("w")}) FROM wanted w
  UNION ALL
  SELECT s.project, s.ecosystem, s.package, s.environment,
    (SELECT min(r.specifier) FROM artifact_requirements r WHERE {_OF} AND r.specifier > s.specifier)
  FROM s WHERE s.specifier IS NOT NULL
),
first AS (
  SELECT s.project, s.ecosystem, s.package, s.environment, s.specifier,
    (SELECT min(r.artifact) FROM artifact_requirements r WHERE {_OF} AND r.specifier = s.specifier) AS low
  FROM s WHERE s.specifier IS NOT NULL
),
ends AS (
  SELECT s.project, s.ecosystem, s.package, s.environment, s.specifier, s.low, coalesce(
    (SELECT min(r.artifact) FROM artifact_requirements r
     WHERE {_OF} AND r.specifier = s.specifier AND r.artifact > s.low), s.low) AS high
  FROM first s
)
SELECT s.project, s.ecosystem, s.package, s.environment, s.specifier, s.low, l.declared_by, s.high, h.declared_by
FROM ends s
JOIN artifact_requirements l ON {_OF.replace("r.", "l.")} AND l.specifier = s.specifier AND l.artifact = s.low
JOIN artifact_requirements h ON {_OF.replace("r.", "h.")} AND h.specifier = s.specifier AND h.artifact = s.high
ORDER BY s.project, s.ecosystem, s.package, s.environment, s.specifier
"""


class HoldingRows:
    """See ``metaqore.psmp.holdings.HoldingReads``."""

    _db: Database
    _connection: Connection

    def _rows(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), tuple(values)).fetchall()

    def specifiers(self, slots: Collection[Slot]) -> list[Held]:
        """Return the different specifiers in each slot, each with two of its holders."""
        found = []
        for part in chunks(sorted(slots), _CHUNK):
            sql = _SPECIFIERS.format(values=", ".join(["(?, ?, ?, ?)"] * len(part)))
            values = [value for slot in part for value in msgspec.structs.astuple(slot)]
            found += [
                Held(Slot(*row[:4]), row[4], Holder(row[5], row[6]), Holder(row[7], row[8]))
                for row in self._rows(sql, values)
            ]
        return found

    def requirement_holder(self, slot: Slot, specifier: str, but: Collection[str]) -> Holder | None:
        """Return the first artifact with this specifier that is none of ``but``."""
        others = sorted(but)
        rows = self._rows(
            "SELECT artifact, declared_by FROM artifact_requirements WHERE project = ? AND ecosystem = ? "
            "AND package = ? AND environment = ? AND specifier = ? "
            f"AND artifact NOT IN ({placeholders(len(others)) or 'NULL'}) ORDER BY artifact LIMIT 1",
            [*msgspec.structs.astuple(slot), specifier, *others],
        )
        return Holder(*rows[0]) if rows else None

    def claims(
        self, keys: Collection[tuple[str, str, str]], between: Collection[tuple[str, str, str]], limit: int
    ) -> list[Claim]:
        """Return claims under prefixes, and below prefixes."""
        found: dict[tuple[str, str, str, str, str], Claim] = {}
        for part in chunks(sorted(keys), _CHUNK):
            rows = self._claims_under(part, limit)
            if len(rows) == limit and len(part) > 1:
                # One of them has very many; the others are not to lose theirs for it.
                rows = [row for key in part for row in self._claims_under([key], limit)]
            found.update((row[:5], Claim(*row)) for row in rows)
        for project, low, high in sorted(between):
            rows = self._rows(
                f"SELECT {_CLAIM_COLUMNS} FROM claims WHERE project = ? AND kind = 'path' AND prefix > ? "
                "AND prefix < ? ORDER BY prefix, pattern, holder LIMIT ?",
                (project, low, high, limit),
            )
            found.update((row[:5], Claim(*row)) for row in rows)
        return [found[key] for key in sorted(found)]

    def _claims_under(self, keys: Sequence[tuple[str, str, str]], limit: int) -> Sequence[Any]:
        return self._rows(
            f"SELECT {_CLAIM_COLUMNS} FROM claims WHERE (project, kind, prefix) IN "
            f"(VALUES {', '.join(['(?, ?, ?)'] * len(keys))}) ORDER BY {_CLAIM_COLUMNS} LIMIT ?",
            [*(value for key in keys for value in key), limit],
        )

    def fields(self, artifacts: Collection[str]) -> dict[str, list[Field]]:
        """Return who manages what, by artifact."""
        found: dict[str, list[Field]] = {}
        for part in chunks(sorted(artifacts), _CHUNK):
            for artifact, *rest in self._rows(
                "SELECT artifact, pointer, manager, value_hash, since FROM field_managers "
                f"WHERE artifact IN ({placeholders(len(part))}) ORDER BY artifact, pointer, manager",
                part,
            ):
                found.setdefault(artifact, []).append(Field(*rest))
        return found

    def same_content(self, contents: Collection[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
        """Return by (project, content hash) the two oldest artifacts whose head has that content."""
        found: dict[tuple[str, str], tuple[str, str]] = {}
        same = f"FROM artifacts a WHERE {_SAME.format(project='w.project', hash='w.hash')}"
        oldest = f"SELECT a.id {same} ORDER BY a.created_at, a.id LIMIT 1"
        # Most contents are new: one step in the index tells, and only of the others the two oldest are looked for.
        for part in chunks(self._known(sorted(contents), same), _CHUNK):
            rows = self._rows(
                f"WITH w(project, hash) AS (VALUES {', '.join(['(?, ?)'] * len(part))}) "
                f"SELECT w.project, w.hash, ({oldest}), ({oldest} OFFSET 1) FROM w",
                [value for content in part for value in content],
            )
            found.update(((row[0], row[1]), (row[2], row[3] or row[2])) for row in rows)
        return found

    def _known(self, contents: Sequence[tuple[str, str]], same: str) -> list[tuple[str, str]]:
        rows: list[Any] = []
        for part in chunks(contents, _CHUNK):
            if self._db.is_sqlite:
                wanted = f"(VALUES {', '.join(['(?, ?)'] * len(part))})"
                sql = (
                    f"WITH w(project, hash) AS {wanted} SELECT w.project, w.hash FROM w WHERE EXISTS (SELECT 1 {same})"
                )
                rows += self._rows(sql, [value for content in part for value in content])
            else:
                document = msgspec.json.encode([{"project": project, "hash": text} for project, text in part]).decode()
                sql = "SELECT w.project, w.hash FROM json_to_recordset(?::json) AS w(project text, hash text)"
                rows += self._rows(f"{sql} WHERE EXISTS (SELECT 1 {same})", [document])
        return [(row[0], row[1]) for row in rows]

    def another_with(
        self, project: str, content_hash: str, but: Collection[str], states: Collection[str]
    ) -> str | None:
        """Return the oldest artifact in one of ``states`` that has that content and is none of ``but``."""
        others, within = sorted(but), sorted(states)
        rows = self._rows(
            f"SELECT a.id FROM artifacts a WHERE {_SAME.format(project='?', hash='?')} "
            f"AND state IN ({placeholders(len(within)) or 'NULL'}) "
            f"AND id NOT IN ({placeholders(len(others)) or 'NULL'}) ORDER BY a.created_at, a.id LIMIT 1",
            [content_hash, project, content_hash, project, *within, *others],
        )
        return rows[0][0] if rows else None

    def intents(self, ids: Collection[str]) -> dict[str, Intent]:
        """Return intents by id."""
        found = {}
        for part in chunks(sorted(ids), _CHUNK):
            for row in self._rows(
                "SELECT id, project, principal, state, remaining, expires_at FROM intents "
                f"WHERE id IN ({placeholders(len(part))})",
                part,
            ):
                remaining = msgspec.json.decode(row[4], type=list[str])
                found[row[0]] = Intent(
                    id=row[0], project=row[1], principal=row[2], state=row[3], remaining=remaining, expires_at=row[5]
                )
        return found

    def blocked_proposals(self, identities: Collection[tuple[str, str, str]]) -> list[Mapping[str, Any]]:
        """Return the blocked proposals under these identities."""
        found: list[Mapping[str, Any]] = []
        for part in chunks(sorted(identities), _CHUNK):
            sql = (
                "SELECT id, type, name, created_by, created_at FROM proposals WHERE state = 'blocked' AND "
                f"(project, type, name) IN (VALUES {', '.join(['(?, ?, ?)'] * len(part))}) ORDER BY id LIMIT 100"
            )
            found += many(self._db, self._connection, sql, [value for identity in part for value in identity])
        return found


def _delete(db: Database, connection: Connection, table: str, column: str, keys: Sequence[str]) -> None:
    for part in chunks(keys, _CHUNK):
        sql = f"DELETE FROM {table} WHERE {column} IN ({placeholders(len(part))})"
        connection.exec_driver_sql(db.sql(sql), tuple(part))


def _last(writes: Sequence[Any], key: str) -> tuple[list[Any], list[str]]:
    """Return the last write for each key, and the keys that have rows to replace: those not fresh at their first."""
    ordered = sorted(writes, key=lambda write: getattr(write, key))
    groups = [list(group) for _, group in groupby(ordered, key=lambda write: getattr(write, key))]
    return [group[-1] for group in groups], [getattr(group[0], key) for group in groups if not group[0].fresh]


def _set_requirements(db: Database, connection: Connection, writes: Sequence[holdings.SetRequirements]) -> None:
    last, stale = _last(writes, "artifact")
    _delete(db, connection, "artifact_requirements", "artifact", stale)
    rows = {
        (*msgspec.structs.astuple(slot), specifier, w.artifact): (scope, w.declared_by)
        for w in last
        for slot, specifier, scope in w.rows
    }
    _requirement(connection, [(*key, *rest) for key, rest in rows.items()])


def _set_claims(db: Database, connection: Connection, writes: Sequence[holdings.SetClaims]) -> None:
    last, stale = _last(writes, "holder")
    _delete(db, connection, "claims", "holder", stale)
    rows = {(c.project, c.kind, c.prefix, c.pattern, c.holder): c for w in last for c in w.rows}
    _claim(connection, [msgspec.structs.astuple(claim) for claim in rows.values()])


def _set_fields(db: Database, connection: Connection, writes: Sequence[holdings.SetFields]) -> None:
    last, stale = _last(writes, "artifact")
    _delete(db, connection, "field_managers", "artifact", stale)
    _field(connection, [(w.artifact, f.pointer, f.manager, f.value_hash, f.since) for w in last for f in w.rows])


def _release(db: Database, connection: Connection, writes: Sequence[holdings.Release]) -> None:
    artifacts = sorted({w.artifact for w in writes})
    for table, column in (("artifact_requirements", "artifact"), ("claims", "holder"), ("field_managers", "artifact")):
        _delete(db, connection, table, column, artifacts)
    for part in chunks(artifacts, _CHUNK):
        sql = f"UPDATE artifacts SET holds = 0 WHERE id IN ({placeholders(len(part))})"
        connection.exec_driver_sql(db.sql(sql), tuple(part))


def _set_holds(db: Database, connection: Connection, writes: Sequence[holdings.SetHolds]) -> None:
    for w in writes:
        connection.exec_driver_sql(db.sql("UPDATE artifacts SET holds = ? WHERE id = ?"), (w.holds, w.artifact))


def _new_intents(db: Database, connection: Connection, writes: Sequence[holdings.NewIntent]) -> None:
    for project, now in {w.project: w.at for w in writes}.items():
        # What has expired binds nobody, whether it is swept or not; this keeps the tables short.
        over = "SELECT id FROM intents WHERE project = ? AND state = 'open' AND expires_at <= ?"
        connection.exec_driver_sql(db.sql(f"DELETE FROM claims WHERE holder IN ({over})"), (project, now))
        sql = "UPDATE intents SET state = 'expired' WHERE project = ? AND state = 'open' AND expires_at <= ?"
        connection.exec_driver_sql(db.sql(sql), (project, now))
    past.keep_intents(db, connection, writes)
    _intent(
        connection,
        [
            (w.id, w.organization, w.project, w.principal, w.purpose, "open", w.body, w.remaining, w.request_id, w.seq,
             w.expires_at, w.at, w.at, w.position)
            for w in writes
        ],
    )  # fmt: skip


def _change_intents(db: Database, connection: Connection, writes: Sequence[holdings.ChangeIntent]) -> None:
    past.keep_intents(db, connection, writes)
    last = {w.id: w for w in writes}
    _change_intent(connection, [(w.state, w.remaining, w.at, w.id) for w in last.values()])


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    holdings.SetRequirements: _set_requirements,
    holdings.SetClaims: _set_claims,
    holdings.SetFields: _set_fields,
    holdings.Release: _release,
    holdings.SetHolds: _set_holds,
    holdings.NewIntent: _new_intents,
    holdings.ChangeIntent: _change_intents,
}
