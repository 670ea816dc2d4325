"""Package requirements of all heads together: is there a version that satisfies everybody? Pure.

A requirement that contradicts those of others has a way out where the others agree on some version: it is narrowed to
what they accept (``manifest.narrowed``). Strict offers that as a remedy; adaptive does it, and the version's provenance
says what was declared, what was admitted in its place, and whose requirements it contradicted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.messages import Request, Write
from metaqore.psmp import manifest
from metaqore.psmp.catalogue import CONSTRAINT_CONFLICT
from metaqore.psmp.family import Family, Resolved
from metaqore.psmp.holdings import HoldingReads, Holds, SetRequirements, holds_in
from metaqore.psmp.manifest import Held, Holder, Judged, Slot
from metaqore.psmp.model import Case, Conflict, Declaration, Head, Requirement
from metaqore.psmp.traits import HEAD, REQUIRES
from metaqore.psmp.workspace import Workspace

Rows = Sequence[tuple[Slot, str, str]]


class Requirements:
    """What the heads of a run's projects require in the slots that the run asks for, with the run's own laid over."""

    def __init__(self, slots: set[Slot], reads: HoldingReads) -> None:
        self._reads = reads
        self._stored: defaultdict[Slot, list[Held]] = defaultdict(list)
        for held in reads.specifiers(slots):
            self._stored[held.slot].append(held)
        #: artifact → what it requires since this run, and who says so.
        self._changed: dict[str, tuple[str, Rows]] = {}

    def put(self, artifact: str, declared_by: str, rows: Rows) -> None:
        """Lay over what is known that an artifact requires this, and nothing else."""
        self._changed[artifact] = (declared_by, rows)

    def others(self, slot: Slot, but: str) -> dict[str, Holder]:
        """Return the specifiers in a slot, each with one artifact other than ``but`` that has it."""
        found: dict[str, Holder] = {}
        stale = {but, *self._changed}
        for held in self._stored.get(slot, ()):
            holder = next((h for h in (held.first, held.second) if h.artifact not in stale), None)
            if holder is None and held.first != held.second:
                holder = self._reads.requirement_holder(slot, held.specifier, stale)
            if holder is not None:
                found[held.specifier] = holder
        for artifact, (declared_by, rows) in self._changed.items():
            for where, specifier, _ in rows:
                known = found.get(specifier)
                if where == slot and artifact != but and (known is None or artifact < known.artifact):
                    found[specifier] = Holder(artifact, declared_by)
        return found


def prefetch(batch: Sequence[Request], workspace: Workspace) -> None:
    """Look up at once what the heads require of the packages that a run names."""
    slots = {
        slot
        for request in batch
        if request.studied.declaration.requires
        for slot in manifest.slots(request.project or "", request.studied.declaration.requires)
    }
    if slots:
        workspace.remember(Requirements(slots, workspace.reads))


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Solve the requirements of each package together with those of all other heads."""
    known = workspace.memory(Requirements)
    if not case.declaration.requires or known is None:
        return ()
    found, shown, solved = [], [], 0
    for slot, places in _own(case.project.id, case.declaration).items():
        others = known.others(slot, case.artifact)
        solved += len(others)
        if solved > manifest.MAX_SPECIFIERS:
            message = f"{case.where} requires what has more than {manifest.MAX_SPECIFIERS} different specifiers by now"
            found.append(case.found(CONSTRAINT_CONFLICT, message, f"/requires/{places[0]}", package=slot.package))
            break
        own = [case.declaration.requires[at].specifier for at in places]
        judged = manifest.judge(slot.ecosystem, own, others)
        if judged.fits:
            shown.append({"ecosystem": slot.ecosystem, "package": slot.package, "environment": slot.environment,
                          "witness": judged.witness})  # fmt: skip
        else:
            found.append(_conflict(case, slot, places, judged, others, workspace))
    if shown:
        case.result["constraints"] = shown
    return found


def _own(project: str, declaration: Declaration) -> dict[Slot, list[int]]:
    """Return the places of the requirements in each slot."""
    own: dict[Slot, list[int]] = {}
    for at, slot in enumerate(manifest.slots(project, declaration.requires)):
        own.setdefault(slot, []).append(at)
    return own


