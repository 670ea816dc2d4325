"""Finds the rules that may match without looking at those that cannot: a tree over what they demand. Pure.

Each inner node asks one fact and goes on with the rules that demand its value, and with those that demand nothing of
it. A node is split by the fact that leaves the fewest rules together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from metaqore.errors import MetaQoreError
from metaqore.security.facts import TEXTS, VOCABULARY, Facts
from metaqore.security.rule import Rule

#: So few rules are quicker to ask than to find.
_LEAF = 3
#: So many facts are asked one after another; a rule that demands one of several values stands below each of them.
_DEPTH = 4
#: The clock is looked at after so many rules.
_STRIDE = 64


class PolicyDeadline(MetaQoreError):
    """The policy took too long; what cannot be decided is denied."""

    code = "policy_deadline"


@dataclass(frozen=True, slots=True)
class _Split:
    path: str
    is_list: bool
    by_value: dict[Any, _Node]
    rest: _Node | None


_Node = _Split | tuple[Rule, ...]


class RuleIndex:
    """Rules that are asked together."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._root: _Node = _build(tuple(rules), frozenset())
        self.size = len(rules)

    def matching(self, facts: Facts, deadline: float) -> list[Rule]:
        """Return the rules whose condition holds, in the order in which they are written.

        Args:
            deadline: on ``time.perf_counter``.

        Raises:
            PolicyDeadline: it has passed.
        """
        candidates = self.candidates(facts)
        if len(candidates) <= _STRIDE:
            found = [rule for rule in candidates if rule.test(facts)]
        else:
            found = []
            for start in range(0, len(candidates), _STRIDE):
                if perf_counter() > deadline:
                    left = len(candidates) - start
                    raise PolicyDeadline(f"{left} of {len(candidates)} rules were still to be asked, and time was over")
                found += [rule for rule in candidates[start : start + _STRIDE] if rule.test(facts)]
        if len(found) > 1:
            found.sort(key=_position)
        return found

    def candidates(self, facts: Facts) -> Sequence[Rule]:
        """Return the rules whose demands do not speak against a match, each once."""
        root = self._root
        if isinstance(root, tuple):
            return root
        found: list[Rule] = []
        open_: list[_Node] = [root]
        while open_:
            node = open_.pop()
            if isinstance(node, tuple):
                found += node
                continue
            if node.rest is not None:
                open_.append(node.rest)
            value = facts[node.path]
            if not node.is_list:
                below = node.by_value.get(value)
                if below is not None:
                    open_.append(below)
                continue
            open_ += [node.by_value[item] for item in value if item in node.by_value]
        return list(dict.fromkeys(found)) if len(found) > 1 else found


def _position(rule: Rule) -> int:
    return rule.position


def _build(rules: tuple[Rule, ...], used: frozenset[str]) -> _Node:
    if len(rules) <= _LEAF or len(used) == _DEPTH:
        return rules
    best: tuple[int, str] | None = None
    for path in sorted({path for rule in rules for path in rule.demands} - used):
        sizes: defaultdict[Any, int] = defaultdict(int)
        rest = 0
        for rule in rules:
            values = rule.demands.get(path)
            if values is None:
                rest += 1
            else:
                for value in values:
                    sizes[value] += 1
        left = max(sizes.values()) + rest
        if best is None or left < best[0]:
            best = (left, path)
    if best is None or best[0] >= len(rules):
        return rules
    return _split(rules, best[1], used | {best[1]})


def _split(rules: tuple[Rule, ...], path: str, used: frozenset[str]) -> _Split:
    buckets: defaultdict[Any, list[Rule]] = defaultdict(list)
    rest = []
    for rule in rules:
        values = rule.demands.get(path)
        if values is None:
            rest.append(rule)
        else:
            for value in values:
                buckets[value].append(rule)
    is_list = VOCABULARY[path].type == TEXTS
    by_value = {value: _build(tuple(those), used) for value, those in buckets.items()}
    return _Split(path, is_list, by_value, _build(tuple(rest), used) if rest else None)
