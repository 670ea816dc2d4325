"""Messages that only a process of this installation can have written: GMAC (NIST SP 800-38D) under a key of its own.

Whoever can write to the broker must not be able to answer for the engine. A message costs some microseconds, whatever
number of documents it carries; encrypted it is not, since whoever can read the broker reads its cache as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES, _TAG_BYTES = 12, 16


class Authentic:
    """Stamps messages and knows its own stamp again. Safe to use from many threads.

    Args:
        key: gives the key, 32 bytes, the same in every process; called when it is first needed.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key
        self._cipher: AESGCM | None = None

    def stamped(self, body: bytes) -> bytes:
        """Return ``body`` with its stamp in front."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._mac().encrypt(nonce, b"", body) + body

    def opened(self, message: bytes) -> bytes | None:
        """Return what was stamped, or None where this installation did not stamp it."""
        nonce, tag = message[:_NONCE_BYTES], message[_NONCE_BYTES : _NONCE_BYTES + _TAG_BYTES]
        body = message[_NONCE_BYTES + _TAG_BYTES :]
        if len(tag) != _TAG_BYTES:
            return None
        try:
            self._mac().decrypt(nonce, tag, body)
        except InvalidTag:
            return None
        return body

    def _mac(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(self._key())
        return self._cipher
