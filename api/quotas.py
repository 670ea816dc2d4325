"""How much may be open: requests that wait on a queue, for each project and each organization.

Counted in the database now and then, and in between by what this process accepts, so that it costs the hot path next to
nothing; several processes may together go beyond a quota by what they accept between two counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from metaqore.errors import RateLimited

#: Seconds for which a count is believed at least, and how many times as long as it took: counting what waits may cost
#: half a percent of the time. Before anybody is refused it is counted again, where that may cost five percent.
_BELIEVED_S, _TIMES, _TIMES_REFUSED = 0.5, 200, 20
_MAX_COUNTS = 10_000
#: Seconds after which it is worth another try.
_RETRY_AFTER_S = 5

#: (queue, organization) → project (None for requests of none) → how many of its requests are open.
Count = Callable[[str, str], Mapping[str | None, int]]


class QuotaExceeded(RateLimited):
    """Too many requests wait already."""

    code = "quota_exceeded"


class Quotas:
    """The quotas of each queue.

    Args:
        count: looks into the database.
        per_organization: 0 is no quota.
        per_project: 0 is no quota.
    """

    def __init__(
        self, count: Count, *, per_organization: int, per_project: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._per_organization = per_organization
        self._per_project = per_project
        self._clock = clock
        self._known: dict[tuple[str, str], _Counted] = {}
        self._counting = threading.Lock()

    def check(self, queue: str, organization: str, projects: Mapping[str | None, int]) -> None:
        """Count what is about to be accepted.

        Args:
            projects: project → how many requests of it.

        Raises:
            QuotaExceeded: too much waits already.
            Unavailable: the database cannot be asked.
        """
        if not (self._per_organization or self._per_project):
            return
        counted = self._known.get((queue, organization))
        if counted is None:
            counted = self._count_again(queue, organization)
        elif counted.until <= self._clock() and self._counting.acquire(blocking=False):
            # One counts, all others go on with what they know.
            try:
                counted = self._count_again(queue, organization)
            finally:
                self._counting.release()
        more = sum(projects.values())
        if self._too_much(counted, more, projects) is not None:
            if self._clock() >= counted.stale_at:
                counted = self._count_again(queue, organization)
            exceeded = self._too_much(counted, more, projects)
            if exceeded is not None:
                raise _exceeded(exceeded, organization, queue)
        counted.total += more
        for project, n in projects.items():
            counted.by_project[project] = counted.by_project.get(project, 0) + n

    def _too_much(
        self, counted: _Counted, more: int, projects: Mapping[str | None, int]
    ) -> tuple[str | None, int, int] | None:
        """Return (project, or None for the organization, how many wait, the quota) of what would be exceeded."""
        if self._per_organization and counted.total + more > self._per_organization:
            return None, counted.total, self._per_organization
        if self._per_project:
            for project, n in projects.items():
                waiting = counted.by_project.get(project, 0)
                if waiting + n > self._per_project and project is not None:
                    return project, waiting, self._per_project
        return None

    def _count_again(self, queue: str, organization: str) -> _Counted:
        began = self._clock()
        by_project = dict(self._count(queue, organization))
        took = self._clock() - began
        if len(self._known) >= _MAX_COUNTS:
            self._known.clear()
        counted = self._known[(queue, organization)] = _Counted(
            until=began + max(_BELIEVED_S, _TIMES * took),
            stale_at=began + max(_BELIEVED_S, _TIMES_REFUSED * took),
            by_project=by_project,
            total=sum(by_project.values()),
        )
        return counted


class _Counted(msgspec.Struct):
    """What was open when it was counted, and since then what this process accepted; until when that is believed."""

    until: float
    stale_at: float
    by_project: dict[str | None, int]
    total: int


def _exceeded(exceeded: tuple[str | None, int, int], organization: str, queue: str) -> QuotaExceeded:
    project, waiting, quota = exceeded
    whose = f"organization {organization}" if project is None else f"project {project}"
    return QuotaExceeded(
        f"{waiting} requests of {whose} wait on the queue {queue}, and {quota} may: wait until some are decided",
        retry_after_s=_RETRY_AFTER_S,
    )
