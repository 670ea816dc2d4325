"""What happened in a run: every submission with its verdict and time, facts for the report, and checks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

#: What became of a submission; ``failed`` is for what should not happen.
Fate = Literal["accepted", "merged", "blocked", "vetoed", "failed"]
FATES: tuple[Fate, ...] = ("accepted", "merged", "blocked", "vetoed", "failed")


@dataclass(frozen=True, slots=True)
class Submission:
    """One request of an agent, from its sending to its verdict. Times in seconds since the run began."""

    kind: str
    agent: str
    act: str
    fate: Fate
    began: float
    took: float
    #: Size of the batch that a model call was answered in, 0 for others.
    batch: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation: what should be, whether it is, and what was seen."""

    name: str
    ok: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Act:
    """One part of the run."""

    name: str
    began: float
    ended: float


@dataclass
class Record:
    """A run as it is written down while it goes on, from any thread."""

    submissions: list[Submission] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    #: What the page shows of the run beside numbers, by name.
    facts: dict[str, Any] = field(default_factory=dict)
    #: How many blocked declarations were admitted by trying them again.
    retried: int = 0

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._guard = threading.Lock()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def ok(self) -> bool:
        """True where there are checks, and all of them hold."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def submitted(self, submission: Submission) -> None:
        """Write a submission down."""
        with self._guard:
            self.submissions.append(submission)

    def retry_helped(self) -> None:
        """Count a blocked declaration that was admitted by trying it again."""
        with self._guard:
            self.retried += 1

    def check(self, name: str, ok: bool, seen: str) -> None:
        """Write a check down."""
        with self._guard:
            self.checks.append(Check(name, bool(ok), seen))

    @contextmanager
    def act(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        began = self.elapsed
        try:
            yield
        finally:
            with self._guard:
                self.acts.append(Act(name, began, self.elapsed))

    def fates(self) -> Counter[Fate]:
        """Return how often each fate was met."""
        return Counter(submission.fate for submission in self.submissions)

    def times_ms(self, kind: str) -> list[float]:
        """Return the times from submission to verdict of one kind, shortest first."""
        return sorted(each.took * 1000 for each in self.submissions if each.kind == kind and each.fate != "failed")

    def largest_batch(self) -> int:
        """Return the size of the largest batch of model calls."""
        return max((submission.batch for submission in self.submissions), default=0)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie (nearest rank); 0 where there are none."""
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * round(share * 1000) // 1000))
    return ordered[min(rank, len(ordered)) - 1]
