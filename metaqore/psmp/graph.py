"""Dependencies without cycles, kept by an incremental topological order. Pure but for the look-ups it is given.

Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", ACM JEA 11 (2006): each
artifact has a rank, and every dependency has a smaller rank than its dependants. A new edge that fits the order costs
nothing; one that does not is searched for only between the two ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

#: artifact ids → (id, other end, rank of the other end) for every edge, by one look-up.
Neighbours = Callable[[Collection[str]], Iterable[tuple[str, str, int]]]


class CycleFound(Exception):
    """A dependency would close a cycle; ``path`` leads from the artifact back to itself."""

    def __init__(self, path: list[str]) -> None:
        self.path = path
        super().__init__(" → ".join(path))


def add_edge(
    artifact: str, rank: int, dependency: str, dependency_rank: int, *, down: Neighbours, up: Neighbours
) -> Mapping[str, int]:
    """Return the ranks that must change so that ``artifact`` may depend on ``dependency``.

    Args:
        down: what the given artifacts depend on.
        up: what depends on the given artifacts.

    Raises:
        CycleFound: the edge would close a cycle.
    """
    if dependency == artifact:
        raise CycleFound([artifact, artifact])
    if dependency_rank < rank:
        return {}
    below = _reach(dependency, dependency_rank, down, lambda r: r >= rank, stop=artifact)
    above = _reach(artifact, rank, up, lambda r: r <= dependency_rank, stop=None)
    # What the dependency needs comes first, then what needs the artifact, over the same pool of ranks.
    ordered = sorted(below, key=below.__getitem__) + sorted(above, key=above.__getitem__)
    pool = sorted([*below.values(), *above.values()])
    present = {**below, **above}
    return {node: new for node, new in zip(ordered, pool, strict=True) if present[node] != new}


def _reach(
    start: str, start_rank: int, neighbours: Neighbours, inside: Callable[[int], bool], *, stop: str | None
) -> dict[str, int]:
    """Return the ranks of all that is reached from ``start`` within the region, level by level."""
    seen = {start: start_rank}
    parent: dict[str, str] = {}
    level: Collection[str] = [start]
    while level:
        fresh: dict[str, int] = {}
        for node, other, rank in neighbours(level):
            if other in seen or other in fresh or not inside(rank):
                continue
            parent[other] = node
            if other == stop:
                raise CycleFound(_path(parent, start, other))
            fresh[other] = rank
        seen.update(fresh)
        level = list(fresh)
    return seen


def _path(parent: Mapping[str, str], start: str, end: str) -> list[str]:
    path = [end]
    while path[-1] != start:
        path.append(parent[path[-1]])
    return [end, *reversed(path)]
