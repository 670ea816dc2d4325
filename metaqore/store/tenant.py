"""On whose behalf the database is read: PostgreSQL's row-level security is the second wall between organizations.

Every statement names its organization; where one day one forgets to, the database shows nothing of anybody else. It
needs one role only: policies are forced upon the owner of the tables too, and let a connection see what the setting
``metaqore.organization`` names. Workers and writers act for everyone, since a batch may hold requests of many; the
API's look-ups act for the caller. What it does not protect from: a superuser or a role with BYPASSRLS, for whom
PostgreSQL asks no policy, and statements that somebody else makes up, which could change the setting.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

from sqlalchemy import Connection

#: The setting of a connection, and its value for those who look after all organizations.
SETTING, EVERYONE = "metaqore.organization", "*"

_acting: ContextVar[str] = ContextVar("organization", default=EVERYONE)


def acting_for() -> str:
    """Return the organization on whose behalf this thread reads, or ``EVERYONE``."""
    return _acting.get()


def act_for(organization: str) -> None:
    """Read on behalf of ``organization`` from now on, in this thread."""
    _acting.set(organization)


@contextlib.contextmanager
def on_behalf_of(organization: str) -> Iterator[None]:
    """Read on behalf of ``organization`` inside the block."""
    token = _acting.set(organization)
    try:
        yield
    finally:
        _acting.reset(token)


#: Tables without an organization of their own: the column that names what they belong to → the table of those.
_PARENTS = {"artifact": "artifacts", "project": "projects"}
_COLUMNS = """
SELECT c.relname, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid) GROUP BY c.relname ORDER BY c.relname
"""


def protect(connection: Connection) -> list[str]:
    """Put a policy on every table that holds something of organizations and has none; return their names.

    Idempotent, and run after each migration, so that a new table cannot be forgotten.
    """
    made = []
    for table, columns in connection.exec_driver_sql(_COLUMNS).fetchall():
        condition = _condition(table, columns)
        if condition is not None:
            connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            connection.exec_driver_sql(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            connection.exec_driver_sql(f"CREATE POLICY tenant ON {table} USING ({condition})")
            made.append(table)
    return made


def _condition(table: str, columns: Sequence[str]) -> str | None:
    # In a sub-select it is evaluated once for a statement, not once for a row.
    setting = f"(SELECT current_setting('{SETTING}', true))"
    everyone = f"{setting} = '{EVERYONE}'"
    if table == "organizations":
        return f"{everyone} OR id = {setting}"
    if "organization" in columns:
        return f"{everyone} OR organization = {setting}"
    for column, parent in _PARENTS.items():
        if column in columns:
            # The parent's own policy decides.
            return f"{everyone} OR EXISTS (SELECT 1 FROM {parent} AS parent WHERE parent.id = {table}.{column})"
    return None
