"""What the log has about something: found, against, clear or none. One pass, in memory that does not grow with it.

Four kinds of evidence::

    find    entries of this kind speak for it, ``at_least`` so many; with ``gap_ms`` they must also recur
    never   entries of this kind speak against it; their absence speaks for nothing
    each    each entry of this kind is followed by one of another (``then``) with the same key, ``within_ms``
    span    the log reaches back at least ``span_ms`` from its end

Pure and without dependencies: the stand-alone verifier counts again with the same code.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from metaqore.audit.compliance_query import Query, query_of, value_of

#: What a finding can be. ``clear``: nothing speaks against it, and nothing for it either.
FOUND, AGAINST, CLEAR, NONE = "found", "against", "clear", "none"
FIND, NEVER, EACH, SPAN = "find", "never", "each", "span"
#: Entries that one finding cites: the first ones and, of the rest, the last.
CITED_FIRST, CITED_LAST = 3, 2
#: Entries that may wait for their answer at one time.
MAX_WAITING = 200_000
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class EvidenceQuery:
    """One piece of evidence that controls ask for. Durations are milliseconds."""

    id: str
    says: str
    kind: str
    query: Query = field(default_factory=lambda: Query(("*",)))
    then: Query | None = None
    key: str = "subject"
    at_least: int = 1
    gap_ms: int = 0
    within_ms: int = 0
    span_ms: int = 0

    def shown(self) -> dict[str, Any]:
        """Return it as JSON; ``evidence_of`` reads that."""
        found: dict[str, Any] = {"says": self.says, self.kind: self.query.shown() if self.kind != SPAN else {}}
        if self.then is not None:
            found |= {"then": self.then.shown(), "by": self.key}
        numbers = {"at_least": self.at_least if self.kind == FIND else 0, "gap_ms": self.gap_ms,
                   "within_ms": self.within_ms, "span_ms": self.span_ms}  # fmt: skip
        return found | {name: value for name, value in numbers.items() if value}


def evidence_of(name: str, shown: Mapping[str, Any]) -> EvidenceQuery:
    """Return the evidence that ``Evidence.shown`` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    [kind] = [kind for kind in (FIND, NEVER, EACH, SPAN) if kind in shown]
    then = query_of(shown["then"]) if kind == EACH else None
    numbers = {key: int(shown.get(key, 0)) for key in ("gap_ms", "within_ms", "span_ms")}
    return EvidenceQuery(
        id=name, says=str(shown["says"]), kind=kind, query=query_of(shown[kind]) if kind != SPAN else Query(("*",)),
        then=then, key=str(shown.get("by", "subject")), at_least=int(shown.get("at_least", 1)), **numbers,
    )  # fmt: skip


@dataclass
class EvidenceFinding:
    """What there is of one piece of evidence; ``cites`` are sequence numbers of the log."""

    state: str
    count: int = 0
    #: Entries, or gaps, that speak against it.
    against: int = 0
    #: Entries that may still be answered in time.
    waiting: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    cites: list[int] = field(default_factory=list)
    note: str = ""

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "state": self.state, "count": self.count, "against": self.against, "waiting": self.waiting,
            "first": self.first_ms, "last": self.last_ms, "cites": self.cites, "note": self.note,
        }  # fmt: skip


class _Cites:
    """The first numbers and the last ones of a long row."""

    def __init__(self) -> None:
        self.first: list[int] = []
        self.last: list[int] = []

    def add(self, *numbers: int) -> None:
        for number in numbers:
            if number in self.last or number in self.first:
                continue
            if len(self.first) < CITED_FIRST:
                self.first.append(number)
            else:
                self.last = [*self.last, number][-CITED_LAST:]

    def all(self) -> list[int]:
        return sorted(self.first + self.last)


class _Counted:
    """``find`` and ``never``."""

    def __init__(self, evidence: EvidenceQuery, start_ms: int) -> None:
        self.evidence = evidence
        self._seen = EvidenceFinding(NONE)
        self._cites = _Cites()
        self._before: tuple[int, int] | None = None
        self._start_ms = start_ms
        self._widest = (0, (0, 0))
        self._gaps = 0

    def add(self, entry: Mapping[str, Any], seq: int, ts: int) -> None:
        seen = self._seen
        seen.count += 1
        seen.first_ms = ts if seen.first_ms is None else seen.first_ms
        seen.last_ms = ts
        self._gap(ts, seq)
        self._before = (ts, seq)
        self._cites.add(seq)

    def begins(self, ts: int) -> None:
        """Take note of the time of the log's first entry: what was before it is no gap."""
        self._start_ms = max(self._start_ms, ts)

    def _gap(self, ts: int, seq: int) -> None:
        if not self.evidence.gap_ms:
            return
        since, number = self._before or (self._start_ms, seq)
        self._gaps += ts - since > self.evidence.gap_ms
        if ts - since > self._widest[0]:
            self._widest = (ts - since, (number, seq))

    def result(self, end_ms: int) -> EvidenceFinding:
        seen, evidence = self._seen, self.evidence
        seen.cites = self._cites.all()
        if evidence.kind == NEVER:
            seen.state, seen.against = (AGAINST, seen.count) if seen.count else (CLEAR, 0)
            return seen
        if seen.count < evidence.at_least:
            seen.note = f"{seen.count} of {evidence.at_least} entries" if seen.count else ""
            return seen
        seen.state = FOUND
        if self._before is not None:
            self._gap(end_ms, self._before[1])
        if self._gaps:
            width, ends = self._widest
            seen.state, seen.against, seen.cites = AGAINST, self._gaps, sorted(set(ends))
            seen.note = f"{width / _DAY_MS:.1f} days without any, {evidence.gap_ms / _DAY_MS:.1f} are allowed"
        return seen


