"""The bounds of the policy: how deep dependencies go, how long a conversation is, with how many. Pure but for look-ups.

Depth is kept on each artifact as an upper bound: it grows with what is admitted, and is not lowered when a dependency
is given up. Only where the bound seems to be passed is the true depth looked up, level by level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from metaqore.messages import Request, Write
from metaqore.psmp.catalogue import BOUND_EXCEEDED
from metaqore.psmp.effects import CountTurn, SetDepth
from metaqore.psmp.family import Family
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
    if bound is not None and case.depth > bound:
        case.depth = _exact(case.dependencies, workspace, bound)
    if case.head is not None and case.depth > case.head.depth:
        case.deeper = _deeper(case, workspace)
    deepest = max([case.depth, *case.deeper.values()])
    if bound is None or deepest <= bound:
        return ()
    return (_exceeded(case, "dependency_depth", bound, deepest, "/depends_on"),)


def _exact(dependencies: Sequence[Head], workspace: Workspace, bound: int) -> int:
    """Return the length of the longest chain that begins with one of ``dependencies``, or ``bound`` + 1 if longer."""
    level, length = {target.id for target in dependencies}, 1
    while level and length <= bound:
        level = {below for _, below, _ in workspace.down(level)}
        length += bool(level)
    return length


def _deeper(case: Case, workspace: Workspace) -> dict[str, int]:
    """Return the dependants that get deeper, with their new depth."""
    deeper: dict[str, int] = {}
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
    """Count the turn, and tell the dependants that they got deeper."""
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
