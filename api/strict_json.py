"""Strict JSON: what two parsers could read in two ways is refused (I-JSON, RFC 7493), with what and where.

msgspec reads strictly and fast, but takes duplicate names silently and knows no limits; both are added here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from metaqore.errors import Malformed

MAX_DEPTH = 32
MAX_NODES = 10_000
#: RFC 7493 §2.2: beyond this, other readers lose digits.
MAX_INTEGER = 2**53 - 1

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def loads(body: bytes, *, max_nodes: int = MAX_NODES) -> Any:
    """Return the value of a JSON text.

    Raises:
        Malformed: not JSON, or JSON that is refused: duplicate names, NaN and the like, lone surrogates, integers
            beyond 2^53-1, more than ``MAX_DEPTH`` levels or ``max_nodes`` values. ``errors`` says where.
    """
    if not body:
        _refuse("the body is empty", "send a JSON object")
    try:
        value = _decode(body)
    except msgspec.DecodeError as error:
        _refuse(f"the body is not JSON: {error}", str(error))
    except UnicodeDecodeError as error:
        _refuse("the body is not UTF-8", str(error))
    except RecursionError:
        _refuse_depth()
    _check_size(value, max_nodes)
    # What was written back has fewer quotation marks than what came where a name was dropped; a quotation mark
    # inside a string counts alike in both, unless it came as an escape that is written back as another.
    if body.count(b'"') != _encode(value).count(b'"') or b"\\u0022" in body:
        _check_names(body)
    if b"\\u0000" in body:
        _check_characters(value, "")
    return value


def _check_characters(value: Any, at: str) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            _check_characters(name, at)
            _check_characters(member, _below(at, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _check_characters(member, f"{at}/{index}")
    elif isinstance(value, str) and "\0" in value:
        _refuse("the body holds the character U+0000, which no database can store as text", "remove it", at)


def _below(at: str, name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a member."""
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"


def _check_size(value: Any, max_nodes: int) -> None:
    level, nodes, depth = [value], 0, 0
    while level:
        nodes += len(level)
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict or kind is list:
                if depth == MAX_DEPTH:
                    _refuse_depth()
                below += item.values() if kind is dict else item
            elif kind is int and not -MAX_INTEGER <= item <= MAX_INTEGER:
                _refuse(f"the integer {str(item)[:40]} is beyond 2^53-1", "send it as a string")
        if nodes > max_nodes:
            _refuse(f"the body has more than {max_nodes} values", "send it in several requests, or as one string")
        level, depth = below, depth + 1


class _Pairs(list[tuple[str, Any]]):
    """An object with its members as they came."""


def _check_names(body: bytes) -> None:
    for pointer, name in _duplicates(json.loads(body, object_pairs_hook=_Pairs), ""):
        _refuse(f"the name {name!r} appears twice in one object", "leave one of them out", pointer)


def _duplicates(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, member in value:
            pointer = _below(at, name)
            if name in seen:
                yield pointer, name
            seen.add(name)
            yield from _duplicates(member, pointer)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _duplicates(member, f"{at}/{index}")


def _refuse_depth() -> NoReturn:
    _refuse(f"the body is nested deeper than {MAX_DEPTH} levels", "send flatter data")


def _refuse(message: str, what_to_do: str, pointer: str = "") -> NoReturn:
    raise Malformed(message, errors=[{"pointer": pointer, "detail": what_to_do}])
