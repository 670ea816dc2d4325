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
#: What a request is recorded as whose answer was so.
_RECORDED: dict[Fate, str] = {"passed": "approved", "vetoed": "vetoed", "blocked": "blocked"}
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
    #: Ids of the last governance request that was answered and of SecureGateway's decision on it, "" where none was.
    request: str = ""
    decision: str = ""
    #: The verdict that the engine has on record for that request; "" where it was refused at the door, or is not ours
    #: to read.
    recorded: str = ""

    @property
    def stopped(self) -> bool:
        """True where the engine stopped it."""
        return self.verdict in STOPPED


class Drive:
    """Sends the cases of one run.

    Args:
        at_once: cases that are under way at the same time.
        given: variables of all cases; a ``project`` is made where none is among them.
        unguarded: leave out the steps that put up what is to stop an attack, and let everything be in playground mode.
        patience_s: how long what takes effect in a while may take at least, on a machine that has other things to do.
    """

    def __init__(
        self, people: People, at_once: int, given: Mapping[str, str], *, unguarded: bool = False, patience_s: float = 0
    ) -> None:
        self._people = people
        self._at_once = at_once
        self._given = dict(given)
        self._unguarded = unguarded
        self._patience_s = patience_s

    def run(
        self, work: Sequence[tuple[Scenario, Case]], told: Callable[[Result], None] = lambda result: None
    ) -> list[Result]:
        """Send all cases; return what became of them, in order.

        Raises:
            NoAnswer: the API cannot be reached.
            NoSuchPerson: no project can be made for it.
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
        body = {"name": "attack", "mode": "playground" if self._unguarded else "strict"}
        for who in ("admin", "agent"):
            made = self._people.api.call("POST", "/projects", self._people.key(who), body)
            if made.fate == "passed":
                self._given["project"] = str(made.body["id"])
                return
        raise NoSuchPerson(
            f"no project can be made for the attack: {made.reason}; name one with --project, or give a key that has "
            "the scope projects:write"
        )

    def _send(self, scenario: Scenario, case: Case) -> Result:
        began = time.monotonic()
        variables = {**case.variables, **self._given, "case": uuid.uuid4().hex}
        sent = _Sent(self._people, variables, self._unguarded, self._patience_s)
        verdict: Verdict
        try:
            verdict, at, why = sent.run(case)
            verdict, why = sent.confirmed(verdict, why)
        except NoSuchPerson as error:
            verdict, at, why = "skipped", 0, error.message
        took_ms = (time.monotonic() - began) * 1000
        return Result(
            case, scenario, verdict, at, sent.calls, why, took_ms, sent.last.request, sent.last.decision, sent.recorded
        )


class _Sent:
    """One case on its way."""

    def __init__(self, people: People, variables: dict[str, Any], unguarded: bool, patience_s: float) -> None:
        self._people = people
        self._variables = variables
        self._unguarded = unguarded
        self._patience_s = patience_s
        self.calls = 0
        self.last, self.recorded = Answer(0, None), ""

    def run(self, case: Case) -> tuple[Verdict, int, str]:
        """Send all steps; return the verdict, the step that decided it, and why."""
        for at, step in enumerate(case.steps, 1):
            if step.guard and self._unguarded:
                continue
            self.last = answer = self._step(step)
            fate: Fate = answer.fate
            if fate == "failed":
                return "broken", at, f"step {at}: the engine failed: {answer.reason}"
            if answer.status == 403 and fate == "refused" and step.by == "admin" and step.key is None:
                raise NoSuchPerson(
                    f"the key that was given may not {step.method} {step.path}: give one with every scope"
                )
            if fate == "vetoed" and not step.unknown and _NOT_THERE.issuperset(answer.reason.split(", ")):
                provider = filled((step.body or {}).get("provider", "any"), self._variables)
                raise NoSuchPerson(f"the provider {provider} is not there ({answer.reason}): name one that is")
            if step.role == "setup" and fate != step.ends:
                said = (
                    f"step {at} ({step.method} {step.path}) prepares and was {fate}, not {step.ends}: {answer.reason}"
                )
                return "broken", at, said
            if fate != "passed" and step.role != "setup":
                return fate, at, answer.reason
            for name, pointer in step.save.items():
                found = _resolve(answer.body, pointer)
                if found is None:
                    return "broken", at, f"step {at} ({step.method} {step.path}): its answer has nothing at {pointer}"
                self._variables[name] = found
            if step.hides is not None and not _holds(answer.body, str(filled(step.hides, self._variables))):
                return ("blocked" if step.says else "refused"), at, "taken out of the answer"
        return ("passed" if case.is_control else "missed"), 0, ""

    def confirmed(self, verdict: Verdict, why: str) -> tuple[Verdict, str]:
        """Compare what was answered with what the engine has on record; a difference says nothing good of either."""
        request, answered = self.last.request, _RECORDED.get(self.last.fate)
        if verdict in ("broken", "skipped") or not request or answered is None:
            return verdict, why
        self.calls += 1
        found = self._people.api.call("GET", f"/requests/{request}", self._people.key("admin"))
        if found.status != 200:
            return verdict, why
        self.recorded = str(found.body.get("verdict") or "")
        if self.recorded != answered:
            return "broken", f"{request} was answered as {answered} and is recorded as {self.recorded or 'undecided'}"
        return verdict, self._seen() if verdict == "missed" else why

    def _seen(self) -> str:
        """Return what the engine says it saw in what it let through."""
        if not self.last.decision:
            return "approved: no conflict was found"
        found = self._people.api.call("GET", f"/decisions/{self.last.decision}", self._people.key("admin"))
        body = found.body.get("body") if found.status == 200 else None
        if not body:
            return "approved"
        signs = sorted({str(each["rule"]) for each in body.get("threats", ())})
        seen = f"only flagged: {' '.join(signs)}" if signs else "no threat was seen"
        return f"approved as {body.get('label')} by {body.get('policy')}; {seen}"

    def _step(self, step: Step) -> Answer:
        if step.says is not None:
            self._people.told(self._variables["word"], str(filled(step.says, self._variables)))
        key = str(filled(step.key, self._variables)) if step.key is not None else self._people.key(step.by)
        began = time.monotonic()
        # Where nothing was put up, nothing takes effect in a while.
        waits = step.within_s > 0 and not self._unguarded
        within_s = max(step.within_s, self._patience_s) if waits else 0.0
        for turn in count():
            self.calls += 1
            variables = {**self._variables, "turn": str(turn + 1)}
            answer = self._people.api.call(
                step.method, str(filled(step.path, variables)), key, filled(step.body, variables),
                {name: str(filled(value, variables)) for name, value in step.headers.items()},
            )  # fmt: skip
            last = turn + 1 >= step.times and time.monotonic() - began >= within_s
            if last or (answer.fate != "passed" and (step.role != "act" or within_s)):
                return answer
        raise AssertionError("unreachable: turns do not end by themselves")


def _holds(body: Any, piece: str) -> bool:
    """Return whether a piece of text is in any string of a JSON value."""
    if isinstance(body, str):
        return piece in body
    if isinstance(body, dict):
        return any(_holds(name, piece) or _holds(member, piece) for name, member in body.items())
    return isinstance(body, list) and any(_holds(member, piece) for member in body)


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
