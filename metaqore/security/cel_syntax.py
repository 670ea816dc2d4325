"""The syntax of a rule's condition: a strict subset of CEL (Common Expression Language), parsed to a tree. Pure.

Left out on purpose: floating-point and unsigned numbers, maps, division, timestamps and every macro but ``exists`` and
``all``. What is left cannot fail when it is evaluated, and its cost is known before. Every expression accepted here
means the same in CEL; the tests hold the two against each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metaqore.errors import InvalidInput

#: Longest expression, in characters, and deepest nesting.
MAX_CHARS, MAX_DEPTH = 4000, 24
#: Largest number, so that sums of numbers never overflow CEL's 64 bits.
MAX_INT = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number or a truth value."""

    value: str | int | bool


@dataclass(frozen=True, slots=True)
class Name:
    """A fact by its dotted name, or the variable of a macro."""

    path: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """``!`` or ``-``."""

    op: str
    of: Node


@dataclass(frozen=True, slots=True)
class Chain:
    """``&&`` or ``||`` of two or more."""

    op: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Choice:
    """``when ? then : otherwise``."""

    when: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function of a receiver: ``text.startsWith("x")``; ``size(x)`` and ``x.size()`` are the same."""

    function: str
    of: Node
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """``list.exists(variable, body)`` or ``list.all(variable, body)``."""

    function: str
    of: Node
    variable: str
    body: Node


Node = Literal | Name | Items | Unary | Chain | Binary | Choice | Call | Macro

METHODS = {"contains": 1, "startsWith": 1, "endsWith": 1, "matches": 1, "size": 0}
MACROS = ("exists", "all")
_RESERVED = frozenset(
    "as break const continue else false for function if import in let loop package namespace null return true var "
    "void while".split()
)
_TOKEN = re.compile(
    r"\s*(?://[^\n]*\s*)*(?:(?P<int>0x[0-9a-fA-F]+|\d+)(?P<bad>[.\w]?)|(?P<name>[A-Za-z_]\w*)"
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"|(?P<op>&&|\|\||==|!=|<=|>=|[-+!<>?:.,()\[\]])|(?P<end>$))",
    re.ASCII,
)
_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "`": "`", "?": "?", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">", "in")


def parse(source: str) -> Node:
    """Return the tree of an expression.

    Raises:
        InvalidInput: it is no expression of the subset; says at which character and why.
    """
    if len(source) > MAX_CHARS:
        raise InvalidInput(f"the expression has {len(source)} characters: {MAX_CHARS} at most")
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = list(self._read())
        self._at = 0
        self._depth = 0

    def _read(self) -> list[tuple[str, str, int]]:
        found, at = [], 0
        while True:
            match = _TOKEN.match(self._source, at)
            if match is None or match["bad"]:
                place = at if match is None else match.start("int")
                raise self._wrong(place, f"{self._source[place : place + 12].strip()!r} is not of the subset")
            kind = str(match.lastgroup)
            kind = "int" if kind == "bad" else kind
            found.append((kind, match[kind], match.start(kind)))
            if kind == "end":
                return found
            at = match.end()

    def _wrong(self, at: int, why: str) -> InvalidInput:
        return InvalidInput(f"at character {at + 1}: {why}")

    @property
    def _token(self) -> tuple[str, str, int]:
        return self._tokens[self._at]

    def _take(self, *wanted: str) -> str | None:
        kind, text, _ = self._token
        if kind in ("op", "name") and text in wanted:
            self._at += 1
            return text
        return None

    def _need(self, wanted: str) -> None:
        if self._take(wanted) is None:
            _, text, at = self._token
            raise self._wrong(at, f"expected {wanted!r}, found {text or 'the end'!r}")

    def whole(self) -> Node:
        node = self._choice()
        kind, text, at = self._token
        if kind != "end":
            raise self._wrong(at, f"{text!r} was not expected here")
        return node

    def _choice(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(self._token[2], f"nested deeper than {MAX_DEPTH}")
        node = self._any()
        if self._take("?"):
            then = self._any()
            self._need(":")
            node = Choice(node, then, self._choice())
        self._depth -= 1
        return node

    def _any(self) -> Node:
        items = [self._all()]
        while self._take("||"):
            items.append(self._all())
        return items[0] if len(items) == 1 else Chain("||", tuple(items))

    def _all(self) -> Node:
        items = [self._comparison()]
        while self._take("&&"):
            items.append(self._comparison())
        return items[0] if len(items) == 1 else Chain("&&", tuple(items))

    def _comparison(self) -> Node:
        node = self._sum()
        if op := self._take(*_COMPARISONS):
            node = Binary(op, node, self._sum())
            if self._take(*_COMPARISONS):
                raise self._wrong(self._tokens[self._at - 1][2], "comparisons do not chain: use &&")
        return node

    def _sum(self) -> Node:
        node = self._unary()
        for _ in range(MAX_DEPTH):
            op = self._take("+", "-")
            if op is None:
                return node
            node = Binary(op, node, self._unary())
        raise self._wrong(self._token[2], f"more than {MAX_DEPTH - 1} sums in a row")

    def _unary(self) -> Node:
        op = self._take("!", "-")
        if op is None:
            return self._member()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(self._token[2], f"nested deeper than {MAX_DEPTH}")
        of = self._unary()
        self._depth -= 1
        if op == "-" and isinstance(of, Literal) and type(of.value) is int:
            return Literal(-of.value)
        return Unary(op, of)

    def _member(self) -> Node:
        node = self._primary()
        while self._take("."):
            kind, name, at = self._token
            if kind != "name":
                raise self._wrong(at, f"expected a name, found {name or 'the end'!r}")
            self._at += 1
            if self._take("("):
                node = self._method(node, name, at)
            elif isinstance(node, Name):
                node = Name(f"{node.path}.{name}")
            else:
                raise self._wrong(at, f"only facts have members: {name!r}")
        return node

    def _method(self, of: Node, name: str, at: int) -> Node:
        args = self._list(")")
        if name in MACROS:
            if len(args) != 2 or not isinstance(args[0], Name) or "." in args[0].path:
                raise self._wrong(at, f'{name} takes a variable and a condition: list.{name}(x, x == "a")')
            return Macro(name, of, args[0].path, args[1])
        if METHODS.get(name) != len(args):
            known = ", ".join([*METHODS, *MACROS])
            raise self._wrong(at, f"{name} is not known with {len(args)} arguments; known: {known}")
        return Call(name, of, tuple(args))

    def _list(self, end: str) -> list[Node]:
        items: list[Node] = []
        if self._take(end):
            return items
        items.append(self._choice())
        while self._take(","):
            items.append(self._choice())
        self._need(end)
        return items

    def _primary(self) -> Node:
        kind, text, at = self._token
        self._at += 1
        if kind == "int":
            value = int(text, 0) if text.startswith("0x") else int(text)
            if value > MAX_INT:
                raise self._wrong(at, f"{text} is larger than {MAX_INT}")
            return Literal(value)
        if kind == "text":
            return Literal(self._unescaped(text[1:-1], at))
        if kind == "op" and text == "(":
            node = self._choice()
            self._need(")")
            return node
        if kind == "op" and text == "[":
            return Items(tuple(self._list("]")))
        if kind == "name" and text in ("true", "false"):
            return Literal(text == "true")
        if kind == "name" and text == "size" and self._take("("):
            args = self._list(")")
            if len(args) != 1:
                raise self._wrong(at, "size takes one argument")
            return Call("size", args[0], ())
        if kind == "name" and text not in _RESERVED and not self._follows("("):
            return Name(text)
        known = ", ".join(["size(list)", *(f"x.{name}()" for name in (*METHODS, *MACROS))])
        what = f"{text!r} is no fact or function; functions: {known}" if kind == "name" else f"{text or 'the end'!r}"
        raise self._wrong(at, what if kind == "name" else f"{what} was not expected here")

    def _follows(self, text: str) -> bool:
        return self._token[:2] == ("op", text)

    def _unescaped(self, text: str, at: int) -> str:
        def replaced(match: re.Match[str]) -> str:
            if match[1] or match[2]:
                return chr(int(match[1] or match[2], 16))
            if match[3] not in _ESCAPES:
                raise self._wrong(at, f"unknown escape \\{match[3]}; write a backslash as \\\\")
            return _ESCAPES[match[3]]

        value = _ESCAPE.sub(replaced, text)
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise self._wrong(at, "half of a surrogate pair is no character")
        return value
