"""What rules can be about: the kinds of requests there are, and what a rule can do to each. Pure.

A rule about a kind that nobody ever sends, or that asks of a kind what is not known of it, would look like protection
and be none: it is refused when it is read.
"""

from __future__ import annotations

from functools import lru_cache

from metaqore.errors import InvalidInput
from metaqore.security import cel_syntax as cel
from metaqore.security.cel_check import check
from metaqore.security.cel_compile import compiled
from metaqore.security.constraints import conjuncts
from metaqore.security.facts import NOTHING
from metaqore.security.records import ALWAYS, DECISIONS

#: Every kind of request, held to the catalogue by a test.
KINDS = frozenset(
    """
    approval.answer approval.expire approval.open artifact.alias artifact.declare artifact.declassify
    artifact.delete artifact.quarantine artifact.register artifact.set_aside artifact.transition budget.release
    budget.set checkpoint.create checkpoint.delete checkpoint.hold checkpoint.prune compliance.export
    compliance.report conflict.resolve delivery.replay endpoint.delete endpoint.save endpoint.test erasure.cleaned
    history.replay hold.place hold.release intent.announce intent.withdraw key.create key.revoke key.rotate
    llm.generate patterns.discover payload.assess policy.reload policy.save project.provide project.restore
    project.save proposal.withdraw request.cancel retention.apply retention.save signing_key.rotate sink.add
    sink.remove specialist.retire specialist.review specialist.train stop.lift stop.set subject.erase subject.export
    task.save token.create token.revoke
    """.split()
)
#: Of these no approval can be asked: they are how one is given.
APPROVALS = frozenset({"approval.open", "approval.answer", "approval.expire"})


def kinds_of(tree: cel.Node) -> frozenset[str]:
    """Return the kinds of requests for which a condition may hold, by its parts that look at nothing else."""
    found = KINDS
    for part in conjuncts(tree):
        found &= _kinds(part)
    return found


@lru_cache(maxsize=4096)
def _kinds(part: cel.Node) -> frozenset[str]:
    if _facts(part) != {"request.kind"}:
        return KINDS
    test = compiled(part)
    return frozenset(kind for kind in KINDS if test({**NOTHING, "request.kind": kind}))


def _facts(part: cel.Node) -> frozenset[str]:
    """Return the facts that a part of a condition looks at; none where it is the same for every request."""
    try:
        return check(part)
    except InvalidInput:
        return frozenset()


def why_never(kinds: frozenset[str], *, is_early: bool, approves: bool) -> str | None:
    """Return why a rule can do nothing; None where it can.

    Args:
        kinds: for which its condition may hold.
        is_early: it denies, or asks for an approval, and looks at nothing but ``request.*``.
        approves: it asks for an approval.
    """
    if not kinds:
        return f"no request is of such a kind: {', '.join(sorted(KINDS))}"
    if not is_early and not kinds & DECISIONS:
        held = " and ".join(sorted(DECISIONS))
        return (
            f"only {held} have a payload that rules look at: of other kinds a rule can deny, or require an approval, "
            "by request.* alone"
        )
    if kinds <= ALWAYS:
        return f"{', '.join(sorted(kinds))} cannot be held up"
    if approves and kinds <= ALWAYS | APPROVALS:
        return f"{', '.join(sorted(kinds))} cannot wait for an approval"
    return None
