"""PostgreSQL's row-level security, with one role that owns its tables and is no superuser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.exc import ProgrammingError

from api.app import create_app
from api.door import EXTENSION
from metaqore import bootstrap
from metaqore.ids import new_secret
from metaqore.settings import Settings, load
from metaqore.store import migrate
from metaqore.store.engine import Database
from metaqore.store.tables import metadata
from metaqore.store.tenant import EVERYONE, SETTING, on_behalf_of, protect
from metaqore.store.views.lookup import Page

pytestmark = pytest.mark.postgres
#: What belongs to the installation and to no organization.
SHARED = {"alembic_version", "audit_keys", "leases", "schedule_fires", "worker_progress"}


class Silent:
    """Rings nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def ring(self, queue: str, ids: Any) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def walled(postgres: Any) -> Iterator[str]:
    """The URL of a migrated database whose owner is no superuser."""
    role, name = f"role_{new_secret(6)}", f"walled_{new_secret(6)}"
    postgres._execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS")
    postgres._execute(f"CREATE DATABASE {name} OWNER {role}")
    dsn = re.sub(r"//[^@]*@", f"//{role}:@", postgres.url(name))
    migrate.upgrade(dsn)
    yield dsn
    postgres.end_connections(name)
    postgres._execute(f"DROP DATABASE {name}")
    postgres._execute(f"DROP ROLE {role}")


@pytest.fixture
def database(walled: str) -> Iterator[Database]:
    made = Database(walled)
    yield made
    made.close()


def test_every_table_that_holds_something_of_organizations_has_a_policy(walled: str) -> None:
    engine = create_engine(walled, poolclass=NullPool)
    with engine.begin() as connection:
        bare = {
            row[0]
            for row in connection.exec_driver_sql(
                "SELECT relname FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
                "AND NOT (relrowsecurity AND relforcerowsecurity "
                "AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid))"
            )
        }
        assert bare == SHARED
        assert protect(connection) == [], "doing it again changes nothing"


