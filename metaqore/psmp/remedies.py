"""Ready requests that take a blocked proposal's conflicts away; each was decided before it is offered. Pure.

A remedy is for one state of the world: it carries the head as ``If-Match``, and says whose place it takes
(``replaces``). Sent unchanged it is admitted, or answered with 412 because the world has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import msgspec

from metaqore.canonical import canonical_json, sha256_hex
from metaqore.clock import to_rfc3339
from metaqore.psmp import edits, fixes
from metaqore.psmp.edits import Payload
from metaqore.psmp.minimal_core import Cause, Core
from metaqore.psmp.proposals import Proposal
from metaqore.psmp.rebasing import on_head
from metaqore.psmp.scene import Fix, Scene

#: How long an offer stands, in milliseconds; what it is tried against may have moved long before.
STANDS_MS = 3_600_000
#: Most declarations that are offered for one proposal.
MAX_OFFERED = 6
#: Most causes whose fixes are compared; of more, each gets the one that is surest to help.
MAX_APART = 8

#: (kind of request, payload, author) → whether it would be approved.
Try = Callable[[str, Payload, str], bool]


class Plan(msgspec.Struct, frozen=True):
    """A declaration in place of the blocked one, and the fixes that make it."""

    payload: Payload
    fixes: tuple[Fix, ...]


def declarations(proposal: Proposal, core: Core, scene: Scene, would: Try) -> Iterator[Plan]:
    """Yield declarations that would be admitted in place of a proposal, the gentlest first."""
    choices = [_that_help(cause, core, scene, proposal, would) for cause in core.causes]
    if not all(choices):
        return
    if all(cause.pointer != "/base_version" for cause in core.causes):
        # A mode that would merge a stale base is given the merge itself, which is the same on this head alone.
        choices += [onto[:1]] if (onto := on_head(scene)) else []
    seen: set[bytes] = set()
    for chosen in _few(choices):
        payload = edits.apply(scene.payload, [(fix.pointer, fix.edit) for fix in chosen])
        key = canonical_json(payload)
        if key not in seen:
            seen.add(key)
            if would("artifact.declare", conditional(payload, proposal.id, scene.head_of(payload)), proposal.author):
                yield Plan(payload, chosen)


def _that_help(cause: Cause, core: Core, scene: Scene, proposal: Proposal, would: Try) -> list[Fix]:
    """Return the fixes of a cause that would do, were all other causes gone."""
    found = fixes.fixes_for(cause, scene)
    if len(core.causes) == 1 or len(found) == 1:
        return found
    if len(core.causes) > MAX_APART:
        return [fix for fix in found if fix.kind == "rebase" or fix.kind.startswith("drop_")][:1] or found[-1:]
    others = [other.pointer for other in core.causes if other is not cause]
    gone = [(at, lambda p, at=at: edits.without(p, [at], scene.head, scene.head_content)) for at in others]
    return [
        fix for fix in found
        if would("artifact.declare", edits.apply(scene.payload, [*gone, (fix.pointer, fix.edit)]), proposal.author)
    ]  # fmt: skip


def _few(choices: Sequence[Sequence[Fix]]) -> Iterator[tuple[Fix, ...]]:
    """Yield the first choice of all, then each other choice with the first of the rest; all of them where few."""
    if len(choices) <= 2:
        yield from product(*choices)
        return
    first = tuple(choice[0] for choice in choices)
    yield first
    for index, choice in enumerate(choices):
        for other in choice[1:]:
            yield (*first[:index], other, *first[index + 1 :])


def conditional(payload: Payload, proposal: str, head: int) -> Payload:
    """Return a declaration that counts only for this head, in place of this proposal."""
    return {**payload, "replaces": proposal, "if_match": head}


def offer(
    *, kind: str, what: str, url: str, body: Mapping[str, Any], head: int, scope: str, principal: str | None,
    resolves: Sequence[str], proposal: str, now: int,
) -> dict[str, Any]:  # fmt: skip
    """Return a remedy as callers see it.

    Its idempotency key is of this one offer: sent twice it has one effect, and what a later report offers is not
    answered with what became of an earlier one.
    """
    condition = {"If-Match": f'"{head}"'} if head else {"If-None-Match": "*"}
    token = sha256_hex(canonical_json([proposal, url, head, now, dict(body)])).removeprefix("sha256:")[:32]
    return {
        "kind": kind,
        "what": what,
        "resolves": list(resolves),
        "predicted_verdict": "approved",
        "needs_scope": scope,
        "principal": principal,
        "expires_at": to_rfc3339(now + STANDS_MS),
        "request": {
            "method": "POST",
            "url": url,
            "headers": {**condition, "Idempotency-Key": f"remedy-{token}"},
            "body": dict(body),
        },
    }
