"""How much may be open: requests that wait on a queue, for each project and each organization.

Counted in the database at most twice a second and in between by what this process accepts, so that it costs the hot
path nothing; several processes may together go beyond a quota by what they accept in that time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from metaqore.errors import RateLimited

#: Seconds for which a count is believed at least, and how many times as long as it took to count.
_BELIEVED_S, _TIMES = 0.5, 20
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
        #: (queue, organization) → until when, open requests by project, their sum.
        self._known: dict[tuple[str, str], tuple[float, dict[str | None, int], list[int]]] = {}

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
        counts, total = self._open(queue, organization)
        more = sum(projects.values())
        if self._per_organization and total[0] + more > self._per_organization:
            raise _exceeded(f"organization {organization}", total[0], self._per_organization, queue)
        for project, n in projects.items():
            if self._per_project and project is not None and counts.get(project, 0) + n > self._per_project:
                raise _exceeded(f"project {project}", counts.get(project, 0), self._per_project, queue)
        total[0] += more
        for project, n in projects.items():
            counts[project] = counts.get(project, 0) + n

    def _open(self, queue: str, organization: str) -> tuple[dict[str | None, int], list[int]]:
        began = self._clock()
        known = self._known.get((queue, organization))
        if known is None or known[0] <= began:
            counts = dict(self._count(queue, organization))
            took = self._clock() - began
            if len(self._known) >= _MAX_COUNTS:
                self._known.clear()
            known = (began + max(_BELIEVED_S, _TIMES * took), counts, [sum(counts.values())])
            self._known[(queue, organization)] = known
        return known[1], known[2]


def _exceeded(whose: str, waiting: int, quota: int, queue: str) -> QuotaExceeded:
    return QuotaExceeded(
        f"{waiting} requests of {whose} wait on the queue {queue}, and {quota} may: wait until some are decided",
        retry_after_s=_RETRY_AFTER_S,
    )
