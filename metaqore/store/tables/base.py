"""The one MetaData, and the column shapes that all tables share.

Times are BIGINT milliseconds since the epoch; JSON is TEXT that was encoded once; every row carries its organization.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite gives a gapless rowid only to INTEGER primary keys.
AutoKey = BigInteger().with_variant(Integer(), "sqlite")


def text(name: str, *, null: bool = False, default: str | None = None) -> Column[str]:
    """A TEXT column."""
    return Column(name, Text, nullable=null, server_default=default)


def number(name: str, *, null: bool = False, default: int | None = None) -> Column[int]:
    """A BIGINT column: a count, a version or a time in milliseconds."""
    return Column(name, BigInteger, nullable=null, server_default=None if default is None else str(default))


def key(name: str = "id") -> Column[str]:
    """A TEXT primary key column."""
    return Column(name, Text, primary_key=True)


def number_key(name: str) -> Column[int]:
    """A BIGINT column that is part of the primary key."""
    return Column(name, BigInteger, primary_key=True, autoincrement=False)
