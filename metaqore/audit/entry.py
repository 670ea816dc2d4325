"""The bytes of one audit entry, and the hash under which they enter the Merkle tree.

An entry is one RFC 8785 object. Its top level is exactly what the columns of ``audit_entries`` repeat for queries;
whatever has no column is under ``about``, where absent things are left out::

    {"about": {"commitment", "details", "events", "outcome", "policy", "subject"},
     "actor", "organization", "project", "request", "seq", "tag", "ts", "v"}

``about`` sorts first, so the columns are one contiguous tail of the bytes: ``metaqore.audit.verify`` compares them
without parsing JSON. The bytes are stored as they were hashed and are never made a second time.

One Merkle tree per organization, over its gapless sequence from 1: an organization can prove that its own log is
complete without seeing anything of another's, and the writers of two organizations never wait for one another. An
order between organizations is not needed for any proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from metaqore.errors import InvalidInput

Scalar: TypeAlias = str | int | bool | None

#: The version of the layout above, field ``v``.
VERSION = 1
#: An entry fits the 16-bit length of a C2SP tlog-tiles entry bundle.
MAX_BODY_BYTES = 65_535

_MAX_SAFE_INTEGER = 9_007_199_254_740_991
_SCALARS = frozenset((str, int, bool, type(None)))

# canonical_json() walks the value to see whether msgspec's output is RFC 8785, and sorts it; here the shape is known,
# its fields stand in order below, and only ``details`` has to be looked at: a tenth of the price. A test holds the two
# to the same bytes.
_encode = msgspec.json.Encoder(order="deterministic").encode
# A copy of a hash that has its domain byte is faster than a new one over joined bytes.
_LEAF = hashlib.sha256(b"\x00")
# HMAC (RFC 2104) of a salt shorter than a block, as its two hashes: two thirds of what ``hmac.digest`` costs, which
# looks its hash function up anew each time.
_sha256 = hashlib.sha256
_HMAC_BLOCK = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class _About(msgspec.Struct, omit_defaults=True, gc=False):
    commitment: str | None = None
    details: dict[str, Scalar] | None = None
    events: str | None = None
    outcome: str | None = None
    policy: str | None = None
    subject: str | None = None


class _Body(msgspec.Struct, gc=False):
    about: _About
    actor: str
    organization: str
    project: str | None
    request: str | None
    seq: int
    tag: str
    ts: int
    v: int


class Entry(NamedTuple):
    """One audit entry: ``body`` is what is stored and hashed, ``leaf_hash`` its 32-byte RFC 9162 leaf hash."""

    seq: int
    tag: str
    body: bytes
    leaf_hash: bytes


def leaf_hash(body: bytes) -> bytes:
    """Return ``SHA-256(0x00 || body)``, 32 bytes (RFC 9162 §2.1.1)."""
    leaf = _LEAF.copy()
    leaf.update(body)
    return leaf.digest()


def make_entry(
    *,
    organization: str,
    seq: int,
    tag: str,
    actor: str,
    ts_ms: int,
    project: str | None = None,
    request: str | None = None,
    subject: str | None = None,
    outcome: str | None = None,
    policy_digest: str | None = None,
    details: Mapping[str, Scalar] | None = None,
    commitment: str | None = None,
    events: str | None = None,
) -> Entry:
    """Return the canonical bytes and the leaf hash of one entry.

    No argument may hold personal data, only ids, digests, counts and codes: see ``commit_to`` for the rest.

    Args:
        seq: the organization's next number, from 1, without gaps.
        tag: one of ``metaqore.audit.tags.Tag``.
        ts_ms: milliseconds since the epoch, not before the previous entry's.
        details: mapping of ASCII name → string, integer, boolean or None. Floats have no place in hashed bytes.
        events: the organization's numbers of the events that went out with this, see ``spans``.

    Raises:
        InvalidInput: a detail is not such a scalar, a string is not Unicode, or the entry is over 65,535 bytes.
    """
    about = _About(commitment, _checked(details) if details else None, events, outcome, policy_digest, subject)
    try:
        body = _encode(_Body(about, actor, organization, project, request, seq, tag, ts_ms, VERSION))
    except UnicodeEncodeError as error:
        raise InvalidInput(f"audit entry {tag} number {seq} holds text that is not Unicode: {error}") from error
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInput(
            f"audit entry {tag} number {seq} has {len(body)} bytes, at most {MAX_BODY_BYTES}: "
            "record an id or a digest instead of the content"
        )
    return Entry(seq, tag, body, leaf_hash(body))


def spans(numbers: Sequence[int]) -> str:
    """Return rising numbers as text: ``3-5 9`` for 3, 4, 5 and 9."""
    if len(numbers) == 1:
        return str(numbers[0])
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def in_spans(number: int, text: str) -> bool:
    """Tell whether a number is among those that ``spans`` wrote down."""
    for part in text.split():
        first, _, last = part.partition("-")
        if int(first) <= number <= int(last or first):
            return True
    return False


def commit_to(payload: bytes, salt: bytes) -> str:
    """Return the commitment to a payload kept outside the log: ``hmac-sha256:<64 hex digits>``.

    Without ``salt`` (32 random bytes, one per record, destroyed on erasure) nothing can be learned from it by trying
    likely payloads.

    Args:
        payload: the canonical JSON (RFC 8785) of what is committed to.
        salt: at most 64 bytes.
    """
    key = salt.ljust(_HMAC_BLOCK, b"\x00")
    inner = _sha256(key.translate(_INNER) + payload).digest()
    return "hmac-sha256:" + _sha256(key.translate(_OUTER) + inner).hexdigest()


def _checked(details: Mapping[str, Scalar]) -> dict[str, Scalar]:
    for name, value in details.items():
        kind = type(value)
        if not name.isascii():
            raise InvalidInput(f"audit details {sorted(details)}: use ASCII names")
        if kind is int:
            if not -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER:  # type: ignore[operator]
                raise InvalidInput(f"audit detail {name!r} is beyond ±(2^53 - 1): write it as a string")
        elif kind not in _SCALARS:
            raise InvalidInput(
                f"audit detail {name!r} is a {kind.__name__}: use a string, an integer, a boolean or None"
            )
    return details if type(details) is dict else dict(details)
