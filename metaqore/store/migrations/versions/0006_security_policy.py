"""Policies of organizations and projects, labels, stops."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the change."""
