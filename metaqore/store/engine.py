"""One database: SQLite (WAL, ``synchronous=FULL``) or PostgreSQL, behind the same two doors.

``read()`` gives a connection for look-ups, ``write()`` one inside a write transaction. On SQLite each write
transaction is taken under a cross-process advisory lock: SQLite's own busy handler sleeps up to 100 ms and does not
queue, so the busier process would win again and again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection as SqlAlchemyConnection
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from metaqore.audit.vault import Vault
from metaqore.errors import Contention, Unavailable
from metaqore.store import tenant
from metaqore.store.connection import Connection
from metaqore.store.drivers import make_private, parse, postgres_engine, sqlite_engine
from metaqore.store.free_pages import overwrite_free_pages

_SIZE = "SELECT pg_database_size(current_database())"
_ACT = f"SELECT set_config('{tenant.SETTING}', %s, %s)"


class Database:
    """An engine with the right pragmas, locks and placeholders.

    Args:
        dsn: SQLAlchemy URL, ``sqlite:///path`` or ``postgresql://…``.

    Raises:
        SettingsError: the URL cannot be used.
    """

    def __init__(self, dsn: str) -> None:
        url = parse(dsn)
        self.dsn = dsn
        #: Seals request payloads; None stores them as they are.
        self.vault: Vault | None = None
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._placeholders: dict[str, str] = {}
        #: Connection → on whose behalf it looks, where that is not everyone.
        self._acting: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._thread_lock = threading.Lock()
        self._lock_fd: int | None = None
        self._pid = os.getpid()
        if self.is_sqlite:
            path = Path(url.database or "")
            path.parent.mkdir(parents=True, exist_ok=True)
            make_private(path)
            self._lock_path = path.with_name(path.name + ".lock")
            self.engine = self._reader = sqlite_engine(url)
        else:
            self.engine = postgres_engine(url)
            # Look-ups need no transaction, and so no round trips to begin and end one.
            self._reader = postgres_engine(url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
        self._dbapi: Any = self.engine.dialect.loaded_dbapi

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._reader.dispose()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def version(self) -> str:
        """Return e.g. ``SQLite 3.53.4 (WAL, synchronous=FULL)`` or ``PostgreSQL 18.4``."""
        with self.read() as connection:
            if self.is_sqlite:
                number = connection.exec_driver_sql("SELECT sqlite_version()").scalar()
                return f"SQLite {number} (WAL, synchronous=FULL)"
            return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar()}"

    def sql(self, text: str) -> str:
        """Return ``text`` (written with ``?``) in the placeholder style of the driver."""
        if self.is_sqlite:
            return text
        found = self._placeholders.get(text)
        if found is None:
            found = self._placeholders[text] = text.replace("%", "%%").replace("?", "%s")
        return found

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection in autocommit mode for look-ups.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with self._checked(), self._pooled(self._reader) as driver:
            if not self.is_sqlite:
                self._act(driver)
            yield Connection(driver, is_sqlite=self.is_sqlite)

    def _act(self, driver: Any) -> None:
        """Let a look-up see what the organization may see on whose behalf it is made; see ``store.tenant``."""
        wanted = tenant.acting_for()
        if self._acting.get(driver, tenant.EVERYONE) != wanted:
            # For the session: a look-up has no transaction. Whoever takes the connection next looks here again.
            driver.execute(_ACT, (wanted, False))
            self._acting[driver] = wanted

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database, whatever is committed meanwhile, and cannot write.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with self._checked(), self._pooled(self._reader if self.is_sqlite else self.engine) as driver:
            cursor = driver.cursor()
            try:
                if self.is_sqlite:
                    cursor.execute("PRAGMA query_only = ON")
                    cursor.execute("BEGIN")
                else:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    cursor.execute(_ACT, (tenant.acting_for(), True))
                yield Connection(driver, is_sqlite=self.is_sqlite)
            finally:
                with contextlib.suppress(self._dbapi.Error):
                    driver.rollback()
                if self.is_sqlite:
                    # It goes back to the pool that writers take theirs from.
                    cursor.execute("PRAGMA query_only = OFF")

    @contextlib.contextmanager
    def write(self, meanwhile: Callable[[], None] | None = None) -> Iterator[Connection]:
        """Give a connection inside one write transaction; commit on success, roll back on any exception.

        Args:
            meanwhile: called once while something else is waited for, where it is: for the write lock of a SQLite
                database, or for PostgreSQL to finish the last statements. Must not write.

        Raises:
            Contention: a unique constraint or a serialization failure; rolled back, can be repeated.
            Unavailable: the database cannot be reached or is full; nothing was stored.
        """
        with self._checked(), self._pooled(self.engine) as driver:
            if not self.is_sqlite:
                with self._pipelined(driver, meanwhile) as connection:
                    yield connection
                return
            with self._file_lock(meanwhile):
                driver.execute("BEGIN IMMEDIATE")
                try:
                    yield Connection(driver, is_sqlite=True)
                    driver.commit()
                except BaseException:
                    with contextlib.suppress(self._dbapi.Error):
                        driver.rollback()
                    raise

    @contextlib.contextmanager
    def _pipelined(self, driver: Any, meanwhile: Callable[[], None] | None) -> Iterator[Connection]:
        """Write to PostgreSQL without waiting for each statement: the server works while we prepare the next one."""
        with driver.pipeline() as pipeline:
            connection = Connection(driver, is_sqlite=False, pipeline=pipeline)
            try:
                yield connection
                if meanwhile is not None:
                    meanwhile()
                connection.run_checks()
                driver.commit()
            except BaseException:
                with contextlib.suppress(self._dbapi.Error):
                    driver.rollback()
                raise

    def compact(self, *, rewrite: bool = True, wait_s: float = 30.0) -> bool:
        """Rewrite the database without what was deleted; return whether nothing of it is left in its files.

        SQLite: VACUUM, then the write-ahead log is emptied, for which all readers must have come to an end.
        PostgreSQL: every table is rewritten; its own write-ahead log goes by the server's schedule, hence False.

        Args:
            rewrite: False spares writers the wait: SQLite's free pages are overwritten some at a time and its log is
                emptied, which is enough where deleted content was overwritten (``secure_delete``) and not moved from
                page to page before; PostgreSQL is left to its own vacuum.

        Raises:
            Unavailable: the database cannot be used, or SQLite's readers did not come to an end in ``wait_s``.
        """
        if self.is_sqlite and not rewrite:
            overwrite_free_pages(self.write)
        with self._checked(), self._pooled(self._reader) as driver:
            if not self.is_sqlite:
                driver.execute("VACUUM FULL" if rewrite else "VACUUM")
                driver.execute("CHECKPOINT")
                return False
            until = time.monotonic() + wait_s
            with self._file_lock():
                if rewrite:
                    driver.execute("VACUUM")
                while True:
                    busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                    if not busy:
                        return True
                    if time.monotonic() > until:
                        raise Unavailable(
                            f"readers held on to the database for {wait_s:g} s, so that its log could not be emptied"
                        )
                    time.sleep(0.05)

    def size(self) -> int:
        """Return how many bytes the database has on the disk, without its write-ahead log.

        Raises:
            Unavailable: the database cannot be used.
        """
        with self.read() as connection:
            sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            return int(connection.exec_driver_sql(sql if self.is_sqlite else _SIZE).scalar())

    @contextlib.contextmanager
    def migration(self) -> Iterator[SqlAlchemyConnection]:
        """Give SQLAlchemy's own connection inside one write transaction, for changes of the schema."""
        lock = self._file_lock() if self.is_sqlite else contextlib.nullcontext()
        with self._checked(), lock, self.engine.begin() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        """Say in our own words what the driver says in its."""
        try:
            yield
        except (self._dbapi.IntegrityError, IntegrityError) as error:
            raise Contention(f"a unique constraint was hit: {_in_short(error)}") from error
        except (self._dbapi.OperationalError, OperationalError) as error:
            # PostgreSQL: 40001 serialization failure, 40P01 deadlock: repeating is the documented answer.
            if getattr(error, "sqlstate", None) in ("40001", "40P01"):
                raise Contention(f"the database asks to repeat: {_in_short(error)}") from error
            raise Unavailable(f"the database cannot be used: {_in_short(error)}") from error
        except (self._dbapi.DatabaseError, DatabaseError) as error:
            # Not its subclasses, which are mistakes of ours: so SQLite says that a file is damaged, or is none of its.
            if type(error) not in (self._dbapi.DatabaseError, DatabaseError):
                raise
            raise Unavailable(f"the database cannot be used: {_in_short(error)}") from error

    @contextlib.contextmanager
    def _pooled(self, engine: Engine) -> Iterator[Any]:
        """Give a driver connection from the pool; one that has broken is not put back, nor are those beside it."""
        try:
            pooled = engine.raw_connection()
        except (DBAPIError, PoolTimeout) as error:
            raise Unavailable(f"the database cannot be reached: {type(error).__name__}") from error
        driver: Any = pooled.dbapi_connection
        try:
            yield driver
        except self._dbapi.OperationalError:
            if not self.is_sqlite and driver.closed:
                # A server that has gone has ended them all: only one caller is to hear of it.
                engine.dispose()
            pooled.invalidate()
            raise
        finally:
            pooled.close()

    @contextlib.contextmanager
    def _file_lock(self, meanwhile: Callable[[], None] | None = None) -> Iterator[None]:
        with self._thread_lock:
            if self._lock_fd is None or self._pid != os.getpid():
                # A descriptor inherited over fork() would share the parent's lock.
                self._lock_fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._pid = os.getpid()
            if meanwhile is not None and not _is_free(self._lock_fd):
                meanwhile()
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock_fd, fcntl.LOCK_UN)


def _is_free(lock: int) -> bool:
    """Take the lock where nobody holds it; return whether it is ours."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _in_short(error: Exception) -> str:
    """Return what the driver said, without the statement and its values, which SQLAlchemy puts behind it."""
    return str(error.orig if isinstance(error, DBAPIError) else error).strip()
