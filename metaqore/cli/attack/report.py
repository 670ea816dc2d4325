"""What a run came to: shares by family with their bounds, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from metaqore.attack.model import Suite
from metaqore.cli.attack.drive import STOPPED, Result

#: Misses and false positives that are shown in full.
MOST_SHOWN = 200


@dataclass
class Row:
    """One family, or all of them."""

    name: str
    title: str
    wanted_stopped: float
    wanted_false_positives: float
    advice: str = ""
    #: What of the family cannot be governed from here, and why.
    not_governed: str = ""
    #: Scenarios that were sent.
    scenarios: set[str] = field(default_factory=set)
    attacks: Counter[str] = field(default_factory=Counter)
    controls: Counter[str] = field(default_factory=Counter)

    @property
    def stopped(self) -> float | None:
        """Share of attacks that were stopped; None where none was sent."""
        return _share(self.attacks)

    @property
    def false_positives(self) -> float | None:
        """Share of controls that were stopped; None where none was sent."""
        return _share(self.controls)

    @property
    def broken(self) -> int:
        """Cases that say nothing because something else went wrong."""
        return self.attacks["broken"] + self.controls["broken"]

    @property
    def ok(self) -> bool:
        """True where both bounds are kept and nothing is broken."""
        stopped, false = self.stopped, self.false_positives
        return (
            not self.broken
            and (stopped is None or stopped >= self.wanted_stopped)
            and (false is None or false <= self.wanted_false_positives)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON."""
        names = ("vetoed", "blocked", "refused", "missed", "skipped")
        return {
            "family": self.name, "title": self.title, "attacks": sum(self.attacks.values()),
            **{name: self.attacks[name] for name in names}, "stopped": self.stopped,
            "controls": sum(self.controls.values()), "false_positives": self.false_positives, "broken": self.broken,
            "wanted": {"stopped": self.wanted_stopped, "false_positives": self.wanted_false_positives}, "ok": self.ok,
            "scenarios": sorted(self.scenarios), "not_governed": self.not_governed,
        }  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """A scenario that the engine is known not to stop."""

    scenario: str
    attacks: int
    missed: int
    why: str


@dataclass(frozen=True)
class NotRun:
    """A scenario of which cases could not be sent."""

    scenario: str
    cases: int
    why: str


