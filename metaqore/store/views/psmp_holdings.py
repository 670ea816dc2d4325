"""Look-ups of what heads require together, and of announced intents."""

from __future__ import annotations

from typing import Any

import msgspec

from metaqore.psmp import manifest
from metaqore.psmp.manifest import Slot
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories.psmp_holdings import HoldingRows
from metaqore.store.views.lookup import Lookup, Page, Row, paged

#: Artifacts that the manifest names for each specifier; how many have it is not counted.
MAX_HOLDERS = 20
_INTENT = (
    "id, project, principal, purpose, state, body, remaining, request_id, expires_at, created_at, updated_at"
)  # fmt: skip
_decode = msgspec.json.decode


class _Rows(HoldingRows):
    def __init__(self, database: Database, connection: Connection) -> None:
        self._db, self._connection = database, connection


class HoldingViews(Lookup):
    """Look-ups of what heads and open intents hold."""

    def intent(self, organization: str, intent: str, *, now: int) -> Row | None:
        """Return one intent, in the state that it has ``now``."""
        row = self.row(f"SELECT {_INTENT} FROM intents WHERE id = ? AND organization = ?", (intent, organization))
        return None if row is None else _shown(row, now)

    def intents(
        self, organization: str, project: str, *, state: str | None, now: int, after: str | None, limit: int
    ) -> Page:
        """Return the intents of a project in the order in which they were announced; ``state`` is that of ``now``."""
        conditions, values = ["project = ?", "organization = ?"], [project, organization]
        if state in ("open", "expired"):
            conditions.append("state = 'open' AND expires_at > ?" if state == "open" else
                              "(state = 'expired' OR (state = 'open' AND expires_at <= ?))")  # fmt: skip
            values.append(now)  # type: ignore[arg-type]
        elif state is not None:
            conditions.append("state = ?")
            values.append(state)
        if after is not None:
            conditions.append("id > ?")
            values.append(after)
        sql = f"SELECT {_INTENT} FROM intents WHERE {' AND '.join(conditions)} ORDER BY id LIMIT ?"
        found = paged(self.rows(sql, [*values, limit + 1]), "id", limit)
        return Page([_shown(row, now) for row in found.items], found.last)

    def manifest(self, project: str, *, after: str | None, limit: int) -> Page:
        """Return what the heads of a project require together, a package an item, in the order of their names."""
        with self._db.read() as connection:
            slots = self._slots(connection, project, after, limit + 1)
            shown = [self._item(connection, slot) for slot in slots[:limit]]
        return Page(shown, _key(slots[limit - 1]) if len(slots) > limit else None)

    def _slots(self, connection: Connection, project: str, after: str | None, limit: int) -> list[Slot]:
        # From one package to the next by index, however many artifacts require one.
        last = tuple(after.split("|")) if after is not None else ("", "", "")
        found: list[Slot] = []
        while len(found) < limit:
            rows = connection.exec_driver_sql(
                self._db.sql(
                    "SELECT ecosystem, package, environment FROM artifact_requirements WHERE project = ? AND "
                    "(ecosystem, package, environment) > (?, ?, ?) ORDER BY ecosystem, package, environment LIMIT 1"
                ),
                (project, *last),
            ).fetchall()
            if not rows:
                break
            last = (rows[0][0], rows[0][1], rows[0][2])
            found.append(Slot(project, *rows[0]))
        return found

    def _item(self, connection: Connection, slot: Slot) -> dict[str, Any]:
        held = _Rows(self._db, connection).specifiers([slot])
        specifiers = [each.specifier for each in held]
        return {
            "ecosystem": slot.ecosystem,
            "package": slot.package,
            "environment": slot.environment,
            **manifest.summary(slot.ecosystem, specifiers),
            "required_by": [
                {"specifier": specifier, **holder}
                for specifier in specifiers
                for holder in self._holders(connection, slot, specifier)
            ],
        }

    def _holders(self, connection: Connection, slot: Slot, specifier: str) -> list[dict[str, Any]]:
        sql = (
            "SELECT r.artifact, a.type, a.name, r.scope, r.declared_by FROM artifact_requirements r "
            "JOIN artifacts a ON a.id = r.artifact WHERE r.project = ? AND r.ecosystem = ? AND r.package = ? "
            "AND r.environment = ? AND r.specifier = ? ORDER BY r.artifact LIMIT ?"
        )
        values = (*msgspec.structs.astuple(slot), specifier, MAX_HOLDERS)
        return [dict(row) for row in connection.exec_driver_sql(self._db.sql(sql), values).mappings()]


def _key(slot: Slot) -> str:
    return f"{slot.ecosystem}|{slot.package}|{slot.environment}"


def _shown(row: Row, now: int) -> dict[str, Any]:
    state = "expired" if row["state"] == "open" and row["expires_at"] <= now else row["state"]
    return {**row, **_decode(row["body"]), "state": state, "remaining": _decode(row["remaining"])}
