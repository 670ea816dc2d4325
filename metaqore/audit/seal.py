"""Sealing: from the entries appended since the last time to new tiles and a signed checkpoint. No I/O.

The sequencer holds the lease, loads the frontier from the stored tiles, calls ``seal`` with the leaf hashes that
follow, and stores tiles and checkpoint in one transaction. Storing a tile replaces the row of the same level and
index, so doing it again after a crash changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from metaqore.audit.checkpoint import Checkpoint, Signer, sign_checkpoint
from metaqore.audit.merkle import (
    HASH_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    CompactRange,
    TileReader,
    root_of,
    split_hashes,
)
from metaqore.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Tile:
    """Up to 256 consecutive hashes of one tree level, concatenated (C2SP tlog-tiles)."""

    level: int
    index: int
    hashes: bytes


@dataclass(frozen=True)
class Frontier:
    """The right edge of a tree: its size and, per level from the leaves up, the partial tile (0 to 255 hashes)."""

    size: int = 0
    edge: tuple[bytes, ...] = ()

    @classmethod
    def load(cls, size: int, reader: TileReader) -> Frontier:
        """Return the frontier of a tree of ``size`` from its stored tiles.

        Raises:
            InvalidInput: a tile is shorter than the size needs.
        """
        edge: list[bytes] = []
        for level in range((max(size.bit_length(), 1) + TILE_HEIGHT - 1) // TILE_HEIGHT):
            hashes_above = size >> level * TILE_HEIGHT
            index, width = divmod(hashes_above, TILE_WIDTH)
            tile = reader(level, index)[: width * HASH_BYTES] if width else b""
            if len(tile) != width * HASH_BYTES:
                raise InvalidInput(f"tile {index} of level {level} is shorter than the {width} hashes of size {size}")
            edge.append(tile)
        return cls(size, tuple(edge))

    def compact(self) -> CompactRange:
        """Return the perfect subtrees of the tree."""
        roots: list[bytes] = []
        for tile in reversed(self.edge):
            part = CompactRange()
            part.extend(split_hashes(tile))
            roots += part.roots()
        return CompactRange.from_roots(self.size, roots)

    def root(self) -> bytes:
        """Return the root of the tree, 32 bytes."""
        return self.compact().root()


class Sealed(NamedTuple):
    """What one sealing gives: the next frontier, the tiles to store (full and partial), and the signed note."""

    frontier: Frontier
    tiles: list[Tile]
    checkpoint: Checkpoint
    note: str


def grow(frontier: Frontier, leaf_hashes: Sequence[bytes]) -> tuple[Frontier, list[Tile]]:
    """Append leaf hashes; return the next frontier and every tile that is new or wider."""
    edge: list[bytes] = []
    tiles: list[Tile] = []
    new: Sequence[bytes] = leaf_hashes
    level = 0
    while new or level < len(frontier.edge):
        held = frontier.edge[level] if level < len(frontier.edge) else b""
        index = frontier.size >> (level + 1) * TILE_HEIGHT
        hashes = held + b"".join(new)
        above: list[bytes] = []
        full = TILE_WIDTH * HASH_BYTES
        while len(hashes) >= full:
            tiles.append(Tile(level, index, hashes[:full]))
            above.append(root_of(split_hashes(hashes[:full])))
            hashes = hashes[full:]
            index += 1
        if new and hashes:
            tiles.append(Tile(level, index, hashes))
        edge.append(hashes)
        new = above
        level += 1
    return Frontier(frontier.size + len(leaf_hashes), tuple(edge)), tiles


def seal(frontier: Frontier, leaf_hashes: Sequence[bytes], *, origin: str, signers: Iterable[Signer]) -> Sealed:
    """Return the next frontier, the tiles to store and the signed checkpoint after appending ``leaf_hashes``.

    Args:
        frontier: the tree as it was last sealed, ``Frontier()`` for a new log.
        leaf_hashes: of the entries that follow, in sequence, none left out; none at all signs the tree as it is.
        origin: see ``metaqore.audit.checkpoint.origin_of``.
        signers: the log's key; during a rotation the old and the new one.
    """
    grown, tiles = grow(frontier, leaf_hashes)
    checkpoint = Checkpoint(origin, grown.size, grown.root())
    return Sealed(grown, tiles, checkpoint, sign_checkpoint(checkpoint, signers))
