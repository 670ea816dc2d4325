"""Decides ``artifact.declare``. Returns outcomes; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, failed
from metaqore.psmp import replacements
from metaqore.psmp.catalogue import Mode
from metaqore.psmp.check_labels import joined
from metaqore.psmp.checks import FAMILY_OF, find_conflicts, workspace_for
from metaqore.psmp.conditions import unmet
from metaqore.psmp.declaration import DEFAULT_LABEL, body_of
from metaqore.psmp.family import Resolved
from metaqore.psmp.model import Case, Project, Studied
from metaqore.psmp.outcomes import Kept, admit, block
from metaqore.psmp.policy import Policy
from metaqore.psmp.proposals import ProposalReads
from metaqore.psmp.rules import Ruling, rule_on, ruling_of
from metaqore.psmp.traits import ANNOUNCED, HEAD
from metaqore.psmp.workspace import Workspace


def declare(batch: Sequence[Request], reads: ProposalReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide a run of declarations, each on top of what the ones before it did."""
    workspace = workspace_for(batch, reads, policy)
    replaced: set[str] = set()
    return [
        decide(request, request.studied, workspace, now) if request.studied.declaration.replaces is None
        else _replace(request, reads, workspace, replaced, now)
        for request in batch
    ]  # fmt: skip


def _replace(request: Request, reads: ProposalReads, workspace: Workspace, replaced: set[str], now: int) -> Outcome:
    proposal = replacements.find(request, request.studied.declaration.replaces, reads, replaced)
    if isinstance(proposal, Outcome):
        return proposal
    outcome = decide(request, request.studied, workspace, now)
    settled = replacements.settle(request, outcome, proposal, replaced, now)
    if proposal.id in replaced:
        workspace.close_proposal((proposal.project, proposal.type, proposal.name), proposal.id, replaced)
    return settled


def decide(
    request: Request,
    studied: Studied,
    workspace: Workspace,
    now: int,
    *,
    mode: Mode | None = None,
    provenance: dict[str, Any] | None = None,
) -> Outcome:
    """Decide one declaration, and lay what it does over the workspace.

    Args:
        mode: overrules the project's mode; a resolution uses it. ``playground`` overrules that of the rules as well.
        provenance: added to that of the admitted version.
    """
    project = workspace.projects.get(request.project or "")
    if project is None or project.organization != request.organization:
        return failed("not_found", f"project {request.project} does not exist")
    if workspace.policy.project.state(project.state).closed:
        return failed("project_closed", f"project {project.id} is {project.state}: it admits nothing more")
    if studied.declaration.if_match is not None:
        declaration = studied.declaration
        refused = unmet(declaration.if_match, workspace.version_of(project.id, declaration), declaration)
        if refused is not None:
            return refused
    case = open_case(request, studied, project, workspace, now, mode or project.mode)
    if provenance:
        case.provenance = provenance
    forced = mode == "playground"
    ruling = rule_on(case.mode, case.conflicts, forced=forced) if case.conflicts else Ruling.ADMIT
    if ruling is Ruling.BLOCK:
        return block(case, workspace)
    kept: list[Kept] = []
    if case.conflicts:
        ways = ways_out(case, workspace, forced=forced)
        if ways is None:
            return block(case, workspace)
        kept = _take(case, ways, workspace)
    return admit(case, workspace, kept)


def open_case(
    request: Request, studied: Studied, project: Project, workspace: Workspace, now: int, mode: Mode
) -> Case:  # fmt: skip
    """Return the case of a declaration with all its conflicts. The workspace stays as it is."""
    declaration = studied.declaration
    head = workspace.head((project.id, declaration.type, declaration.name))
    traits = studied.traits if head is None else studied.traits | HEAD
    if project.intents_until:
        traits |= ANNOUNCED
    case = Case(
        request=request, studied=studied, project=project, head=head,
        artifact=head.id if head is not None else new_id("art"), now=now, mode=mode, policy=workspace.policy,
        targets=[workspace.dependency(project.id, dependency) for dependency in declaration.depends_on],
        traits=traits,
        label=declaration.label or (head.label if head is not None else DEFAULT_LABEL),
    )  # fmt: skip
    find_conflicts(case, workspace)
    return case


def ways_out(
    case: Case, workspace: Workspace, *, mode: Mode | None = None, forced: bool = False
) -> dict[str, Resolved] | None:
    """Return the way out of the conflicts that are to be resolved, by class; None where one has none.

    Nothing is changed: neither the case nor the workspace.
    """
    ways: dict[str, Resolved] = {}
    for conflict in case.conflicts:
        name = conflict.rule.conflict_class
        if name in ways or ruling_of(mode or case.mode, conflict.rule, forced=forced) is not Ruling.RESOLVE:
            continue
        family = FAMILY_OF[name]
        of_family = [other for other in case.conflicts if FAMILY_OF[other.rule.conflict_class] is family]
        found = family.resolve(case, of_family, workspace) if family.resolve is not None else None
        if found is None:
            return None
        ways[name] = found
    return ways


def would_have(case: Case, workspace: Workspace) -> dict[str, str]:
    """Return what strict and adaptive would have made of a declaration that was let through."""
    ruling = rule_on("adaptive", case.conflicts)
    if ruling is Ruling.BLOCK or ways_out(case, workspace, mode="adaptive") is None:
        adaptive = "blocked"
    else:
        adaptive = "resolved" if ruling is Ruling.RESOLVE else "let_through"
    return {"strict": "blocked", "adaptive": adaptive}


def _take(case: Case, ways: dict[str, Resolved], workspace: Workspace) -> list[Kept]:
    """Go the ways out; return what is kept of each conflict."""
    if len(ways) < len({conflict.rule.conflict_class for conflict in case.conflicts}):
        what_if = would_have(case, workspace)
        case.result = {**case.result, "would_have": what_if}
        case.conflicts = [
            conflict if conflict.rule.conflict_class in ways
            else msgspec.structs.replace(conflict, evidence={**conflict.evidence, "would_have": what_if})
            for conflict in case.conflicts
        ]  # fmt: skip
    for way in ways.values():
        if way.studied is not None:
            case.studied, case.traits = way.studied, way.studied.traits | case.traits
        if way.dependencies is not None:
            case.dependencies = way.dependencies
            case.label = joined(case.label, way.dependencies)
            case.depth = max([case.depth, *(case.deeper.get(t.id, t.depth) + 1 for t in way.dependencies)])
        case.provenance = {**way.provenance, **case.provenance}
    for name, way in ways.items():
        if way.requires:
            _swap(case, name, way)
    return [
        (conflict, "resolved", ways[name].how) if (name := conflict.rule.conflict_class) in ways
        else (conflict, "recorded", "let_through")
        for conflict in case.conflicts
    ]  # fmt: skip


def _swap(case: Case, name: str, way: Resolved) -> None:
    """Put other requirements in the place of declared ones, and announce that."""
    declaration = case.declaration
    requires = tuple(way.requires.get(each, each) for each in declaration.requires)
    declaration = msgspec.structs.replace(declaration, requires=requires)
    case.studied = msgspec.structs.replace(case.studied, declaration=declaration, body=body_of(declaration))
    for conflict in case.conflicts:
        if conflict.rule.conflict_class == name:
            case.audit = [*case.audit, AuditNote(tag=Tag.CONFLICT_RESOLVED, subject=conflict.id, outcome=way.how,
                                                 policy_digest=case.policy.digest)]  # fmt: skip
            case.events = [*case.events, EventNote("conflict.resolved", conflict.id, {"strategy": way.how})]
