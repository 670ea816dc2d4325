"""Columns of rows as PostgreSQL arrays, packed by us: one parameter for each column of a statement over many rows.

The binary form of an array (PostgreSQL, ``src/backend/utils/adt/arrayfuncs.c``: ``array_recv``) is a header of five
32-bit numbers and each element with its length. The driver's own arrays are escaped text, element by element; a JSON
document is read by the server at a third of the price of the whole insert.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary

_length = struct.Struct("!i").pack
#: Dimensions, whether there are NULLs, the element's type, elements, the first one's index.
_header = struct.Struct("!iiIii").pack
_NULL = _length(-1)


def _of_size(pack: Callable[[Any], bytes], size: int) -> Callable[[Any], bytes]:
    head = _length(size)
    return lambda value: head + pack(value)


def _of_bytes(value: bytes) -> bytes:
    return _length(len(value)) + value


def _of_text(value: str) -> bytes:
    encoded = value.encode()
    return _length(len(encoded)) + encoded


class Array:
    """An array in its binary form. Each subclass is of one type of elements.

    Args:
        values: Python values, None for NULL.
    """

    __slots__ = ("data",)
    #: SQL's name of the elements' type, and the object ids of it and of its arrays (``pg_type.dat``).
    name = ""
    element, array = 0, 0
    pack: Callable[[Any], bytes]

    def __init__(self, values: Sequence[Any]) -> None:
        pack, first, n = type(self).pack, values[0], len(values)
        head = _header(1, 1, self.element, n, 1)
        if values.count(first) == n:
            # Most columns of a batch hold one value: whose it is, what kind, when.
            self.data = head + (_NULL if first is None else pack(first)) * n
        else:
            self.data = head + b"".join([_NULL if value is None else pack(value) for value in values])


class _Text(Array):
    __slots__ = ()
    name, element, array, pack = "text", 25, 1009, staticmethod(_of_text)


class _Bytea(Array):
    __slots__ = ()
    name, element, array, pack = "bytea", 17, 1001, staticmethod(_of_bytes)


class _Bigint(Array):
    __slots__ = ()
    name, element, array, pack = "bigint", 20, 1016, staticmethod(_of_size(struct.Struct("!q").pack, 8))


class _Float(Array):
    __slots__ = ()
    name, element, array, pack = "float8", 701, 1022, staticmethod(_of_size(struct.Struct("!d").pack, 8))


class _Boolean(Array):
    __slots__ = ()
    name, element, array, pack = "boolean", 16, 1000, staticmethod(_of_size(struct.Struct("!?").pack, 1))


_KINDS = (
    (LargeBinary, _Bytea), (BigInteger, _Bigint), (Integer, _Bigint), (Boolean, _Boolean), (Float, _Float),
)  # fmt: skip


def array_of(column: Column[Any]) -> type[Array]:
    """Return the kind of array that holds values of a column."""
    return next((array for kind, array in _KINDS if isinstance(column.type, kind)), _Text)


def register(connection: Any) -> None:
    """Teach a psycopg connection to send arrays as they are packed."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    for array in (_Text, _Bytea, _Bigint, _Float, _Boolean):
        dumper = type("PackedDumper", (Dumper,), {
            "format": Format.BINARY, "oid": array.array, "dump": lambda _self, packed: packed.data,
        })  # fmt: skip
        connection.adapters.register_dumper(array, dumper)
