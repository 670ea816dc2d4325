"""Prefix-aware batches: what is waiting, cut into pieces that are sent together.

Calls that share a static prefix go together and right after each other, because a provider's prompt cache is a
cache of prefixes. Calls that share theirs with nobody gain nothing from their own batch, so they fill common ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import msgspec


class Waiting(msgspec.Struct, frozen=True):
    """A call that waits. ``tokens`` is what it may cost: the prompt and the longest answer, estimated."""

    request_id: str
    provider: str
    model: str
    #: "" where the prompt has no static prefix.
    prefix_hash: str
    tokens: int
    accepted_at: int


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a batch may be, and how long (ms) a call may be passed over by others."""

    max_batch_tokens: int = 8192
    max_batch_size: int = 16
    max_wait_ms: int = 2000


class Batch(msgspec.Struct, frozen=True):
    """Calls for one provider and model, in arrival order."""

    provider: str
    model: str
    #: The prefix all of them share; "" where they share none.
    prefix_hash: str
    members: tuple[Waiting, ...]

    @property
    def tokens(self) -> int:
        """The members' tokens together."""
        return sum(member.tokens for member in self.members)

    @property
    def oldest_at(self) -> int:
        """When the member that waits longest was accepted."""
        return min(member.accepted_at for member in self.members)


def plan(waiting: Iterable[Waiting], limits: Limits, now: int, *, warm: Set[str] = frozenset()) -> list[Batch]:
    """Return all of ``waiting`` in batches, the one to send first in front.

    Within (provider, model, prefix) the order is that of ``waiting``; a batch is cut where the next member would
    exceed ``max_batch_tokens`` or ``max_batch_size``, and a member larger than a batch goes alone.

    Order of batches: first those with a member that has waited ``max_wait_ms`` or longer, oldest first; then those
    whose prefix is in ``warm`` (sent lately, so likely still cached); then the rest; each by oldest member. However
    hot a prefix is, a cold call is therefore behind only calls as old as itself once its wait is over.

    Args:
        now: milliseconds since the epoch.
        warm: prefix hashes.
    """
    batches = [batch for group in _groups(list(waiting)) for batch in _cut(group, limits)]

    def rank(batch: Batch) -> tuple[int, int]:
        overdue = now - batch.oldest_at >= limits.max_wait_ms
        cold = not (batch.prefix_hash and batch.prefix_hash in warm)
        return (0 if overdue else 1 + cold, batch.oldest_at)

    return sorted(batches, key=rank)


def _groups(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """Group by (provider, model, prefix); those alone with their prefix join the group without one."""
    count: dict[tuple[str, str, str], int] = {}
    for call in waiting:
        of = (call.provider, call.model, call.prefix_hash)
        count[of] = count.get(of, 0) + 1
    groups: dict[tuple[str, str, str], list[Waiting]] = {}
    for call in waiting:
        of = (call.provider, call.model, call.prefix_hash)
        groups.setdefault(of if count[of] > 1 else (call.provider, call.model, ""), []).append(call)
    return list(groups.values())


def _cut(group: Sequence[Waiting], limits: Limits) -> list[Batch]:
    cuts: list[list[Waiting]] = []
    tokens = 0
    for call in group:
        if not cuts or len(cuts[-1]) >= limits.max_batch_size or tokens + call.tokens > limits.max_batch_tokens:
            cuts.append([])
            tokens = 0
        cuts[-1].append(call)
        tokens += call.tokens
    return [_batch(cut) for cut in cuts]


def _batch(members: Sequence[Waiting]) -> Batch:
    shared = {member.prefix_hash for member in members}
    first = members[0]
    return Batch(first.provider, first.model, shared.pop() if len(shared) == 1 else "", tuple(members))
