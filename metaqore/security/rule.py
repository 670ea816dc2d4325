"""One policy rule: when it holds, what follows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from metaqore.security import cel_syntax as cel
from metaqore.security.cel_compile import Test
from metaqore.security.constraints import Demands
from metaqore.security.model import Label


class Effect(StrEnum):
    """What follows where a rule matches. None of them can loosen what another one, or the routing, forbids."""

    #: Where a policy denies whatever is not allowed: allowed by this policy.
    ALLOW = "allow"
    DENY = "deny"
    #: Findings of a label and above are replaced by names before anything leaves, and put back in the answer.
    REDACT = "redact"
    #: Denied until somebody with a scope has approved exactly this payload.
    REQUIRE_APPROVAL = "require_approval"
    RAISE_LABEL = "raise_label"
    #: The answer may not be longer.
    LIMIT_TOKENS = "limit_tokens"


class RuleMode(StrEnum):
    """``enforce`` acts, ``warn`` tells the caller, ``shadow`` is only recorded."""

    ENFORCE = "enforce"
    WARN = "warn"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule, checked and compiled."""

    id: str
    version: int
    mode: RuleMode
    effect: Effect
    #: redact: from which label on; raise_label: to which; limit_tokens: how many; require_approval: whose scope.
    argument: Label | int | str | None
    #: The condition as it was written.
    when: str
    message: str
    tree: cel.Node
    test: Test
    #: The facts that it looks at.
    facts: frozenset[str]
    demands: Demands
    #: Place in its file, from 0.
    position: int

    @property
    def name(self) -> str:
        """``id@version``."""
        return f"{self.id}@{self.version}"
