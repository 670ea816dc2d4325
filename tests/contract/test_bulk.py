"""Statements over many rows say the same on both databases, whatever the rows hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, Text

from metaqore.errors import Contention
from metaqore.store.bulk import BulkInsert, BulkUpdate
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from tests.contract.test_database import fire, names

PROBE = Table(
    "probe", MetaData(), Column("k", BigInteger), Column("i", Integer), Column("t", Text), Column("b", LargeBinary),
    Column("f", Float), Column("y", Boolean),
)  # fmt: skip
MAKE = "CREATE TEMP TABLE probe (k BIGINT, i BIGINT, t TEXT, b {bytes}, f DOUBLE PRECISION, y BOOLEAN)"
insert = BulkInsert(PROBE, "k i t b f y")
update = BulkUpdate(PROBE, "t y", "k i")
EDGE = 2**63 - 1

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
values = st.tuples(
    st.integers(-EDGE - 1, EDGE) | st.none(), texts | st.none(), st.binary(max_size=20) | st.none(),
    st.floats(allow_nan=False) | st.none(), st.booleans() | st.none(),
)  # fmt: skip


def make(database: Database, connection: Connection) -> None:
    connection.exec_driver_sql("DROP TABLE IF EXISTS probe")
    connection.exec_driver_sql(MAKE.format(bytes="BLOB" if database.is_sqlite else "BYTEA"))


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    rows = connection.exec_driver_sql("SELECT k, i, t, b, f, y FROM probe ORDER BY k").fetchall()
    return [(k, i, t, None if b is None else bytes(b), f, None if y is None else bool(y)) for k, i, t, b, f, y in rows]


@settings(max_examples=40)
@given(st.lists(values, max_size=6), st.integers(1, 3))
def test_what_is_inserted_together_comes_back_as_it_was(
    database: Database, drawn: list[tuple[Any, ...]], repeated: int
) -> None:
    rows = [(number, *row) for number, row in enumerate(drawn * repeated)]
    with database.write() as connection:
        make(database, connection)
        insert(connection, rows)
        assert stored(connection) == rows


@pytest.mark.parametrize("n", [0, 1, 3])
def test_an_update_of_many_rows_changes_those_whose_keys_match(database: Database, n: int) -> None:
    with database.write() as connection:
        make(database, connection)
        insert(connection, [(k, 7, "old", None, None, None) for k in range(4)])
        result = update(connection, [("new", True, k, 7 if k else 8) for k in range(n)])
        assert (0 if result is None else result.rowcount) == max(0, n - 1)
        changed = [row[0] for row in stored(connection) if row[2] == "new" and row[5] is True]
    assert changed == list(range(1, n))


def test_what_a_check_refuses_at_the_end_is_not_committed(database: Database) -> None:
    def refuse() -> None:
        raise Contention("somebody else was first")

    with pytest.raises(Contention), database.write() as connection:
        sql = database.sql("INSERT INTO schedule_fires (schedule, fire_at, fired_at) VALUES (?, 1, 1)")
        connection.exec_driver_sql(sql, ("a",))
        connection.before_commit(refuse)
    assert names(database) == []


def test_a_statement_that_fails_while_others_follow_is_told_as_what_it_was(database: Database) -> None:
    fire(database, "a")
    with pytest.raises(Contention), database.write() as connection:
        sql = database.sql("INSERT INTO schedule_fires (schedule, fire_at, fired_at) VALUES (?, 1, 1)")
        for name in ("b", "a", "c", "d"):
            connection.exec_driver_sql(sql, (name,))
        connection.exec_driver_sql("SELECT count(*) FROM schedule_fires").scalar()
    assert names(database) == ["a"]
    fire(database, "e")
    assert names(database) == ["a", "e"]


def test_what_is_done_meanwhile_is_done_before_the_commit(postgres_dsn: str) -> None:
    database = Database(postgres_dsn)
    seen: list[list[str]] = []
    with database.write(lambda: seen.append(names(database))) as connection:
        connection.exec_driver_sql(database.sql("INSERT INTO schedule_fires VALUES (?, 1, 1)"), ("a",))
    assert seen == [[]]
    assert names(database) == ["a"]
    database.close()
