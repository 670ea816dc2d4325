"""Tells every organization's log which policy files hold: when one changes, when a process finds it changed, and
before a process decides anything for an organization by policies of which its log does not know."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metaqore.errors import Conflict
from metaqore.messages import Request, Submission
from metaqore.requests.executor import Executor
from metaqore.requests.recorder import ACTOR
from metaqore.security.policy_files import KIND, Seen, is_known


class PolicyFiles:
    """One per process.

    Args:
        present: returns the files that this process decides by now.
        digest: returns something that is another one whenever ``present`` is; asked before every batch.
    """

    def __init__(
        self, executor: Executor, present: Callable[[], Sequence[Seen]], digest: Callable[[], str] = str
    ) -> None:
        self._executor = executor
        self._present = present
        self._digest = digest
        #: Whose logs say that what holds now holds, and when that was (``digest``).
        self._aware: tuple[str, frozenset[str]] = ("", frozenset())
        #: What this process has told: where hosts have different files, they do not take turns for ever.
        self._told: set[Seen] = set()

    def ahead(self, batch: Sequence[Request | Submission]) -> None:
        """Tell the logs of those for whom something is decided next. Knows whom it has told, so it costs a look.

        Raises:
            MetaQoreError: it could not be recorded; nothing may be decided then.
        """
        of, aware = self._aware
        wanted = {asked.organization for asked in batch if asked.kind != KIND}
        if not wanted or (of == self._digest() and wanted <= aware):
            return
        present, digest = self._present(), self._digest()
        for seen in present:
            for organization in sorted(wanted):
                if not self._knows(organization, seen):
                    self._tell(organization, seen)
        # Threads that tell of different ones at a time forget each other's: they look once more.
        self._aware = (digest, (aware | wanted) if of == digest else frozenset(wanted))

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

    def _knows(self, organization: str, seen: Seen) -> bool:
        with self._executor.store.read() as tx:
            rows = tx.reads("security").policy_files(organization, seen.file, seen.digest, seen.stamp)
        return is_known(seen, rows)

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
