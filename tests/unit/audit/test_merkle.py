import hashlib
import importlib.util
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.audit import merkle
from metaqore.audit.seal import Frontier, grow
from metaqore.errors import InvalidInput

_spec = importlib.util.spec_from_file_location("naive_tree", Path(__file__).with_name("naive_tree.py"))
naive = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(naive)

# The eight leaves that Certificate Transparency implementations test with, and the roots of their prefixes.
CT_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_PATH_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]


def leaves_of(size):
    return [hashlib.sha256(b"\x00" + index.to_bytes(8, "big")).digest() for index in range(size)]


def tiles_of(leaves, step=None):
    """Tiles as the sequencer stores them, appended ``step`` leaves at a time."""
    stored, frontier = {}, Frontier()
    for at in range(0, len(leaves), step or len(leaves) or 1):
        frontier, tiles = grow(frontier, leaves[at : at + (step or len(leaves))])
        stored.update({(tile.level, tile.index): tile.hashes for tile in tiles})
    return stored, frontier


BIG = leaves_of(70_000)
BIG_TILES, BIG_FRONTIER = tiles_of(BIG, 3_000)


def read(level, index):
    return BIG_TILES[level, index]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_published_test_vectors(size):
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in CT_LEAVES]

    assert merkle.root_of(leaves[:size]).hex() == CT_ROOTS[size]
    assert naive.mth(leaves[:size]).hex() == CT_ROOTS[size]


def test_the_audit_path_is_that_of_the_published_test_vectors():
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in CT_LEAVES]
    tiles, _ = tiles_of(leaves)

    found = merkle.inclusion_proof(0, 8, lambda level, index: tiles[level, index])

    assert [node.hex() for node in found] == CT_PATH_0_OF_8


def test_roots_and_proofs_agree_with_the_definition_at_every_small_size():
    leaves = leaves_of(40)
    tiles, _ = tiles_of(leaves)

    def reader(level, index):
        return tiles[level, index]

    for size in range(1, 41):
        assert merkle.root_of(leaves[:size]) == naive.mth(leaves[:size])
        for index in range(size):
            expected = naive.path(index, leaves[:size])
            assert merkle.inclusion_proof(index, size, reader) == expected
            assert merkle.stream_roots(leaves, merkle.inclusion_ranges(index, size)) == expected
        for old in range(1, size + 1):
            expected = naive.proof(old, leaves[:size])
            assert merkle.consistency_proof(old, size, reader) == expected
            assert merkle.stream_roots(leaves, merkle.consistency_ranges(old, size)) == expected


@settings(max_examples=60)
@given(st.integers(1, 2_000), st.data())
def test_proofs_from_tiles_agree_with_the_definition(size, data):
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))

    path = merkle.inclusion_proof(index, size, read)
    proof = merkle.consistency_proof(old, size, read)

    assert path == naive.path(index, BIG[:size])
    assert proof == naive.proof(old, BIG[:size])
    assert merkle.verify_inclusion(BIG[index], index, size, path, naive.mth(BIG[:size]))
    assert merkle.verify_consistency(old, size, proof, naive.mth(BIG[:old]), naive.mth(BIG[:size]))


def test_a_proof_in_a_big_tree_reads_few_tiles_and_verifies():
    root = naive.mth(BIG)
    assert BIG_FRONTIER.root() == root
    for index in [0, 255, 256, 65_535, 65_536, 69_999, *random.Random(7).sample(range(70_000), 20)]:
        asked = set()

        def counting(level, number, asked=asked):
            asked.add((level, number))
            return read(level, number)

        path = merkle.inclusion_proof(index, len(BIG), counting)

        assert merkle.verify_inclusion(BIG[index], index, len(BIG), path, root)
        assert len(asked) <= 6
        assert len(path) <= 17


@settings(max_examples=60)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
def test_appending_in_any_steps_gives_the_same_tiles_and_root(steps):
    leaves = BIG[: sum(steps)]
    stored, frontier, at = {}, Frontier(), 0
    tree = merkle.CompactRange()
    for step in steps:
        batch = leaves[at : at + step]
        frontier, tiles = grow(frontier, batch)
        stored.update({(tile.level, tile.index): tile.hashes for tile in tiles})
        tree.extend(batch)
        at += step
        assert Frontier.load(at, lambda level, index: stored[level, index]).root() == tree.root()

    assert frontier.root() == tree.root() == naive.mth(leaves)
    assert frontier.size == tree.size == at
    again = merkle.CompactRange.from_roots(tree.size, tree.roots())
    again.extend(BIG[at : at + 5])
    tree.extend(BIG[at : at + 5])
    assert again.root() == tree.root()
    whole, _ = tiles_of(leaves)
    assert stored == whole


