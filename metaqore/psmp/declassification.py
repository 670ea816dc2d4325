"""Decides ``artifact.declassify``: the one way to a lower label. It needs its own scope and a reason.

The same content is appended as a new version under the lower label, so that who lowered it, when and why is part of
the artifact's history; versions before it keep theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp.declaration import LABELS, with_provenance
from metaqore.psmp.effects import MoveHead, NewVersion, SetEdges
from metaqore.psmp.lifecycle import the_artifact
from metaqore.psmp.model import Head
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads

SCOPE = "labels:declassify"
MAX_REASON = 2000


class Declassify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``artifact.declassify``. ``authority`` is set by the door, from the caller's scopes."""

    artifact: str
    label: str
    reason: str
    #: The head that the caller has seen; another one is refused.
    if_match: int | None = None
    authority: tuple[str, ...] = ()


def study(request: Request) -> Declassify:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid declassification, or it has no reason.
    """
    try:
        asked = msgspec.convert(request.payload, Declassify)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.declassify: {error}") from error
    if asked.label not in LABELS:
        raise InvalidInput(f"label {asked.label!r}: one of {', '.join(LABELS)}")
    if not asked.reason.strip() or len(asked.reason) > MAX_REASON:
        raise InvalidInput(f"reason: 1 to {MAX_REASON} characters; it is kept with the version")
    return asked


def declassify(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide declassifications. A run of them is one long: each must see what the one before it did."""
    return [_declassify(request, request.studied, reads, now, policy) for request in batch]


def _declassify(request: Request, asked: Declassify, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    if SCOPE not in asked.authority:
        return failed("forbidden", f"lowering a label needs the scope {SCOPE}")
    head = the_artifact(request, asked.artifact, reads)
    if head is None:
        return failed("not_found", f"artifact {asked.artifact} does not exist")
    if asked.if_match not in (None, head.head):
        message = f"artifact {head.id} is at version {head.head}, not {asked.if_match}: read it again"
        return failed("precondition_failed", message)
    if LABELS.index(asked.label) >= LABELS.index(head.label):
        return failed("invalid_input", f"artifact {head.id} is {head.label}: {asked.label} is not lower")
    return _lowered(request, asked, head, reads, now, policy)


def _lowered(request: Request, asked: Declassify, head: Head, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    version = head.head + 1
    provenance = {"declassified": {"from": head.label, "to": asked.label, "by": request.principal,
                                   "reason": asked.reason, "version": head.head}}  # fmt: skip
    body = with_provenance(msgspec.json.encode(reads.body(head.id, head.head)).decode(), provenance)
    content = reads.content_text(head.id, head.head)
    # The reason stays with the version: audit entries hold no free text.
    details = {"from": head.label, "to": asked.label, "version": version}
    return Outcome(
        verdict=Verdict.APPROVED,
        result={
            "artifact": {"id": head.id, "type": head.type, "name": head.name, "version": version, "state": head.state,
                         "content_hash": head.content_hash, "label": asked.label},
            "previous_label": head.label, "policy_digest": policy.digest,
        },
        writes=[
            MoveHead(head.id, version, head.content_hash, asked.label, request.principal, now, head.holds, head.depth),
            NewVersion(head.id, version, request.organization, content, head.content_hash, asked.label, head.head,
                       body, request.id, request.principal, now),
            SetEdges(head.id, tuple(sorted(below for _, below, _ in reads.down([head.id]))), fresh=False),
        ],
        audit=[
            AuditNote(tag=Tag.ARTIFACT_ADMITTED, subject=head.id, outcome="approved",
                      details={"version": version, "content": head.content_hash}, policy_digest=policy.digest),
            AuditNote(tag=Tag.ARTIFACT_DECLASSIFIED, subject=head.id, outcome="approved", details=details,
                      policy_digest=policy.digest)
        ],
        events=[EventNote("artifact.updated", head.id, {"type": head.type, "name": head.name, "version": version}),
                EventNote("artifact.declassified", head.id, {"label": asked.label, "version": version})],
    )  # fmt: skip