def test_a_table_that_comes_later_gets_its_policy_at_the_next_migration(walled: str) -> None:
    engine = create_engine(walled, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE later (id text, organization text)")
        assert protect(connection) == ["later"]
        connection.exec_driver_sql("DROP TABLE later")


def test_a_look_up_without_the_right_organization_finds_nothing(database: Database) -> None:
    with database.write() as connection:
        for organization in ("mine", "theirs"):
            values = (f"prj_{organization}", organization, *["x"] * 7, 1, 0, 0)
            connection.exec_driver_sql(
                "INSERT INTO projects (id, organization, name, description, owner, state, mode, metadata, created_by, "
                "version, created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                values,
            )
            connection.exec_driver_sql("INSERT INTO conversations VALUES (%s, 'c', 'p', 1)", values[:1])

    def seen() -> list[str]:
        with database.read() as connection:
            return sorted(row[0] for row in connection.exec_driver_sql("SELECT id FROM projects"))

    def snapped() -> list[str]:
        with database.snapshot() as connection:
            return sorted(row[0] for row in connection.exec_driver_sql("SELECT id FROM projects"))

    both = ["prj_mine", "prj_theirs"]
    assert seen() == snapped() == both
    for organization, expected in (("mine", ["prj_mine"]), ("", []), ("nobody", []), ("theirs", ["prj_theirs"])):
        with on_behalf_of(organization):
            assert seen() == snapped() == expected
            with database.read() as connection:
                parts = [row[0] for row in connection.exec_driver_sql("SELECT project FROM conversations")]
            assert parts == expected, "what hangs on a thing that is not seen is not seen"
    assert seen() == both, "the connection goes back to whom it is given next"


def test_a_connection_that_names_nobody_sees_nothing_and_writes_nothing(walled: str) -> None:
    engine = create_engine(walled, poolclass=NullPool)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM api_keys").scalar() == 0
        assert connection.exec_driver_sql("UPDATE projects SET name = 'x'").rowcount == 0


def test_the_api_works_behind_the_wall_and_reads_for_its_caller_only(
    walled: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.app.PublisherBell", Silent)
    given = {"storage_dsn": walled, "data_dir": str(tmp_path), "redis_url": "redis://127.0.0.1:9/0"}
    settings: dict[str, Settings] = {
        name: load({**given, "organization": name}, environ={}) for name in ("acme", "other")
    }
    keys = {name: bootstrap.create_key(settings[name], principal=name, name="n", scopes=["*"]) for name in settings}
    app = create_app(settings["acme"])
    engine, client = app.extensions[EXTENSION].engine, app.test_client()

    def call(method: str, path: str, body: Any = None, *, key: str = "acme", status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {keys[key]}"}
        answer = client.open("/api/v1" + path, method=method, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json

    project = call("POST", "/projects", {"name": "p"}, status=201)["id"]
    made = call("POST", "/artifacts", {"project": project, "type": "code", "name": "n", "content": 1}, status=202)
    twice = call("POST", "/artifacts", {"project": project, "type": "code", "name": "n", "content": 2}, status=202)
    engine.executor.drain("psmp")

    assert call("GET", f"/requests/{made['id']}")["verdict"] == "approved"
    assert call("GET", f"/requests/{twice['id']}")["verdict"] == "blocked"
    artifact = call("GET", f"/artifacts?project={project}")["items"][0]["id"]
    assert call("GET", f"/artifacts/{artifact}/versions")["items"][0]["version"] == 1
    assert call("GET", f"/projects/{project}/blocking-report")["is_blocked"]
    assert call("GET", f"/artifacts/{artifact}", key="other", status=404)
    assert call("GET", "/projects", key="other")["items"] == []
    with monkeypatch.context() as patched:
        # The first wall falls: a statement that forgets its organization.
        views = type(app.extensions[EXTENSION].views.psmp)

        def forgetful(self: Any, *_: Any, **__: Any) -> Any:
            found = self.page("*", "projects", {"name": "p"}, key="id", after=None, limit=50)
            return Page([{**row, "metadata": {}} for row in found.items], found.last)

        patched.setattr(views, "projects", forgetful)
        assert call("GET", "/projects", key="other")["items"] == []
        assert len(call("GET", "/projects")["items"]) == 1
    # Whoever may see numbers sees those of the whole installation.
    metrics = client.get("/metrics", headers={"Authorization": f"Bearer {keys['other']}"})
    assert "metaqore_requests_accepted_total 0.0" not in metrics.text
    with on_behalf_of(EVERYONE):
        engine.database.close()


def _value(column: Any, organization: str) -> Any:
    """Return what a row of ``organization`` has in a column; rows name each other by ``<table>_<organization>``."""
    if column.name == "organization" or column is metadata.tables["organizations"].c.id:
        return organization
    if column.name in ("id", "project", "artifact"):
        table = column.table.name if column.name == "id" else f"{column.name}s"
        return f"{table}_{organization}"
    kind = column.type.python_type
    return f"{column.name}_{organization}" if kind is str else organization.encode() if kind is bytes else kind(1)


_CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'p', 'u')"
)


def _refused(connection: Any, sql: str, values: Any = None) -> bool:
    """Tell whether the wall refuses a statement; what it does is undone."""
    before = connection.begin_nested()
    try:
        connection.exec_driver_sql(sql, values) if values is not None else connection.exec_driver_sql(sql)
    except ProgrammingError as error:
        return "row-level security" in str(error.orig)
    finally:
        before.rollback()
    return False


def test_each_table_shows_an_organization_its_own_rows_and_takes_only_such(walled: str) -> None:
    """Told in SQL, as whoever has the application's role would: whole tables, and rows that are somebody else's."""
    engine = create_engine(walled, poolclass=NullPool)
    walls = [table for table in metadata.sorted_tables if table.name not in SHARED]
    children = {table.name for table in walls if "organization" not in table.c and table.name != "organizations"}
    assert children >= {"artifact_aliases", "artifact_edges", "artifact_requirements", "claims", "conversations",
                        "field_managers"}  # fmt: skip
    with engine.connect() as connection, connection.begin() as everything:
        connection.exec_driver_sql(f"SET LOCAL {SETTING} = '{EVERYONE}'")
        # Rows need make sense to nobody but the wall.
        for table, constraint in connection.exec_driver_sql(_CONSTRAINTS).fetchall():
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint} CASCADE")
        rows = {table.name: {who: {c.name: _value(c, who) for c in table.c} for who in ("mine", "theirs")}
                for table in walls}  # fmt: skip
        for table in walls:
            connection.execute(table.delete())
            connection.execute(table.insert(), list(rows[table.name].values()))
        connection.exec_driver_sql(f"SET LOCAL {SETTING} = 'mine'")
        for table in walls:
            name, columns, theirs = table.name, ", ".join(table.c.keys()), rows[table.name]["theirs"]
            assert connection.execute(select(func.count()).select_from(table)).scalar() == 1, name
            marks = ", ".join(f"%({column})s" for column in theirs)
            assert _refused(connection, f"INSERT INTO {name} ({columns}) VALUES ({marks})", theirs), name
            whose = next(c for c in ("organization", "artifact", "project", "id") if c in table.c)
            assert _refused(connection, f"UPDATE {name} SET {whose} = '{theirs[whose]}'"), name
            kept = connection.begin_nested()
            for sql in (f"UPDATE {name} SET {whose} = {whose}", f"DELETE FROM {name}"):
                assert connection.exec_driver_sql(sql).rowcount == 1, (name, sql)
            kept.rollback()
        connection.exec_driver_sql(f"SET LOCAL {SETTING} = ''")
        for table in walls:
            assert connection.execute(select(func.count()).select_from(table)).scalar() == 0, table.name
        everything.rollback()
