"""Contents are looked up by a part of their hash and of their project's id: an entry of 30 bytes instead of 150."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the index anew."""
    op.drop_index("ix_artifacts_content", "artifacts")
    op.create_index(
        "ix_artifacts_content", "artifacts",
        [sa.text("substr(content_hash, 8, 12)"), sa.text("substr(project, 33)"), "created_at"],
    )  # fmt: skip
