"""The act about repeated work: what was asked often becomes a pattern, and a specialist is trained for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metaqore.cli.demo.agents import Agent, Unexpected
from metaqore.cli.demo.calls import ask, command_for, template_for
from metaqore.cli.demo.history import Change, History
from metaqore.cli.demo.progress import Display
from metaqore.cli.demo.record import Record
from metaqore.hmcp import policy as hmcp_policy
from metaqore.hmcp.artefact import load
from metaqore.hmcp.outputs import canonical_answer
from metaqore.llm.assemble import assemble
from metaqore.llm.model import Template
from metaqore.settings import Settings
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore

#: The latest changes that the teacher is asked about before training, and those that are kept for afterwards.
MOST, LATER = 640, 48
#: Calls that are made again for the specialist to answer; one in ten goes to its teacher all the same.
SERVED = 8


@dataclass
class Lesson:
    """What became of one source of changes."""

    source: str
    asked: int = 0
    #: Why there is no specialist, as the engine says it; empty where there is one.
    reasons: list[str] = field(default_factory=list)
    specialist: dict[str, Any] = field(default_factory=dict)
    #: Gate stage → what it measured.
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Later changes: asked, right, routed, routed and right.
    later: tuple[int, int, int, int] = (0, 0, 0, 0)
    #: Calls that it would answer, made again: all, those that it did answer, those of them with its teacher's answer.
    served: tuple[int, int, int] = (0, 0, 0)
    #: What one of those answers said of itself.
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """True where a specialist passed the gate."""
        return bool(self.specialist) and self.specialist["state"] == "active"

    @property
    def gate(self) -> Mapping[str, Any]:
        """What the functional stage measured on examples that training had not seen."""
        measures: Mapping[str, Any] = self.stages.get("functional", {}).get("measures", {})
        return measures


class School:
    """Teaches what the agents' calls have in common."""

    def __init__(
        self, developer: Agent, agents: Sequence[Agent], settings: Settings, record: Record, display: Display
    ) -> None:  # fmt: skip
        self._developer = developer
        self._agents = agents
        self._settings = settings
        self._record = record
        self._display = display
        #: Calls below which no certificate is possible.
        self.needed = hmcp_policy.load(settings.config_path / "hmcp.yaml").needed_events

    def teach(self, source: str, history: History) -> Lesson:
        """Ask about the changes of a history, let the pattern be found, and train a specialist for it."""
        lesson = Lesson(history.source)
        changes = history.changes[-(MOST + LATER) :]
        first, later = changes[:-LATER], changes[-LATER:]
        if len(first) < self.needed:
            lesson.reasons.append(f"{len(history.changes)} changes; {self.needed + LATER} are needed")
            return lesson
        template = template_for(source)
        with self._display.act("ask"):
            self._display.say(f"{len(self._agents)} agents ask about changes of {history.source}")
            answers = ask(self._agents, template, first, self._display.count)
            lesson.asked = sum(answer.fate == "accepted" for answer in answers)
            batch = self._record.largest_batch()
            self._display.say(f"{lesson.asked} of {len(first)} calls answered, the largest batch had {batch}")
        with self._display.act("find the pattern"):
            pattern = self._discover(template, lesson)
        if pattern is None:
            return lesson
        with self._display.act("train"):
            is_active = self._train(pattern, lesson)
        if is_active:
            with self._display.act("later changes"):
                self._examine(pattern, template, later, lesson)
        return lesson

    def _discover(self, template: Template, lesson: Lesson) -> str | None:
        """Return the pattern's id where it is proposed."""
        found = self._developer.submit("patterns.discover", "/patterns/discover", {}, act="patterns")
        own = [each for each in found.result["patterns"] if each["signature"] == f"template:{template.key}"]
        if not own:
            lesson.reasons.append("no pattern was found in the calls")
            return None
        pattern = own[0]
        lesson.reasons += pattern["reasons"]
        self._display.say(f"pattern with {pattern['support']} calls of {pattern['agents']} agents: {pattern['state']}")
        return str(pattern["id"]) if pattern["state"] == "proposed" else None

    def _train(self, pattern: str, lesson: Lesson) -> bool:
        answer = self._developer.submit("specialist.train", "/specialists/train", {"pattern": pattern}, act="training")
        # Where the gate says no, its result says why.
        result = answer.result
        lesson.specialist = result.get("specialist") or {}
        lesson.stages = {stage["stage"]: stage for stage in (result.get("gate") or {}).get("stages", ())}
        lesson.reasons += result.get("reasons", [])
        lesson.reasons += [reason for stage in lesson.stages.values() for reason in stage["reasons"]]
        if lesson.active:
            self._display.say(
                f"specialist trained, passed the gate with {lesson.gate['accuracy']:.1%} on unseen changes"
            )
        else:
            self._display.say(f"no specialist: {'; '.join(lesson.reasons)}")
        return lesson.active

    def _examine(self, pattern: str, template: Template, later: Sequence[Change], lesson: Lesson) -> None:
        """Compare the specialist, as it is stored, with its teacher on changes that came after all it was made from."""
        answers = ask(self._agents, template, later, self._display.count, specialist=False)
        database = Database(self._settings.dsn)
        try:
            with SqlStore(database).read() as tx:
                artefact = tx.reads("hmcp").champion(pattern)[1]
        finally:
            database.close()
        if artefact is None:
            raise Unexpected(f"pattern {pattern} has no active specialist in the database")
        prompts = [assemble(command_for(template, change)).text for change in later]
        predictions = load(artefact).predict(prompts)
        pairs = [
            (prediction.routed, prediction.answer == canonical_answer(str(answer.result["text"])))
            for prediction, answer in zip(predictions, answers, strict=True)
            if answer.fate == "accepted"
        ]
        lesson.later = (
            len(pairs), sum(right for _, right in pairs), sum(routed for routed, _ in pairs),
            sum(routed and right for routed, right in pairs),
        )  # fmt: skip
        self._display.say(f"on {len(pairs)} later changes it agrees with its teacher {lesson.later[1]} times")
        again = [
            (change, str(answer.result["text"]))
            for change, prediction, answer in zip(later, predictions, answers, strict=True)
            if prediction.routed and answer.fate == "accepted"
        ][:SERVED]
        self._have_served(template, again, lesson)

    def _have_served(self, template: Template, again: Sequence[tuple[Change, str]], lesson: Lesson) -> None:
        """Make calls once more that the specialist may answer, and see who does."""
        found = ask(self._agents, template, [change for change, _ in again], self._display.count)
        own = [
            (answer.result, said)
            for answer, (_, said) in zip(found, again, strict=True)
            if answer.fate == "accepted" and answer.result["provider"] == "specialist"
        ]
        right = sum(result["text"] == canonical_answer(said) for result, said in own)
        lesson.served = (len(again), len(own), right)
        if own:
            lesson.answer = own[0][0]
            sure = lesson.answer["specialist"]["confidence"]
            self._display.say(
                f"{len(own)} of {len(again)} calls are answered by the specialist, one with {sure:.0%} confidence"
            )
