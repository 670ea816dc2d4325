"""Which reports a schedule asks for: each framework, once for each whole calendar period."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

from metaqore.audit.compliance_reporting import MAKER
from metaqore.clock import to_rfc3339
from metaqore.messages import Submission


class PlanReads(Protocol):
    """Look-ups inside a transaction."""

    def organizations(self) -> list[str]:
        """Return everybody who has a log."""

    def made(self, organization: str, start: int, end: int) -> set[str]:
        """Return the frameworks on which the schedule has reported for a period already."""


class Plan:
    """The reports that an installation wants regularly.

    Args:
        frameworks: their ids, separated by commas; empty for none.
        period: ``day``, ``week``, ``month`` or ``quarter``.
    """

    def __init__(self, frameworks: str, period: str) -> None:
        self._frameworks = [name for name in frameworks.split(",") if name]
        self._period = period

    def due(self, reads: PlanReads, now: int) -> Iterator[tuple[str, Submission]]:
        """Yield what is not made yet for the last whole period before ``now`` (ms), each with a key of its own."""
        if not self._frameworks:
            return
        start, end = last_period(self._period, now)
        for organization in reads.organizations():
            made = reads.made(organization, start, end)
            for framework in self._frameworks:
                if framework not in made:
                    payload = {"framework": framework, "from": to_rfc3339(start), "to": to_rfc3339(end)}
                    yield f"{framework} {start} {end}", Submission(
                        organization=organization, project=None, principal=MAKER, kind="compliance.report",
                        payload=payload,
                    )  # fmt: skip


def last_period(name: str, now: int) -> tuple[int, int]:
    """Return begin and end (ms, UTC) of the last whole calendar period before ``now``.

    Args:
        name: ``day``, ``week`` (from Monday), ``month`` or ``quarter``.
    """
    today = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "day":
        end, start = today, today - timedelta(days=1)
    elif name == "week":
        end = today - timedelta(days=today.weekday())
        start = end - timedelta(days=7)
    else:
        months = 1 if name == "month" else 3
        end = today.replace(day=1, month=(today.month - 1) // months * months + 1)
        year, month = divmod(end.year * 12 + end.month - 1 - months, 12)
        start = end.replace(year=year, month=month + 1)
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)
