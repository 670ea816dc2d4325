"""On SQLite, rows that grow beyond a quarter of a page are no longer kept inside of their primary key.

A table WITHOUT ROWID is its index: on the way down, SQLite reads every row that it compares with to its end, overflow
pages included, and each of those has a page or more of its own. PostgreSQL knows no such tables.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_MODIFIER = "WITHOUT ROWID"


def upgrade() -> None:
    """Write the tables anew."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    for table in ("artifact_versions", "project_history"):
        found = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
        made, modifier, _ = found.scalar_one().rpartition(_MODIFIER)
        if modifier:
            op.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
            connection.exec_driver_sql(made)
            op.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")
            op.execute(f"DROP TABLE {table}_before")
