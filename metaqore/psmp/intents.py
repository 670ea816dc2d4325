"""Decides ``intent.announce`` and ``intent.withdraw``: who is going to read and write what, before it costs anything.

An announcement is never refused for what others do: its answer warns of whom it will clash with. It binds the others
until it is fulfilled, withdrawn or expired: a declaration of the same artifact by somebody else is ``duplicate_work``,
one that claims the same paths is a ``claim_collision``. Of two who announced the same, the first goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from metaqore.audit.tags import Tag
from metaqore.clock import to_rfc3339
from metaqore.errors import InvalidInput
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp import claims
from metaqore.psmp.claims import ClaimIndex, Wanted
from metaqore.psmp.declaration import check_claims
from metaqore.psmp.holdings import ChangeIntent, Claim, NewIntent, SetClaims
from metaqore.psmp.model import Claims, Head
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads

#: Longest time, in seconds, for which an intent may bind others.
MAX_EXPIRES_S = 86_400
MAX_TOUCHES = 256
MAX_PURPOSE = 1000
MAX_WARNINGS = 200
#: Lets one withdraw what somebody else has announced.
OVERRIDE = "conflicts:override"


class Touch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An artifact that is going to be read or written: by ``artifact`` id, or by ``type`` and ``name``.

    ``base_version`` is the version that the author knows of; ``content_hash`` (``sha256:…``) what it is going to be.
    """

    artifact: str | None = None
    type: str | None = None
    name: str | None = None
    base_version: int | None = None
    content_hash: str | None = None


class Announce(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of ``intent.announce``."""

    purpose: str
    expires_in_s: int
    writes: tuple[Touch, ...] = ()
    reads: tuple[Touch, ...] = ()
    claims: tuple[str, ...] | Claims = ()

    @property
    def claimed(self) -> Claims:
        """The claims, whichever way they were written."""
        return self.claims if isinstance(self.claims, Claims) else Claims(paths=self.claims)


class Withdraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``intent.withdraw``; ``authority`` is set by the door, from the caller's scopes."""

    intent: str
    authority: tuple[str, ...] = ()


def study(request: Request) -> Announce:
    """Parse and check an announcement.

    Raises:
        InvalidInput: it is none; the message has the JSON path.
    """
    try:
        asked = msgspec.convert(request.payload, Announce)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"intent.announce: {error}") from error
    check(asked)
    return asked


def check(asked: Announce) -> None:
    """Refuse an announcement that binds nobody to anything, or for too long.

    Raises:
        InvalidInput: says which field, and what is allowed.
    """
    if not asked.purpose.strip() or len(asked.purpose) > MAX_PURPOSE:
        raise InvalidInput(f"purpose: 1 to {MAX_PURPOSE} characters that are not all blank")
    if not 1 <= asked.expires_in_s <= MAX_EXPIRES_S:
        raise InvalidInput(f"expires_in_s: 1 to {MAX_EXPIRES_S} seconds")
    if len(asked.writes) + len(asked.reads) > MAX_TOUCHES:
        raise InvalidInput(f"writes, reads: at most {MAX_TOUCHES} artifacts together")
    check_claims(asked.claimed)
    if not (asked.writes or asked.reads or claims.keys_of(asked.claimed)):
        raise InvalidInput("writes, reads, claims: name at least one thing that is going to be touched")
    for field in ("writes", "reads"):
        for index, touch in enumerate(getattr(asked, field)):
            if (touch.artifact is None) != (touch.type is not None and touch.name is not None):
                raise InvalidInput(f"{field}[{index}]: give either artifact, or type and name")


def study_withdrawal(request: Request) -> Withdraw:
    """Parse a withdrawal.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return msgspec.convert(request.payload, Withdraw)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"intent.withdraw: {error}") from error


def announce(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide announcements. A run of them is one long: each must see what the one before it did."""
    return [_announce(request, request.studied, reads, now, policy) for request in batch]


