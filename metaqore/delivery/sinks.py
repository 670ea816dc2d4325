"""Where audit entries are streamed to (a SIEM): what a sink is, and the requests that add and remove one.

A sink has a cursor: the number of the last entry that it took. The log itself is the queue, so nothing is ever dropped
and a sink that is down for a month goes on where it stood; what it has not taken yet is its lag.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.delivery.cloudevents import CONTENT_TYPES, Mode, Recorded
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.signing import mint_secret
from metaqore.errors import Conflict, InvalidInput, NotFound
from metaqore.ids import new_id
from metaqore.messages import AuditNote, Outcome, Request, Verdict, Write

#: Every sink is looked at by every look.
MAX_SINKS = 20
#: Most entries that go out at once.
MAX_BATCH = 256
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_BACKOFF_MS, _LONGEST_MS = 1000, 300_000


class Sink(msgspec.Struct, kw_only=True):
    """A sink as it stands, claimed under a fence. Times in milliseconds since the epoch."""

    id: str
    organization: str
    name: str
    #: webhook or file.
    kind: str
    #: A URL, or the absolute path of a file.
    target: str
    mode: Mode
    secret: str
    #: The last entry that it took.
    cursor: int
    #: How often it failed since.
    failures: int
    fence: int


class AddSink(Write, frozen=True):
    """Effect: entries above ``cursor`` are streamed to a sink from now on."""

    id: str
    organization: str
    name: str
    kind: str
    target: str
    mode: str
    secret: str
    cursor: int
    created_by: str
    at: int


class RemoveSink(Write, frozen=True):
    """Effect: a sink, its cursor and its secret are gone."""

    id: str
    organization: str


class SinkReads(Protocol):
    """Look-ups of the handlers."""

    def sinks(self, organization: str) -> list[Mapping[str, Any]]:
        """Return an organization's sinks."""

    def taken(self, target: str) -> bool:
        """Whether some sink of anybody writes to a target."""

    def newest(self, organization: str) -> int:
        """Return the number of an organization's last entry."""


class SinkRows(SinkReads, Protocol):
    """What streaming reads and records."""

    def due(self, now: int) -> list[Sink]:
        """Return the sinks that have something to take and may be asked now."""

    def claim(self, sink: Sink, now: int, until: int) -> bool:
        """Take the lease and raise the fence, where the fence still is the sink's."""

    def entries(self, organization: str, after: int, limit: int) -> list[Recorded]:
        """Return entries in their order."""

    def advance(self, sink: Sink, cursor: int, now: int) -> bool:
        """Move the cursor of a claimed sink on and end the lease; False where another holds it."""

    def postpone(self, sink: Sink, error: str, next_at: int) -> None:
        """Note a failure of a claimed sink and end the lease."""


class Handlers:
    """The handlers, with the policy that they check URLs against."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy

    def add(self, batch: Sequence[Request], reads: SinkReads, now: int) -> list[Outcome]:
        """Add sinks; payload: name, kind, target, mode (batch), from (1; 0 for what comes from now on).

        Raises:
            Conflict: the name or the file is taken, or there are too many.
            InvalidInput: a value cannot be used.
        """
        return [self._add(request, reads, now) for request in batch]

    def _add(self, request: Request, reads: SinkReads, now: int) -> Outcome:
        asked = request.payload
        name, kind, target = asked.get("name"), asked.get("kind"), asked.get("target")
        mode, first = asked.get("mode", "batch"), asked.get("from", 1)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidInput(f"name {name!r}: lower-case letters, digits, - and _, at most 63")
        if kind not in ("webhook", "file") or not isinstance(target, str):
            raise InvalidInput(f"kind {kind!r}: webhook with a URL, or file with a path")
        if mode not in CONTENT_TYPES:
            raise InvalidInput(f"mode {mode!r}: one of {', '.join(CONTENT_TYPES)}")
        if type(first) is not int or first < 0:
            raise InvalidInput(f"from {first!r}: the number of the first entry to send, 0 for what comes from now on")
        if kind == "webhook":
            self._policy.parse(target)
        elif not Path(target).is_absolute():
            raise InvalidInput(f"target {target!r}: the absolute path of a file")
        sinks = reads.sinks(request.organization)
        if len(sinks) >= MAX_SINKS:
            raise Conflict(f"an organization has at most {MAX_SINKS} sinks: remove one")
        if any(sink["name"] == name for sink in sinks) or (kind == "file" and reads.taken(target)):
            raise Conflict(f"sink {name}: the name, or the file, is taken by another sink")
        secret = mint_secret() if kind == "webhook" else ""
        cursor = first - 1 if first else reads.newest(request.organization)
        write = AddSink(new_id("snk"), request.organization, name, kind, target, mode, secret, cursor,
                        request.principal, now)  # fmt: skip
        note = AuditNote(tag=Tag.SINK_ADDED, subject=write.id, outcome="approved",
                         details={"kind": kind, "mode": mode, "after": cursor})  # fmt: skip
        return Outcome(
            verdict=Verdict.APPROVED, result={"id": write.id, "name": name, "after": cursor},
            once={"secret": secret} if secret else {}, writes=[write], audit=[note],
        )  # fmt: skip


def remove(batch: Sequence[Request], reads: SinkReads, now: int) -> list[Outcome]:
    """Remove sinks; payload ``{"name"}``. What they have not taken stays in the log.

    Raises:
        NotFound: no such sink.
    """
    outcomes = []
    for request in batch:
        name = request.payload.get("name")
        found = [sink for sink in reads.sinks(request.organization) if sink["name"] == name]
        if not found:
            raise NotFound(f"there is no sink {name}: see `metaqore audit sinks list`")
        write = RemoveSink(found[0]["id"], request.organization)
        note = AuditNote(tag=Tag.SINK_REMOVED, subject=write.id, outcome="approved",
                         details={"cursor": found[0]["cursor"]})  # fmt: skip
        outcomes.append(Outcome(verdict=Verdict.APPROVED, result={"id": write.id}, writes=[write], audit=[note]))
    return outcomes


def backoff_ms(failures: int, jitter: float, asked_s: float | None = None) -> int:
    """Return how long to wait after a number of failures in a row: 1 s, 2 s, 4 s … 5 min, or what was asked for.

    Args:
        jitter: in [0, 1); adds up to a tenth.
    """
    wait = min(_BACKOFF_MS * 2 ** min(failures - 1, 16), _LONGEST_MS) * (1 + jitter / 10)
    return int(max(wait, min(asked_s or 0, _LONGEST_MS / 1000) * 1000))


def batch_of(failures: int) -> int:
    """Return how many entries go out before the cursor moves, in one body or one by one: fewer after each failure, for
    whoever is too slow or takes too little."""
    return max(1, MAX_BATCH >> min(failures, 8))
