"""Moves along a lifecycle: is there such a move, and may this principal make it? Pure.

Which checks a move asks for is decided here; whether they hold is looked up by whoever makes the move.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from metaqore.psmp.policy import Lifecycle, Move, Subject


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A move that may not be made."""

    message: str
    legal: tuple[str, ...]
    #: The scopes or roles that it needs; empty where it is the lifecycle that refuses.
    needs: tuple[str, ...] = ()
    #: The check that does not hold; empty where there is no such move at all.
    check: str = ""


def ask(lifecycle: Lifecycle, what: str, state: str, to: str, *, held: Collection[str]) -> Move | Refused:
    """Return the move, or why it may not be made.

    Args:
        what: how messages name the thing, e.g. ``project prj_1``.
        held: the scopes of the principal and its roles towards the thing.
    """
    legal = lifecycle.legal(state)
    move = lifecycle.move(state, to)
    if move is None:
        return Refused(
            message=f"{what} is {state}: it may go to {', '.join(legal) or 'no other state'}, not to {to!r}",
            legal=legal,
        )
    if move.who and not set(move.who) & set(held):
        who = " or ".join(move.who)
        return Refused(message=f"{what}: only {who} may move it from {state} to {to}", legal=legal, needs=move.who)
    return move


def unmet(check: str, what: str, state: str, to: str, found: str, legal: tuple[str, ...]) -> Refused:
    """Return the refusal of a move that asks for a check which does not hold."""
    message = f"{what} cannot go from {state} to {to} ({check}): {found}"
    return Refused(message=message, legal=legal, check=check)


def roles(subject: Subject, principal: str, *, owner: str, creator: str, assignee: str | None = None) -> set[str]:
    """Return the roles of a principal towards a thing."""
    found = {"owner"} if principal == owner else set()
    if principal == creator:
        found.add("creator")
    if subject == "task" and principal == assignee:
        found.add("assignee")
    return found
