"""Tells every organization's log which policy files hold: when one changes, and when a process finds it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metaqore.errors import Conflict
from metaqore.messages import Submission
from metaqore.requests.executor import Executor
from metaqore.requests.recorder import ACTOR
from metaqore.security.policy_files import KIND, Seen, is_known


class PolicyFiles:
    """One per process.

    Args:
        present: returns the files that this process decides by now.
    """

    def __init__(self, executor: Executor, present: Callable[[], Sequence[Seen]]) -> None:
        self._executor = executor
        self._present = present
        #: What this process has told: where hosts have different files, they do not take turns for ever.
        self._told: set[Seen] = set()

    def record(self, seen: Seen) -> int:
        """Tell everybody's log of a change; return how many logs did not know.

        Raises:
            MetaQoreError: it could not be recorded everywhere; asking again repeats nothing.
        """
        return sum(self._tell(organization, seen) for organization in self._unaware(seen))

    def catch_up(self, _now: int = 0) -> int:
        """Tell of what changed while nobody was there to see it, and new organizations of what holds.

        Where hosts have different files, each tells of its own once, instead of taking turns for ever.
        """
        told = 0
        for seen in self._present():
            unaware = self._unaware(seen, only_new=seen in self._told)
            told += sum(self._tell(organization, seen) for organization in unaware)
            self._told.add(seen)
        return told

    def _unaware(self, seen: Seen, *, only_new: bool = False) -> list[str]:
        """Return the organizations whose log does not say so yet."""
        with self._executor.store.read() as tx:
            reads, found = tx.reads("security"), []
            for organization in tx.reads("privacy").organizations():
                rows = reads.policy_files(organization, seen.file, seen.digest, seen.stamp)
                if not (is_known(seen, rows) or (only_new and rows)):
                    found.append(organization)
        return found

    def _tell(self, organization: str, seen: Seen) -> bool:
        payload = {"file": seen.file, "digest": seen.digest, "before": seen.before, "stamp": seen.stamp,
                   "refused": seen.refused}  # fmt: skip
        asked = Submission(organization=organization, project=None, principal=ACTOR, kind=KIND, payload=payload)
        try:
            self._executor.run_now(asked)
        except Conflict:
            # Another process was quicker.
            return False
        return True
