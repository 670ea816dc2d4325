"""Decides ``artifact.alias``: names for versions, beside the lifecycle. ``latest`` is always the head, and not set."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp.effects import SetAlias
from metaqore.psmp.lifecycle import the_artifact
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads

LATEST = "latest"
#: A name cannot be taken for a version number.
NAME = r"[a-z][a-z0-9_.-]{0,63}"
MAX_ALIASES = 64


class Alias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``artifact.alias``. Without a version the alias is taken away."""

    artifact: str
    alias: str
    version: int | None = None


def study(request: Request) -> Alias:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid alias.
    """
    try:
        asked = msgspec.convert(request.payload, Alias)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.alias: {error}") from error
    if not re.fullmatch(NAME, asked.alias):
        raise InvalidInput(f"alias {asked.alias!r}: lower case letters, digits, '_', '.', '-', beginning with a letter")
    if asked.alias == LATEST:
        raise InvalidInput(f"alias {LATEST!r} is always the newest version: choose another name")
    return asked


def alias(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide aliases. A run of them is one long: each must see what the one before it did."""
    return [_alias(request, request.studied, reads, now, policy) for request in batch]


def _alias(request: Request, asked: Alias, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    head = the_artifact(request, asked.artifact, reads)
    if head is None:
        return failed("not_found", f"artifact {asked.artifact} does not exist")
    if asked.version is not None and not 1 <= asked.version <= head.head:
        return failed("not_found", f"artifact {head.id} has no version {asked.version} (head {head.head})")
    if asked.version is not None and policy.artifact.state(head.state).tombstone:
        return failed("artifact_deleted", f"artifact {head.id} is {head.state}: it gets no new aliases")
    present = reads.aliases(head.id)
    was = present.get(asked.alias)
    if asked.version is None and was is None:
        return failed("not_found", f"artifact {head.id} has no alias {asked.alias!r}")
    if was is None and len(present) >= MAX_ALIASES:
        return failed("too_many_aliases", f"artifact {head.id} has {MAX_ALIASES} aliases: take one away first")
    details = {"alias": asked.alias, "from": was, "version": asked.version}
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"artifact": head.id, "alias": asked.alias, "version": asked.version, "previous": was},
        writes=[SetAlias(head.id, asked.alias, asked.version, request.principal, now)],
        audit=[
            AuditNote(tag=Tag.ARTIFACT_ALIASED, subject=head.id, outcome="approved", details=details,
                      policy_digest=policy.digest)
        ],
        events=[EventNote("artifact.aliased", head.id, details)],
    )  # fmt: skip
