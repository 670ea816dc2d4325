"""Decides ``key.create``, ``key.rotate`` and ``key.revoke``, inside the API call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import Conflict, InvalidInput, NotFound
from metaqore.messages import AuditNote, Outcome, Request, Verdict, Write
from metaqore.security.keys import (
    ALL,
    ENVIRONMENTS,
    SCOPES,
    PrincipalKind,
    RevokeKey,
    RotateKey,
    SaveKey,
    SavePrincipal,
)

#: Longest time for which the secret before a rotation goes on to work, in seconds.
MAX_OVERLAP_S = 30 * 86_400
_MAX_NAME = 200


class KeyReads(Protocol):
    """Look-ups of keys."""

    def key_row(self, organization: str, key: str) -> Mapping[str, Any] | None:
        """Return a key's row."""

    def principal_kind(self, organization: str, name: str) -> str | None:
        """Return what kind of principal somebody is, or None where there was no key for them yet."""


def create_key(batch: Sequence[Request], reads: KeyReads, now: int) -> list[Outcome]:
    """Create keys; payload: id, secret_hash, principal, kind (or None), name, scopes, expires_at (ms or None), and
    environment, live where it is not given.

    The secret itself never enters a request: the door mints it and passes its hash.
    """
    return [_create_key(request, reads, now) for request in batch]


def _create_key(request: Request, reads: KeyReads, now: int) -> Outcome:
    asked = request.payload
    unknown = sorted(set(asked["scopes"]) - set(SCOPES) - {ALL})
    if unknown or not asked["scopes"]:
        raise InvalidInput(f"scopes {unknown}: choose from {', '.join(SCOPES)}")
    for what in ("principal", "name"):
        if not 0 < len(asked[what]) <= _MAX_NAME or not asked[what].isprintable():
            raise InvalidInput(f"{what}: 1 to {_MAX_NAME} characters, without line breaks and control characters")
    environment = asked.get("environment", "live")
    if environment not in ENVIRONMENTS:
        raise InvalidInput(f"environment {environment}: choose from {', '.join(ENVIRONMENTS)}")
    expires_at = asked.get("expires_at")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("expires_at: must be in the future")
    known, wanted = reads.principal_kind(request.organization, asked["principal"]), asked.get("kind")
    kind = PrincipalKind(wanted or known or PrincipalKind.AGENT)
    if known is not None and kind != known:
        raise InvalidInput(f"kind: principal {asked['principal']} is of kind {known}, not {kind}: leave it out")
    write = SaveKey(
        asked["id"], request.organization, asked["principal"], asked["name"], asked["secret_hash"],
        msgspec.json.encode(sorted(asked["scopes"])).decode(), request.principal, now, expires_at,
        environment,
    )  # fmt: skip
    writes: list[Write] = [write]
    if known is None:
        writes.append(SavePrincipal(request.organization, write.principal, kind, request.principal, now))
    shown = {
        "id": write.id, "principal": write.principal, "kind": kind.value, "name": write.name,
        "scopes": sorted(asked["scopes"]), "created_at": now, "expires_at": expires_at, "revoked_at": None,
        "environment": environment,
    }  # fmt: skip
    details = {"principal": write.principal, "scopes": " ".join(sorted(asked["scopes"]))}
    audit = [AuditNote(tag=Tag.KEY_CREATED, subject=write.id, outcome="approved", details=details)]
    return Outcome(verdict=Verdict.APPROVED, result=shown, writes=writes, audit=audit)


def rotate_key(batch: Sequence[Request], reads: KeyReads, now: int) -> list[Outcome]:
    """Give keys a new secret; payload: id, secret_hash, overlap_s. The secret it had works ``overlap_s`` longer.

    At most two secrets work at a time: where the overlap of an earlier rotation has not ended, it ends now.
    """
    return [_rotate_key(request, reads, now) for request in batch]


def _rotate_key(request: Request, reads: KeyReads, now: int) -> Outcome:
    asked = request.payload
    row = reads.key_row(request.organization, asked["id"])
    if row is None:
        raise NotFound(f"key {asked['id']} does not exist")
    if row["revoked_at"] is not None:
        raise Conflict(f"key {row['id']} is revoked and gets no new secret: create another key")
    if not 0 <= asked["overlap_s"] <= MAX_OVERLAP_S:
        raise InvalidInput(f"overlap_s: choose 0 to {MAX_OVERLAP_S} seconds")
    until = now + asked["overlap_s"] * 1000
    write = RotateKey(row["id"], request.organization, asked["secret_hash"], row["secret_hash"], until, now)
    details = {"principal": row["principal"], "previous_until": until}
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"id": row["id"], "principal": row["principal"], "rotated_at": now, "previous_until": until},
        writes=[write],
        audit=[AuditNote(tag=Tag.KEY_ROTATED, subject=row["id"], outcome="approved", details=details)],
    )


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
