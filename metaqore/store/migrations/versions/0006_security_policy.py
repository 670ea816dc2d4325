"""Policies of organizations and projects, and what is stopped."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "policies",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "project", "version", name=op.f("pk_policies")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stops",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "kind", "subject", name=op.f("pk_stops")),
        sqlite_with_rowid=False,
    )
    op.add_column("counters", sa.Column("gate", sa.BigInteger(), server_default="0", nullable=False))
    # How the payload of a call was redacted: what is put back into a stored answer depends on it.
    op.add_column("llm_calls", sa.Column("redacted", sa.Text(), nullable=True))
    op.add_column("llm_calls", sa.Column("trainable", sa.BigInteger(), server_default="1", nullable=False))
