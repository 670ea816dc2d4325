"""Decides ``key.create`` and ``key.revoke``, inside the API call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput, NotFound
from metaqore.messages import AuditNote, Outcome, Request, Verdict
from metaqore.security.keys import ALL, SCOPES, RevokeKey, SaveKey


class KeyReads(Protocol):
    """Look-ups of keys."""

    def key_row(self, organization: str, key: str) -> Mapping[str, Any] | None:
        """Return a key's row."""


def create_key(batch: Sequence[Request], reads: KeyReads, now: int) -> list[Outcome]:
    """Create keys; payload: id, secret_hash, principal, name, scopes, expires_at (ms or None).

    The secret itself never enters a request: the door mints it and passes its hash.
    """
    return [_create_key(request, now) for request in batch]


def _create_key(request: Request, now: int) -> Outcome:
    asked = request.payload
    unknown = sorted(set(asked["scopes"]) - set(SCOPES) - {ALL})
    if unknown or not asked["scopes"]:
        raise InvalidInput(f"scopes {unknown}: choose from {', '.join(SCOPES)}")
    expires_at = asked.get("expires_at")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("expires_at: must be in the future")
    write = SaveKey(
        asked["id"], request.organization, asked["principal"], asked["name"], asked["secret_hash"],
        msgspec.json.encode(sorted(asked["scopes"])).decode(), request.principal, now, expires_at,
    )  # fmt: skip
    shown = {"id": write.id, "principal": write.principal, "name": write.name, "scopes": sorted(asked["scopes"]),
             "created_at": now, "expires_at": expires_at, "revoked_at": None}  # fmt: skip
    details = {"principal": write.principal, "scopes": " ".join(sorted(asked["scopes"]))}
    audit = [AuditNote(tag=Tag.KEY_CREATED, subject=write.id, outcome="approved", details=details)]
    return Outcome(verdict=Verdict.APPROVED, result=shown, writes=[write], audit=audit)


def revoke_key(batch: Sequence[Request], reads: KeyReads, now: int) -> list[Outcome]:
    """Revoke keys; payload: id. Revoking twice is no error."""
    return [_revoke_key(request, reads, now) for request in batch]


def _revoke_key(request: Request, reads: KeyReads, now: int) -> Outcome:
    row = reads.key_row(request.organization, request.payload["id"])
    if row is None:
        raise NotFound(f"key {request.payload['id']} does not exist")
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"id": row["id"], "revoked_at": row["revoked_at"] or now},
        writes=[RevokeKey(row["id"], request.organization, row["revoked_at"] or now)],
        audit=[AuditNote(tag=Tag.KEY_REVOKED, subject=row["id"], outcome="approved")],
    )
