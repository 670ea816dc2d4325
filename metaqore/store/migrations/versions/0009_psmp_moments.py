"""Since when intents, approvals and checkpoints are there, as positions of their project's history."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns; what is there already counts as having always been."""
    for table, column in (("intents", "position"), ("approvals", "position"), ("checkpoints", "since")):
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("checkpoints", sa.Column("deleted_position", sa.BigInteger(), nullable=True))
