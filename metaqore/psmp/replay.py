"""What would have been decided in the past under another policy or mode, consequences included. Nothing is written.

A project's recorded decisions are made again, in their order, in a world of their own: a store with the same look-ups
and effects as the real one, which begins as the project was at ``start``. Twice: as they were, and by the candidate.
Ids are made anew, so whatever later requests say of recorded things is translated by comparing recorded and new
results. Decisions come as a stream and leave nothing behind in memory, so that a history may be as long as it likes.

Every decision is deterministic (ids apart), so under the unchanged policy each verdict is reproduced; where one is not,
the policy in force has changed since, and the report says so (``not_reproduced``).
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal, Protocol

import msgspec

from metaqore.errors import MetaQoreError, RateLimited
from metaqore.messages import Outcome, Request
from metaqore.psmp.catalogue import Mode
from metaqore.psmp.checkpoints import refuse
from metaqore.psmp.policy import Policy
from metaqore.psmp.preview import in_mode
from metaqore.psmp.replay_subjects import subjects_of, what_of

#: Decisions, and rows of the state that a replay begins with, between two reports of progress; decisions cost about a
#: second of one processor for each 1300.
REPORT_EVERY = 250
#: The most decisions that a report shows one by one; a stream tells the others, too.
MAX_SHOWN = 500
#: Things that are remembered as decided another way, so that what follows from them can be told.
MAX_TOUCHED = 100_000
# How long to wait for one's turn before saying that one does, in seconds.
_TURN_S = 0.5
_ID = re.compile(r"(?:art|prop|conf|tsk|prj|intent|appr)_[0-9a-f]{32}")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of a project's history, as it was recorded. ``at`` is when it was made, in milliseconds."""

    position: int
    id: str
    seq: int
    organization: str
    principal: str
    kind: str
    queue: str
    payload: dict[str, Any]
    created_at: int
    at: int
    verdict: str | None
    result: dict[str, Any]

    @property
    def erased(self) -> bool:
        """True where what was asked for is gone, for its data subject or by retention."""
        return not self.payload or self.payload == {"erased": True}


class KindLike(Protocol):
    """What is needed of a kind of request: see ``requests.catalogue.Kind``."""

    @property
    def study(self) -> Callable[[Request], Any] | None:
        """Work on the payload alone."""

    @property
    def decide(self) -> Callable[[Sequence[Request], Any, int], list[Outcome]] | None:
        """The decision."""


#: Name of a kind → the kind.
Kinds = Callable[[str], KindLike]


class World(Protocol):
    """An empty store of one's own."""

    def reads(self) -> Any:
        """Return PSMP's look-ups."""

    def apply(self, writes: list[Any]) -> None:
        """Apply effects."""

    def fork(self) -> World:
        """Return another one that is as this is now."""

    def accept(self, request: Request) -> None:
        """Insert a request, which others may look up."""

    def stand_at(self, project: str, position: int) -> None:
        """Let the next step of a project be ``position`` + 1."""

    def name_of(self, recorded: str) -> str:
        """Return the id that a recorded thing has in this world; its own, where no other was given."""

    def rename(self, recorded: str, here: str) -> None:
        """Give the id that a recorded thing has in this world."""

    def close(self) -> None:
        """Forget everything."""


class Build(Protocol):
    """A world that is made a part at a time."""

    def build(self) -> Iterator[int]:
        """Make it; yield how many rows it has so far."""

    @property
    def world(self) -> World:
        """What was made."""


#: (organization, project, position) → the project as it was then; empty at position 0.
Worlds = Callable[[str, str, int], Build]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay has come: ``rows`` of the state that it begins with, then ``decided`` up to ``position``."""

    rows: int
    decided: int = 0
    position: int | None = None


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that comes out another way.

    ``because`` of the ``policy`` by itself: it would decide otherwise in the world as it was, too. Or as a
    ``consequence``: only since earlier decisions (``after``) come out another way.
    """

    request: str
    position: int
    kind: str
    what: str
    was: str | None
    would_be: str | None
    because: Literal["policy", "consequence"]
    after: list[str]
    conflicts: list[dict[str, Any]]


class Replayed(msgspec.Struct, kw_only=True):
    """What would have been decided after ``start``."""

    decided: int = 0
    same: int = 0
    #: Decisions after ``start`` that the policy in force does not reproduce: it was another one then, or what was asked
    #: for has been erased since.
    not_reproduced: int = 0
    counts: dict[str, int] = {}
    changed: list[Changed] = []


