"""What specialists are made of: recorded calls, patterns found in them, and what was measured about a specialist.

Values only. A *teacher* is the large model whose recorded answers a specialist learns; a *specialist* answers in its
place where its confidence is high enough; *routed* means that it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

#: Sensitivity labels, least sensitive first.
SENSITIVITIES = ("PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL")


class TaskEvent(msgspec.Struct, frozen=True):
    """One recorded model call."""

    organization: str
    agent: str
    #: Key of the template it was assembled from (id and content hash), None where the caller made the prompt.
    template: str | None
    #: The whole prompt as one text.
    prompt: str
    #: The teacher's answer.
    output: str
    #: Prompt and answer together.
    tokens: int
    #: Sensitivity label that SecureGateway gave the call.
    label: str
    #: Milliseconds since the epoch.
    at: int
    #: None where the call was made outside of every project.
    project: str | None = None


class Signature(msgspec.Struct, frozen=True):
    """What the prompts of one task have in common."""

    kind: Literal["template", "head"]
    #: The template's key; or the first masked tokens, joined by a space.
    value: str
    #: Longer heads that are tasks of their own and do not belong to this one.
    without: tuple[str, ...] = ()


class OutputType(msgspec.Struct, frozen=True):
    """What kind of answers a task has."""

    kind: Literal["closed_label_set", "json_fields", "constant", "free_text"]
    #: Canonical answers, most frequent first; empty for free text.
    labels: tuple[str, ...] = ()
    #: Share of all answers that ``labels`` cover, 0 to 1.
    mass: float = 0.0
    #: For ``json_fields``: field → number of different values.
    fields: Mapping[str, int] = {}


class Pattern(msgspec.Struct, frozen=True):
    """A task that repeats. ``reasons`` says why it is not proposed; empty means it is."""

    organization: str
    signature: Signature
    events: int
    agents: int
    tokens: int
    output: OutputType
    first_at: int
    last_at: int
    #: Events that a certificate needs at the very least.
    needed: int
    reasons: tuple[str, ...] = ()

    @property
    def proposed(self) -> bool:
        """Whether a specialist should be trained."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that ``from_json`` reads back."""
        built: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return built

    @classmethod
    def from_json(cls, stored: object) -> Pattern:
        """Return the pattern that ``to_json`` wrote."""
        return msgspec.convert(stored, cls)


class Certificate(msgspec.Struct, frozen=True):
    """A threshold with a guarantee.

    With probability of at least 1 - ``delta`` over the calibration sample, at most ``alpha`` of the routed tasks
    disagree with the teacher, as long as traffic stays exchangeable with calibration. No more than that.
    """

    #: Least confidence at which the specialist answers.
    threshold: float
    alpha: float
    delta: float
    #: Calibration examples at or above the threshold, and how many of them disagreed with the teacher.
    routed: int
    errors: int
    p_value: float
    #: Thresholds that were tested before the sequence ended.
    tested: int


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the text is cut into: word n-grams, and character n-grams within words; 2^bits hash columns for each."""

    words: tuple[int, int]
    chars: tuple[int, int]
    bits: int = 18


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fixed text around the payload of a task's prompts. A prompt without it is not of the task."""

    prefix: str
    suffix: str

    def payload(self, prompt: str) -> str | None:
        """Return what stands between prefix and suffix, None where the prompt does not have them."""
        fits = (
            len(prompt) >= len(self.prefix) + len(self.suffix)
            and prompt.startswith(self.prefix)
            and prompt.endswith(self.suffix)
        )
        return prompt[len(self.prefix) : len(prompt) - len(self.suffix)] if fits else None


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The domain: payloads no longer than ``max_chars`` of which at most ``max_novelty`` was never seen."""

    max_chars: int
    #: Share of a payload's features that did not occur in training.
    max_novelty: float


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of the examples: how many, and from when to when (ms)."""

    examples: int
    first_at: int
    last_at: int


class Specialist(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trained specialist without its weights: the manifest that is stored, hashed and shown."""

    format: Literal[1] = 1
    organization: str
    signature: Signature
    labels: tuple[str, ...]
    features: Features
    frame: Frame
    guard: Guard
    #: None where no threshold could be certified: such a specialist never answers.
    certificate: Certificate | None
    #: Highest label among the examples.
    sensitivity: str
    #: train, calibration and gate, each later than the one before.
    blocks: dict[str, Block]
    measures: dict[str, float]
    data_hash: str
    policy_hash: str
    weights_hash: str
    seed: int
    #: Library → version that it was trained with.
    libraries: dict[str, str]
    #: The projects in which it may answer, because it learnt enough of their calls; "" is outside of every project.
    projects: tuple[str, ...] = ()


class StageResult(msgspec.Struct, frozen=True):
    """One stage of the gate: what was measured, what was allowed, and why it failed if it did."""

    stage: str
    passed: bool
    measures: Mapping[str, float | int | str | bool | None] = {}
    limits: Mapping[str, float | int | str] = {}
    reasons: tuple[str, ...] = ()


class GateReport(msgspec.Struct, frozen=True):
    """All stages. A gate without a stage has not been passed."""

    stages: tuple[StageResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every stage passed."""
        return bool(self.stages) and all(stage.passed for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object, ``passed`` and all reasons included."""
        stages = msgspec.json.decode(msgspec.json.encode(self.stages))
        reasons = [f"{stage.stage}: {reason}" for stage in self.stages for reason in stage.reasons]
        return {"passed": self.passed, "stages": stages, "reasons": reasons}


class Prediction(msgspec.Struct, frozen=True):
    """A specialist's answer to one prompt."""

    #: What it would answer.
    answer: str
    #: 0 to 1; 0 where the prompt is outside its domain.
    confidence: float
    #: Whether it answers: inside its domain, and confident enough for its certificate.
    routed: bool
