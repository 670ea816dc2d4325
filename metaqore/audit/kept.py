"""What a client kept: which entries speak of its request or event, and the checkpoint that was signed over them.

Either a result (``GET /requests/{id}``), or a webhook: its body, and its headers, which carry the checkpoint. It is
checked against a log that somebody else holds: a log that was rewritten, even with the signing key, has other entries
or another root than those the client was shown.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote

from metaqore.audit.anchors import Standing, Trust
from metaqore.audit.checkpoint import Checkpoint, parse_checkpoint
from metaqore.audit.merkle import (
    HASH_BYTES,
    LeafRange,
    inclusion_ranges,
    leaf_hashes,
    stream_roots,
    tile_root,
    verify_inclusion,
)
from metaqore.audit.source import CannotRead, Source
from metaqore.errors import InvalidInput

#: With a webhook: the signed checkpoint over its event's entry, base64; absent where that was not sealed yet.
CHECKPOINT_HEADER = "metaqore-checkpoint"

#: (sequence number, leaf hash).
KeptEntry: TypeAlias = tuple[int, bytes]


@dataclass(frozen=True)
class Kept:
    """Entries by number and leaf hash, and the signed note over them."""

    entries: tuple[KeptEntry, ...]
    checkpoint: str

    @classmethod
    def parse(cls, text: str, headers: str | None = None) -> Kept | None:
        """Return what a result, or its member ``audit``, or the body of a webhook says; None where it is none of them.

        Args:
            headers: the headers of a webhook: lines ``Name: value``, or a JSON object or list of pairs.

        Raises:
            CannotRead: no checkpoint came with it that covers the entries, or no entry.
        """
        try:
            value: Any = json.loads(text)
            value = value.get("audit", value)
            alone = "entries" not in value and "proof" not in value
            found = [value] if alone else value["entries"]
            entries = tuple((entry["seq"], bytes.fromhex(entry["leaf_hash"])) for entry in found)
            note = _checkpoint_in(headers) if alone else value["checkpoint"]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        if any(type(seq) is not int or len(leaf) != HASH_BYTES for seq, leaf in entries):
            return None
        if type(note) is not str or not entries:
            raise CannotRead("no checkpoint covered the entries yet when this was fetched: fetch the result again")
        return cls(entries, note)


def _checkpoint_in(headers: str | None) -> str:
    if headers is None:
        raise CannotRead(f"the checkpoint of a webhook is in its header {CHECKPOINT_HEADER}: give its headers, too")
    for name, value in _headers_of(headers):
        # Servers in Python know them as HTTP_METAQORE_CHECKPOINT.
        if name.strip().lower().replace("_", "-").removeprefix("http-") == CHECKPOINT_HEADER:
            try:
                return base64.b64decode(value.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise CannotRead(f"the header {CHECKPOINT_HEADER} is not base64 of a checkpoint: {error}") from error
    raise CannotRead(
        f"the headers have no {CHECKPOINT_HEADER}: this was sent before its entry was sealed; "
        "read the receipt of the entry instead, GET /audit/proofs/{seq}"
    )


def _headers_of(text: str) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(ValueError, RecursionError):
        found: Any = json.loads(text)
        for name, value in found.items() if isinstance(found, dict) else found if isinstance(found, list) else ():
            yield str(name), str(value[0] if isinstance(value, list) and value else value)
        return
    for line in text.splitlines():
        name, _, value = line.partition(":")
        yield name, value


class Contradicted(Exception):
    """The log is not the one that the client was shown; the message says in what."""


def opened(note: str, trust: Trust) -> Checkpoint:
    """Return a checkpoint, with its signature checked where there are trusted keys.

    Raises:
        InvalidInput: it is none, or is not to be trusted.
    """
    checkpoint = parse_checkpoint(note)
    if trust.keys:
        _, standing, why = trust.weigh(note, unquote(checkpoint.origin.rpartition("/")[2]))
        if standing is not Standing.SIGNED:
            raise InvalidInput(f"a checkpoint is not to be trusted: {why}")
    return checkpoint


def log_of(source: Source, checkpoint: Checkpoint) -> str | None:
    """Return whose log a checkpoint is of, None where the source does not have it."""
    return next((name for name in source.organizations() if Trust().is_of(checkpoint.origin, name)), None)


def check_kept(kept: Kept, checkpoint: Checkpoint, source: Source) -> None:
    """Hold the log against what was kept of it.

    Raises:
        Contradicted: it has another entry, or another root, than the client was shown.
        CannotRead: the source does not have that log.
    """
    name = log_of(source, checkpoint)
    if name is None:
        raise CannotRead(f"{source.name} has no log {checkpoint.origin}")
    if source.last_seq(name) < checkpoint.size:
        raise Contradicted(f"truncated: {source.last_seq(name)} of the {checkpoint.size} entries signed are left")
    for seq, leaf in kept.entries:
        if not 1 <= seq <= checkpoint.size:
            raise Contradicted(f"the checkpoint kept is over {checkpoint.size} entries, {seq} is not among them")
        row = source.row(name, seq)
        if row is None or type(row.body) is not bytes or leaf_hashes([row.body]) != [leaf]:
            raise Contradicted(f"entry {seq} of {name} is not the one that was shown")
        ranges = inclusion_ranges(seq - 1, checkpoint.size)
        proofs = proofs_of(source, name, ranges, checkpoint.size)
        if not any(verify_inclusion(leaf, seq - 1, checkpoint.size, proof, checkpoint.root) for proof in proofs):
            raise Contradicted(f"the log does not have the root that was shown, signed for {checkpoint.size} entries")


def leaves_of(source: Source, organization: str, count: int) -> Iterator[bytes]:
    """Yield the leaf hashes of the first entries, made of their bytes."""
    for chunk in source.chunks(organization, 1, count):
        yield from leaf_hashes(body if type(body) is bytes else b"" for body in chunk[2])


def proofs_of(source: Source, name: str, ranges: list[LeafRange], size: int) -> Iterator[list[bytes]]:
    """Yield the proof from the stored tiles, then the one from the entries themselves."""
    with contextlib.suppress(InvalidInput):
        yield [tile_root(part, lambda level, index: source.tile(name, level, index)) for part in ranges]
    yield stream_roots(leaves_of(source, name, size), ranges)
