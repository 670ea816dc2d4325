"""Signatures of Standard Webhooks 1.0.0, scheme ``v1`` (HMAC-SHA256). Pure but for ``mint_secret``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

from metaqore.errors import InvalidInput, Unauthenticated

PREFIX = "whsec_"
#: A receiver refuses a message whose timestamp is further from its own clock than this, in seconds.
TOLERANCE_S = 300


class BadSignature(Unauthenticated):
    """The message is not signed with this secret, or not in time."""

    code = "bad_signature"


def mint_secret() -> str:
    """Return a new secret: ``whsec_`` and the base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return ``v1,<base64>`` over ``{message_id}.{timestamp_s}.{body}``.

    Raises:
        InvalidInput: the secret is not ``whsec_`` and base64, or the id holds a ``.``, which would let two messages
            have the same signed content.
    """
    if "." in message_id:
        raise InvalidInput(f"webhook-id {message_id!r} must not hold a '.'")
    content = b"%b.%d.%b" % (message_id.encode(), timestamp_s, body)
    return "v1," + base64.b64encode(hmac.digest(_key(secret), content, hashlib.sha256)).decode()


def headers(all_secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a message, signed with each secret: two of them while a rotation overlaps.

    Args:
        message_id: the same at every attempt; the receiver's key for telling a repeat.
        timestamp_s: of this attempt, in seconds since the epoch.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp_s, body) for secret in all_secrets),
    }


def verify(secret: str, received: Mapping[str, str], body: bytes, now_s: int, tolerance_s: int = TOLERANCE_S) -> None:
    """Return where the message is signed with ``secret`` and recent.

    Args:
        received: the headers by lower-case name.

    Raises:
        BadSignature: a header is missing, the time is off, or no ``v1`` signature fits.
    """
    message_id, stamp = received.get("webhook-id", ""), received.get("webhook-timestamp", "")
    if not message_id or "." in message_id or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        raise BadSignature("webhook-id or webhook-timestamp is missing or malformed")
    if abs(now_s - int(stamp)) > tolerance_s:
        raise BadSignature(f"webhook-timestamp is more than {tolerance_s} s from this machine's clock")
    expected = sign(secret, message_id, int(stamp), body).encode()
    offered = received.get("webhook-signature", "").encode().split(b" ")
    if not any(hmac.compare_digest(expected, signature) for signature in offered):
        raise BadSignature("no v1 signature in webhook-signature fits this secret")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise InvalidInput("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")
    return key
