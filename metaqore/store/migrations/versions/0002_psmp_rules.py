"""What the conflict rules need: claims, read sets, field managers, intents, aliases."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the change."""
    _holdings()
    _rules()


def _rules() -> None:
    """What lifecycles, aliases and bounds need."""
    op.add_column("artifacts", sa.Column("depth", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "artifact_aliases",
        sa.Column("artifact", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("artifact", "alias", "position", name=op.f("pk_artifact_aliases")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversations",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "conversation", "principal", name=op.f("pk_conversations")),
        sqlite_with_rowid=False,
    )


def _holdings() -> None:
    """What heads and open intents hold."""
    op.add_column("artifacts", sa.Column("holds", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_index("ix_artifacts_content", "artifacts")
    op.create_index("ix_artifacts_content", "artifacts", ["project", "content_hash", "id"], unique=False)
    blocked, is_open = sa.text("state = 'blocked'"), sa.text("state = 'open'")
    op.create_index(
        "ix_proposals_identity", "proposals", ["project", "type", "name"], unique=False,
        sqlite_where=blocked, postgresql_where=blocked,
    )  # fmt: skip
    op.create_table(
        "artifact_requirements",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ecosystem", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("specifier", sa.Text(), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("declared_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "ecosystem", "package", "environment", "specifier", "artifact",
            name=op.f("pk_artifact_requirements"),
        ),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("ix_artifact_requirements_artifact", "artifact_requirements", ["artifact"], unique=False)
    op.create_table(
        "claims",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project", "kind", "prefix", "pattern", "holder", name=op.f("pk_claims")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_claims_holder", "claims", ["holder"], unique=False)
    op.create_table(
        "field_managers",
        sa.Column("artifact", sa.Text(), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=False),
        sa.Column("manager", sa.Text(), nullable=False),
        sa.Column("value_hash", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("artifact", "pointer", "manager", name=op.f("pk_field_managers")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "intents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("remaining", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
    )
    op.create_index("ix_intents_project", "intents", ["project", "id"], unique=False)
    op.create_index(
        "ix_intents_open", "intents", ["project", "expires_at"], unique=False,
        sqlite_where=is_open, postgresql_where=is_open,
    )  # fmt: skip
