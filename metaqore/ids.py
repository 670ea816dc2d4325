"""Identifiers: a type prefix and a UUIDv7, so that they sort by the time they were made."""

from __future__ import annotations

import secrets

from uuid_utils import uuid7

PREFIXES = frozenset(
    "req art conf prop evt del whk key prj tsk org prn dec call pat spec chk ent bat intent appr tok snk ers sub hold "
    "rpt spc".split()
)


def new_id(prefix: str) -> str:
    """Return ``<prefix>_<32 hex digits of a UUIDv7>`` (RFC 9562 §5.7).

    Raises:
        KeyError: the prefix is not one of ``PREFIXES``.
    """
    if prefix not in PREFIXES:
        raise KeyError(prefix)
    return f"{prefix}_{uuid7().hex}"


def new_secret(n_bytes: int = 32) -> str:
    """Return ``n_bytes`` of randomness as lower-case hex."""
    return secrets.token_hex(n_bytes)
