"""HMCP's policy, as ``config/hmcp.yaml`` states it. Every key is required and nothing unknown is accepted."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from metaqore import strict_yaml
from metaqore.canonical import content_hash
from metaqore.errors import SettingsError
from metaqore.hmcp.certify import required_samples

#: Every stage there is, all of them mandatory.
STAGES = ("functional", "forgetting", "adversarial", "psmp_compatibility")

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Risk = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every part of the policy."""


class Scope(Strict, frozen=True):
    """Which calls may be looked at."""

    sensitivity_max: Literal["PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL"]


class Head(Strict, frozen=True):
    """How many masked tokens make a signature."""

    min_tokens: Annotated[int, msgspec.Meta(ge=1, le=32)]
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=32)]


class PrivacyFloor(Strict, frozen=True):
    """Patterns below this are not shown at all."""

    events: Count
    agents: Count


class Trigger(Strict, frozen=True):
    """When building pays: tokens spent, net of audit, reach ``ski_rental`` × ``build_cost_tokens``."""

    build_cost_tokens: Annotated[int, msgspec.Meta(ge=0)]
    ski_rental: Annotated[float, msgspec.Meta(ge=0)]
    audit_rate: Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Discover(Strict, frozen=True):
    """How patterns are found."""

    window_days: Count
    head: Head
    privacy_floor: PrivacyFloor
    trigger: Trigger


class Output(Strict, frozen=True):
    """Which answers count as a closed set."""

    max_labels: Annotated[int, msgspec.Meta(ge=2, le=1000)]
    min_label_events: Count
    min_mass: Share
    max_label_chars: Count


class Split(Strict, frozen=True):
    """Shares of the examples by time, oldest first. They add up to 1."""

    train: Risk
    calibration: Risk
    gate: Risk


class Train(Strict, frozen=True):
    """How a specialist is trained."""

    max_examples: Annotated[int, msgspec.Meta(ge=20, le=100_000)]
    near_duplicate: Risk
    split: Split
    folds: Annotated[int, msgspec.Meta(ge=2, le=20)]
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Certify(Strict, frozen=True):
    """The guarantee: see ``model.Certificate``."""

    alpha: Risk
    delta: Risk
    max_teacher_noise: Share
    min_repeats: Count


class Route(Strict, frozen=True):
    """When a specialist may be asked, and how it is watched: see ``routing`` and ``watch``."""

    ttl_days: Count
    min_project_calls: Count
    arl: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)]
    max_observations: Annotated[int, msgspec.Meta(ge=100, le=100_000)]


class Functional(Strict, frozen=True):
    """Limits of the functional stage."""

    min_coverage: Share
    max_latency_ms: Positive
    max_size_mb: Positive


class Forgetting(Strict, frozen=True):
    """How much worse than the active specialist a new one may be, in accuracy."""

    max_drop: Share
    max_label_drop: Share
    min_label_cases: Count


class Adversarial(Strict, frozen=True):
    """Limits under attack; ``homoglyph`` and ``zero_width`` in multiples of alpha."""

    homoglyph: Positive
    zero_width: Positive
    padding_flip: Share
    injection_flip: Share
    min_cases: Count
    #: Shares of foreign and of hostile payloads that may be answered, and how many are tried.
    foreign_routed: Share
    hostile_routed: Share
    foreign_cases: Count
    hostile_cases: Count
    #: Fewer of either say nothing.
    min_foreign: Count


class Gate(Strict, frozen=True):
    """The stages, all of which must pass."""

    stages: tuple[str, ...]
    functional: Functional
    forgetting: Forgetting
    adversarial: Adversarial


class Policy(Strict, frozen=True):
    """The whole file."""

    version: Literal[1]
    scope: Scope
    discover: Discover
    output: Output
    train: Train
    certify: Certify
    route: Route
    gate: Gate

    @property
    def digest(self) -> str:
        """SHA-256 of the policy's content, ``sha256:<hex>``."""
        return content_hash(msgspec.json.decode(msgspec.json.encode(self)))

    @property
    def needed_events(self) -> int:
        """Events below which no certificate is possible, even without a single error."""
        least = required_samples(self.certify.alpha, self.certify.delta)
        return max(self.discover.privacy_floor.events, math.ceil(least / self.train.split.calibration))


def load(path: Path) -> Policy:
    """Return the policy of the file.

    Raises:
        SettingsError: the file cannot be read or is not understood; the message says where and what is allowed.
    """
    return parse(strict_yaml.read(path), source=str(path))


@lru_cache(maxsize=8)
def parse(text: str, *, source: str = "hmcp") -> Policy:
    """Return the policy of the YAML text. Raises like ``load``."""
    policy = strict_yaml.parse(text, Policy, source=source)
    for problem in _problems(policy):
        raise SettingsError(f"{source}: {problem}")
    return policy


def _problems(policy: Policy) -> list[str]:
    """What types alone cannot say."""
    found = []
    head, split, stages = policy.discover.head, policy.train.split, policy.gate.stages
    if head.min_tokens > head.max_tokens:
        found.append("at `$.discover.head`: min_tokens must not exceed max_tokens")
    if abs(split.train + split.calibration + split.gate - 1) > 1e-9:
        found.append("at `$.train.split`: train, calibration and gate must add up to 1")
    if sorted(stages) != sorted(STAGES):
        found.append(f"at `$.gate.stages`: each of {', '.join(STAGES)} exactly once, not {', '.join(stages) or 'none'}")
    return found
