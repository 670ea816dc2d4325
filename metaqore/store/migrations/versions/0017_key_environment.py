"""The environment that a key was made for, which its text names."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the column; of keys that are there already nobody knows it."""
    op.add_column("api_keys", sa.Column("environment", sa.Text(), nullable=True))
