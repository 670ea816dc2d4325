"""Places a directed graph in layers, as a person would draw it: edges go one way and cross as seldom as may be.

The method of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11(2), 1981): break cycles, put nodes into layers by their
longest path, bend long edges through every layer in between, order the layers by barycenters, straighten. Pure and
deterministic.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import msgspec

#: Sweeps over all layers; what crosses least of all is kept.
_SWEEPS = 12
_STRAIGHTENINGS = 24
#: With more steps than this an eighth of both has to do: somebody waits for the picture.
_MANY_STEPS = 3000
#: How high a node is, and what only passes a layer.
_NODE, _PASSING = 1.0, 0.24

Pair = tuple[str, str]


class Placed(msgspec.Struct, frozen=True):
    """Where everything is: layers count from 0, ``offset`` is in units of one node, which are 1 apart in a layer.

    ``bends`` has for each edge the (layer, offset) that it passes between its two ends.
    """

    layer: Mapping[str, int]
    offset: Mapping[str, float]
    bends: Mapping[Pair, Sequence[tuple[int, float]]]


def place(nodes: Sequence[str], edges: Sequence[Pair]) -> Placed:
    """Place ``nodes``; each edge leads from a smaller layer to a larger one, but for those that close a cycle."""
    pairs = list(dict.fromkeys(pair for pair in edges if pair[0] != pair[1]))
    forward = _without_cycles(nodes, pairs)
    layer = _layers(nodes, forward)
    dummies, chains, segments = _chains(layer, forward)
    layers = _by_layer({**layer, **dummies})
    _order(layers, segments)
    offset = _straighten(layers, segments)
    bends: dict[Pair, list[tuple[int, float]]] = {}
    for pair in pairs:
        chain = chains.get(pair) or chains.get((pair[1], pair[0]), [])
        passed = [(dummies[dummy], offset[dummy]) for dummy in chain]
        bends[pair] = passed if pair in chains else passed[::-1]
    return Placed(layer, {node: offset[node] for node in nodes}, bends)


def _without_cycles(nodes: Sequence[str], pairs: Sequence[Pair]) -> list[Pair]:
    """Return the edges with those turned round that lead back to where a walk in depth came from."""
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in pairs:
        after[source].append(target)
    state: dict[str, int] = {}
    back: set[Pair] = set()
    for root in nodes:
        if root in state:
            continue
        state[root], stack = 1, [(root, iter(after[root]))]
        while stack:
            node, rest = stack[-1]
            for target in rest:
                if state.get(target) == 1:
                    back.add((node, target))
                elif target not in state:
                    state[target] = 1
                    stack.append((target, iter(after[target])))
                    break
            else:
                state[node] = 2
                stack.pop()
    return list(dict.fromkeys((b, a) if (a, b) in back else (a, b) for a, b in pairs))


def _layers(nodes: Sequence[str], edges: Sequence[Pair]) -> dict[str, int]:
    """Return each node's longest path from the left, then pull what has only followers up to them."""
    before: dict[str, list[str]] = {node: [] for node in nodes}
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        before[target].append(source)
        after[source].append(target)
    missing = {node: len(before[node]) for node in nodes}
    ready = [node for node in nodes if not missing[node]]
    order: list[str] = []
    layer: dict[str, int] = {}
    while ready:
        node = ready.pop(0)
        order.append(node)
        layer[node] = max((layer[other] + 1 for other in before[node]), default=0)
        for target in after[node]:
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for node in reversed(order):
        if after[node] and not before[node]:
            layer[node] = min(layer[other] for other in after[node]) - 1
    return layer


def _chains(
    layer: Mapping[str, int], edges: Sequence[Pair]
) -> tuple[dict[str, int], dict[Pair, list[str]], list[Pair]]:
    """Return dummies with their layers, the dummies of each edge, and all edges cut into steps of one layer."""
    dummies: dict[str, int] = {}
    chains: dict[Pair, list[str]] = {}
    segments: list[Pair] = []
    for source, target in edges:
        chain = []
        for at in range(layer[source] + 1, layer[target]):
            # No id of a node holds a NUL.
            dummy = f"\0{len(dummies)}"
            dummies[dummy] = at
            chain.append(dummy)
        chains[source, target] = chain
        steps = [source, *chain, target]
        segments += itertools.pairwise(steps)
    return dummies, chains, segments


