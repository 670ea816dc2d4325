"""Decides ``policy.reload``: one of the engine's own policy files has changed, and every log has to say so once.

Each process of an installation reads the files by itself and sees a change a moment before or after the others. So
whoever sees it asks, and only who is first is heard: what is recorded already is refused, and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import Conflict, InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict
from metaqore.security.effects import NotePolicyFile
from metaqore.security.ports import GateReads, PolicyFile

KIND = "policy.reload"
LOADED, REFUSED = "loaded", "refused"


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a process saw: a policy file with another content. The payload of ``policy.reload``."""

    file: str
    #: Of the policies in it; of its bytes where it is refused.
    digest: str
    #: What this process held until then.
    before: str = ""
    #: When the file was changed, as the file system has it: the same for all processes of a host; "" for no file.
    stamp: str = ""
    refused: bool = False

    @property
    def state(self) -> str:
        """``loaded`` or ``refused``."""
        return REFUSED if self.refused else LOADED


def study_reload(request: Request) -> Seen:
    """Parse ``policy.reload``.

    Raises:
        InvalidInput: it does not say what was seen.
    """
    try:
        return msgspec.convert(request.payload, Seen)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{request.kind}: {error}") from error


def is_known(seen: Seen, rows: Sequence[PolicyFile]) -> bool:
    """Tell whether this change is recorded.

    Args:
        rows: as ``GateReads.policy_files`` returns them.
    """
    if not rows:
        return False
    if any((row.state, row.digest, row.stamp) == (seen.state, seen.digest, seen.stamp) for row in rows if seen.stamp):
        # By a process that was quicker; meanwhile the file may have changed again.
        return True
    if seen.refused:
        return not seen.stamp and (rows[-1].state, rows[-1].digest) == (REFUSED, seen.digest)
    held = [row for row in rows if row.state == LOADED]
    return bool(held) and held[-1].digest == seen.digest


def reload(batch: Sequence[Request], reads: GateReads, now: int) -> list[Outcome]:
    """Record that a policy file was taken up, or that it cannot be used and the policies before it hold.

    Raises:
        Conflict: that is recorded already.
    """
    return [_reload(request, request.studied, reads, now) for request in batch]


def _reload(request: Request, seen: Seen, reads: GateReads, now: int) -> Outcome:
    rows = reads.policy_files(request.organization, seen.file, seen.digest, seen.stamp)
    if is_known(seen, rows):
        raise Conflict(f"policy.reload: {seen.file} {seen.digest} is recorded already")
    held = [row.digest for row in rows if row.state == LOADED]
    before = held[-1] if held else seen.before
    version = rows[-1].version + 1 if rows else 1
    # Of a file that is refused the digest is that of its bytes: what decides is still what held before.
    details = {"version": version, **({"refused": seen.digest} if seen.refused else {"before": before})}
    note = AuditNote(
        tag=Tag.POLICY_REFUSED if seen.refused else Tag.POLICY_CHANGED, subject=seen.file,
        outcome=seen.state if seen.refused else "approved", policy_digest=(before if seen.refused else seen.digest),
        details=details,
    )  # fmt: skip
    write = NotePolicyFile(
        request.organization, seen.file, version, seen.digest, before, seen.stamp, seen.state, request.id, now
    )
    event = EventNote(
        "policy.refused" if seen.refused else "policy.changed", seen.file, {"version": version, "digest": seen.digest}
    )
    return Outcome(
        verdict=Verdict.APPROVED, result={"file": seen.file, "version": version, "digest": seen.digest},
        writes=[write], audit=[note], events=[event],
    )  # fmt: skip
