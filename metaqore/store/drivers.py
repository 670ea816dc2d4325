"""Connections as we want them: which SQLite, its pragmas, PostgreSQL's settings, and how values are bound."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from metaqore.audit.tags import Tag
from metaqore.errors import SettingsError
from metaqore.messages import State, Verdict
from metaqore.store import arrays, tenant

#: Before this release a WAL database could be corrupted (sqlite.org/wal.html#walresetbug).
SAFE_SQLITE = (3, 51, 3)

#: How long SQLite's log may be before a commit empties it into the database. With 2000, nearly each batch of 256 did,
#: and wrote pages that the next one changed again: bulk took 5 to 15 % longer, and wrote a fifth more. With more,
#: whoever empties it takes longer: 0.1 s now, where a million artifacts spread the pages over the whole file.
LOG_PAGES = 8000


def sqlite_module() -> ModuleType:
    """Return ``sqlite3``, or ``pysqlite3`` where the linked SQLite has the WAL reset bug."""
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return sqlite3
    try:
        import pysqlite3
    except ImportError:
        return sqlite3
    module: ModuleType = pysqlite3.dbapi2
    return module


def _adapt(module: ModuleType) -> None:
    """Tell the driver how to bind None, bytes, booleans and names: unasked, it looks for a way with each such value.

    Measured: 1.8 µs a value, 0.2 µs with an adapter; a declaration binds some twenty.
    """
    module.register_adapter(type(None), {}.get)
    module.register_adapter(bytes, bytearray)
    module.register_adapter(bool, int)
    for names in (State, Verdict, Tag):
        module.register_adapter(names, str.__str__)


def parse(dsn: str) -> URL:
    """Return the URL of a database that we can use.

    Raises:
        SettingsError: it is none.
    """
    try:
        url = make_url(dsn)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        # Neither the value nor what the parser says of it: a password may be in both.
        raise SettingsError(
            "METAQORE_STORAGE_DSN: not a database URL. Write sqlite:///path or postgresql://user:password@host/name, "
            "with %40 for @ in a password"
        ) from error
    if backend not in ("sqlite", "postgresql"):
        raise SettingsError(f"METAQORE_STORAGE_DSN: {backend!r} is not supported. Allowed: sqlite, postgresql")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise SettingsError("METAQORE_STORAGE_DSN: SQLite needs a file, e.g. sqlite:///metaqore.db")
    return url


def _options(url: URL) -> str:
    """Return the server options of a connection: those of the URL, and that it acts for everyone until told else."""
    given = url.query.get("options", "")
    return f"{given if isinstance(given, str) else ' '.join(given)} -c {tenant.SETTING}={tenant.EVERYONE}".strip()


def postgres_engine(url: URL, **options: Any) -> Engine:
    """Return a pool of connections to PostgreSQL."""
    engine = create_engine(
        url, pool_size=8, max_overflow=24, pool_timeout=5,
        connect_args={"connect_timeout": 5, "prepare_threshold": 3, "options": _options(url)}, **options,
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        arrays.register(connection)
        # A 202 is a promise, whatever the server's own setting: with ``off`` its crash forgets the last commits.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    return engine


def make_private(path: Path) -> None:
    """Make the file of a database that is not there yet (mode 0600): its log takes over the mode.

    One that is there is not opened: closing it again would let go of SQLite's locks on it (fcntl(2), close).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def sqlite_engine(url: URL) -> Engine:
    """Return a pool of connections to a SQLite file."""
    module = sqlite_module()
    _adapt(module)
    engine = create_engine(
        url, module=module, pool_size=8, max_overflow=56, pool_timeout=10, pool_reset_on_return=None,
        connect_args={"check_same_thread": False, "timeout": 10},
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        # Transactions are begun by hand, so that a write takes its lock at once.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON",
            "cache_size=-16000", "temp_store=MEMORY", f"wal_autocheckpoint={LOG_PAGES}",
            # What is deleted is overwritten in pages that are written anyway; ``compact`` sees to free pages.
            "secure_delete=FAST",
        ):  # fmt: skip
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
