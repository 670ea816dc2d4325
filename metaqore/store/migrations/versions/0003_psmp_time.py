"""Positions in a project's history, and checkpoints."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the change. What exists already is at position 0, the beginning of the history that is known."""
    _columns()
    _history()
    _checkpoints()
    _baseline()


def _columns() -> None:
    op.add_column("projects", sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("projects", sa.Column("position_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("conflicts", sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("proposals", sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("artifact_versions", sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("artifact_versions", sa.Column("edges", sa.Text(), nullable=True))


def _history() -> None:
    op.create_table(
        "project_history",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "last", name=op.f("pk_project_history")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "record_history",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("was", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "position", name=op.f("pk_record_history")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_record_history_project", "record_history", ["project", "position"], unique=False)


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
    )
    op.create_index("ix_checkpoints_project", "checkpoints", ["project", "id"], unique=False)
    is_kept = sa.text("deleted_at IS NULL")
    op.create_index(
        "uq_checkpoints_name", "checkpoints", ["project", "name"], unique=True, sqlite_where=is_kept,
        postgresql_where=is_kept,
    )  # fmt: skip
    expires = sa.text("deleted_at IS NULL AND expires_at IS NOT NULL")
    op.create_index(
        "ix_checkpoints_due", "checkpoints", ["expires_at"], unique=False, sqlite_where=expires,
        postgresql_where=expires,
    )  # fmt: skip


def _baseline() -> None:
    """Give each task and project that exists the one row of its past that is known."""
    columns = {
        "project": ("projects", "id", "name description owner mode metadata version"),
        "task": ("tasks", "project", "title assigned_to depends_on metadata version"),
    }
    history = sa.table(
        "record_history", *(sa.column(c) for c in "subject position project kind state document at".split())
    )
    connection = op.get_bind()
    for kind, (table, project, names) in columns.items():
        for row in connection.execute(sa.text(f"SELECT * FROM {table}")).mappings().all():
            document = json.dumps({name: row[name] for name in names.split()})
            connection.execute(
                history.insert().values(
                    subject=row["id"], position=0, project=row[project], kind=kind, state=row["state"],
                    document=document, at=row["updated_at"],
                )
            )  # fmt: skip
