"""Checks a condition before it is ever used: known facts, fitting types, values that can occur, bounded cost. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import re2

from metaqore.errors import InvalidInput
from metaqore.security import cel_syntax as cel
from metaqore.security.facts import MAX_ITEMS, NUMBER, TEXT, TEXTS, TRUTH, VOCABULARY

#: Most steps that one evaluation may take. A step is a node; a macro takes its body's steps for each item.
MAX_COST = 2000
_PATTERN_COST = 20


def check(tree: cel.Node) -> frozenset[str]:
    """Return the facts that a condition looks at.

    Raises:
        InvalidInput: an unknown fact, a type that does not fit, a comparison that can never hold, or too large a cost.
    """
    checker = _Checker()
    if checker.type_of(tree, {}) != TRUTH:
        raise InvalidInput("the condition is no truth value: compare something")
    if not checker.facts:
        raise InvalidInput("the condition looks at no fact: it is the same for every request")
    found = cost(tree)
    if found > MAX_COST:
        raise InvalidInput(f"the condition may take {found} steps: {MAX_COST} at most")
    return frozenset(checker.facts)


def cost(tree: cel.Node) -> int:
    """Return the most steps that an evaluation takes."""
    if isinstance(tree, cel.Macro):
        return 1 + cost(tree.of) + MAX_ITEMS * cost(tree.body)
    if isinstance(tree, cel.Call) and tree.function == "matches":
        return _PATTERN_COST + cost(tree.of)
    return 1 + sum(map(cost, children(tree)))


def children(tree: cel.Node) -> Iterable[cel.Node]:
    """Return the nodes right below one."""
    if isinstance(tree, cel.Items | cel.Chain):
        return tree.items
    if isinstance(tree, cel.Unary):
        return (tree.of,)
    if isinstance(tree, cel.Binary):
        return (tree.left, tree.right)
    if isinstance(tree, cel.Choice):
        return (tree.when, tree.then, tree.otherwise)
    if isinstance(tree, cel.Call):
        return (tree.of, *tree.args)
    if isinstance(tree, cel.Macro):
        return (tree.of, tree.body)
    return ()


class _Checker:
    def __init__(self) -> None:
        self.facts: set[str] = set()

    def type_of(self, tree: cel.Node, bound: Mapping[str, frozenset[str] | None]) -> str:
        """Return the type of a node; ``bound`` are the variables of macros with the values that they can have."""
        if isinstance(tree, cel.Literal):
            return TRUTH if isinstance(tree.value, bool) else NUMBER if isinstance(tree.value, int) else TEXT
        if isinstance(tree, cel.Name):
            return self._name(tree.path, bound)
        if isinstance(tree, cel.Items):
            for item in tree.items:
                self._need(item, self.type_of(tree.items[0], bound), bound)
            return f"list of {self.type_of(tree.items[0], bound)}s" if tree.items else TEXTS
        if isinstance(tree, cel.Unary):
            return self._need(tree.of, TRUTH if tree.op == "!" else NUMBER, bound)
        if isinstance(tree, cel.Chain):
            for item in tree.items:
                self._need(item, TRUTH, bound)
            return TRUTH
        if isinstance(tree, cel.Choice):
            self._need(tree.when, TRUTH, bound)
            return self._need(tree.otherwise, self.type_of(tree.then, bound), bound)
        if isinstance(tree, cel.Macro):
            return self._macro(tree, bound)
        return self._call(tree, bound) if isinstance(tree, cel.Call) else self._binary(tree, bound)

    def _name(self, path: str, bound: Mapping[str, frozenset[str] | None]) -> str:
        if path in bound:
            return TEXT
        fact = VOCABULARY.get(path)
        if fact is None:
            near = difflib.get_close_matches(path, VOCABULARY, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidInput(f"unknown fact {path!r}.{hint} Known: {', '.join(VOCABULARY)}")
        self.facts.add(path)
        return fact.type

    def _need(self, tree: cel.Node, wanted: str, bound: Mapping[str, frozenset[str] | None]) -> str:
        found = self.type_of(tree, bound)
        if found != wanted:
            raise InvalidInput(f"{show(tree)} is a {found}, where a {wanted} is needed")
        return wanted

    def _call(self, tree: cel.Call, bound: Mapping[str, frozenset[str] | None]) -> str:
        if tree.function == "size":
            self._need(tree.of, TEXTS, bound)
            return NUMBER
        self._need(tree.of, TEXT, bound)
        self._need(tree.args[0], TEXT, bound)
        if tree.function == "matches":
            pattern = tree.args[0]
            if not isinstance(pattern, cel.Literal):
                raise InvalidInput("matches() needs its pattern written out")
            try:
                re2.compile(str(pattern.value))
            except re2.error as error:
                raise InvalidInput(f"{pattern.value!r} is no RE2 pattern: {error}") from error
        return TRUTH

    def _macro(self, tree: cel.Macro, bound: Mapping[str, frozenset[str] | None]) -> str:
        self._need(tree.of, TEXTS, bound)
        if tree.variable in VOCABULARY or tree.variable in bound or tree.variable in _ROOTS:
            raise InvalidInput(f"the variable {tree.variable!r} hides a fact: choose another name")
        self._need(tree.body, TRUTH, {**bound, tree.variable: _values(tree.of, bound)})
        return TRUTH

    def _binary(self, tree: cel.Binary, bound: Mapping[str, frozenset[str] | None]) -> str:
        if tree.op in ("+", "-"):
            self._need(tree.left, NUMBER, bound)
            return self._need(tree.right, NUMBER, bound)
        left = self.type_of(tree.left, bound)
        if tree.op == "in":
            self._need(tree.right, f"list of {left}s", bound)
        elif left.startswith("list"):
            raise InvalidInput(f"{show(tree.left)} is a {left}: ask with in, exists or all")
        elif tree.op in ("==", "!="):
            self._need(tree.right, left, bound)
        else:
            self._need(tree.left, NUMBER, bound)
            self._need(tree.right, NUMBER, bound)
        self._possible(tree, bound)
        return TRUTH

    def _possible(self, tree: cel.Binary, bound: Mapping[str, frozenset[str] | None]) -> None:
        """Refuse a literal that a fact never has: a rule that says so never matches, or always."""
        for one, other in ((tree.left, tree.right), (tree.right, tree.left)):
            known = _values(one, bound)
            listed = other.items if isinstance(other, cel.Items) else (other,)
            for item in listed:
                if known is not None and isinstance(item, cel.Literal) and item.value not in known:
                    raise InvalidInput(f"{show(one)} is never {item.value!r}: one of {', '.join(sorted(known))}")


_ROOTS = frozenset(name.split(".")[0] for name in VOCABULARY)


def _values(tree: cel.Node, bound: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
    if not isinstance(tree, cel.Name):
        return None
    return bound[tree.path] if tree.path in bound else VOCABULARY[tree.path].values


def show(tree: cel.Node) -> str:
    """Return an expression as text, in one way of writing: equal texts mean equal conditions."""
    if isinstance(tree, cel.Literal):
        return _quoted(tree.value) if isinstance(tree.value, str) else str(tree.value).lower()
    if isinstance(tree, cel.Name):
        return tree.path
    if isinstance(tree, cel.Items):
        return f"[{', '.join(map(show, tree.items))}]"
    if isinstance(tree, cel.Unary):
        return f"{tree.op}{_inner(tree.of)}"
    if isinstance(tree, cel.Chain):
        return f" {tree.op} ".join(map(_inner, tree.items))
    if isinstance(tree, cel.Binary):
        return f"{_inner(tree.left)} {tree.op} {_inner(tree.right)}"
    if isinstance(tree, cel.Choice):
        return f"{_inner(tree.when)} ? {_inner(tree.then)} : {_inner(tree.otherwise)}"
    if isinstance(tree, cel.Macro):
        return f"{_inner(tree.of)}.{tree.function}({tree.variable}, {show(tree.body)})"
    return f"{_inner(tree.of)}.{tree.function}({', '.join(map(show, tree.args))})"


def _inner(tree: cel.Node) -> str:
    simple = isinstance(tree, cel.Literal | cel.Name | cel.Items | cel.Call | cel.Macro)
    negative = isinstance(tree, cel.Literal) and isinstance(tree.value, int) and tree.value < 0
    return show(tree) if simple and not negative else f"({show(tree)})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped.replace(chr(9), chr(92) + "t")}"'