def _by_layer(layer: Mapping[str, int]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node, at in layer.items():
        layers[at].append(node)
    return layers


def _neighbours(segments: Sequence[Pair]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    left: dict[str, list[str]] = {}
    right: dict[str, list[str]] = {}
    for source, target in segments:
        left.setdefault(target, []).append(source)
        right.setdefault(source, []).append(target)
    return left, right


def _order(layers: list[list[str]], segments: Sequence[Pair]) -> None:
    """Sort each layer by where its neighbours stand, to and fro; keep what crosses least."""
    left, right = _neighbours(segments)
    best, fewest = [list(layer) for layer in layers], crossings(layers, segments)
    for sweep in range(_SWEEPS if len(segments) <= _MANY_STEPS else _SWEEPS // 8 + 1):
        if not fewest:
            break
        onward = sweep % 2 == 0
        for at in range(1, len(layers)) if onward else range(len(layers) - 2, -1, -1):
            beside = layers[at - 1 if onward else at + 1]
            stands = {node: place for place, node in enumerate(beside)}
            near = left if onward else right
            here = {node: place for place, node in enumerate(layers[at])}

            def center(
                node: str, near: dict[str, list[str]] = near, stands: dict[str, int] = stands,
                here: dict[str, int] = here,
            ) -> float:  # fmt: skip
                found = [stands[other] for other in near.get(node, ())]
                return sum(found) / len(found) if found else here[node]

            layers[at].sort(key=center)
        now = crossings(layers, segments)
        if now < fewest:
            best, fewest = [list(layer) for layer in layers], now
    layers[:] = best


def crossings(layers: Sequence[Sequence[str]], segments: Sequence[Pair]) -> int:
    """Return how many pairs of edges between neighbouring layers cross."""
    stands = {node: (at, place) for at, layer in enumerate(layers) for place, node in enumerate(layer)}
    between: dict[int, list[tuple[int, int]]] = {}
    for source, target in segments:
        between.setdefault(stands[source][0], []).append((stands[source][1], stands[target][1]))
    return sum(_inversions([right for _, right in sorted(pairs)]) for pairs in between.values())


def _inversions(values: list[int]) -> int:
    """Return how many pairs stand in the wrong order, by merging."""
    if len(values) < 2:
        return 0
    middle = len(values) // 2
    left, right = values[:middle], values[middle:]
    count = _inversions(left) + _inversions(right)
    at = 0
    for place in range(len(values)):
        if right and (at == len(left) or right[0] < left[at]):
            values[place] = right.pop(0)
            count += len(left) - at
        else:
            values[place] = left[at]
            at += 1
    return count


def _straighten(layers: Sequence[Sequence[str]], segments: Sequence[Pair]) -> dict[str, float]:
    """Move nodes towards the middle of their neighbours, keeping the order and a distance of 1 at least."""
    left, right = _neighbours(segments)
    ranks = [_ranks(layer) for layer in layers]
    offset = {node: at for layer, rank in zip(layers, ranks, strict=True) for node, at in zip(layer, rank, strict=True)}
    for turn in range(_STRAIGHTENINGS if len(segments) <= _MANY_STEPS else _STRAIGHTENINGS // 8):
        near = (left, right)[turn % 2]
        both = list(zip(layers, ranks, strict=True))
        for layer, rank in both if turn % 2 == 0 else both[::-1]:
            wished = []
            for node in layer:
                others = sorted(offset[other] for other in near.get(node, ()))
                wished.append(others[len(others) // 2] if others else offset[node])
            offset.update(zip(layer, _apart(wished, rank), strict=True))
    least = min(offset.values(), default=0.0)
    return {node: round(at - least, 3) for node, at in offset.items()}


def _ranks(layer: Sequence[str]) -> list[float]:
    """Return where the members of a layer stand when they are as close as may be."""
    heights = [_PASSING if node[0] == "\0" else _NODE for node in layer]
    ranks, at = [], 0.0
    for height in heights:
        ranks.append(at + height / 2)
        at += height
    return ranks


def _apart(wished: Sequence[float], ranks: Sequence[float]) -> list[float]:
    """Return the places nearest to those wished for (least squares) with room for all: pool adjacent violators."""
    blocks: list[tuple[float, int]] = []  # sum of (wish - rank), how many
    for rank, wish in zip(ranks, wished, strict=True):
        total, count = wish - rank, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            earlier = blocks.pop()
            total, count = total + earlier[0], count + earlier[1]
        blocks.append((total, count))
    flat = [total / count for total, count in blocks for _ in range(count)]
    return [base + rank for base, rank in zip(flat, ranks, strict=True)]
