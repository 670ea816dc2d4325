"""The Merkle tree of RFC 6962 and RFC 9162: roots, proofs and their verification. No I/O.

Leaves are the 32-byte leaf hashes of the entries in the order of their sequence; leaf ``index`` counts from 0, so it
is ``seq - 1``. Two proofs exist: an *inclusion* proof (this leaf is in the tree of that size) and a *consistency*
proof (the larger tree begins with the smaller one). Both are lists of roots of leaf ranges, so ``inclusion_ranges``
and ``consistency_ranges`` say which, and either ``tile_root`` (from stored tiles, O(log n) reads) or
``stream_roots`` (from the leaves in one pass and constant memory) says what they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeAlias

from metaqore.errors import InvalidInput

#: Bytes of one hash.
HASH_BYTES = 32
#: Hashes in a full tile, and the tree levels that one tile spans (C2SP tlog-tiles).
TILE_WIDTH = 256
TILE_HEIGHT = 8
#: The root of the tree without leaves.
EMPTY_ROOT = hashlib.sha256().digest()

#: ``reader(level, index)`` returns the hashes of a tile, concatenated; a tile may be wider than the tree asked about.
TileReader: TypeAlias = Callable[[int, int], bytes]
#: ``(first, end)``: the leaves ``first <= index < end``.
LeafRange: TypeAlias = tuple[int, int]

# A copy of a hash that has its domain byte is faster than a new one over joined bytes.
_LEAF = hashlib.sha256(b"\x00")
_NODE = hashlib.sha256(b"\x01")


def leaf_hashes(bodies: Iterable[bytes]) -> list[bytes]:
    """Return ``SHA-256(0x00 || body)`` of each (RFC 9162 §2.1.1)."""
    copy = _LEAF.copy
    hashes: list[bytes] = []
    add = hashes.append
    for body in bodies:
        leaf = copy()
        leaf.update(body)
        add(leaf.digest())
    return hashes


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return ``SHA-256(0x01 || left || right)`` (RFC 9162 §2.1.1)."""
    node = _NODE.copy()
    node.update(left + right)
    return node.digest()


class CompactRange:
    """The roots of the perfect subtrees over the leaves seen so far: all that is needed to go on, O(log n) hashes.

    ``size`` is the number of leaves seen.
    """

    __slots__ = ("_pending", "size")

    def __init__(self) -> None:
        self.size = 0
        # _pending[h] is the root of the rightmost perfect subtree of 2**h leaves that has no sibling yet.
        self._pending: list[bytes | None] = []

    @classmethod
    def from_roots(cls, size: int, roots: Sequence[bytes]) -> CompactRange:
        """Return the range of ``size`` leaves whose perfect subtrees have ``roots``, the largest first."""
        if len(roots) != size.bit_count():
            raise InvalidInput(f"{size} leaves form {size.bit_count()} perfect subtrees, got {len(roots)} roots")
        made = cls()
        made.size = size
        left = list(roots)
        made._pending = [left.pop() if size >> height & 1 else None for height in range(size.bit_length())]
        return made

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes, level by level: one node hash per leaf."""
        level = list(leaves)
        self.size += len(level)
        pending = self._pending
        height = 0
        while level:
            if height == len(pending):
                pending.append(None)
            held = pending[height]
            if held is not None:
                level.insert(0, held)
            pending[height] = level.pop() if len(level) & 1 else None
            level = _parents(level)
            height += 1

    def append_subtree(self, height: int, root: bytes) -> None:
        """Append the root of a perfect subtree of ``2**height`` leaves; ``size`` must be a multiple of that."""
        if self.size & ((1 << height) - 1):
            raise InvalidInput(f"after {self.size} leaves no subtree of {1 << height} can begin")
        self.size += 1 << height
        pending = self._pending
        pending.extend([None] * (height - len(pending)))
        while height < len(pending) and (held := pending[height]) is not None:
            pending[height] = None
            root = node_hash(held, root)
            height += 1
        if height == len(pending):
            pending.append(None)
        pending[height] = root

    def roots(self) -> list[bytes]:
        """Return the roots of the perfect subtrees, the largest first: the argument of ``from_roots``."""
        return [node for node in reversed(self._pending) if node is not None]

    def root(self) -> bytes:
        """Return the Merkle tree hash of the leaves seen so far."""
        above: bytes | None = None
        for node in self._pending:
            if node is not None:
                above = node if above is None else node_hash(node, above)
        return EMPTY_ROOT if above is None else above


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the Merkle tree hash of leaf hashes (RFC 9162 §2.1.1)."""
    tree = CompactRange()
    tree.extend(leaves)
    return tree.root()


