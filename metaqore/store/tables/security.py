"""Organizations, API keys, the decisions of SecureGateway, custom policies, and what is stopped."""

from __future__ import annotations

from sqlalchemy import Index, Table

from metaqore.store.tables.base import key, metadata, number, number_key, text

organizations = Table("organizations", metadata, key(), text("name"), number("created_at"))

principals = Table(
    "principals",
    metadata,
    key("organization"),
    key("name"),
    #: person, agent or service.
    text("kind"),
    text("created_by"),
    number("created_at"),
    sqlite_with_rowid=False,
)

api_keys = Table(
    "api_keys",
    metadata,
    key(),
    text("organization"),
    text("principal"),
    text("name"),
    text("secret_hash"),
    #: JSON list of scopes.
    text("scopes"),
    text("created_by"),
    number("created_at"),
    number("expires_at", null=True),
    number("revoked_at", null=True),
    number("rotated_at", null=True),
    #: The secret before the last rotation, which holds until then.
    text("previous_hash", null=True),
    number("previous_until", null=True),
    #: live or test, as its text says; null for keys from before this was kept.
    text("environment", null=True),
)
Index("ix_api_keys_organization", api_keys.c.organization, api_keys.c.id)

delegated_tokens = Table(
    "delegated_tokens",
    metadata,
    key(),
    text("organization"),
    text("principal"),
    text("delegator"),
    #: The delegator's key, with which the token ends; null where they came with a JWT.
    text("key_id", null=True),
    text("project"),
    text("task", null=True),
    #: JSON list.
    text("scopes"),
    number("created_at"),
    number("expires_at"),
    number("revoked_at", null=True),
)
Index("ix_delegated_tokens_organization", delegated_tokens.c.organization, delegated_tokens.c.id)

decisions = Table(
    "decisions",
    metadata,
    key(),
    text("organization"),
    text("project", null=True),
    text("request_id"),
    text("principal"),
    text("verdict"),
    text("label"),
    text("policy"),
    text("policy_digest"),
    text("provider", null=True),
    #: JSON: reasons, rules, findings without values, allowed providers, obligations.
    text("body"),
    number("created_at"),
)
Index("ix_decisions_request_id", decisions.c.request_id)
Index("ix_decisions_organization", decisions.c.organization, decisions.c.id)

policies = Table(
    "policies",
    metadata,
    key("organization"),
    #: "" for the policy of the organization itself.
    key("project"),
    number_key("version"),
    text("digest"),
    #: JSON: routing policy, otherwise, rules. The highest version holds; all are kept, decisions name them.
    text("document"),
    text("reason"),
    text("created_by"),
    text("request_id"),
    number("created_at"),
    sqlite_with_rowid=False,
)

policy_files = Table(
    "policy_files",
    metadata,
    key("organization"),
    #: security.yaml or psmp.yaml.
    key("file"),
    #: Counts what became of the file, from 1; so that of several processes that see a change one records it.
    number_key("version"),
    #: Of the policies in it; of its bytes where it was refused.
    text("digest"),
    #: What holds where it was refused, else what held before; "" where nobody knows.
    text("before"),
    #: When the file was changed, as the file system has it; "" where there is none.
    text("stamp"),
    #: loaded or refused.
    text("state"),
    text("request_id"),
    number("created_at"),
    sqlite_with_rowid=False,
)

stops = Table(
    "stops",
    metadata,
    key("organization"),
    #: principal, project or provider.
    key("kind"),
    key("subject"),
    text("reason"),
    text("set_by"),
    text("request_id"),
    number("set_at"),
    sqlite_with_rowid=False,
)
