"""Who works from a checkpoint, so that it is not deleted meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("checkpoints", sa.Column("held_by", sa.Text(), nullable=True))
    op.add_column("checkpoints", sa.Column("held_until", sa.BigInteger(), nullable=True))
