"""From the tree of a checked condition to a function of facts: closures, no code is made from text. Pure.

Numbers stay within 53 bits plus a few sums, so nothing here can overflow or raise, and ``&&`` and ``||`` may stop at
the first part that decides: CEL's rules about errors never come to bear.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import re2

from metaqore.security import cel_syntax as cel

Facts = Mapping[str, Any]
Test = Callable[[Facts], Any]

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "+": operator.add, "-": operator.sub,
}  # fmt: skip
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "contains": operator.contains, "startsWith": str.startswith, "endsWith": str.endswith,
}  # fmt: skip


def compiled(tree: cel.Node) -> Test:
    """Return the function that evaluates a tree that ``cel_check.check`` has accepted."""
    if isinstance(tree, cel.Literal):
        value = tree.value
        return lambda facts: value
    if isinstance(tree, cel.Name):
        return operator.itemgetter(tree.path)
    if isinstance(tree, cel.Items):
        items = [compiled(item) for item in tree.items]
        return lambda facts: [item(facts) for item in items]
    if isinstance(tree, cel.Unary):
        of = compiled(tree.of)
        return (lambda facts: not of(facts)) if tree.op == "!" else (lambda facts: -of(facts))
    if isinstance(tree, cel.Chain):
        return _chain(tree)
    if isinstance(tree, cel.Choice):
        when, then, otherwise = compiled(tree.when), compiled(tree.then), compiled(tree.otherwise)
        return lambda facts: then(facts) if when(facts) else otherwise(facts)
    if isinstance(tree, cel.Binary):
        return _binary(tree)
    return _macro(tree) if isinstance(tree, cel.Macro) else _call(tree)


def _chain(tree: cel.Chain) -> Test:
    parts = tuple(compiled(item) for item in tree.items)
    if len(parts) == 2:
        left, right = parts
        if tree.op == "&&":
            return lambda facts: left(facts) and right(facts)
        return lambda facts: left(facts) or right(facts)
    if tree.op == "&&":
        return lambda facts: all(part(facts) for part in parts)
    return lambda facts: any(part(facts) for part in parts)


def _binary(tree: cel.Binary) -> Test:
    left, right = compiled(tree.left), compiled(tree.right)
    if tree.op == "in":
        if isinstance(tree.right, cel.Items) and all(isinstance(item, cel.Literal) for item in tree.right.items):
            known = frozenset(item.value for item in tree.right.items if isinstance(item, cel.Literal))
            return lambda facts: left(facts) in known
        return lambda facts: left(facts) in right(facts)
    if isinstance(tree.left, cel.Name) and isinstance(tree.right, cel.Literal) and tree.op == "==":
        path, value = tree.left.path, tree.right.value
        return lambda facts: facts[path] == value
    compare = _COMPARE[tree.op]
    return lambda facts: compare(left(facts), right(facts))


def _call(tree: cel.Call) -> Test:
    of = compiled(tree.of)
    if tree.function == "size":
        return lambda facts: len(of(facts))
    if tree.function == "matches" and isinstance(tree.args[0], cel.Literal):
        search = re2.compile(str(tree.args[0].value)).search
        return lambda facts: search(of(facts)) is not None
    compare, argument = _TEXT[tree.function], compiled(tree.args[0])
    return lambda facts: compare(of(facts), argument(facts))


def _macro(tree: cel.Macro) -> Test:
    of, body, variable = compiled(tree.of), compiled(tree.body), tree.variable
    over = any if tree.function == "exists" else all
    return lambda facts: over(body({**facts, variable: item}) for item in of(facts))