def test_tiles_have_the_shape_of_the_specification():
    """C2SP tlog-tiles: 70,000 leaves are 273 full and one partial tile of 112, one full and one of 17, one of 1."""
    widths = {}
    for (level, _), hashes in BIG_TILES.items():
        widths.setdefault(level, []).append(len(hashes) // 32)
    assert {level: sorted(found) for level, found in widths.items()} == {
        0: [112] + [256] * 273,
        1: [17, 256],
        2: [1],
    }


@settings(max_examples=80)
@given(st.integers(2, 300), st.data())
def test_a_changed_proof_index_size_leaf_or_root_does_not_verify(size, data):
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root_of(BIG[:size])
    path = merkle.inclusion_proof(index, size, read)
    flipped = bytes([root[0] ^ 1]) + root[1:]
    which = data.draw(st.integers(0, len(path) - 1))
    changed = [bytes([node[0] ^ 1]) + node[1:] if at == which else node for at, node in enumerate(path)]
    other = data.draw(st.integers(0, size - 1).filter(lambda wrong: wrong != index))

    assert merkle.verify_inclusion(BIG[index], index, size, path, root)
    assert not merkle.verify_inclusion(BIG[index], index, size, path, flipped)
    assert not merkle.verify_inclusion(BIG[index], index, size, changed, root)
    assert not merkle.verify_inclusion(BIG[index], other, size, path, root)
    assert not merkle.verify_inclusion(BIG[other], index, size, path, root)
    assert not merkle.verify_inclusion(BIG[index], index, size, path[:-1], root)
    assert not merkle.verify_inclusion(BIG[index], index, size, [*path, root], root)
    assert not merkle.verify_inclusion(BIG[index], size, size, path, root)
    assert not merkle.verify_inclusion(BIG[index], -1, size, path, root)


@settings(max_examples=80)
@given(st.integers(2, 300), st.data())
def test_a_changed_consistency_proof_does_not_verify(size, data):
    old = data.draw(st.integers(1, size - 1))
    old_root, root = merkle.root_of(BIG[:old]), merkle.root_of(BIG[:size])
    proof = merkle.consistency_proof(old, size, read)
    which = data.draw(st.integers(0, len(proof) - 1))
    changed = [bytes([node[0] ^ 1]) + node[1:] if at == which else node for at, node in enumerate(proof)]

    assert merkle.verify_consistency(old, size, proof, old_root, root)
    assert not merkle.verify_consistency(old, size, changed, old_root, root)
    assert not merkle.verify_consistency(old, size, proof, root, root)
    assert not merkle.verify_consistency(old, size, proof, old_root, old_root)
    assert not merkle.verify_consistency(old, size, proof[:-1], old_root, root)
    assert not merkle.verify_consistency(old, size, [*proof, root], old_root, root)
    assert not merkle.verify_consistency(size, old, proof, root, old_root)


@pytest.mark.parametrize(("size", "index"), [(1, 0), (2, 1), (4, 0), (4, 3), (8, 5), (64, 63)])
def test_a_proof_does_not_verify_for_a_tree_of_another_height(size, index):
    root, path = merkle.root_of(BIG[:size]), merkle.inclusion_proof(index, size, read)
    assert merkle.verify_inclusion(BIG[index], index, size, path, root)
    assert not merkle.verify_inclusion(BIG[index], index, 2 * size, path, root)
    if index < size // 2:
        assert not merkle.verify_inclusion(BIG[index], index, size // 2, path, root)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 4), (3, 8), (6, 8), (33, 64)])
def test_a_consistency_proof_does_not_verify_for_a_tree_of_another_height(old, new):
    roots = merkle.root_of(BIG[:old]), merkle.root_of(BIG[:new])
    proof = merkle.consistency_proof(old, new, read)
    assert merkle.verify_consistency(old, new, proof, *roots)
    assert not merkle.verify_consistency(old, 2 * new, proof, *roots)


def test_an_inner_node_does_not_pass_for_a_leaf():
    """Without the two domain bytes the tree of two would be the tree of one whose entry is 64 bytes of hashes."""
    root = merkle.root_of(BIG[:2])
    forged = hashlib.sha256(b"\x00" + BIG[0] + BIG[1]).digest()

    assert forged != root
    assert not merkle.verify_inclusion(forged, 0, 1, [], root)


def test_an_unbalanced_tree_differs_from_the_one_with_its_last_leaf_twice():
    """The shape of CVE-2012-2459."""
    assert merkle.root_of(BIG[:3]) != merkle.root_of([*BIG[:3], BIG[2]])


def test_the_empty_tree_begins_every_tree():
    root = merkle.root_of(BIG[:5])
    assert merkle.verify_consistency(0, 5, [], merkle.EMPTY_ROOT, root)
    assert not merkle.verify_consistency(0, 5, [], root, root)
    assert not merkle.verify_consistency(0, 0, [], merkle.EMPTY_ROOT, root)


def test_a_tile_cut_short_is_named():
    with pytest.raises(InvalidInput, match="tile 0 of level 0"):
        merkle.inclusion_proof(3, 8, lambda level, index: read(level, index)[:96])
    with pytest.raises(InvalidInput, match="leaf 4"):
        merkle.inclusion_proof(4, 4, read)
    with pytest.raises(InvalidInput, match="ends before"):
        merkle.stream_roots(BIG[:3], merkle.inclusion_ranges(0, 8))
