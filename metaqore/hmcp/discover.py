"""Find the tasks that repeat, and propose those for which a specialist can be learnt and pays.

Prompts assembled from a template are one task by the template's key. The others go into a prefix trie of their
masked heads. Nothing is guessed: a task is a set of prompts with equal heads, large enough and from enough agents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from metaqore.hmcp.model import SENSITIVITIES, OutputType, Pattern, Signature, TaskEvent
from metaqore.hmcp.outputs import canonical_answer, output_type
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.signature import head_tokens

#: A node whose frequent children cover at least this share of it is still inside the fixed part of a prompt.
_FIXED = 0.8
_DAY_MS = 86_400_000

_Group = tuple[Signature, list[TaskEvent]]


def discover(events: Iterable[TaskEvent], policy: Policy, now: int) -> list[Pattern]:
    """Return the patterns of all organizations that reach the privacy floor, the most expensive first.

    Looked at are events of the last ``window_days`` whose sensitivity is known and allowed. Patterns that should
    not become a specialist are returned with the reasons.

    Args:
        now: milliseconds since the epoch.
    """
    since = now - policy.discover.window_days * _DAY_MS
    by_organization: dict[str, list[TaskEvent]] = defaultdict(list)
    for event in events:
        if since <= event.at <= now and in_scope(event, policy):
            by_organization[event.organization].append(event)
    patterns = [
        _pattern(organization, signature, group, policy)
        for organization, own in by_organization.items()
        for signature, group in _groups(own, policy)
        if _above_floor(group, policy)
    ]
    return sorted(patterns, key=lambda p: (-p.tokens, p.organization, p.signature.value))


def in_scope(event: TaskEvent, policy: Policy) -> bool:
    """Return whether specialists may learn from the event. A label that is not known is not allowed."""
    allowed = SENSITIVITIES[: SENSITIVITIES.index(policy.scope.sensitivity_max) + 1]
    return event.label.upper() in allowed


def teacher_noise(events: Sequence[TaskEvent]) -> tuple[float, int]:
    """Return how often the teacher contradicts itself, and on how many repetitions that was measured.

    Of each prompt that was asked more than once, every answer after the first is compared with the first.
    """
    first: dict[str, str] = {}
    repeats = different = 0
    for event in events:
        answer = canonical_answer(event.output)
        if event.prompt in first:
            repeats += 1
            different += answer != first[event.prompt]
        else:
            first[event.prompt] = answer
    return (different / repeats if repeats else 0.0), repeats


def _above_floor(group: Sequence[TaskEvent], policy: Policy) -> bool:
    floor = policy.discover.privacy_floor
    return len(group) >= floor.events and len({event.agent for event in group}) >= floor.agents


def _groups(events: Sequence[TaskEvent], policy: Policy) -> list[_Group]:
    templates: dict[str, list[TaskEvent]] = defaultdict(list)
    loose: list[TaskEvent] = []
    for event in events:
        (loose if event.template is None else templates[event.template]).append(event)
    groups = [(Signature("template", key), group) for key, group in templates.items()]
    head = policy.discover.head
    heads = [head_tokens(event.prompt, head.max_tokens) for event in loose]
    trie = _Trie(heads, support=policy.discover.privacy_floor.events, shortest=head.min_tokens)
    return groups + [
        (signature, [loose[index] for index in members]) for signature, members in trie.tasks(head.max_tokens)
    ]


class _Trie:
    """A prefix trie over token sequences, kept as the members of each prefix."""

    def __init__(self, heads: Sequence[tuple[str, ...]], *, support: int, shortest: int) -> None:
        self._heads = heads
        self._support = support
        self._shortest = shortest

    def tasks(self, longest: int) -> list[tuple[Signature, list[int]]]:
        """Return each task's signature with the indices of its members."""
        found = self._below((), list(range(len(self._heads))), longest)
        names = [" ".join(prefix) for prefix, _ in found]
        return [
            (Signature("head", name, tuple(n for n in sorted(names) if n.startswith(name + " "))), members)
            for name, (_, members) in zip(names, found, strict=True)
        ]

    def _below(
        self, prefix: tuple[str, ...], members: list[int], longest: int
    ) -> list[tuple[tuple[str, ...], list[int]]]:
        """Return the tasks among ``members``, all of which begin with ``prefix``.

        Inside the fixed part of a prompt few next tokens cover nearly everything: go on. Where the next token is
        open, the payload begins: this is the task's head, but for branches that stay fixed to the longest head;
        those are other tasks with the same beginning.
        """
        depth = len(prefix)
        if depth == longest:
            return [(prefix, members)]
        branches: dict[str, list[int]] = defaultdict(list)
        for index in members:
            if len(self._heads[index]) > depth:
                branches[self._heads[index][depth]].append(index)
        frequent = {token: own for token, own in branches.items() if len(own) >= self._support}
        inside = depth < self._shortest or sum(map(len, frequent.values())) >= _FIXED * len(members)
        if not inside:
            frequent = {t: own for t, own in frequent.items() if self._stays_fixed(own, depth + 1, longest)}
        tasks = [task for token, own in frequent.items() for task in self._below((*prefix, token), own, longest)]
        claimed = {index for _, own in tasks for index in own}
        rest = [index for index in members if index not in claimed]
        if depth >= self._shortest and len(rest) >= self._support:
            tasks.append((prefix, rest))
        return tasks

    def _stays_fixed(self, members: list[int], depth: int, longest: int) -> bool:
        counts = Counter(self._heads[index][depth:longest] for index in members)
        most, count = counts.most_common(1)[0]
        return len(most) == longest - depth and count >= max(self._support, _FIXED * len(members))


def _pattern(organization: str, signature: Signature, group: Sequence[TaskEvent], policy: Policy) -> Pattern:
    group = sorted(group, key=lambda event: event.at)
    output = output_type([event.output for event in group], policy.output)
    tokens = sum(event.tokens for event in group)
    return Pattern(
        organization=organization,
        signature=signature,
        events=len(group),
        agents=len({event.agent for event in group}),
        tokens=tokens,
        output=output,
        first_at=group[0].at,
        last_at=group[-1].at,
        needed=policy.needed_events,
        reasons=tuple(_reasons(group, output, tokens, policy)),
    )


def _reasons(group: Sequence[TaskEvent], output: OutputType, tokens: int, policy: Policy) -> list[str]:
    """Why no specialist should be trained; all reasons, none where it should."""
    reasons = []
    if output.kind == "constant":
        reasons.append("every answer is the same: store it, there is nothing to learn")
    elif not output.labels:
        reasons.append(
            f"the answers are no closed set: {output.mass:.0%} of them recur, {policy.output.min_mass:.0%} are needed"
        )
    if len(group) < policy.needed_events:
        reasons.append(f"{len(group)} events; a certificate needs at least {policy.needed_events}")
    trigger = policy.discover.trigger
    saved, cost = tokens * (1 - trigger.audit_rate), trigger.ski_rental * trigger.build_cost_tokens
    if saved < cost:
        reasons.append(f"{saved:.0f} tokens could have been saved; building pays from {cost:.0f}")
    noise, repeats = teacher_noise(group)
    most = policy.certify.max_teacher_noise * policy.certify.alpha
    if repeats >= policy.certify.min_repeats and noise > most:
        reasons.append(f"the teacher contradicts itself on {noise:.1%} of {repeats} repetitions; {most:.1%} is allowed")
    return reasons
