"""What the conflict rules need: claims, read sets, field managers, intents, aliases."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the change."""
