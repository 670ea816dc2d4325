"""What a condition demands of single facts: the sets of values outside of which it cannot hold. Pure.

``request.kind == "llm.generate" && (label == "CRITICAL" || level == 2)`` demands the one kind and one of two labels.
Rules are indexed by these sets, compared by them, and refused where a set is empty.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaqore.security import cel_syntax as cel
from metaqore.security.cel_check import show
from metaqore.security.facts import TEXTS, VOCABULARY
from metaqore.security.model import Label

#: Fact → values of which it must have one; of a list fact, which it must hold one of.
Demands = Mapping[str, frozenset[Any]]

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: What a comparison of a number is about: a fact, or the size of one.
_MEASURED = (cel.Name, cel.Call)
#: A label and its number are one fact.
_LEVELS = {int(label): label.name for label in Label}


def demands(tree: cel.Node, *, negated: bool = False) -> Demands | None:
    """Return what a condition demands; None where it can never hold."""
    if isinstance(tree, cel.Unary) and tree.op == "!":
        return demands(tree.of, negated=not negated)
    if isinstance(tree, cel.Chain):
        parts = [demands(item, negated=negated) for item in tree.items]
        return _both(parts) if (tree.op == "&&") != negated else _either(parts)
    if isinstance(tree, cel.Binary):
        found = exact(tree, negated=negated)
        if found is None:
            return {}
        return {found[0]: found[1]} if found[1] else None
    if isinstance(tree, cel.Macro) and tree.function == "exists" and not negated and isinstance(tree.of, cel.Name):
        return _exists(tree, tree.of)
    if isinstance(tree, cel.Literal) and isinstance(tree.value, bool):
        return {} if tree.value != negated else None
    return {}


def exact(tree: cel.Node, *, negated: bool = False) -> tuple[str, frozenset[Any]] | None:
    """Return (fact, values) where a comparison says that and nothing else; None for any other node."""
    if not isinstance(tree, cel.Binary):
        return None
    left, op, right = tree.left, tree.op, tree.right
    if isinstance(left, cel.Literal) and isinstance(right, cel.Name) and op in _COMPARE:
        left, op, right = right, _MIRRORED.get(op, op), left
    if op == "in" and isinstance(left, cel.Literal) and isinstance(right, cel.Name):
        return None if negated or _is_bound(right) else (right.path, frozenset([left.value]))
    if not isinstance(left, cel.Name):
        return None
    if op == "in" and isinstance(right, cel.Items):
        if not all(isinstance(item, cel.Literal) for item in right.items):
            return None
        return _among(left, frozenset(item.value for item in right.items if isinstance(item, cel.Literal)), negated)
    if not isinstance(right, cel.Literal) or op not in _COMPARE:
        return None
    known = _known(left)
    if known is None:
        return _among(left, frozenset([right.value]), False) if (op == "==") != negated and op in "==!=" else None
    compare, value = _COMPARE[op], right.value
    return _among(left, frozenset(v for v in known if compare(v, value)), negated)


def is_contradiction(tree: cel.Node, demanded: Demands) -> bool:
    """Return whether parts that must all hold exclude each other in ways that sets of values do not show.

    That is: bounds of a number between which none is, and a text that must be, and must not be, the same. Numbers are
    never negative.
    """
    least: dict[str, int] = {}
    most: dict[str, int] = {}
    for part in conjuncts(tree):
        if not isinstance(part, cel.Binary):
            continue
        left, op, right = part.left, part.op, part.right
        if isinstance(left, cel.Literal):
            left, op, right = right, _MIRRORED.get(op, op), left
        if not isinstance(right, cel.Literal) or isinstance(right.value, bool) or not isinstance(left, _MEASURED):
            continue
        what, value = show(left), right.value
        if isinstance(value, int):
            if op in ("==", ">", ">="):
                least[what] = max(least.get(what, 0), value + (op == ">"))
            if op in ("==", "<", "<="):
                most[what] = min(most.get(what, value), value - (op == "<"))
        elif op == "!=" and demanded.get(what) == frozenset([value]) and not _is_list(what):
            return True
    return any(least.get(what, 0) > top for what, top in most.items())


def conjuncts(tree: cel.Node) -> list[cel.Node]:
    """Return the parts that must all hold."""
    if isinstance(tree, cel.Chain) and tree.op == "&&":
        return [part for item in tree.items for part in conjuncts(item)]
    return [tree]


def implies(narrow: Demands, said: frozenset[str], wide: Sequence[cel.Node]) -> bool:
    """True where whatever fits a narrow condition (its demands, its conjuncts as text) also fits a wide one."""
    for part in wide:
        found = exact(part)
        if found is not None and found[0] in narrow and narrow[found[0]] <= found[1] and not _is_list(found[0]):
            continue
        if show(part) not in said:
            return False
    return True


def _among(name: cel.Name, values: frozenset[Any], negated: bool) -> tuple[str, frozenset[Any]] | None:
    known = _known(name)
    if negated:
        if known is None:
            return None
        values = known - values
    if name.path == "level":
        return "label", frozenset(_LEVELS[value] for value in values if value in _LEVELS)
    return name.path, values


def _known(name: cel.Name) -> frozenset[Any] | None:
    if name.path == "level":
        return frozenset(_LEVELS)
    return None if _is_bound(name) else VOCABULARY[name.path].values


def _is_bound(name: cel.Name) -> bool:
    return name.path not in VOCABULARY


def _is_list(path: str) -> bool:
    return path in VOCABULARY and VOCABULARY[path].type == TEXTS


def _both(parts: Sequence[Demands | None]) -> Demands | None:
    found: dict[str, frozenset[Any]] = {}
    for part in parts:
        if part is None:
            return None
        for path, values in part.items():
            if path not in found:
                found[path] = values
            elif _is_list(path):
                # A list may hold both: either set alone is demanded, the smaller one says more.
                found[path] = min(found[path], values, key=len)
            elif not found[path] & values:
                return None
            else:
                found[path] &= values
    return found


def _either(parts: Sequence[Demands | None]) -> Demands | None:
    possible = [part for part in parts if part is not None]
    if not possible:
        return None
    shared = set(possible[0]).intersection(*possible[1:])
    return {path: frozenset().union(*(part[path] for part in possible)) for path in shared}


def _exists(tree: cel.Macro, over: cel.Name) -> Demands | None:
    inner = demands(tree.body)
    if inner is None:
        return None
    outer = {path: values for path, values in inner.items() if path != tree.variable}
    if tree.variable in inner and over.path not in outer:
        outer[over.path] = inner[tree.variable]
    return outer