class _Followed:
    """``each``: what waits is at most what came in within the time that is allowed."""

    def __init__(self, evidence: EvidenceQuery) -> None:
        self.evidence = evidence
        self._seen = EvidenceFinding(NONE)
        # In a plain dictionary the oldest is searched for behind everything that was let go.
        self._waiting: OrderedDict[Any, tuple[int, int]] = OrderedDict()
        self._answered, self._overdue = _Cites(), _Cites()
        self._untold = 0

    def opens(self, entry: Mapping[str, Any], seq: int, ts: int) -> None:
        key = value_of(entry, self.evidence.key)
        self._late(ts)
        if key is None or key in self._waiting:
            return
        seen = self._seen
        seen.count += 1
        seen.first_ms = ts if seen.first_ms is None else seen.first_ms
        seen.last_ms = ts
        self._waiting[key] = (seq, ts)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
            self._untold += 1

    def closes(self, entry: Mapping[str, Any], seq: int, ts: int) -> None:
        self._late(ts)
        opened = self._waiting.pop(value_of(entry, self.evidence.key), None)
        if opened is not None:
            self._answered.add(opened[0], seq)

    def _late(self, now_ms: int) -> None:
        """Let go of what waits too long; the oldest is first."""
        while self._waiting:
            key = next(iter(self._waiting))
            seq, ts = self._waiting[key]
            if ts + self.evidence.within_ms >= now_ms:
                return
            del self._waiting[key]
            self._seen.against += 1
            self._overdue.add(seq)

    def result(self, end_ms: int) -> EvidenceFinding:
        self._late(end_ms)
        seen = self._seen
        seen.waiting = len(self._waiting)
        answered = self._answered.all()
        if seen.against:
            seen.state, seen.cites = AGAINST, self._overdue.all()
            seen.note = f"{seen.against} of {seen.count} not followed in time"
        elif self._untold:
            seen.note = f"more than {MAX_WAITING} waited at one time: not all could be followed"
        elif answered:
            seen.state, seen.cites = FOUND, answered
        else:
            seen.state = CLEAR
        return seen


Tracker = Callable[[Mapping[str, Any], int, int], None]


class Evaluation:
    """Looks at every entry of a log in its order, once. Times are milliseconds.

    Args:
        start_ms, end_ms: the period; entries before count for nothing, entries after answer what was opened in it.
    """

    def __init__(self, evidence: Iterable[EvidenceQuery], start_ms: int, end_ms: int) -> None:
        self._start_ms, self._end_ms = start_ms, end_ms
        self._trackers: dict[str, _Counted | _Followed] = {}
        self._spans: list[EvidenceQuery] = []
        for one in evidence:
            if one.kind == SPAN:
                self._spans.append(one)
            else:
                self._trackers[one.id] = _Followed(one) if one.kind == EACH else _Counted(one, start_ms)
        self._inside: dict[str, list[tuple[Query, Tracker]]] = {}
        self._after: dict[str, list[tuple[Query, Tracker]]] = {}
        self._edges: list[tuple[int, int]] = []

    def add(self, entry: Mapping[str, Any]) -> None:
        """Look at the next entry: the fields of its bytes."""
        seq, ts, tag = entry["seq"], entry["ts"], entry["tag"]
        if not self._edges:
            self._edges = [(seq, ts)]
            for one in self._trackers.values():
                if isinstance(one, _Counted):
                    one.begins(ts)
        self._edges[1:] = [(seq, ts)]
        if ts < self._start_ms:
            return
        interested = self._inside if ts < self._end_ms else self._after
        found = interested.get(tag)
        if found is None:
            found = interested[tag] = self._asking(tag, opens=interested is self._inside)
        for query, tracker in found:
            if query.holds(entry):
                tracker(entry, seq, ts)

    def _asking(self, tag: str, *, opens: bool) -> list[tuple[Query, Tracker]]:
        asking: list[tuple[Query, Tracker]] = []
        for tracker in self._trackers.values():
            if isinstance(tracker, _Followed):
                then = tracker.evidence.then
                # An entry that is both answers what came before it, and waits for another itself.
                if then is not None and then.wants(tag):
                    asking.append((then, tracker.closes))
                if opens and tracker.evidence.query.wants(tag):
                    asking.append((tracker.evidence.query, tracker.opens))
            elif opens and tracker.evidence.query.wants(tag):
                asking.append((tracker.evidence.query, tracker.add))
        return asking

    def results(self) -> dict[str, EvidenceFinding]:
        """Return what was found of each piece of evidence."""
        log_end = self._edges[1][1] if self._edges else self._start_ms
        found = {
            name: tracker.result(log_end if isinstance(tracker, _Followed) else min(log_end, self._end_ms))
            for name, tracker in self._trackers.items()
        }
        for one in self._spans:
            found[one.id] = self._span(one)
        return found

    def _span(self, one: EvidenceQuery) -> EvidenceFinding:
        if not self._edges:
            return EvidenceFinding(NONE)
        (first, since), (last, until) = self._edges
        long_enough = until - since >= one.span_ms
        note = f"{(until - since) / _DAY_MS:.1f} days of {one.span_ms / _DAY_MS:.0f}" if one.span_ms else ""
        return EvidenceFinding(
            FOUND if long_enough else NONE, last - first + 1, 0, 0, since, until, sorted({first, last}), note
        )
