"""Conditions on a request: it counts only while the world is as its sender has seen it. Pure but for the look-ups.

``if_match`` is the version of the head (0: there is none), as in HTTP (RFC 9110 §13.1): another one is refused with
``precondition_failed`` (412), inside the deciding transaction. A request under a condition is made for one state of
the world; whatever else keeps it from being approved is answered in the same way, and nothing of it is kept.
"""

from __future__ import annotations

from typing import Protocol

from metaqore.messages import Outcome, Verdict, failed
from metaqore.psmp.ports import PsmpReads

#: The fields of a declaration that are no part of what is declared.
CONDITIONS = frozenset({"if_match", "replaces"})
UNMET = "precondition_failed"
#: Refusals that say something of the caller, not of the world.
_OF_THE_CALLER = frozenset({"forbidden", "not_found", UNMET})


class Conditional(Protocol):
    """A payload that may have a condition."""

    @property
    def if_match(self) -> int | None:
        """The version that the head must have."""


class Named(Protocol):
    """What an artifact is known by within its project."""

    @property
    def type(self) -> str:
        """Its type."""

    @property
    def name(self) -> str:
        """Its name."""


def head_of(reads: PsmpReads, project: str, named: Named) -> int:
    """Return the present version of an artifact; 0 where there is none."""
    heads = reads.heads([(project, named.type, named.name)], ())
    return heads[0].head if heads else 0


def unmet(if_match: int | None, head: int, named: Named) -> Outcome | None:
    """Return the refusal of a request whose ``if_match`` is not the head."""
    if if_match is None or if_match == head:
        return None
    return failed(UNMET, f"{named.type}/{named.name} is at version {head}, not {if_match}: read it again")


def or_unmet(asked: Conditional, outcome: Outcome) -> Outcome:
    """Return the outcome of a request that changes nothing under a condition unless it is approved."""
    if asked.if_match is None or outcome.verdict is Verdict.APPROVED:
        return outcome
    return missed(outcome)


def missed(outcome: Outcome) -> Outcome:
    """Return the refusal that takes the place of an outcome that was not hoped for."""
    if outcome.error is not None:
        if outcome.retryable or outcome.error["code"] in _OF_THE_CALLER:
            return outcome
        return failed(UNMET, f"the world has moved: {outcome.error['message']}")
    conflicts = outcome.result.get("blocking_report", {}).get("conflicts", ())
    why = "; ".join(conflict["message"] for conflict in conflicts) or "it is blocked now"
    return failed(UNMET, f"the world has moved: {why}")