class Replays:
    """Replays recorded decisions.

    Args:
        worlds: makes a project as it was.
        kinds: the kinds as a policy decides them.
        policy: the one in force.
    """

    def __init__(self, worlds: Worlds, kinds: Callable[[Policy], Kinds], policy: Policy) -> None:
        self._worlds = worlds
        self._kinds = kinds
        self._policy = policy
        self._running = threading.Lock()

    def of(
        self, organization: str, project: str, start: int, recorded: Iterable[Recorded], *, mode: Mode | None = None,
        policy: Policy | None = None, wait: bool = False,
    ) -> Replayed:  # fmt: skip
        """Return what would have been decided after ``start``; see ``stream``."""
        for last in self.stream(organization, project, start, recorded, mode=mode, policy=policy, wait=wait):
            if isinstance(last, Replayed):
                return last
        raise AssertionError("a replay ends with its result")

    def stream(
        self, organization: str, project: str, start: int, recorded: Iterable[Recorded], *, mode: Mode | None = None,
        policy: Policy | None = None, wait: bool = False,
    ) -> Generator[Progress | Changed | Replayed]:  # fmt: skip
        """Decide ``recorded`` again; yield how far that has come, and at last what would have been decided.

        Decisions beyond ``MAX_SHOWN`` that come out another way are yielded one by one.

        Args:
            start: the position after which ``policy`` decides, and the state of which it begins with.
            recorded: the project's decisions after ``start``, by position.
            mode: the mode that the project is taken to be in; None leaves it as it was.
            policy: None for the one in force.
            wait: let another one that is running in this process end first.

        Raises:
            InvalidInput: the project began before positions were recorded, or its beginning was erased.
            RateLimited: another one is running in this process, and this one is not to wait.
        """
        then = self._kinds(self._policy)
        candidate = then if policy is None else self._kinds(policy)
        while not self._running.acquire(timeout=_TURN_S if wait else 0):
            if not wait:
                raise RateLimited("another replay is running: they take turns; ask again", retry_after_s=5)
            # Whoever waits may be told that nobody wants it any more.
            yield Progress(rows=0)
        try:
            build = self._worlds(organization, project, start)
            with closing(build.world):
                rows = 0
                for at, rows in enumerate(build.build(), 1):
                    if at % REPORT_EVERY == 0:
                        yield Progress(rows=rows)
                lane = Lane(build.world, project if start else None)
                yield from _Replay(lane, then, candidate, mode, rows).run(_from_the_beginning(recorded, start))
        finally:
            self._running.release()


def _from_the_beginning(recorded: Iterable[Recorded], start: int) -> Iterator[Recorded]:
    for number, each in enumerate(recorded):
        if number == 0 and start == 0 and each.kind != "project.save":
            refuse("from", "this project is older than its recorded history: begin at a later position")
        if number == 0 and start == 0 and each.erased:
            refuse("from", "the beginning of this project was erased: begin at position 1 or later")
        yield each


