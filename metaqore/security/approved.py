"""Approvals of payloads: who has approved exactly this one, and whom to ask."""

from __future__ import annotations

from collections.abc import Sequence

from metaqore.canonical import content_hash
from metaqore.messages import Request, Submission
from metaqore.security.ports import GateReads

#: Approvals of payloads, as they are asked for.
PAYLOAD = "payload"


def _digest(request: Request) -> str:
    return content_hash({"kind": request.kind, "project": request.project, "payload": request.payload})


def _subject(scope: str, digest: str) -> str:
    return f"{scope}:{digest.removeprefix('sha256:')}"


def approved_by(request: Request, scopes: Sequence[str], reads: GateReads, now: int) -> list[str]:
    """Return the scopes that have approved exactly this payload of this principal."""
    digest = _digest(request)
    subjects = {_subject(scope, digest): scope for scope in scopes}
    known = reads.approved(request.organization, request.principal, digest, list(subjects), now)
    return [subjects[subject] for subject in known]


def questions(request: Request, scopes: Sequence[str], reasons: Sequence[str]) -> list[Submission]:
    """Return one question for each scope that has to approve this payload, and has not."""
    digest = _digest(request)
    return [
        Submission(
            organization=request.organization, project=request.project, principal=request.principal,
            kind="approval.open",
            payload={
                "subject_kind": PAYLOAD, "subject": _subject(scope, digest), "content_hash": digest,
                "author": request.principal, "needed_scope": scope, "reason": "; ".join(reasons)[:1000],
                # Where whoever is asked can read what it is about.
                "base": {"kind": request.kind, "request": request.id},
            },
        )
        for scope in scopes
    ]  # fmt: skip