def _announce(request: Request, asked: Announce, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    project = reads.projects({request.project or ""}).get(request.project or "")
    if project is None or project.organization != request.organization:
        return failed("not_found", f"project {request.project} does not exist")
    if project.state in policy.project.flagged("closed"):
        return failed("project_closed", f"project {project.id} is {project.state}: it admits nothing more")
    announced = _Announced(request, asked, reads, now)
    body = {"writes": asked.writes, "reads": asked.reads, "claims": asked.claimed}
    remaining = [name for name, _ in announced.writes]
    intent, expires_at = announced.id, now + asked.expires_in_s * 1000
    warnings = announced.warnings(reads)
    return Outcome(
        verdict=Verdict.APPROVED,
        result={
            "intent": {"id": intent, "project": project.id, "principal": request.principal, "purpose": asked.purpose,
                       "state": "open", "expires_at": to_rfc3339(expires_at), **msgspec.to_builtins(body)},
            "warnings": warnings,
        },
        writes=[
            NewIntent(intent, request.organization, project.id, request.principal, asked.purpose,
                      msgspec.json.encode(body).decode(), msgspec.json.encode(remaining).decode(), request.id,
                      request.seq, expires_at, now),
            SetClaims(intent, tuple(announced.rows(expires_at)), fresh=True),
        ],
        audit=[AuditNote(tag=Tag.INTENT_ANNOUNCED, subject=intent, outcome="approved",
                         details={"warnings": len(warnings)})],
        events=[EventNote("intent.announced", intent, {"by": request.principal, "warnings": len(warnings)})],
    )  # fmt: skip


class _Announced:
    """One announcement, with what is there already of what it names."""

    def __init__(self, request: Request, asked: Announce, reads: PsmpReads, now: int) -> None:
        self.id = new_id("intent")
        self.request, self.asked, self.now = request, asked, now
        self.project = request.project or ""
        touched = (*asked.writes, *asked.reads)
        heads = reads.heads(
            {(self.project, t.type or "", t.name or "") for t in touched if t.artifact is None},
            {t.artifact for t in touched if t.artifact is not None},
        )
        self._heads = {head.id: head for head in heads if head.project == self.project}
        self._by_name = {f"{head.type}/{head.name}": head for head in self._heads.values()}
        #: ``type/name`` and what was said of it.
        self.writes = [(self._name(touch), touch) for touch in asked.writes]
        self.reads = [(self._name(touch), touch) for touch in asked.reads]

    def _name(self, touch: Touch) -> str:
        if touch.artifact is None:
            return f"{touch.type}/{touch.name}"
        head = self._heads.get(touch.artifact)
        return f"{head.type}/{head.name}" if head is not None else touch.artifact

    def head(self, name: str) -> Head | None:
        """Return the present head of ``type/name``."""
        return self._by_name.get(name)

    def _marks(self) -> Iterable[tuple[str, str]]:
        """Yield (kind, pattern) of what the intent is kept under."""
        yield from claims.keys_of(self.asked.claimed)
        yield from (("write", name) for name, _ in self.writes)
        yield from (("read", name) for name, _ in self.reads)
        yield from (("content", t.content_hash) for _, t in self.writes if t.content_hash is not None)

    def rows(self, expires_at: int) -> list[Claim]:
        """Return the claims of the intent."""
        return [
            claims.row(
                self.project, kind, pattern, holder=self.id, principal=self.request.principal,
                title=self.asked.purpose, seq=self.request.seq, expires_at=expires_at,
            )
            for kind, pattern in dict.fromkeys(self._marks())
        ]  # fmt: skip

    def warnings(self, reads: PsmpReads) -> list[dict[str, Any]]:
        """Return whom this will clash with, what it is about first."""
        found = [*self._clashes(reads), *self._proposals(reads), *self._moved(), *self._copies(reads)]
        return found[:MAX_WARNINGS]

    def _clashes(self, reads: PsmpReads) -> Iterable[dict[str, Any]]:
        against = {"write": ("write", "read"), "read": ("write",)}
        pairs = [(kind, other, pattern) for kind, pattern in self._marks() for other in against.get(kind, (kind,))]
        wanted = Wanted()
        for _, other, pattern in pairs:
            wanted.add(self.project, other, pattern)
        index = ClaimIndex(wanted, reads)
        own = {head.id for name, _ in self.writes if (head := self.head(name)) is not None}
        for kind, other, pattern in pairs:
            for claim in claims.overlapping(index.near(self.project, other, pattern)[: claims.MAX_NEAR], pattern):
                mine = (
                    claim.principal == self.request.principal if claim.expires_at is not None else claim.holder in own
                )
                if not mine and (claim.expires_at is None or claim.expires_at > self.now):
                    yield {"warning": f"{kind}_{other}" if kind in against else kind, "target": pattern,
                           "with": claims.shown(claim)}  # fmt: skip

    def _proposals(self, reads: PsmpReads) -> Iterable[dict[str, Any]]:
        parts = [name.partition("/") for name, _ in self.writes if "/" in name]
        identities = {(self.project, kind, name) for kind, _, name in parts}
        for row in reads.blocked_proposals(identities) if identities else ():
            if row["created_by"] != self.request.principal:
                yield {"warning": "blocked_proposal", "target": f"{row['type']}/{row['name']}",
                       "with": {"holder": row["id"], "kind": "proposal", "principal": row["created_by"]}}  # fmt: skip

    def _moved(self) -> Iterable[dict[str, Any]]:
        for name, touch in (*self.writes, *self.reads):
            head = self.head(name)
            if touch.base_version is None or head is None or head.head == touch.base_version:
                continue
            yield {"warning": "moved", "target": name, "base_version": touch.base_version, "head_version": head.head,
                   "with": {"holder": head.id, "kind": "artifact", "principal": head.updated_by}}  # fmt: skip

    def _copies(self, reads: PsmpReads) -> Iterable[dict[str, Any]]:
        hashes = {(self.project, t.content_hash): name for name, t in self.writes if t.content_hash is not None}
        for content, ends in (reads.same_content(hashes) if hashes else {}).items():
            head = self.head(hashes[content])
            for artifact in dict.fromkeys(ends):
                if head is None or artifact != head.id:
                    yield {"warning": "same_content", "target": hashes[content],
                           "with": {"holder": artifact, "kind": "artifact"}}  # fmt: skip


def withdraw(batch: Sequence[Request], reads: PsmpReads, now: int) -> list[Outcome]:
    """Decide withdrawals."""
    return [_withdraw(request, request.studied, reads, now) for request in batch]


def _withdraw(request: Request, asked: Withdraw, reads: PsmpReads, now: int) -> Outcome:
    intent = reads.intents({asked.intent}).get(asked.intent)
    if intent is None or intent.project != request.project:
        return failed("not_found", f"intent {asked.intent} does not exist")
    if intent.principal != request.principal and OVERRIDE not in asked.authority:
        message = f"intent {asked.intent} is {intent.principal}'s: to withdraw it you need the scope {OVERRIDE}"
        return failed("forbidden", message)
    if intent.state != "open":
        return failed("not_open", f"intent {asked.intent} is {intent.state} already")
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"intent": {"id": intent.id, "state": "withdrawn"}},
        writes=[*closing(intent.id, "withdrawn", intent.remaining, now)],
        audit=[AuditNote(tag=Tag.INTENT_WITHDRAWN, subject=intent.id, outcome="approved")],
        events=[EventNote("intent.withdrawn", intent.id, {"by": request.principal})],
    )


def closing(
    intent: str, state: Literal["fulfilled", "withdrawn"], remaining: Sequence[str], now: int
) -> tuple[ChangeIntent, SetClaims]:
    """Return the effects that end an intent."""
    return (
        ChangeIntent(intent, state, msgspec.json.encode(remaining).decode(), now),
        SetClaims(intent, (), fresh=False),
    )


def state_at(row: Mapping[str, Any], now: int) -> str:
    """Return the state of an intent; one that is open until its time is over is expired after it."""
    state = str(row["state"])
    return "expired" if state == "open" and row["expires_at"] <= now else state
