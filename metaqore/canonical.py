"""Canonical JSON (RFC 8785, JCS) and content hashes."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import rfc8785

from metaqore.errors import InvalidInput

_fast = msgspec.json.Encoder(order="sorted")


def _is_simple(value: Any) -> bool:
    """True where msgspec's sorted output is byte-equal to RFC 8785: no floats, no big integers, ASCII keys."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return True
    if kind is int:
        return bool(-9007199254740991 <= value <= 9007199254740991)
    if kind is dict:
        return all(type(k) is str and k.isascii() and _is_simple(v) for k, v in value.items())
    if kind is list or kind is tuple:
        return all(map(_is_simple, value))
    return False


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value.

    Raises:
        InvalidInput: the value has no canonical form (NaN, a lone surrogate, an integer beyond 2^53-1 …).
    """
    try:
        if _is_simple(value):
            return _fast.encode(value)
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, ValueError, TypeError) as error:
        raise InvalidInput(f"the value has no canonical JSON form (RFC 8785): {error}") from error


def sha256_hex(data: bytes) -> str:
    """Return ``sha256:<64 hex digits>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def content_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of ``value`` as ``sha256:<hex>``."""
    return sha256_hex(canonical_json(value))
