"""The run itself: act after act, each against the real thing over HTTP."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from metaqore.cli.demo import artifacts, calls, dependencies
from metaqore.cli.demo.agents import Agent
from metaqore.cli.demo.history import History, NoHistory, mine
from metaqore.cli.demo.installation import Installation
from metaqore.cli.demo.learning import Lesson, School
from metaqore.cli.demo.progress import Display
from metaqore.cli.demo.receiver import Listener, Received, Receiver, is_signed
from metaqore.cli.demo.record import Record
from metaqore.cli.demo.requirements import installed
from metaqore.cli.demo.scenario import shipped

NAMES = ("ada", "blaise", "carla", "dirac")
#: Scopes of an agent: what it needs and no more.
SCOPES = ("artifacts:read", "artifacts:write", "conflicts:resolve", "conflicts:override", "projects:read",
          "requests:read", "llm:generate")  # fmt: skip
#: What the webhook endpoint asks for, and what must have come in at the end.
EVENTS = ["artifact.blocked", "conflict.resolved", "governance.veto_applied", "pattern.*", "specialist.*"]
AWAITED = {"artifact.blocked", "conflict.resolved", "governance.veto_applied"}
#: Files for each part, so that a large history does not make a long run.
MOST_MERGES, MOST_BLOCKED, FEWEST = 24, 3, 2
_WEBHOOK_PATIENCE_S = 20


@dataclass
class Material:
    """What the run works on: the history that was mined, if any, and the shipped scenario where it has to help."""

    own: History | None
    shipped: History
    #: What the shipped scenario had to help out with, for people.
    notes: list[str] = field(default_factory=list)

    @property
    def pieces(self) -> History:
        """The history whose edits are used."""
        enough = self.own is not None and len(self.own.edits) > MOST_BLOCKED and len(self.own.collisions) >= FEWEST
        return self.own if self.own is not None and enough else self.shipped


def look(folder: Path) -> Material:
    """Mine the repository that holds ``folder``, and say where the shipped scenario has to help."""
    material = Material(None, shipped())
    try:
        material.own = mine(folder)
    except NoHistory as error:
        material.notes.append(f"no git history ({error.message}): the scenario shipped with MetaQore is used")
        return material
    if material.pieces is not material.own:
        material.notes.append(
            f"{len(material.own.edits)} concurrent edits and {len(material.own.collisions)} collisions are too few: "
            "files of the shipped scenario are used"
        )
    return material


class Drive:
    """One run. ``lessons`` and ``webhooks`` are for the report."""

    def __init__(
        self, installation: Installation, folder: Path, record: Record, display: Display, receiver: Receiver,
        cloud: Listener,
    ) -> None:  # fmt: skip
        self.installation = installation
        self._folder = folder
        self._record = record
        self._display = display
        self._receiver = receiver
        self._cloud = cloud
        self._agents: list[Agent] = []
        self._developer: Agent | None = None
        self._secret = ""
        self.material: Material | None = None
        self.lessons: list[Lesson] = []
        self.webhooks: list[Received] = []
        #: Set when all processes are ready.
        self.ready = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Do everything; what goes wrong is kept in ``failure``, since this runs in a thread of its own."""
        try:
            self._run()
        except BaseException as error:
            self.failure = error

    def _run(self) -> None:
        say, act = self._display.say, self._display.act
        with act("start"):
            self.material = material = look(self._folder)
            source = material.own or material.shipped
            for note in material.notes:
                say(note)
            self.ready.wait()
            say(f"{source.source}: {source.commits} commits, {len(source.changes)} changes")
        developer, agents = self._people()
        with act("merge"):
            project = developer.make("/projects", {"name": "adaptive", "mode": "adaptive"})["id"]
            pieces = material.pieces
            merges = pieces.edits[MOST_BLOCKED:][:MOST_MERGES]
            artifacts.merge_at_once(agents, project, merges, self._record, say)
        with act("block and fix"):
            strict = developer.make("/projects", {"name": "strict", "mode": "strict"})["id"]
            blocked = pieces.edits[:MOST_BLOCKED], pieces.collisions[:MOST_BLOCKED]
            artifacts.block_and_fix(agents, strict, *blocked, self._record, say)
        with act("dependencies"):
            dependencies.declare_distributions(agents, project, installed(), self._record, say)
        with act("veto"):
            answer = calls.try_to_leak(agents[0], self._cloud, self._record)
            say(f"a call with a private key to a cloud provider: {answer.fate}")
        self._learn(developer, agents, material)
        with act("webhooks"):
            self._look_at_webhooks()

    def _people(self) -> tuple[Agent, list[Agent]]:
        """Return who has the development key, and agents with keys that it made."""
        pool = urllib3.PoolManager(maxsize=64, retries=False)
        url, record = self.installation.url, self._record
        developer = Agent("developer", self.installation.key, url, pool, record)
        agents = []
        for name in NAMES:
            made = developer.make("/keys", {"name": name, "principal": name, "scopes": list(SCOPES)})
            agents.append(Agent(name, made["secret"], url, pool, record))
        self._secret = developer.make("/webhooks", {"url": self._receiver.url, "events": EVENTS})["secret"]
        return developer, agents

    def _learn(self, developer: Agent, agents: list[Agent], material: Material) -> None:
        display = self._display
        school = School(developer, agents, self.installation.settings, self._record, display)
        if material.own is not None:
            self.lessons.append(school.teach("own", material.own))
        if not any(lesson.active for lesson in self.lessons):
            if self.lessons:
                why = "; ".join(self.lessons[0].reasons)
                note = f"no specialist for the changes of this history ({why}): those of the shipped scenario are used"
                material.notes.append(note)
            self.lessons.append(school.teach("harbour", material.shipped))
        last, record = self.lessons[-1], self._record
        asked = [each for each in record.submissions if each.kind == "llm.generate" and each.act == "calls"]
        answered = sum(each.fate == "accepted" for each in asked)
        record.check("model calls are answered", answered >= 0.9 * len(asked) > 0, f"{answered} of {len(asked)}")
        record.check("model calls go out in batches", record.largest_batch() > 1,
                     f"the largest batch has {record.largest_batch()} calls")  # fmt: skip
        record.check("a repeated pattern is found", bool(last.specialist or last.stages), "; ".join(last.reasons[:1])
                     or f"{last.asked} calls of {len(agents)} agents with one template")  # fmt: skip
        record.check("a specialist is trained and passes the gate", last.active, _gate(last))
        if last.active:
            total, right, routed, good = last.later
            record.check("the specialist is right on later changes", total > 0 and good >= 0.9 * routed,
                         f"{right} of {total} as its teacher; of {routed} it would answer itself, {good}")  # fmt: skip
            again, served, same = last.served
            record.check("the specialist answers calls in its teacher's place", served > 0 and same >= 0.9 * served,
                         f"{served} of {again}, {same} with its teacher's answer; no tokens bought")  # fmt: skip

    def _look_at_webhooks(self) -> None:
        arrived = self._receiver.wait_for(AWAITED, _WEBHOOK_PATIENCE_S)
        self.webhooks = received = self._receiver.received
        signed = [each for each in received if is_signed(each, self._secret)]
        self._record.check("signed webhooks arrive", arrived and len(signed) == len(received) > 0,
                           f"{len(signed)} of {len(received)} signatures hold")  # fmt: skip
        forged = [Received(each.headers, each.body.replace(b'"', b" ", 1)) for each in received]
        refused = sum(not is_signed(each, self._secret) for each in forged)
        self._record.check("a changed webhook is refused", refused == len(forged) > 0, f"{refused} of {len(forged)}")
        self._display.say(f"{len(signed)} of {len(received)} signatures verified")


def _gate(lesson: Lesson) -> str:
    if not lesson.active:
        return "; ".join(lesson.reasons) or "nothing was learnt"
    gate = lesson.gate
    return f"{gate['accuracy']:.1%} of {gate['examples']} unseen changes right, {gate['coverage']:.0%} answered"
