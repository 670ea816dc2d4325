"""Scenarios, and the cases that are made of them.

Sources of the families: OWASP Top 10 for LLM applications 2025 (LLM01–LLM10), OWASP Top 10 for agentic applications
2026 (ASI01–ASI10).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

#: What an attack is after.
Mode = Literal["instruction_ignore", "prompt_leakage", "artifact_poisoning", "delayed_failure"]
#: ``setup`` must succeed; ``plant`` may be stopped, which is early; ``act`` must be stopped.
Role = Literal["setup", "plant", "act"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]
#: One disguise, or several one upon the other, the innermost first: ``rot13+base64``.
Disguise = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*(\+[a-z][a-z0-9_]*){0,3}\Z")]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of everything that is read from files."""


class Step(Strict, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One HTTP call. ``$name`` in path, key, headers and body stands for a variable; ``$$`` is a dollar sign."""

    role: Role
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    #: After ``/api/v1``.
    path: str
    body: Any = None
    headers: dict[str, str] = {}
    #: Who calls: one of ``metaqore.cli.attack.people.PEOPLE``.
    by: Name = "agent"
    #: A key instead, such as one that an earlier step made.
    key: str | None = None
    #: Variable → JSON pointer into the answer's body. What is saved is there for the steps after it.
    save: dict[Name, str] = {}
    #: Sent so many times; for ``act`` the last one must be stopped.
    times: Annotated[int, msgspec.Meta(ge=1, le=500)] = 1
    #: What the model answers: the attack is in the answer. Needs a provider that says what it is told.
    says: str | None = None
    #: A piece of the answer; where it is nowhere in what the caller gets, the attack counts as stopped.
    hides: str | None = None
    #: How a step that prepares must end, where it is not to pass.
    ends: Literal["passed", "vetoed", "blocked", "refused"] = "passed"
    #: That what it names is not there is the attack: a veto for that reason counts.
    unknown: bool = False
    #: It puts up what is to stop the attack. Left out where an engine is attacked without its guards.
    guard: bool = False
    #: Sent again and again for so long, until it is stopped: what takes effect within that time.
    within_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0


class Wanted(Strict, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Bounds of a family: least share of attacks that must be stopped, greatest share of controls that may be.

    Controls are written to look like attacks and wear the same disguises: of everyday texts far fewer are stopped,
    which ``make bench`` measures.
    """

    stopped: Share = 0.9
    false_positives: Share = 0.1


class Scenario(Strict, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One kind of attack, with controls that look like it and are innocent.

    ``texts`` are filled with ``words``, disguised by one of ``mutations``, planted in one of ``hosts`` and sent as
    ``$text`` by the steps. A scenario whose attack is in its steps has no texts, and names its ``control`` steps.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,79}\Z")]
    title: str
    families: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    mode: Mode | None = None
    #: Name of a sequence of steps that several scenarios share; or ``steps``.
    surface: Name | None = None
    steps: tuple[Step, ...] = ()
    #: Steps of a control; those of the attack where there are texts.
    control: tuple[Step, ...] = ()
    texts: tuple[str, ...] = ()
    #: Innocent texts that look like ``texts``.
    benign: tuple[str, ...] = ()
    #: Word → what may stand for it, before those of the suite.
    words: dict[Name, tuple[str, ...]] = {}
    #: Names of lists of innocent texts in which ``$payload`` is planted.
    hosts: tuple[Name, ...] = ()
    mutations: tuple[Disguise, ...] = ("plain",)
    #: More cases than this make no sense; None for any number.
    most: Annotated[int, msgspec.Meta(ge=1)] | None = None
    #: The texts address the model that reads them, so that a trained specialist may be tried with them.
    for_specialists: bool = True
    #: Why the engine is known to let this through; "" where it should not. Such a scenario is shown by itself and
    #: counts in no family's bounds.
    known_limit: str = ""
    #: What stops it though no setting, policy or scope asks for it; "" where something has to.
    built_in: str = ""


class Family(Strict, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A family and its bounds."""

    title: str
    wanted: Wanted = Wanted()
    #: What to do about an attack of it that went through.
    advice: str = ""
    #: What belongs to the family and cannot be governed from where MetaQore stands, and why; "" where nothing does.
    not_governed: str = ""


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to attack with."""

    families: dict[str, Family]
    surfaces: dict[str, tuple[Step, ...]]
    words: dict[str, tuple[str, ...]]
    hosts: dict[str, tuple[str, ...]]
    scenarios: tuple[Scenario, ...]
    #: Texts of many subjects and kinds that have nothing to do with any task; for specialists.
    foreign: tuple[str, ...]

    def families_of(self, scenario: Scenario) -> tuple[str, ...]:
        """Return the families in which a scenario counts: its own, and its mode."""
        return (*((scenario.mode,) if scenario.mode else ()), *scenario.families)

    def steps_of(self, scenario: Scenario, *, control: bool) -> tuple[Step, ...]:
        """Return the calls of an attack, or of its control."""
        own = self.surfaces[scenario.surface] if scenario.surface else scenario.steps
        return scenario.control if control and scenario.control else own


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One attack or control, ready to be sent."""

    scenario: str
    number: int
    is_control: bool
    mutation: str
    #: Before the disguise and without its host; "" where the attack is in the steps.
    plain: str
    #: What is sent as ``$text``.
    text: str
    steps: tuple[Step, ...]
    #: What names stand for in the steps: ``word``, made up for this case alone; ``name``, a file name that says the
    #: text; ``text`` and its parts, cut at blanks. ``$case`` is another one in each run, and belongs into no prompt.
    variables: dict[str, str]
