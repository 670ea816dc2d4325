"""Decides ``token.create`` and ``token.revoke``, inside the API call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import Forbidden, InvalidInput, NotFound
from metaqore.ids import new_id
from metaqore.messages import AuditNote, Outcome, Request, Verdict
from metaqore.security.tokens import DELEGABLE, MAX_LIFETIME_S, RevokeToken, SaveToken

_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TokenReads(Protocol):
    """Look-ups of tokens and of what they are bound to."""

    def token_row(self, organization: str, token: str) -> Mapping[str, Any] | None:
        """Return a token's row."""

    def project_exists(self, organization: str, project: str) -> bool:
        """Return whether the organization has this project."""

    def task_state(self, organization: str, project: str, task: str) -> str | None:
        """Return the state of a task, or None where the project has no such task."""


def create_token(batch: Sequence[Request], reads: TokenReads, now: int) -> list[Outcome]:
    """Make delegated tokens.

    Payload: agent, project, task (or None), scopes, expires_in_s; and, filled in by the door, what the delegator's own
    authority is: key_id (or None), authority (scopes), not_after (ms or None).
    """
    return [_create_token(request, reads, now) for request in batch]


def _create_token(request: Request, reads: TokenReads, now: int) -> Outcome:
    asked = request.payload
    scopes = sorted(set(asked["scopes"]))
    _check(asked, scopes)
    if not reads.project_exists(request.organization, asked["project"]):
        raise NotFound(f"project {asked['project']} does not exist")
    task = asked["task"]
    if task is not None and reads.task_state(request.organization, asked["project"], task) is None:
        raise NotFound(f"task {task} does not exist in project {asked['project']}")
    expires_at = min(now + asked["expires_in_s"] * 1000, asked["not_after"] or 2**62)
    write = SaveToken(
        new_id("tok"), request.organization, f"{request.principal}/{asked['agent']}", request.principal,
        asked["key_id"], asked["project"], task, msgspec.json.encode(scopes).decode(), now, expires_at,
    )  # fmt: skip
    shown = {
        "id": write.id, "principal": write.principal, "delegator": write.delegator, "project": write.project,
        "task": task, "scopes": scopes, "created_at": now, "expires_at": expires_at, "revoked_at": None,
    }  # fmt: skip
    details = {"principal": write.principal, "scopes": " ".join(scopes), "task": task or "", "expires_at": expires_at}
    return Outcome(
        verdict=Verdict.APPROVED, result=shown, writes=[write],
        audit=[AuditNote(tag=Tag.TOKEN_CREATED, subject=write.id, outcome="approved", details=details)],
    )  # fmt: skip


def _check(asked: Mapping[str, Any], scopes: Sequence[str]) -> None:
    wrong = sorted(set(scopes) - DELEGABLE)
    if wrong or not scopes:
        raise InvalidInput(f"scopes {wrong}: what can be handed on is {', '.join(sorted(DELEGABLE))}")
    beyond = sorted(set(scopes) - set(asked["authority"]))
    if beyond:
        raise Forbidden(f"nobody hands on what they do not have: {', '.join(beyond)}", scope=beyond[0])
    if not _AGENT.fullmatch(asked["agent"]):
        raise InvalidInput("agent: 1 to 64 letters, digits, dots, hyphens and underscores")
    if not 1 <= asked["expires_in_s"] <= MAX_LIFETIME_S:
        raise InvalidInput(f"expires_in_s: choose 1 to {MAX_LIFETIME_S} seconds")


def revoke_token(batch: Sequence[Request], reads: TokenReads, now: int) -> list[Outcome]:
    """Revoke tokens; payload: id, any (whether tokens of other delegators count). Revoking twice is no error."""
    return [_revoke_token(request, reads, now) for request in batch]


def _revoke_token(request: Request, reads: TokenReads, now: int) -> Outcome:
    row = reads.token_row(request.organization, request.payload["id"])
    if row is None or not (request.payload["any"] or row["delegator"] == request.principal):
        raise NotFound(f"token {request.payload['id']} does not exist")
    at = row["revoked_at"] or now
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"id": row["id"], "revoked_at": at},
        writes=[RevokeToken(row["id"], request.organization, at)],
        audit=[AuditNote(tag=Tag.TOKEN_REVOKED, subject=row["id"], outcome="approved")],
    )