def inclusion_ranges(index: int, size: int) -> list[LeafRange]:
    """Return the leaf ranges whose roots prove leaf ``index`` in the tree of ``size``, leaf side first.

    Raises:
        InvalidInput: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise InvalidInput(f"a tree of {size} leaves has no leaf {index}")
    path: list[LeafRange] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((first, middle))
            first = middle
    return path[::-1]


def consistency_ranges(old_size: int, new_size: int) -> list[LeafRange]:
    """Return the leaf ranges whose roots prove that the tree of ``new_size`` begins with that of ``old_size``.

    Raises:
        InvalidInput: ``old_size`` is negative or larger than ``new_size``.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidInput(f"a tree of {new_size} leaves cannot begin with one of {old_size}")
    if old_size == 0:
        return []
    path: list[LeafRange] = []
    first, end = 0, new_size
    while end != old_size:
        middle = first + _split(end - first)
        if old_size <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((first, middle))
            first = middle
    if first:
        path.append((first, end))
    return path[::-1]


def perfect_ranges(leaves: LeafRange) -> list[LeafRange]:
    """Return the perfect subtrees that a range divides into, the largest and leftmost first."""
    first, end = leaves
    parts: list[LeafRange] = []
    for height in range((end - first).bit_length() - 1, -1, -1):
        if (end - first) >> height & 1:
            parts.append((first, first + (1 << height)))
            first += 1 << height
    return parts


def tile_root(leaves: LeafRange, reader: TileReader) -> bytes:
    """Return the root of a leaf range of a proof, from tiles.

    Raises:
        InvalidInput: a tile is shorter than the tree needs.
    """
    above: bytes | None = None
    for part in reversed(perfect_ranges(leaves)):
        node = _perfect_root(part, reader)
        above = node if above is None else node_hash(node, above)
    return EMPTY_ROOT if above is None else above


def stream_roots(leaves: Iterable[bytes], ranges: Sequence[LeafRange]) -> list[bytes]:
    """Return the roots of disjoint leaf ranges, reading the leaves of the tree once.

    Raises:
        InvalidInput: there are fewer leaves than the ranges name.
    """
    order = sorted(range(len(ranges)), key=ranges.__getitem__)
    trees = [CompactRange() for _ in ranges]
    stream = iter(leaves)
    at = 0
    for which in order:
        first, end = ranges[which]
        at += sum(1 for _ in islice(stream, first - at))
        while at < end:
            batch = list(islice(stream, min(1024, end - at)))
            if not batch:
                raise InvalidInput(f"the log ends before leaf {at}, the proof needs leaves up to {end}")
            trees[which].extend(batch)
            at += len(batch)
    return [tree.root() for tree in trees]


def inclusion_proof(index: int, size: int, reader: TileReader) -> list[bytes]:
    """Return the audit path of leaf ``index`` in the tree of ``size`` (RFC 9162 §2.1.3.1)."""
    return [tile_root(leaves, reader) for leaves in inclusion_ranges(index, size)]


def consistency_proof(old_size: int, new_size: int, reader: TileReader) -> list[bytes]:
    """Return the consistency proof between two sizes of one tree (RFC 9162 §2.1.4.1)."""
    return [tile_root(leaves, reader) for leaves in consistency_ranges(old_size, new_size)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether ``proof`` shows ``leaf`` at ``index`` in the tree of ``size`` with ``root`` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size or any(len(node) != HASH_BYTES for node in (leaf, root, *proof)):
        return False
    at, last, seen = index, size - 1, leaf
    for node in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            seen = node_hash(node, seen)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            seen = node_hash(seen, node)
        at >>= 1
        last >>= 1
    return last == 0 and seen == root


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Tell whether ``proof`` shows that the tree of ``new_size`` begins with the old one (RFC 9162 §2.1.4.2)."""
    if not 0 <= old_size <= new_size or any(len(node) != HASH_BYTES for node in (old_root, new_root, *proof)):
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT and (new_size > 0 or new_root == EMPTY_ROOT)
    if old_size == new_size:
        return not proof and old_root == new_root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at >>= 1
        last >>= 1
    old_seen = new_seen = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_seen = node_hash(node, old_seen)
            new_seen = node_hash(node, new_seen)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            new_seen = node_hash(new_seen, node)
        at >>= 1
        last >>= 1
    return last == 0 and old_seen == old_root and new_seen == new_root


def split_hashes(tile: bytes) -> list[bytes]:
    """Return the 32-byte hashes of a tile."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def _parents(level: list[bytes]) -> list[bytes]:
    copy = _NODE.copy
    parents: list[bytes] = []
    add = parents.append
    nodes = iter(level)
    for left, right in zip(nodes, nodes, strict=True):
        node = copy()
        node.update(left + right)
        add(node.digest())
    return parents


def _split(size: int) -> int:
    """Return the largest power of two below ``size`` (which is at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _perfect_root(leaves: LeafRange, reader: TileReader) -> bytes:
    first, end = leaves
    level, below = divmod((end - first).bit_length() - 1, TILE_HEIGHT)
    index, offset = divmod(first >> level * TILE_HEIGHT, TILE_WIDTH)
    tile = reader(level, index)
    part = tile[offset * HASH_BYTES : (offset + (1 << below)) * HASH_BYTES]
    if len(part) != HASH_BYTES << below:
        raise InvalidInput(
            f"tile {index} of level {level} has {len(tile)} bytes, hash {offset} and {1 << below} on are needed: "
            "rebuild the tiles from the entries"
        )
    return part if below == 0 else root_of(split_hashes(part))