@dataclass(frozen=True)
class Report:
    """A run.

    Args:
        again: the command that repeats it, without the scenario and the case.
    """

    seed: int
    rows: list[Row]
    results: Sequence[Result]
    seconds: float
    again: str = "metaqore attack"

    @property
    def ok(self) -> bool:
        """True where some attack was sent to its end and every family keeps its bounds."""
        return any(row.stopped is not None for row in self.rows) and all(row.ok for row in self.rows)

    @property
    def misses(self) -> list[Result]:
        """Attacks that went through, and should not have."""
        return [each for each in self.results if each.verdict == "missed" and not each.scenario.known_limit]

    @property
    def limits(self) -> list[Limit]:
        """Scenarios that the engine is known not to stop."""
        known = {each.scenario.id: each.scenario for each in self.results if each.scenario.known_limit}
        return [Limit(scenario.id, *self._of(name), scenario.known_limit) for name, scenario in known.items()]

    def _of(self, scenario: str) -> tuple[int, int]:
        """Return how many attacks of a scenario were sent to their end, and how many of those were missed."""
        sent = [each for each in self.results if each.scenario.id == scenario and not each.case.is_control]
        ended = [each for each in sent if each.verdict in ("missed", *STOPPED)]
        return len(ended), sum(each.verdict == "missed" for each in ended)

    def repeat(self, result: Result) -> str:
        """Return the command that sends one case again, with its control."""
        return f"{self.again} --scenario {result.scenario.id} --case {result.case.number}"

    def advice(self, result: Result) -> list[str]:
        """Return what to do about a miss: what its families say, each once."""
        known = {row.name: row.advice for row in self.rows}
        return list(dict.fromkeys(known[name] for name in result.scenario.families if known.get(name)))

    @property
    def false_positives(self) -> list[Result]:
        """Controls that were stopped."""
        return [
            each for each in self.results if each.case.is_control and each.stopped and not each.scenario.known_limit
        ]

    @property
    def broken(self) -> list[Result]:
        """Cases that say nothing."""
        return [result for result in self.results if result.verdict == "broken"]

    @property
    def not_run(self) -> list[NotRun]:
        """Scenarios of which cases were not sent to their end, each with why not."""
        found: dict[tuple[str, str], int] = Counter(
            (result.scenario.id, result.why) for result in self.results if result.verdict == "skipped"
        )
        return [NotRun(scenario, cases, why) for (scenario, why), cases in found.items()]

    @property
    def exit_code(self) -> int:
        """0 where every bound is kept and all was run, 1 where a bound is not kept, 3 where some was not run."""
        return 1 if not self.ok else 3 if self.not_run else 0

    def by(self, what: str) -> dict[str, dict[str, int]]:
        """Return how attacks ended, by ``mutation`` or ``scenario``."""
        found: dict[str, Counter[str]] = {}
        for result in self.results:
            if not result.case.is_control:
                found.setdefault(getattr(result.case, what), Counter())[result.verdict] += 1
        return {name: dict(counts) for name, counts in found.items()}

    @property
    def recorded(self) -> int:
        """Cases whose verdict was compared with what the engine has on record, and found there."""
        return sum(bool(result.recorded) for result in self.results)

    def _told(self, result: Result) -> dict[str, Any]:
        case = result.case
        return {
            "scenario": case.scenario, "families": list(result.scenario.families), "case": case.number,
            "control": case.is_control, "mutation": case.mutation, "verdict": result.verdict, "step": result.step,
            "why": result.why, "plain": case.plain, "text": case.text, "request": result.request,
            "decision": result.decision, "recorded": result.recorded, "repeat": self.repeat(result),
            "advice": self.advice(result) if result.verdict == "missed" else [],
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the whole report as JSON."""
        return {
            "seed": self.seed, "ok": self.ok, "complete": not self.not_run, "seconds": round(self.seconds, 1),
            "calls": sum(result.calls for result in self.results),
            "families": [row.to_dict() for row in self.rows], "mutations": self.by("mutation"),
            "scenarios": self.by("scenario"), "missed": [self._told(each) for each in self.misses[:MOST_SHOWN]],
            "false_positives": [self._told(each) for each in self.false_positives[:MOST_SHOWN]],
            "broken": [self._told(each) for each in self.broken[:MOST_SHOWN]],
            "known_limits": [asdict(each) for each in self.limits], "recorded": self.recorded,
            "not_run": [{"scenario": each.scenario, "cases": each.cases, "why": each.why} for each in self.not_run],
        }  # fmt: skip


def report_of(
    suite: Suite, results: Sequence[Result], seed: int, seconds: float, *, families: Collection[str] = (),
    again: str = "metaqore attack",
) -> Report:  # fmt: skip
    """Return the report of a run; families without a case are left out.

    Args:
        families: only these are reported on; without any all are.
        again: see :class:`Report`.
    """
    rows: dict[str, Row] = {}
    for name, family in suite.families.items():
        if families and name not in families:
            continue
        wanted = family.wanted
        row = Row(name, family.title, wanted.stopped, wanted.false_positives, family.advice, family.not_governed)
        for result in results:
            if name in suite.families_of(result.scenario) and not result.scenario.known_limit:
                row.scenarios.add(result.scenario.id)
                (row.controls if result.case.is_control else row.attacks)[result.verdict] += 1
        if row.attacks or row.controls:
            rows[name] = row
    return Report(seed, list(rows.values()), results, seconds, again)


def _share(counts: Counter[str]) -> float | None:
    stopped = counts["vetoed"] + counts["blocked"] + counts["refused"]
    said = stopped + counts["missed"] + counts["passed"]
    return stopped / said if said else None