def _conflict(
    case: Case, slot: Slot, places: Sequence[int], judged: Judged, others: Mapping[str, Holder], workspace: Workspace
) -> Conflict:
    requires = case.declaration.requires
    at = next(at for at in places if requires[at].specifier in judged.core)
    names = _names(workspace, [others[text].artifact for text in judged.core if text in others])
    core: list[dict[str, str | None]] = []
    for text in judged.core:
        if text in others and text not in [requires[place].specifier for place in places]:
            holder = others[text]
            core.append({"artifact": holder.artifact, "title": names.get(holder.artifact, holder.artifact),
                         "declared_by": holder.declared_by, "specifier": text})  # fmt: skip
        else:
            core.append({"artifact": None, "title": case.where, "declared_by": case.request.principal,
                         "specifier": text})  # fmt: skip
    clash = ", ".join(f"{each['specifier'] or 'any'} ({each['title']})" for each in core)
    way = f"; {judged.witness} would satisfy all others" if judged.witness is not None else ""
    return case.found(
        CONSTRAINT_CONFLICT, f"{slot.package}: no version satisfies {clash}{way}", f"/requires/{at}",
        ecosystem=slot.ecosystem, package=slot.package, environment=slot.environment, core=core,
        witness=judged.witness, narrowed=_narrowed(requires, slot, places, list(others)) if judged.witness else [],
    )  # fmt: skip


def _narrowed(
    requires: Sequence[Requirement], slot: Slot, places: Sequence[int], others: Sequence[str]
) -> list[dict[str, str]]:
    """Return what takes the place of the requirements that contradict others; nothing where that does not help."""
    found, whole = [], [*others]
    if not manifest.solved(slot.ecosystem, tuple(requires[at].specifier for at in places)).satisfiable:
        return []
    for at in places:
        declared = requires[at].specifier
        if manifest.solved(slot.ecosystem, (declared, *others)).satisfiable:
            whole.append(declared)
            continue
        specifier = manifest.narrowed(slot.ecosystem, declared, others)
        if specifier is None:
            return []
        whole.append(specifier)
        found.append({"pointer": f"/requires/{at}", "declared": declared, "specifier": specifier})
    return found if manifest.solved(slot.ecosystem, tuple(whole)).satisfiable else []


def _names(workspace: Workspace, artifacts: Sequence[str]) -> dict[str, str]:
    if not artifacts:
        return {}
    return {head.id: f"{head.type}/{head.name}" for head in workspace.heads_by_id(artifacts)}


def narrow(case: Case, conflicts: Sequence[Conflict], workspace: Workspace) -> Resolved | None:
    """Admit it with what the others accept in place of what contradicts them."""
    swaps: dict[Requirement, Requirement] = {}
    told: list[dict[str, Any]] = []
    for conflict in conflicts:
        evidence = conflict.evidence
        if not evidence.get("narrowed"):
            return None
        for way in evidence["narrowed"]:
            declared = case.declaration.requires[int(way["pointer"].rpartition("/")[2])]
            swaps[declared] = msgspec.structs.replace(declared, specifier=way["specifier"])
            told.append(
                {**{name: evidence[name] for name in ("ecosystem", "package", "environment", "witness")},
                 "declared": way["declared"], "declared_by": case.request.principal, "admitted": way["specifier"],
                 "others": [each for each in evidence["core"] if each["artifact"] is not None]}
            )  # fmt: skip
    return Resolved(how="narrowed", requires=swaps, provenance={"narrowed": told})


def admitted(case: Case, fresh: Head, workspace: Workspace) -> Iterable[Write]:
    """Keep the requirements of the version in place of those of the one before it."""
    held = case.head is not None and bool(case.head.holds & Holds.REQUIREMENTS)
    rows: tuple[tuple[Slot, str, str], ...] = ()
    if case.declaration.requires and holds_in(case.policy, fresh.state):
        requires = case.declaration.requires
        places = manifest.slots(case.project.id, requires)
        rows = tuple((slot, r.specifier, r.scope) for slot, r in zip(places, requires, strict=True))
    if not rows and not held:
        return ()
    fresh.holds = fresh.holds | Holds.REQUIREMENTS if rows else fresh.holds
    known = workspace.memory(Requirements)
    if known is not None:
        known.put(fresh.id, case.request.principal, rows)
    return (SetRequirements(fresh.id, case.request.principal, rows, fresh=not held),)


FAMILY = Family(
    rules=(CONSTRAINT_CONFLICT,), when=HEAD | REQUIRES, find=find, prefetch=prefetch, resolve=narrow, admitted=admitted
)
