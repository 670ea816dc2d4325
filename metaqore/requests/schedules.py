"""Periodic work: each firing is a row unique in (schedule, time), so that any number of beats fires once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from metaqore import failpoints
from metaqore.errors import InvalidInput
from metaqore.messages import Submission
from metaqore.requests.executor import Executor
from metaqore.requests.intake import Intake
from metaqore.requests.model import Idempotency
from metaqore.requests.ports import Bell
from metaqore.requests.sweep import bury, sweep

log = structlog.get_logger(__name__)

_DAY_MS = 86_400_000
#: Most approvals that one sweep ends.
_MAX_DUE = 256


class Schedules:
    """What each schedule does when it fires.

    Args:
        more: schedule → what it does, for work that is not ours: it takes the time in milliseconds.
        expired: called after retention has let something go.
    """

    def __init__(
        self,
        executor: Executor,
        intake: Intake,
        bell: Bell,
        *,
        idempotency_days: int,
        more: Mapping[str, Callable[[int], object]] | None = None,
        expired: Callable[[], object] = lambda: None,
    ) -> None:
        self._executor = executor
        self._intake = intake
        self._bell = bell
        self._expired = expired
        self._keep_ms = idempotency_days * _DAY_MS
        self._actions: Mapping[str, Callable[[int], object]] = {
            "sweep": self._sweep,
            "discover": self._discover,
            "purge": self._purge,
            "retain": self._retain,
            **(more or {}),
        }

    def fire(self, name: str, period_s: float) -> bool:
        """Fire schedule ``name`` for the present period; return whether this call was the one that did.

        Raises:
            InvalidInput: no such schedule.
        """
        action = self._actions.get(name)
        if action is None:
            raise InvalidInput(f"schedule {name!r}: known are {', '.join(sorted(self._actions))}")
        now = self._executor.clock()
        period_ms = max(int(period_s * 1000), 1)
        with self._executor.store.write() as tx:
            if not tx.fire_once(name, now // period_ms * period_ms, now):
                return False
        failpoints.hit("scheduler.after_fire")
        action(now)
        return True

    def _sweep(self, now: int) -> None:
        sweep(self._executor, self._bell, now=now)
        bury(self._executor, now=now)
        self._expire(now)
        self._release()

    def _release(self) -> None:
        """Give back what requests hold of a budget that are over without having settled it."""
        if "budget.release" not in self._executor.catalogue.all():
            return
        with self._executor.store.read() as tx:
            organizations = tx.reads("llm").organizations_with_ended()
        for organization in organizations:
            asked = Submission(organization=organization, project=None, principal="metaqore", kind="budget.release",
                               payload={})  # fmt: skip
            self._executor.run_now(asked)

    def _expire(self, now: int) -> None:
        """Ask for the end of approvals that nobody answered in time; once for each, however often this looks."""
        if "approval.expire" not in self._executor.catalogue.all():
            return
        with self._executor.store.read() as tx:
            due = tx.reads("psmp").due_approvals(now, _MAX_DUE)
        for organization, project, approval in due:
            asked = Submission(organization=organization, project=project, principal="metaqore",
                               kind="approval.expire", payload={"approval": approval})  # fmt: skip
            self._intake.submit([asked], Idempotency("schedule:expire", approval, approval))

    def _discover(self, now: int) -> None:
        """Ask for pattern discovery in every organization; a request like any other."""
        if "patterns.discover" not in self._executor.catalogue.all():
            return
        with self._executor.store.read() as tx:
            organizations = tx.reads("requests").organizations()
        for organization in organizations:
            self._intake.submit(
                [Submission(organization=organization, project=None, principal="metaqore", kind="patterns.discover",
                            payload={})]
            )  # fmt: skip

    def _purge(self, now: int) -> None:
        with self._executor.store.write() as tx:
            gone = tx.purge(keys_before=now - self._keep_ms, fires_before=now - _DAY_MS)
        log.info("purged", idempotency_keys=gone)
        self._prune(now)

    def _retain(self, now: int) -> None:
        """Let go what is older than it has to be kept, in every organization."""
        if "retention.apply" not in self._executor.catalogue.all():
            return
        with self._executor.store.read() as tx:
            organizations = tx.reads("privacy").organizations()
        gone: object = None
        for organization in organizations:
            asked = Submission(organization=organization, project=None, principal="metaqore", kind="retention.apply",
                               payload={})  # fmt: skip
            gone = self._executor.run_now(asked).result.get("expired") or gone
        if gone:
            self._expired()

    def _prune(self, now: int) -> None:
        """Ask for the end of checkpoints whose time is over; doing so twice finds nothing the second time."""
        if "checkpoint.prune" not in self._executor.catalogue.all():
            return
        with self._executor.store.read() as tx:
            due = tx.reads("psmp").organizations_with_due_checkpoints(now)
        for organization in due:
            asked = Submission(organization=organization, project=None, principal="metaqore",
                               kind="checkpoint.prune", payload={})  # fmt: skip
            self._intake.submit([asked])
