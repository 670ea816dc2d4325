"""What SecureGateway says: labels, findings, threats, assessments, decisions.

Values only; nothing here reads a file or a clock. ``assessment.py`` makes an :class:`Assessment` from a payload,
``policy.py`` makes a :class:`Decision` from an assessment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from metaqore.errors import InvalidInput


class Label(IntEnum):
    """Sensitivity of a payload, ordered: a larger label is more sensitive."""

    PUBLIC = 0
    INTERNAL = 1
    SENSITIVE = 2
    CRITICAL = 3

    @classmethod
    def parse(cls, text: str) -> Label:
        """Return the label of that name, in any case.

        Raises:
            InvalidInput: there is no such label.
        """
        try:
            return cls[text.strip().upper()]
        except KeyError:
            known = ", ".join(label.name for label in cls)
            raise InvalidInput(f"{text!r} is no sensitivity label: use one of {known}") from None

    @classmethod
    def join(cls, *labels: Label) -> Label:
        """Return the least label that is at least each of ``labels``; PUBLIC for none."""
        return max(labels, default=cls.PUBLIC)


class Position(StrEnum):
    """Where a text comes from."""

    USER = "user"
    TOOL_OUTPUT = "tool_output"
    MEMORY = "memory"
    ARTIFACT = "artifact"
    #: What a model said, to somebody who asked it.
    ANSWER = "answer"

    @property
    def is_indirect(self) -> bool:
        """True where nobody asked for instructions."""
        return self not in (Position.USER, Position.ANSWER)


class Verdict(StrEnum):
    """The two answers of SecureGateway."""

    APPROVED = "approved"
    VETOED = "vetoed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in the payload that raises its label. Never holds the value itself."""

    #: What it is: ``payment_card``, ``email``, ``private_key`` …
    type: str
    #: Id of the rule that found it.
    rule: str
    label: Label
    #: In (0, 1].
    confidence: float
    #: JSON pointer (RFC 6901) of the string or number that holds it; None in a plain text.
    pointer: str | None
    #: Characters ``[start, end)`` of that string, or of the text.
    start: int
    end: int
    #: The layer it was found under: ``plain``, ``base64``, ``hex``, ``rot13``, ``url`` … Other than ``plain``,
    #: ``start`` and ``end`` span the encoded piece.
    view: str = "plain"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, ``label`` by its name."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Threat:
    """One sign of an attack on the agent that will read the payload."""

    #: ``prompt_injection``, ``jailbreak``, ``prompt_extraction``, ``data_exfiltration``, ``tool_abuse``,
    #: ``artifact_poisoning``; of answers ``active_content`` and ``prompt_leakage`` too.
    family: str
    rule: str
    #: Why it is one, for a person to read.
    explanation: str
    #: In (0, 1].
    confidence: float
    #: True in ``tool_output``, ``memory`` and ``artifact``.
    indirect: bool
    pointer: str | None
    start: int
    end: int
    view: str = "plain"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Context:
    """What the caller declares about a payload. A declaration raises the label, never lowers it."""

    task_type: str = ""
    agent_name: str = ""
    has_private_data: bool = False
    has_sensitive_data: bool = False
    is_security_task: bool = False
    declared_label: Label | None = None
    #: Labels of everything that the payload was made from.
    inherited: tuple[Label, ...] = ()
    position: Position = Position.USER
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """The label of a payload and why. ``label`` is the join of the other three."""

    label: Label
    #: From flags, task type, agent and ``declared_label``.
    declared: Label
    #: From the payload itself.
    content: Label
    #: The join of ``Context.inherited``.
    inherited: Label
    findings: tuple[Finding, ...]
    threats: tuple[Threat, ...]
    #: Sentences for a person, strongest first. No values from the payload.
    reasons: tuple[str, ...]
    #: Characters looked at.
    size: int
    #: Digest of rules and weights, so that a stored assessment says what made it.
    engine: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, labels by name."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What is known of one model provider."""

    #: Runs where the data already is; a label that may not leave may go there.
    local: bool
    available: bool
    #: Where it runs, as ``config/providers.yaml`` says.
    region: str = ""
    #: Why it may not be used although it is there, e.g. that it was stopped.
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class Duties:
    """What has to be done with an approved payload on its way to one provider and back."""

    #: Findings of this label and above are replaced by names, and put back in the answer.
    redact: Label | None = None
    #: The answer may not be longer.
    max_tokens: int | None = None

    def join(self, other: Duties) -> Duties:
        """Return the stricter of both, each part by itself."""
        if self == other:
            return self
        redact = [label for label in (self.redact, other.redact) if label is not None]
        tokens = [most for most in (self.max_tokens, other.max_tokens) if most is not None]
        return Duties(min(redact, default=None), min(tokens, default=None))

    def names(self) -> tuple[str, ...]:
        """Return the duties as obligations."""
        redact = () if self.redact is None else (f"redact:{self.redact.name}",)
        return (*redact, *(() if self.max_tokens is None else (f"limit_tokens:{self.max_tokens}",)))


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """May this payload go to a provider, and to which."""

    verdict: Verdict
    reasons: tuple[str, ...]
    #: Ids of the rules that decided, e.g. ``routing.sensitive.local``.
    rules: tuple[str, ...]
    policy: str
    policy_version: int
    #: ``sha256:…`` of the policy file's content.
    policy_digest: str
    label: Label | None
    #: Names, local first, then by name.
    providers_allowed: tuple[str, ...]
    #: The provider to use: the requested one where it is allowed, else the first allowed one.
    provider_recommended: str | None
    #: What the caller must do with an approved payload, e.g. ``keep_local``, ``no_cache``, ``redact:CRITICAL``.
    obligations: tuple[str, ...]
    #: What rules in mode ``warn`` have to say: "id@version: message".
    warnings: tuple[str, ...] = ()
    #: Rules in mode ``shadow`` that matched: recorded, never told.
    shadow: tuple[str, ...] = ()
    #: Scopes that have to approve before this can be allowed; nothing else stands in the way.
    approvals: tuple[str, ...] = ()
    #: Duties by allowed provider; who has none is left out.
    duties: Mapping[str, Duties] = {}
    #: The documents that were asked.
    layers: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {name: _plain(getattr(self, name)) for name in self.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, Label):
        return value.name
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Duties):
        return list(value.names())
    if isinstance(value, Finding | Threat):
        return value.to_dict()
    return value
