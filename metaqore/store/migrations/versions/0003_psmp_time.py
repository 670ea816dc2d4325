"""Positions in a project's history, and checkpoints."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the change."""
