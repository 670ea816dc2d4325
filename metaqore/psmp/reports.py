"""Blocking reports as they are read: what is in the way now, its minimal core, and remedies that were tried.

All of it is worked out when somebody reads it, against the world of that moment and outside of any write transaction:
deciding holds the write lock, and an offer made then would be old before it is read. What is tried goes through the
very kinds of request that a worker decides; nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from metaqore.errors import MetaQoreError
from metaqore.messages import Outcome, Request, Verdict, failed
from metaqore.psmp import edits, remedies
from metaqore.psmp.approvals import OVERRIDE_SCOPE, ApprovalReads
from metaqore.psmp.minimal_core import Cause, Core, causes_of, minimal_core
from metaqore.psmp.proposals import Proposal, cause, content_hash, declared
from metaqore.psmp.scene import Scene
from metaqore.psmp.standing import obsolete

#: Most requests that are decided for one report, and most content, in characters, that is read for it.
MAX_TRIES = 64
MAX_READ = 8_000_000
#: Seconds of a processor that are spent on one proposal, and seconds on one page of proposals. So a report offers no
#: less where the machine is busy with something else.
PROPOSAL_S, PAGE_S = 0.5, 2.0
#: How often conflicts are looked for under those that are gone.
_LAYERS = 3
#: Higher than any rank: a new artifact comes after all that there are.
_SEQ = 2**62


class ReportReads(ApprovalReads, Protocol):
    """Look-ups for reports."""

    def names_near(self, project: str, type: str, name: str, limit: int) -> list[str]:  # noqa: A002
        """Return up to ``2 * limit`` names of artifacts that sort next to ``name``."""


class KindLike(Protocol):
    """What is needed of a kind of request: see ``requests.catalogue.Kind``."""

    @property
    def study(self) -> Callable[[Request], Any] | None:
        """Work on the payload alone."""

    @property
    def decide(self) -> Callable[[Sequence[Request], Any, int], list[Outcome]] | None:
        """The decision."""


class Trial:
    """Decides requests as a worker would, and writes nothing; stops when enough was tried."""

    def __init__(
        self, reads: ReportReads, kinds: Callable[[str], KindLike], proposal: Proposal, now: int, until: float,
        work_s: float = PROPOSAL_S,
    ) -> None:  # fmt: skip
        self.reads = reads
        self.now = now
        self._kinds = kinds
        self._proposal = proposal
        self._until = until
        self._work_until = time.thread_time() + work_s
        size = len(str(proposal.payload.get("content", "")))
        self._left = min(MAX_TRIES, max(8, MAX_READ // (size + 1)))

    @property
    def exhausted(self) -> bool:
        """True where nothing more is tried."""
        return self._left <= 0 or time.thread_time() > self._work_until or time.monotonic() > self._until

    def decide(self, kind: str, payload: Mapping[str, Any], principal: str) -> Outcome:
        """Return what a worker would decide about a request."""
        self._left -= 1
        found, proposal = self._kinds(kind), self._proposal
        request = Request(
            seq=_SEQ, id="req_trial", organization=proposal.organization, project=proposal.project,
            principal=principal, kind=kind, queue="psmp", ordering_key=proposal.project, payload=dict(payload),
            attempt=0, fence=0, created_at=self.now,
        )  # fmt: skip
        try:
            request.studied = found.study(request) if found.study is not None else None
            return found.decide([request], self.reads, self.now)[0] if found.decide is not None else failed("", "")
        except MetaQoreError as error:
            return failed(error.code, error.message)

    def would(self, kind: str, payload: Mapping[str, Any], principal: str) -> bool:
        """Return whether a request would be approved; False where enough was tried."""
        return not self.exhausted and self.decide(kind, payload, principal).verdict is Verdict.APPROVED


class Reports:
    """Reads reports.

    Args:
        reading: opens the look-ups of one moment.
        kinds: kind of request by name.
        clock: the time in milliseconds.
        proposal_s: seconds of a processor after which nothing more is tried for one proposal.
        page_s: seconds after which nothing more is tried for a page of proposals, or for one that is alone.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[ReportReads]],
        kinds: Callable[[str], KindLike],
        clock: Callable[[], int],
        *,
        proposal_s: float = PROPOSAL_S,
        page_s: float = PAGE_S,
    ) -> None:
        self._reading = reading
        self._kinds = kinds
        self._clock = clock
        self._proposal_s = proposal_s
        self._page_s = page_s

    def proposal(self, organization: str, proposal: str) -> dict[str, Any] | None:
        """Return a proposal with its declaration and, while it is blocked, its report."""
        with self._reading() as reads:
            found = reads.proposal(organization, proposal)
            if found is None:
                return None
            report = self._report(reads, found, time.monotonic() + self._page_s) if found.state == "blocked" else None
        return {**_shown(found), "blocking_report": report}

    def kept(self, organization: str, proposal: str) -> dict[str, Any] | None:
        """Return a proposal with its declaration alone."""
        with self._reading() as reads:
            found = reads.proposal(organization, proposal)
        return None if found is None else _shown(found)

    def of(self, organization: str, proposals: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the reports of proposals that are blocked, by id; none for what there was no time for."""
        found = {}
        until = time.monotonic() + self._page_s
        with self._reading() as reads:
            for each in proposals:
                proposal = reads.proposal(organization, each) if time.monotonic() < until else None
                if proposal is not None and proposal.state == "blocked":
                    found[each] = self._report(reads, proposal, until)
        return found

    def obsolete(self, organization: str, proposals: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return, by proposal, why conflicts do not apply any more, by id; none for what there was no time for."""
        found = {}
        until = time.monotonic() + self._page_s
        with self._reading() as reads:
            for each in dict.fromkeys(proposals):
                proposal = reads.proposal(organization, each) if time.monotonic() < until else None
                if proposal is not None and proposal.state == "blocked":
                    trial = Trial(reads, self._kinds, proposal, self._clock(), until)
                    present = trial.decide("artifact.declare", declared(proposal.payload), proposal.author)
                    if (why := obsolete(proposal, present)) is not None:
                        found[each] = why
        return found

    def _report(self, reads: ReportReads, proposal: Proposal, until: float) -> dict[str, Any]:
        trial = Trial(reads, self._kinds, proposal, self._clock(), until, self._proposal_s)
        payload = declared(proposal.payload)
        present = trial.decide("artifact.declare", payload, proposal.author)
        conflicts = _named(present.result.get("blocking_report", {}).get("conflicts", ()), proposal)
        scene = _scene(reads, proposal, payload, conflicts)

        def admitted_without(causes: Sequence[Cause]) -> bool:
            pointers = [each.pointer for each in causes]
            rest = edits.without(payload, pointers, scene.head, scene.head_content)
            return trial.would("artifact.declare", rest, proposal.author)

        core = minimal_core(_causes(trial, scene, proposal, conflicts), admitted_without)
        offered = [] if present.error is not None else _remedies(proposal, core, scene, trial)
        report = {
            "project": proposal.project,
            "proposal": proposal.id,
            "artifact": {"type": proposal.type, "name": proposal.name},
            "summary": _summary(proposal, present, conflicts, core, offered),
            "base_version": scene.base,
            "head_version": scene.head,
            "conflicts": conflicts,
            "obsolete": obsolete(proposal, present),
            "minimal_core": [
                {"pointer": each.pointer, "conflicts": [c["id"] for c in each.conflicts if c["id"] is not None]}
                for each in core.causes
            ],
            "core_is_minimal": core.minimal,
            "remedies": offered,
            "complete": not trial.exhausted,
        }
        if "merge_conflicts" in present.result.get("blocking_report", {}):
            report["merge_conflicts"] = present.result["blocking_report"]["merge_conflicts"]
        return report


def _shown(found: Proposal) -> dict[str, Any]:
    return {
        "id": found.id, "project": found.project, "state": found.state, "author": found.author,
        "request": found.request, "declaration": declared(found.payload),
        "content_hash": content_hash(found.payload), "approval": found.approval,
    }  # fmt: skip


def _causes(trial: Trial, scene: Scene, proposal: Proposal, conflicts: Sequence[Mapping[str, Any]]) -> list[Cause]:
    """Return the causes of conflicts, and of those that come to light once these are gone."""
    found = list(conflicts)
    for _ in range(_LAYERS):
        if trial.exhausted:
            break
        causes = causes_of(found)
        pointers = [each.pointer for each in causes]
        rest = edits.without(scene.payload, pointers, scene.head, scene.head_content)
        under = trial.decide("artifact.declare", rest, proposal.author).result if causes else {}
        fresh = [
            {**conflict, "id": None,
             "evidence": {**conflict["evidence"], "pointer": edits.original(cause(conflict)[1], pointers)}}
            for conflict in under.get("blocking_report", {}).get("conflicts", ())
        ]  # fmt: skip
        if not {cause(conflict) for conflict in fresh} - {cause(conflict) for conflict in found}:
            break
        found += fresh
    return causes_of(found)


def _named(conflicts: Sequence[Mapping[str, Any]], proposal: Proposal) -> list[dict[str, Any]]:
    """Return conflicts of this moment under the ids that they are kept by; None for those that came up since."""
    kept = {cause(conflict): conflict["id"] for conflict in proposal.conflicts}
    return [{**conflict, "id": kept.get(cause(conflict))} for conflict in conflicts]


def _scene(
    reads: ReportReads, proposal: Proposal, payload: dict[str, Any], conflicts: Sequence[Mapping[str, Any]]
) -> Scene:
    heads = reads.heads([(proposal.project, proposal.type, proposal.name)], ())
    head = heads[0] if heads else None
    base = int(payload.get("base_version") or 0)
    stale = head is not None and 0 < base < head.head
    moved_by = next((c["evidence"]["moved_by"] for c in conflicts if "moved_by" in c["evidence"]), ())
    return Scene(
        payload=payload, head=head.head if head is not None else 0, moved_by=moved_by,
        head_content=reads.content(head.id, head.head) if head is not None else edits.NOTHING,
        head_body=reads.body(head.id, head.head) if head is not None else {},
        base_content=reads.content(head.id, base) if head is not None and stale else edits.NOTHING,
        base_body=reads.body(head.id, base) if head is not None and stale else {},
        near=lambda kind, name: reads.names_near(proposal.project, kind, name, 16),
    )  # fmt: skip


def _remedies(proposal: Proposal, core: Core, scene: Scene, trial: Trial) -> list[dict[str, Any]]:
    found = []
    ids = [conflict["id"] for conflict in proposal.conflicts]
    plans = () if trial.exhausted else remedies.declarations(proposal, core, scene, trial.would)
    for plan in plans:
        kinds = tuple(dict.fromkeys(fix.kind for fix in plan.fixes)) or ("repeat",)
        what = " ".join(fix.what for fix in plan.fixes) or "Nothing is in the way any more: declare it again."
        body = {"project": proposal.project, **plan.payload, "replaces": proposal.id}
        found.append(
            remedies.offer(
                kind=kinds[0] if len(kinds) == 1 else "combined", what=what, url="/api/v1/artifacts", body=body,
                head=scene.head_of(plan.payload), scope="artifacts:write", principal=proposal.author, resolves=ids,
                proposal=proposal.id, now=trial.now,
            )
        )  # fmt: skip
        if len(found) == remedies.MAX_OFFERED:
            break
    return found + _resolutions(proposal, core, scene, trial, ids)


def _resolutions(
    proposal: Proposal, core: Core, scene: Scene, trial: Trial, ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the strategies that would be approved, and the way to give up."""
    if not ids:
        return []
    first = f"{proposal.type}/{proposal.name}"
    reason = f"admitted over the conflicts of {proposal.id}, as its blocking report offers"
    rows: list[tuple[str, str, str, dict[str, Any], tuple[str, ...]]] = [
        ("retry", f"Let the engine decide {first} again; nothing is in its way any more.", "conflicts:resolve",
         {"strategy": "retry"}, ()) if not core.causes else
        ("merge", _as_adaptive(core, scene), "conflicts:resolve", {"strategy": "merge"}, ()),
        ("escalate", "Ask a person; what is approved is exactly this content on this head.", "conflicts:resolve",
         {"strategy": "escalate"}, ()),
        ("override", "Admit it as it is, over the conflicts. Say why: the reason is kept.", OVERRIDE_SCOPE,
         {"strategy": "override", "reason": reason}, (OVERRIDE_SCOPE,)),
    ]  # fmt: skip
    found = []
    for kind, what, scope, body, authority in rows:
        payload = {"conflict": ids[0], "authority": authority, "if_match": scene.head, **body}
        if trial.exhausted and kind in ("retry", "merge"):
            continue
        # The others however much was tried: without them there may be no way out.
        if trial.decide("conflict.resolve", payload, proposal.author).verdict is Verdict.APPROVED:
            found.append(
                remedies.offer(
                    kind=kind, what=what, url=f"/api/v1/conflicts/{ids[0]}/resolve", body=body, head=scene.head,
                    scope=scope, principal=None, resolves=ids, proposal=proposal.id, now=trial.now,
                )
            )  # fmt: skip
    giving_up = {"proposal": proposal.id, "if_match": scene.head}
    if trial.decide("proposal.withdraw", giving_up, proposal.author).verdict is Verdict.APPROVED:
        found.append(
            remedies.offer(
                kind="withdraw", what="Give it up: it and its conflicts are closed, nothing is admitted.",
                url=f"/api/v1/proposals/{proposal.id}/withdraw", body={}, head=scene.head, scope="artifacts:write",
                principal=proposal.author, resolves=ids, proposal=proposal.id, now=trial.now,
            )
        )  # fmt: skip
    return found


def _as_adaptive(core: Core, scene: Scene) -> str:
    """Say what the engine would do about these conflicts where it may resolve them."""
    classes = {conflict["class"] for cause in core.causes for conflict in cause.conflicts}
    if classes & {"version_mismatch", "parallel_creation", "content_conflict"}:
        return f"Let the engine merge it with version {scene.head}."
    if "constraint_conflict" in classes:
        return "Let the engine narrow its requirements to what all others accept."
    if "duplicate_work" in classes:
        return "Let the engine admit it with a link to what is the same."
    return "Let the engine admit it with a record of its warnings, as in an adaptive project."


def _summary(
    proposal: Proposal, present: Outcome, conflicts: Sequence[Mapping[str, Any]], core: Core,
    offered: Sequence[Mapping[str, Any]],
) -> str:  # fmt: skip
    """Say in a sentence or two what is wrong and what to do first."""
    named = f"{proposal.type}/{proposal.name}"
    if present.error is not None:
        return f"{named} cannot be decided: {present.error['message']}."
    if not conflicts:
        return f"{named} was blocked, and nothing is in its way any more: declare it again."
    inside = {id(conflict) for each in core.causes for conflict in each.conflicts}
    told = [conflict["message"] for conflict in conflicts if id(conflict) in inside]
    more = len(conflicts) - len(told)
    first = f" First way out: {offered[0]['what']}" if offered else ""
    also = f" ({more} more would not block it)" if more else ""
    return f"{named} is blocked: {'; '.join(told)}{also}.{first}"
