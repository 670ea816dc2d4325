"""The bounds of the policy: how deep dependencies go, how long a conversation is, with how many. Pure but for look-ups.

Depth is kept on each artifact as an upper bound, greater than those of its dependencies: it grows with what is
admitted, and is not lowered when a dependency is given up. Only where the bound seems to be passed are the true depths
looked up, level by level, and kept. So a verdict follows from the graph alone, whatever was kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from graphlib import TopologicalSorter

from metaqore.messages import Request, Write
from metaqore.psmp.catalogue import BOUND_EXCEEDED
from metaqore.psmp.effects import CountTurn, SetDepth
from metaqore.psmp.family import Family
from metaqore.psmp.graph import Neighbours
from metaqore.psmp.model import Case, Conflict, Declaration, Head
from metaqore.psmp.traits import DEPENDS_ON, METADATA
from metaqore.psmp.workspace import Workspace

#: (project, conversation)
Conversation = tuple[str, str]
MAX_ID = 256


class Turns:
    """Who took how many turns in the conversations of a run, with the run's own laid over them."""

    def __init__(self, stored: Iterable[tuple[str, str, str, int]]) -> None:
        self._turns: dict[Conversation, Counter[str]] = {}
        for project, conversation, principal, turns in stored:
            self._turns.setdefault((project, conversation), Counter())[principal] += turns

    def of(self, conversation: Conversation) -> Counter[str]:
        """Return principal → turns."""
        return self._turns.setdefault(conversation, Counter())


def conversation_of(metadata: dict[str, object]) -> str | None:
    """Return the conversation that ``metadata`` names, if it does so."""
    name = metadata.get("conversation")
    return name if isinstance(name, str) and 0 < len(name) <= MAX_ID else None


def prefetch(batch: Sequence[Request], workspace: Workspace) -> None:
    """Look up the conversations of a run, where there are any."""
    wanted = set()
    for request in batch:
        declaration: Declaration = request.studied.declaration
        if declaration.metadata and (name := conversation_of(declaration.metadata)) is not None:
            wanted.add((request.project or "", name))
    if wanted:
        workspace.remember(Turns(workspace.reads.turns(wanted)))


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Compare depth and conversation with their bounds."""
    found: list[Conflict] = []
    if case.dependencies:
        found += _depth(case, workspace)
    if case.declaration.metadata:
        found += _conversation(case, workspace)
    return found


def _depth(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    bound = case.policy.bounds.dependency_depth
    case.depth = 1 + max(target.depth for target in case.dependencies)
    case.deeper = _deeper(case, workspace)
    if bound is None or max([case.depth, *case.deeper.values()]) <= bound:
        return ()
    above = {case.artifact: 0} if case.head is None else _depths([case.artifact], workspace.up, bound)
    below = _depths([target.id for target in case.dependencies], workspace.down, bound)
    if above is None or below is None:
        return (_exceeded(case, "dependency_depth", bound, bound + 1, "/depends_on"),)
    depth = 1 + max(below[target.id] for target in case.dependencies)
    if depth + above[case.artifact] > bound:
        return (_exceeded(case, "dependency_depth", bound, depth + above[case.artifact], "/depends_on"),)
    case.depth = depth
    known = workspace.heads_by_id(sorted(below))
    case.deeper = _deeper(case, workspace) | {head.id: below[head.id] for head in known if head.depth > below[head.id]}
    return ()


def _depths(start: Collection[str], neighbours: Neighbours, bound: int) -> dict[str, int] | None:
    """Return the length of the longest chain from each artifact that is reached from ``start``.

    None where some are so far away that one from ``start`` has ``bound`` links or more for certain.
    """
    edges: dict[str, list[str]] = {}
    level = set(start)
    for _ in range(bound):
        edges.update({artifact: [] for artifact in level})
        for artifact, other, _rank in neighbours(level):
            edges[artifact].append(other)
        level = {other for artifact in level for other in edges[artifact]} - edges.keys()
        if not level:
            break
    else:
        return None
    depths: dict[str, int] = {}
    for artifact in TopologicalSorter(edges).static_order():
        depths[artifact] = max((depths[other] + 1 for other in edges[artifact]), default=0)
    return depths


def _deeper(case: Case, workspace: Workspace) -> dict[str, int]:
    """Return the dependants that get deeper, with their new depth."""
    deeper: dict[str, int] = {}
    if case.head is None or case.depth <= case.head.depth:
        return deeper
    level, depth = {case.artifact}, case.depth
    while level:
        depth += 1
        above = {other for _, other, _ in workspace.up(level)}
        level = {head.id for head in workspace.heads_by_id(sorted(above)) if head.depth < depth} if above else set()
        deeper.update(dict.fromkeys(level, depth))
    return deeper


def _conversation(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    memory, name = workspace.memory(Turns), conversation_of(case.declaration.metadata)
    if memory is None or name is None:
        return
    turns = memory.of((case.project.id, name))
    for bound, limit, reached in over(case.policy.bounds, turns, case.request.principal):
        yield _exceeded(case, bound, limit, reached, "/metadata/conversation")


def over(bounds: object, turns: Counter[str], principal: str) -> Iterable[tuple[str, int, int]]:
    """Yield (bound, limit, what it would become) for each bound of a conversation that one more turn passes."""
    for bound, reached in (
        ("conversation_turns", turns.total() + 1), ("conversation_participants", len({*turns, principal})),
    ):  # fmt: skip
        limit = getattr(bounds, bound)
        if limit is not None and reached > limit:
            yield bound, limit, reached


def _exceeded(case: Case, bound: str, limit: int, reached: int, pointer: str) -> Conflict:
    message = f"{case.where}: {bound.replace('_', ' ')} would be {reached}; the policy allows {limit}"
    return case.found(BOUND_EXCEEDED, message, pointer, bound=bound, limit=limit, reached=reached)


def admitted(case: Case, fresh: Head, workspace: Workspace) -> Iterable[Write]:
    """Count the turn, and keep the depths that change with it."""
    writes: list[Write] = []
    for artifact, depth in case.deeper.items():
        workspace.set_depth(artifact, depth)
        writes.append(SetDepth(artifact, depth))
    name = conversation_of(case.declaration.metadata) if case.declaration.metadata else None
    memory = workspace.memory(Turns) if name is not None else None
    if memory is not None and name is not None:
        memory.of((fresh.project, name))[case.request.principal] += 1
        writes.append(CountTurn(fresh.project, name, case.request.principal))
    return writes


FAMILY = Family(rules=(BOUND_EXCEEDED,), when=DEPENDS_ON | METADATA, find=find, prefetch=prefetch, admitted=admitted)
