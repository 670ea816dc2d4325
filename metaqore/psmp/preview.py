"""What would be decided about declarations, now, by the policy in force or by another one. Nothing is written.

The same engine decides on a read-only snapshot of the database, each declaration on top of the ones before it, and its
effects are thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from metaqore.errors import MetaQoreError, NotFound
from metaqore.messages import Outcome, Request
from metaqore.psmp.catalogue import Mode
from metaqore.psmp.declaration import study
from metaqore.psmp.handlers import declare
from metaqore.psmp.model import Project
from metaqore.psmp.policy import Policy

#: Higher than any rank: a new artifact comes after all that there are.
_SEQ = 2**61


class InMode:
    """Look-ups that say that every project is in one mode; all else is passed on."""

    def __init__(self, reads: Any, mode: Mode) -> None:
        self._reads = reads
        self._mode = mode

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads, name)

    def projects(self, ids: Collection[str]) -> dict[str, Project]:
        """Return the projects that exist, in the mode of this."""
        found: Mapping[str, Project] = self._reads.projects(ids)
        return {key: msgspec.structs.replace(project, mode=self._mode) for key, project in found.items()}


def in_mode(reads: Any, mode: Mode | None) -> Any:
    """Return look-ups in which every project is in ``mode``; as they are where that is None."""
    return reads if mode is None else InMode(reads, mode)


class Previewed(msgspec.Struct, frozen=True):
    """What would be decided, and at which position of the project that holds."""

    position: int
    mode: Mode
    policy_digest: str
    #: For each declaration: verdict, result, error.
    items: list[dict[str, Any]]


class Preview:
    """Decides declarations without keeping anything.

    Args:
        snapshot: opens look-ups on one consistent, read-only state.
        policy: the one in force.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self, snapshot: Callable[[], AbstractContextManager[Any]], policy: Policy, clock: Callable[[], int]
    ) -> None:
        self._snapshot = snapshot
        self._policy = policy
        self._clock = clock

    def of(
        self,
        organization: str,
        project: str,
        principal: str,
        declarations: Sequence[Mapping[str, Any]],
        *,
        mode: Mode | None = None,
        policy: Policy | None = None,
    ) -> Previewed:
        """Return what would become of ``declarations``, in this order.

        Raises:
            NotFound: there is no such project.
        """
        chosen, now = policy or self._policy, self._clock()
        requests = [_request(organization, project, principal, payload, index, now)
                    for index, payload in enumerate(declarations)]  # fmt: skip
        items: list[dict[str, Any]] = [{} for _ in requests]
        sound: list[int] = []
        for index, request in enumerate(requests):
            try:
                request.studied = study(request, policy=chosen)
                sound.append(index)
            except MetaQoreError as error:
                items[index] = _failed(index, error.code, error.message)
        with self._snapshot() as reads:
            row = reads.project_row(organization, project)
            if row is None:
                raise NotFound(f"project {project} does not exist")
            batch = [requests[index] for index in sound]
            outcomes = declare(batch, in_mode(reads, mode), now, policy=chosen) if batch else []
        for index, outcome in zip(sound, outcomes, strict=True):
            items[index] = _shown(index, outcome)
        return Previewed(row["position"], mode or row["mode"], chosen.digest, items)


def _request(
    organization: str, project: str, principal: str, payload: Mapping[str, Any], index: int, now: int
) -> Request:
    return Request(
        seq=_SEQ + index, id="req_preview", organization=organization, project=project, principal=principal,
        kind="artifact.declare", queue="psmp", ordering_key=project, payload=dict(payload), attempt=0, fence=0,
        created_at=now,
    )  # fmt: skip


def _failed(index: int, code: str, message: str) -> dict[str, Any]:
    return {"index": index, "verdict": None, "result": None, "error": {"code": code, "message": message}}


def _shown(index: int, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome without the ids of things that were not made."""
    if outcome.error is not None:
        return {"index": index, "verdict": None, "result": None, "error": dict(outcome.error)}
    result = dict(outcome.result)
    if result.get("created"):
        result["artifact"] = {**result["artifact"], "id": None}
    if "blocking_report" in result:
        report = dict(result["blocking_report"])
        conflicts = [{**conflict, "id": None} for conflict in report.get("conflicts", ())]
        result["blocking_report"] = {**report, "proposal": None, "conflicts": conflicts, "links": {}}
    if "conflicts" in result:
        result["conflicts"] = [{**conflict, "id": None} for conflict in result["conflicts"]]
    verdict = outcome.verdict.value if outcome.verdict is not None else None
    return {"index": index, "verdict": verdict, "result": result, "error": None}
