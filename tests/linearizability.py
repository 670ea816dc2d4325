"""A checker of linearizability for versions of one artifact.

Wing and Gong, "Testing and verifying concurrent objects" (JPDC 17, 1993), with Lowe's memory of what was tried
("Testing for linearizability", 2017): put first any call that no other had ended before it began, do it on the model,
and go on with the rest; a call whose answer the model would not give there cannot be first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

#: The model: the head's version and content. (0, None) where nothing was declared yet.
Register = tuple[int, Any]
NEVER = float("inf")
BLOCKED = "blocked"


class Call(NamedTuple):
    """One call by one agent, from ``began`` to ``ended`` on a clock that all agents share.

    ``kind`` is ``declare``, with (base, content) given and the version or ``BLOCKED`` told; or ``read``, with the head
    told as (version, content). A call that was never answered has ``ended`` NEVER: it may have happened or not.
    """

    kind: str
    given: Any
    told: Any
    began: float
    ended: float


def after(state: Register, call: Call) -> Register | None:
    """Return the state after a call, or None where its answer does not fit."""
    version, _ = state
    if call.kind == "read":
        return state if call.told == state else None
    base, content = call.given
    admitted = base == version
    if call.ended == NEVER:
        # Where it would change nothing it need not have happened at all: not looking there keeps the search small.
        return (version + 1, content) if admitted else None
    if call.told == BLOCKED:
        return None if admitted else state
    return (version + 1, content) if admitted and call.told == version + 1 else None


def linearizable(history: Sequence[Call], start: Register = (0, None)) -> bool:
    """Return whether the calls could have been done one after the other, each somewhere between its two ends."""
    calls = sorted(history, key=lambda call: call.began)
    answered = sum(1 << at for at, call in enumerate(calls) if call.ended != NEVER)
    tried: set[tuple[int, Register]] = set()
    stack: list[tuple[int, Register]] = [(0, start)]
    while stack:
        done, state = stack.pop()
        if done & answered == answered:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        ends = min(call.ended for at, call in enumerate(calls) if not done >> at & 1)
        for at, call in enumerate(calls):
            if call.began > ends:
                break
            following = None if done >> at & 1 else after(state, call)
            if following is not None:
                stack.append((done | 1 << at, following))
    return False
