"""Principals, rotation of keys, delegated tokens, budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables."""
    _doors()
    _budgets()


def _doors() -> None:
    op.create_table(
        "principals",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "name", name=op.f("pk_principals")),
        sqlite_with_rowid=False,
    )
    op.add_column("api_keys", sa.Column("rotated_at", sa.BigInteger(), nullable=True))
    op.add_column("api_keys", sa.Column("previous_hash", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("previous_until", sa.BigInteger(), nullable=True))
    op.create_table(
        "delegated_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("delegator", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegated_tokens")),
    )
    op.create_index("ix_delegated_tokens_organization", "delegated_tokens", ["organization", "id"], unique=False)


def _budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "scope", "subject", "unit", name=op.f("pk_budgets")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reservations",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "scope", "subject", "unit", name=op.f("pk_reservations")),
        sqlite_with_rowid=False,
    )
