"""What is handed to a data subject that asks (GDPR Art. 15): each place that holds something of it, or names it.

Two kinds of places: what its requests brought in, found by their ids, and what was recorded of it as a principal. Keys'
secrets and their hashes are no data about anybody and stay. A new table with a request's id or a principal's name gets
a line here; ``tests/unit/audit/test_subject_access.py`` tells when one is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_NAME = re.compile(":organization|:subject")
_ITS = "(SELECT id FROM requests WHERE organization = :organization AND coalesce(subject, principal) = :subject)"
_PROJECTS = "(SELECT id FROM projects WHERE organization = :organization)"
_ARTIFACTS = "(SELECT id FROM artifacts WHERE organization = :organization)"


class Holding(NamedTuple):
    """One place; ``where`` speaks of ``:organization`` and ``:subject``."""

    table: str
    where: str
    columns: str = "*"

    def asked(self, organization: str, subject: str) -> tuple[str, tuple[str, ...]]:
        """Return the statement, written with ``?``, and its values."""
        given = {":organization": organization, ":subject": subject}
        sql = f"SELECT {self.columns} FROM {self.table} WHERE {_NAME.sub('?', self.where)}"
        return sql, tuple(given[name] for name in _NAME.findall(self.where))


def _by_request(table: str, columns: str = "*") -> Holding:
    return Holding(table, f"request_id IN {_ITS}", columns)


def _named(table: str, *names: str, columns: str = "*", within: str = "organization = :organization") -> Holding:
    return Holding(table, " OR ".join(f"({within} AND {name} = :subject)" for name in names), columns)


HOLDINGS: Mapping[str, Holding] = {
    # What its requests brought in, and what became of it.
    "requests": Holding("requests", f"id IN {_ITS}"),
    "versions": _by_request("artifact_versions"),
    "calls": _by_request("llm_calls"),
    "specialist_calls": _by_request("specialist_calls"),
    "proposals": _by_request("proposals"),
    "conflicts": Holding(
        "conflicts", f"request_id IN {_ITS} OR (organization = :organization AND resolved_by = :subject)"
    ),
    "intents": _by_request("intents"),
    "decisions": _by_request("decisions"),
    "reservations": _by_request("reservations"),
    "events": _by_request("events"),
    # Whom it was told to (Art. 15(1)(c)).
    "recipients": Holding(
        "webhook_deliveries d JOIN events v ON v.id = d.event_id AND v.organization = d.organization "
        "JOIN webhook_endpoints e ON e.id = d.endpoint",
        f"v.request_id IN {_ITS}",
        "d.id, d.event_id, e.url, d.state, d.created_at, d.delivered_at",
    ),
    "specialists": Holding(
        "specialists",
        "organization = :organization AND created_at >= "
        f"(SELECT min(prepared_at) FROM llm_calls WHERE request_id IN {_ITS})",
        "id, pattern, version, state, created_at",
    ),
    # What it did, and what it was given, as a principal.
    "principal": _named("principals", "name", "created_by"),
    "keys": _named(
        "api_keys", "principal", "created_by",
        columns="id, principal, name, scopes, created_by, created_at, expires_at, revoked_at, rotated_at",
    ),
    "tokens": _named("delegated_tokens", "principal", "delegator"),
    "budgets": _named("budgets", "scope = 'principal' AND subject", "set_by"),
    "projects": _named("projects", "owner", "created_by"),
    "artifacts": _named("artifacts", "created_by", "updated_by"),
    "tasks": _named("tasks", "assigned_to", "created_by"),
    "checkpoints": _named("checkpoints", "created_by", "held_by"),
    "approvals": _named("approvals", "author", "requested_by", "answered_by"),
    "aliases": _named("artifact_aliases", "set_by", within=f"artifact IN {_ARTIFACTS}"),
    "requirements": _named("artifact_requirements", "declared_by", within=f"project IN {_PROJECTS}"),
    "managed_fields": _named("field_managers", "manager", within=f"artifact IN {_ARTIFACTS}"),
    "claims": _named("claims", "principal", within=f"project IN {_PROJECTS}"),
    "conversations": Holding("conversations", f"project IN {_PROJECTS} AND principal = :subject"),
    # What was overwritten: by it, or by others in what is its own.
    "history": Holding(
        "record_history",
        f"(project IN {_PROJECTS} AND changed_by = :subject) "
        f"OR subject IN (SELECT id FROM conflicts WHERE request_id IN {_ITS}) "
        "OR subject IN (SELECT id FROM tasks WHERE organization = :organization AND created_by = :subject) "
        "OR subject IN (SELECT id FROM projects WHERE organization = :organization AND created_by = :subject)",
    ),
    "stops": _named("stops", "kind = 'principal' AND subject", "set_by"),
    "policies": _named("policies", "created_by"),
    "endpoints": _named(
        "webhook_endpoints", "created_by",
        columns="id, project, url, events, state, reason, created_by, created_at, updated_at",
    ),
    "sinks": _named("audit_sinks", "created_by", columns="id, name, kind, target, mode, created_by, created_at"),
    "reports": _named(
        "compliance_reports", "created_by",
        columns="id, framework, period_start, period_end, created_by, request_id, created_at, summary, digest",
    ),
    "repeats": _named("idempotency", "principal", columns="route, key, requests, created_at"),
    # What was done about it as a data subject.
    "subject_key": _named("subject_keys", "subject", columns="id, subject, created_at"),
    "holds": _named("legal_holds", "subject", "placed_by"),
    "erasures": _named("erasures", "subject", "requested_by"),
    # The entries of the audit log that speak of it; ``GET /audit/entries`` and ``/audit/proofs`` show each.
    "entries": Holding(
        "audit_entries", f"(organization = :organization AND actor = :subject) OR request_id IN {_ITS}",
        "seq, tag, actor, project, request_id, ts_ms",
    ),
}  # fmt: skip
