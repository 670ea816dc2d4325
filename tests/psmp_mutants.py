"""Faults that are put into the engine on purpose, to see that the exploration finds them.

Each is one mistake that somebody could make: a check left out, an effect forgotten, the wrong thing compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec

from metaqore.psmp import (
    again,
    check_claims,
    check_constraints,
    check_content,
    check_dependencies,
    check_duplicates,
    check_labels,
    check_read_set,
    check_versions,
    checks,
    claims,
    deletion,
    graph,
    handlers,
    lifecycle,
    manifest,
    proposals,
    resolution,
    restore,
    rules,
)
from metaqore.psmp.effects import NewConflict, SetAlias, SetRank
from metaqore.psmp.family import Family
from metaqore.psmp.model import Merged
from metaqore.psmp.rules import Ruling
from metaqore.psmp.workspace import Workspace
from metaqore.store import unit_of_work


class Mutant(NamedTuple):
    """A fault, and how it is put in. ``seen_by`` are the scenarios in which it shows, the quickest first."""

    name: str
    fault: Callable[[], contextlib.AbstractContextManager[Any]]
    seen_by: str


@contextlib.contextmanager
def family(module: ModuleType, **changed: Any) -> Iterator[None]:
    """Let one family of checks be another while this is open."""
    old: Family = module.FAMILY
    new = msgspec.structs.replace(old, **changed)
    families = tuple(new if each is old else each for each in checks.FAMILIES)
    of = {name: new if each is old else each for name, each in checks.FAMILY_OF.items()}
    with patch.object(checks, "FAMILIES", families), patch.object(handlers, "FAMILY_OF", of):
        _forget()
        try:
            yield
        finally:
            _forget()
    _forget()


def _forget() -> None:
    checks.finders.cache_clear()
    checks.keepers.cache_clear()


def without(owner: Any, name: str, answer: Any) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """Let a function of the engine always give the same answer."""
    return lambda: patch.object(owner, name, lambda *_args, **_named: answer)


def _blind(module: ModuleType) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    return lambda: family(module, find=lambda *_: ())


def _dropping(kind: type) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """Let the store forget one kind of effect."""
    return lambda: patch.dict(unit_of_work.WRITERS, {kind: lambda *_args: None})


def _no_rank_update() -> contextlib.AbstractContextManager[Any]:
    real = graph.add_edge

    def add_edge(*args: Any, **named: Any) -> dict[str, int]:
        real(*args, **named)
        return {}

    return patch.object(graph, "add_edge", add_edge)


def _cycle_stored() -> contextlib.AbstractContextManager[Any]:
    return patch.object(check_dependencies, "order_after", lambda *_args: None)


def _near_cycles_only() -> contextlib.AbstractContextManager[Any]:
    """The search for a cycle ends at what the dependency itself depends on."""
    real = graph.add_edge

    def add_edge(artifact: str, rank: int, dependency: str, below: int, *, down: Any, up: Any) -> Any:
        if dependency == artifact or artifact in {other for _, other, _ in down([dependency])}:
            return real(artifact, rank, dependency, below, down=down, up=up)
        try:
            return real(artifact, rank, dependency, below, down=down, up=up)
        except graph.CycleFound:
            return {}

    return patch.object(graph, "add_edge", add_edge)


def _ours_wins() -> contextlib.AbstractContextManager[Any]:
    return patch.object(
        check_content, "merge_contents", lambda _base, _head, mine: Merged(True, mine, (), disjoint=True)
    )


def _no_parents() -> contextlib.AbstractContextManager[Any]:
    real = check_content.resolve_by_merge

    def resolve(*args: Any) -> Any:
        found = real(*args)
        return found if found is None else msgspec.structs.replace(found, provenance={})

    return family(check_versions, resolve=resolve)


def _strict_is_mild() -> contextlib.AbstractContextManager[Any]:
    """Strict lets through what is no more than a warning."""
    real = rules.rule_on

    def rule_on(mode: Any, conflicts: Sequence[Any], **named: Any) -> Any:
        low = all(conflict.rule.severity.value == "low" for conflict in conflicts)
        return Ruling.ADMIT if low else real(mode, conflicts, **named)

    return patch.object(handlers, "rule_on", rule_on)


def _no_conflicts_kept() -> contextlib.AbstractContextManager[Any]:
    return _dropping(NewConflict)()


def _restore_leaves_states() -> contextlib.AbstractContextManager[Any]:
    return patch.object(restore, "_restore_rest", lambda *_args: None)


def _wrong_mover() -> contextlib.AbstractContextManager[Any]:
    """Who made the first version counts, whoever has moved the head since."""
    real = Workspace.movers

    def movers(self: Workspace, artifact: str, after: int) -> list[str]:
        found = real(self, artifact, 0)
        return found[:1] * (len(found) - after)

    return patch.object(Workspace, "movers", movers)


def _only_own_edges() -> contextlib.AbstractContextManager[Any]:
    """A merge keeps the declared dependencies and loses those that the head has gained."""
    return patch.object(check_content, "_dependencies", lambda case, _declared, _workspace: case.dependencies)


def _later_wins() -> contextlib.AbstractContextManager[Any]:
    """What a run has admitted is not laid over what it looked up."""
    return patch.object(Workspace, "put", _put_once)


def _put_once(self: Workspace, head: Any) -> None:
    self._by_identity.setdefault((head.project, head.type, head.name), head)
    self._by_id.setdefault(head.id, head)


def _as_resolver() -> contextlib.AbstractContextManager[Any]:
    real = again.decide_again

    def decide_again(request: Any, proposal: Any, *args: Any, **named: Any) -> Any:
        return real(request, msgspec.structs.replace(proposal, author=request.principal), *args, **named)

    return patch.object(resolution, "decide_again", decide_again)


def _override_asks() -> contextlib.AbstractContextManager[Any]:
    real = again.decide_again

    def decide_again(*args: Any, **named: Any) -> Any:
        return real(*args, **{**named, "over_conflicts": False})

    return patch.object(resolution, "decide_again", decide_again)


def _stored_content() -> contextlib.AbstractContextManager[Any]:
    real = Workspace.content

    def content(self: Workspace, artifact: str, version: int) -> Any:
        own = self._versions.get(artifact, [])
        return real(self, artifact, own[0][0] - 1 if own and version > own[0][0] > 1 else version)

    return patch.object(Workspace, "content", content)


def _looks_up_changes() -> contextlib.AbstractContextManager[Any]:
    """A run looks up only contents that differ from the heads that there were before it."""
    real = check_duplicates.prefetch

    def prefetch(batch: Sequence[Any], workspace: Workspace) -> None:
        def changed(request: Any) -> bool:
            declaration = request.studied.declaration
            head = workspace.head((request.project, declaration.type, declaration.name))
            return head is None or head.content_hash != request.studied.content_hash

        real([request for request in batch if changed(request)], workspace)

    return family(check_duplicates, prefetch=prefetch)


def _first_of_the_others() -> contextlib.AbstractContextManager[Any]:
    """A requirement is narrowed to what one of the others accepts, not to what all of them do."""
    real = manifest.narrowed
    return patch.object(manifest, "narrowed", lambda eco, own, others: real(eco, own, [*others][:1]))


def _narrowed_unsaid() -> contextlib.AbstractContextManager[Any]:
    real = check_constraints.narrow

    def narrow(*args: Any) -> Any:
        found = real(*args)
        return found if found is None else msgspec.structs.replace(found, provenance={})

    return family(check_constraints, resolve=narrow)


ONE, MERGE, RING, RING_STRICT = (
    "one artifact, strict", "one artifact, adaptive", "a ring of dependencies, playground",
    "a ring of dependencies, strict",
)  # fmt: skip
LIFE, BLOCKED, BACK = "claims, lifecycles, copies", "blocked, and what becomes of it", "deleted and brought back"
PACKAGES, NARROWS = "one package, adaptive", "one package, adaptive narrows"
RUN_STRICT, RUN_PLAY, RUN_ADAPTIVE = "one run, strict", "one run, playground", "one run, adaptive"

MUTANTS = (
    Mutant("the base version is not compared", _blind(check_versions), ONE),
    Mutant("the wrong principal has moved the head", _wrong_mover, ONE),
    Mutant("colliding changes are taken for a clean merge", _ours_wins, MERGE),
    Mutant("a merge does not name its parents", _no_parents, MERGE),
    Mutant("a merge loses what the head depends on", _only_own_edges, MERGE),
    Mutant("a merge forgets the labels of what it gained", without(handlers, "joined", "INTERNAL"), MERGE),
    Mutant("a stale read set is accepted", _blind(check_read_set), ONE),
    Mutant("ranks are not moved", _no_rank_update, RING_STRICT),
    Mutant("ranks are moved, but not stored", _dropping(SetRank), RING_STRICT),
    Mutant("the edge that closes a cycle is stored", _cycle_stored, RING),
    Mutant("only short cycles are found", _near_cycles_only, RING_STRICT),
    Mutant("labels of inputs are not joined", without(check_labels, "_inputs", ()), RING),
    Mutant("overlapping claims are ignored", without(claims, "overlapping", []), LIFE),
    Mutant("the second claim is not written", lambda: family(check_claims, admitted=None), LIFE),
    Mutant("requirements of others are not looked at", _blind(check_constraints), PACKAGES),
    Mutant("requirements are not kept", lambda: family(check_constraints, admitted=None), PACKAGES),
    Mutant("what is narrowed is admitted as declared", without(handlers, "_swap", None), NARROWS),
    Mutant("a requirement is narrowed to one of the others", _first_of_the_others, NARROWS),
    Mutant("what was narrowed is not said", _narrowed_unsaid, NARROWS),
    Mutant("a deprecated artifact keeps its claims", without(lifecycle, "released", []), LIFE),
    Mutant("copies are not found", without(check_duplicates.Contents, "another", None), LIFE),
    Mutant("what others depend on is deleted", without(deletion, "live_dependants", []), BACK),
    Mutant("an alias does not move", _dropping(SetAlias), BACK),
    Mutant("a restore forgets tombstones", _restore_leaves_states, BACK),
    Mutant("strict lets mild conflicts through", _strict_is_mild, ONE),
    Mutant("a blocked proposal loses its conflicts", _no_conflicts_kept, BLOCKED),
    Mutant("a resolved proposal stays open", without(proposals, "close", None), BLOCKED),
    Mutant("whoever resolves becomes the author", _as_resolver, BLOCKED),
    Mutant("an override asks again what was overridden", _override_asks, BLOCKED),
    Mutant("a run does not see its own heads", _later_wins, RUN_STRICT),
    Mutant("a run does not see its own edges", without(Workspace, "set_edges", None), RUN_PLAY),
    Mutant("a run does not see its own ranks", without(Workspace, "set_rank", None), RUN_PLAY),
    Mutant("a run does not see its own claims", without(claims.ClaimIndex, "put", None), RUN_STRICT),
    Mutant("a run does not see its own copies", without(check_duplicates.Contents, "put", None), RUN_STRICT),
    Mutant("a run does not see its own proposals", without(Workspace, "add_proposal", None), RUN_STRICT),
    Mutant("a run knows copies only of what is new to it", _looks_up_changes, RUN_STRICT),
    Mutant("a run merges with the stored head", _stored_content, RUN_ADAPTIVE),
)
