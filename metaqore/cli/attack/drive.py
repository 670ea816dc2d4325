"""Sends cases: step after step, each with what earlier ones have left behind, until one is stopped or none was."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from metaqore.attack.generate import SLOT
from metaqore.attack.model import Case, Scenario, Step
from metaqore.cli.attack.people import Answer, Fate, NoAnswer, NoSuchPerson, People

#: ``missed``: an attack went through to the end. ``passed``: a control did. ``broken``: a step that prepares did not
#: succeed, or the engine failed. ``skipped``: somebody who has to take part is not there, a provider for one.
Verdict = Literal["vetoed", "blocked", "refused", "missed", "passed", "broken", "skipped"]
#: Rules of a veto that says only that a provider is not there: nothing was tried.
_NOT_THERE = frozenset({"provider.unknown", "provider.unavailable", "routing.none_available"})
STOPPED: tuple[Verdict, ...] = ("vetoed", "blocked", "refused")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case."""

    case: Case
    scenario: Scenario
    verdict: Verdict
    #: Number of the step that was stopped or broke, from 1; 0 where all went through.
    step: int
    #: Calls that were made.
    calls: int
    why: str
    took_ms: float

    @property
    def stopped(self) -> bool:
        """True where the engine stopped it."""
        return self.verdict in STOPPED


class Drive:
    """Sends the cases of one run.

    Args:
        at_once: cases that are under way at the same time.
        given: variables of all cases; a ``project`` is made where none is among them.
    """

    def __init__(self, people: People, at_once: int, given: Mapping[str, str]) -> None:
        self._people = people
        self._at_once = at_once
        self._given = dict(given)

    def run(
        self, work: Sequence[tuple[Scenario, Case]], told: Callable[[Result], None] = lambda result: None
    ) -> list[Result]:
        """Send all cases; return what became of them, in order.

        Raises:
            NoAnswer: the API cannot be reached.
        """
        self._make_project()
        with ThreadPoolExecutor(max_workers=self._at_once) as threads:
            return list(self._results(threads, work, told))

    def _results(
        self, threads: ThreadPoolExecutor, work: Sequence[tuple[Scenario, Case]], told: Callable[[Result], None]
    ) -> Iterator[Result]:
        futures = [threads.submit(self._send, scenario, case) for scenario, case in work]
        try:
            for future in futures:
                result = future.result()
                told(result)
                yield result
        finally:
            for future in futures:
                future.cancel()

    def _make_project(self) -> None:
        if "project" in self._given:
            return
        for who in ("admin", "agent"):
            made = self._people.api.call(
                "POST", "/projects", self._people.key(who), {"name": "attack", "mode": "strict"}
            )
            if made.fate == "passed":
                self._given["project"] = str(made.body["id"])
                return
        raise NoSuchPerson(f"no project can be made for the attack: {made.reason}; name one, or give another key")

    def _send(self, scenario: Scenario, case: Case) -> Result:
        began = time.monotonic()
        sent = _Sent(self._people, {**case.variables, **self._given, "case": uuid.uuid4().hex})
        verdict: Verdict
        try:
            verdict, at, why = sent.run(case)
        except NoSuchPerson as error:
            verdict, at, why = "skipped", 0, error.message
        return Result(case, scenario, verdict, at, sent.calls, why, (time.monotonic() - began) * 1000)


class _Sent:
    """One case on its way."""

    def __init__(self, people: People, variables: dict[str, Any]) -> None:
        self._people = people
        self._variables = variables
        self.calls = 0

    def run(self, case: Case) -> tuple[Verdict, int, str]:
        """Send all steps; return the verdict, the step that decided it, and why."""
        for at, step in enumerate(case.steps, 1):
            answer = self._step(step)
            fate: Fate = answer.fate
            if fate == "failed":
                return "broken", at, f"step {at}: the engine failed: {answer.reason}"
            if fate == "vetoed" and _NOT_THERE.issuperset(answer.reason.split(", ")):
                provider = filled((step.body or {}).get("provider", "any"), self._variables)
                raise NoSuchPerson(f"the provider {provider} is not there ({answer.reason}): name one that is")
            if fate != "passed":
                if step.role == "setup":
                    return (
                        "broken",
                        at,
                        f"step {at} ({step.method} {step.path}) prepares and was {fate}: {answer.reason}",
                    )
                return fate, at, answer.reason
            for name, pointer in step.save.items():
                found = _resolve(answer.body, pointer)
                if found is None:
                    return "broken", at, f"step {at} ({step.method} {step.path}): its answer has nothing at {pointer}"
                self._variables[name] = found
            if step.hides is not None and filled(step.hides, self._variables) not in str(answer.body["result"]["text"]):
                return "blocked", at, "taken out of the answer"
        return ("passed" if case.is_control else "missed"), 0, ""

    def _step(self, step: Step) -> Answer:
        if step.says is not None:
            self._people.told(self._variables["case"], str(filled(step.says, self._variables)))
        key = str(filled(step.key, self._variables)) if step.key is not None else self._people.key(step.by)
        began = time.monotonic()
        for turn in count():
            self.calls += 1
            variables = {**self._variables, "turn": str(turn + 1)}
            answer = self._people.api.call(
                step.method, str(filled(step.path, variables)), key, filled(step.body, variables),
                {name: str(filled(value, variables)) for name, value in step.headers.items()},
            )  # fmt: skip
            last = turn + 1 >= step.times and time.monotonic() - began >= step.within_s
            if last or (answer.fate != "passed" and (step.role != "act" or step.within_s)):
                return answer
        raise AssertionError("unreachable: turns do not end by themselves")


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """Return a JSON value with its ``$names`` filled in; a string that is one name becomes whatever it stands for.

    Raises:
        NoAnswer: nothing of that name is known.
    """
    if isinstance(value, str):
        whole = SLOT.fullmatch(value)
        if whole and not whole[1]:
            return _variable(whole[2] or whole[3], variables)
        return SLOT.sub(lambda m: "$" if m[1] else str(_variable(m[2] or m[3], variables)), value)
    if isinstance(value, dict):
        return {str(filled(name, variables)): filled(member, variables) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [filled(member, variables) for member in value]
    return value


def _variable(name: str, variables: Mapping[str, Any]) -> Any:
    if name not in variables:
        raise NoAnswer(f"${name} is not known here: save it in an earlier step")
    return variables[name]


def _resolve(body: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) points to; None where there is nothing."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(body, dict):
            body = body.get(name)
        elif isinstance(body, list) and name.isdigit() and int(name) < len(body):
            body = body[int(name)]
        else:
            return None
    return body
