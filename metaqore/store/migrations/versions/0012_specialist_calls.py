"""Model calls that specialists were asked about, and the digest by which a specialist is known."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the tables, add the column."""
    op.add_column("specialists", sa.Column("digest", sa.Text(), nullable=True))
    op.create_table(
        "specialist_calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("specialist", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("agreed", sa.BigInteger(), nullable=True),
        sa.Column("confidence", sa.BigInteger(), nullable=False),
        sa.Column("saved_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name=op.f("fk_specialist_calls_decision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_specialist_calls")),
        sa.UniqueConstraint("request_id", "specialist", name=op.f("uq_specialist_calls_request_id_specialist")),
    )
    op.create_index("ix_specialist_calls_specialist", "specialist_calls", ["specialist", "kind", "id"], unique=False)
    op.create_table(
        "specialist_counts",
        sa.Column("specialist", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("agreed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("saved_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("specialist", "kind", name=op.f("pk_specialist_counts")),
        sqlite_with_rowid=False,
    )
