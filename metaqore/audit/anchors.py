"""Anchors: every checkpoint that the entries are held against, with how far its signature is to be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from heapq import merge
from pathlib import Path
from urllib.parse import quote, unquote

from metaqore.audit.checkpoint import (
    ED25519,
    BadNote,
    BadSignature,
    Checkpoint,
    Untrusted,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    verify_note,
)
from metaqore.audit.source import Source, StoredCheckpoint
from metaqore.audit.witness import read_witness


class Origin(StrEnum):
    """Where an anchor comes from."""

    STORED = "stored"
    WITNESS = "witness"
    SINCE = "since"


class Standing(StrEnum):
    """What its signature says."""

    SIGNED = "signed"
    #: No trusted keys were given.
    UNCHECKED = "unchecked"
    #: Signed by keys that are not trusted.
    UNTRUSTED = "untrusted"
    #: A trusted key's signature does not fit.
    BAD = "bad"
    #: Not a checkpoint at all.
    BROKEN = "broken"
    #: Filed under a size that is not its own.
    STALE = "stale"
    #: Another log's.
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Anchor:
    """A checkpoint to hold the entries against: ``log`` is its origin line, ``ts_ms`` when a witness saw it signed."""

    size: int
    root: bytes
    origin: Origin
    standing: Standing
    log: str = ""
    why: str = ""
    ts_ms: int | None = None

    @property
    def believed(self) -> bool:
        """Whether the entries must fit it."""
        return self.standing in (Standing.SIGNED, Standing.UNCHECKED)


@dataclass(frozen=True)
class Trust:
    """The keys an auditor trusts; without any, signatures are not looked at.

    The log's name is the name of its keys; its witnesses' keys (signature type 0x04) do not name a log.
    """

    keys: tuple[VerifierKey, ...] = ()

    @property
    def log_names(self) -> frozenset[str]:
        """The logs that the keys are of."""
        return frozenset(key.name for key in self.keys if key.algorithm == ED25519)

    def origins(self, organization: str) -> frozenset[str]:
        """The origin lines that the organization's log may have; empty where any log name will do."""
        return frozenset(f"{name}/{quote(organization, safe='')}" for name in self.log_names)

    def is_of(self, origin: str, organization: str) -> bool:
        """Tell whether an origin line is of this organization in a trusted log."""
        if self.log_names:
            return origin in self.origins(organization)
        return origin.endswith("/" + quote(organization, safe=""))

    def weigh(self, note: str, organization: str) -> tuple[Checkpoint | None, Standing, str]:
        """Return what a note says, how far it is believed, and why not further."""
        try:
            parsed = parse_note(note)
            checkpoint = parse_checkpoint(parsed)
        except BadNote as error:
            return None, Standing.BROKEN, str(error)
        if not self.is_of(checkpoint.origin, organization):
            return checkpoint, Standing.FOREIGN, f"the checkpoint is of {checkpoint.origin}"
        if not self.log_names:
            return checkpoint, Standing.UNCHECKED, ""
        try:
            verified = verify_note(parsed, self.keys)
        except Untrusted as error:
            return checkpoint, Standing.UNTRUSTED, str(error)
        except BadSignature as error:
            return checkpoint, Standing.BAD, str(error)
        if all(signature.key.algorithm != ED25519 for signature in verified):
            return checkpoint, Standing.UNTRUSTED, "the checkpoint is cosigned by a witness but not signed by the log"
        return checkpoint, Standing.SIGNED, ""


def stored_anchors(source: Source, organization: str, trust: Trust) -> Iterator[Anchor]:
    """Yield the log's own checkpoints."""
    for stored in source.checkpoints(organization):
        yield _of_stored(stored, organization, trust)


def witness_anchors(
    path: Path, organization: str, trust: Trust, remark: Callable[[str], None], size: int | None = None
) -> Iterator[Anchor]:
    """Yield the checkpoints of the organization in a witness file, which are in growing size.

    Args:
        remark: called with whatever in the file is passed over.
        size: read no further than the file once had bytes.
    """
    largest = -1
    no_line = "line {} is no witness line: passed over"
    for line in read_witness(path, lambda number: remark(f"{path}, {no_line.format(number)}"), size):
        anchor = _anchor(line.note, organization, trust, Origin.WITNESS, line.ts_ms)
        if anchor.standing is Standing.FOREIGN:
            continue
        if not anchor.believed:
            remark(f"{path}, line {line.number} is passed over: {anchor.why}")
        elif anchor.size < largest:
            remark(f"{path}, line {line.number} has size {anchor.size} after {largest}: passed over")
        else:
            largest = anchor.size
            yield anchor


def since_anchor(note: str, organization: str, trust: Trust) -> Anchor:
    """Return the anchor of a checkpoint that the auditor kept from an earlier time."""
    return _anchor(as_kept(note), organization, trust, Origin.SINCE)


def as_kept(note: str) -> str:
    """Return a signed note that was kept in a file, without what tools and editors do to the end of its last line."""
    return note.replace("\r\n", "\n").rstrip("\n") + "\n"


def in_order(streams: Sequence[Iterable[Anchor]]) -> Iterator[Anchor]:
    """Yield the anchors of several streams by size; at one size in the order of the streams."""
    return merge(*streams, key=lambda anchor: anchor.size)


def witnessed_logs(path: Path, trust: Trust, size: int | None = None) -> set[str]:
    """Return the organizations of whose logs a witness file holds a checkpoint with a trusted signature."""
    found: set[str] = set()
    for line in read_witness(path, lambda _: None, size):
        organization = unquote(line.note.partition("\n")[0].rpartition("/")[2])
        if organization not in found and trust.weigh(line.note, organization)[1] is Standing.SIGNED:
            found.add(organization)
    return found


# The log and its witness hold the same notes, and meet in order of size.
@lru_cache(maxsize=16)
def _weigh(trust: Trust, note: str, organization: str) -> tuple[Checkpoint | None, Standing, str]:
    return trust.weigh(note, organization)


def _anchor(note: str, organization: str, trust: Trust, origin: Origin, ts_ms: int | None = None) -> Anchor:
    checkpoint, standing, why = _weigh(trust, note, organization)
    if checkpoint is None:
        return Anchor(-1, b"", origin, standing, "", why, ts_ms)
    return Anchor(checkpoint.size, checkpoint.root, origin, standing, checkpoint.origin, why, ts_ms)


def _of_stored(stored: StoredCheckpoint, organization: str, trust: Trust) -> Anchor:
    anchor = _anchor(stored.note, organization, trust, Origin.STORED)
    if anchor.size == stored.size:
        return anchor
    if anchor.standing in (Standing.FOREIGN, Standing.BROKEN):
        return replace(anchor, size=stored.size)
    why = f"a checkpoint of size {anchor.size} stands in the place of one of size {stored.size}"
    return replace(anchor, size=stored.size, standing=Standing.STALE, why=why)