class Lane:
    """One course of a history: a world, and which of its things are the recorded ones."""

    def __init__(self, world: World, project: str | None) -> None:
        self.world = world
        #: Its id in this world; None until it is created.
        self.project = project

    def fork(self) -> Lane:
        """Return another lane that goes on from here."""
        return Lane(self.world.fork(), self.project)

    def go(self, each: Recorded, kinds: Kinds, mode: Mode | None = None) -> Outcome:
        """Decide, and let the world go on."""
        request = self._request(each)
        self.world.accept(request)
        if self.project is not None:
            self.world.stand_at(self.project, each.position - 1)
        outcome = self._decide(request, each.at, kinds, mode)
        self.world.apply(outcome.writes)
        if each.kind == "project.save" and self.project is None:
            self.project = str(outcome.result["id"])
        self._pair(each.result, outcome.result)
        return outcome

    def look(self, each: Recorded, kinds: Kinds, mode: Mode | None) -> Outcome:
        """Decide, and leave the world as it is."""
        return self._decide(self._request(each), each.at, kinds, mode)

    def _request(self, each: Recorded) -> Request:
        return Request(
            seq=each.seq, id=each.id, organization=each.organization, project=self.project, principal=each.principal,
            kind=each.kind, queue=each.queue, ordering_key=self.project, payload=self._translated(each.payload),
            attempt=0, fence=0, created_at=each.created_at,
        )  # fmt: skip

    def _decide(self, request: Request, now: int, kinds: Kinds, mode: Mode | None) -> Outcome:
        """Return the outcome; what a handler refuses by raising is one with an error."""
        kind = kinds(request.kind)
        if kind.decide is None:
            raise TypeError(f"{request.kind} is no decision of a project's history")
        try:
            request.studied = kind.study(request) if kind.study is not None else None
            return kind.decide([request], in_mode(self.world.reads(), mode), now)[0]
        except MetaQoreError as error:
            return Outcome(error={"code": error.code, "message": error.message})

    def _translated(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.world.name_of(value) if _ID.fullmatch(value) else value
        if isinstance(value, dict):
            return {name: self._translated(member) for name, member in value.items()}
        return [self._translated(member) for member in value] if isinstance(value, list) else value

    def _pair(self, old: Any, new: Any) -> None:
        """Find out which things of this world are the recorded ones, by comparing two results."""
        if isinstance(old, str) and isinstance(new, str):
            if old != new and _ID.fullmatch(old) and _ID.fullmatch(new):
                self.world.rename(old, new)
        elif isinstance(old, dict) and isinstance(new, Mapping):
            for name in old.keys() & new.keys():
                self._pair(old[name], new[name])
        elif isinstance(old, list) and isinstance(new, Sequence) and not isinstance(new, str):
            for before, after in zip(_in_order(old), _in_order(new), strict=False):
                self._pair(before, after)


class _Replay:
    """Two lanes from ``start`` on: what was (decided by ``then``), and what would have been."""

    def __init__(self, lane: Lane, then: Kinds, candidate: Kinds, mode: Mode | None, rows: int) -> None:
        self.was = self.would_be = lane
        self.then = then
        self.candidate = candidate
        self.mode = mode
        self.rows = rows
        #: What a decision that comes out another way is about → that decision.
        self.touched: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def run(self, recorded: Iterable[Recorded]) -> Iterator[Progress | Changed | Replayed]:
        """Decide everything again."""
        done = Replayed()
        self.would_be = self.was.fork()
        with closing(self.would_be.world):
            for each in recorded:
                if each.erased:
                    done.not_reproduced += 1
                    continue
                if (beyond := self._step(each, done)) is not None:
                    yield beyond
                if done.decided % REPORT_EVERY == 0:
                    yield Progress(rows=self.rows, decided=done.decided, position=each.position)
        done.counts = dict(self.counts)
        yield done

    def _step(self, each: Recorded, done: Replayed) -> Changed | None:
        """Decide; return what comes out another way where the report has no room for it."""
        beyond, outcome = None, self.would_be.go(each, self.candidate, self.mode)
        verdict = _verdict(outcome)
        done.decided += 1
        if verdict == each.verdict:
            done.same += 1
        else:
            self.counts[f"{each.verdict} → {verdict}"] += 1
            alone = _verdict(self.was.look(each, self.candidate, self.mode))
            changed = self._changed(each, outcome, alone=alone != each.verdict)
            if len(done.changed) < MAX_SHOWN:
                done.changed.append(changed)
            else:
                beyond = changed
            if len(self.touched) < MAX_TOUCHED:
                self.touched.update(dict.fromkeys(subjects_of(each), each.id))
        done.not_reproduced += _verdict(self.was.go(each, self.then)) != each.verdict
        return beyond

    def _changed(self, each: Recorded, outcome: Outcome, *, alone: bool) -> Changed:
        report = outcome.result.get("blocking_report", outcome.result)
        after = [self.touched[subject] for subject in subjects_of(each) if subject in self.touched]
        conflicts = [
            {name: conflict.get(name) for name in ("class", "severity", "message")}
            for conflict in report.get("conflicts", ())
        ]
        return Changed(
            request=each.id, position=each.position, kind=each.kind, what=what_of(each), was=each.verdict,
            would_be=_verdict(outcome), because="policy" if alone else "consequence",
            after=[] if alone else list(dict.fromkeys(after)), conflicts=conflicts,
        )  # fmt: skip


def _in_order(items: Sequence[Any]) -> Sequence[Any]:
    """Return conflicts by class and place, so that those of two worlds are told apart; other lists as they are."""
    if not all(isinstance(item, Mapping) and "class" in item for item in items):
        return items
    return sorted(items, key=lambda item: (item["class"], str(item.get("evidence", {}).get("pointer"))))


def _verdict(outcome: Outcome) -> str | None:
    if outcome.error is not None:
        return f"failed: {outcome.error['code']}"
    return outcome.verdict.value if outcome.verdict is not None else None
