"""Payloads apart from the log: each is sealed with the key of the person or agent whose data it is.

The log holds only ``commit_to(payload, salt)``. Payload and salt are sealed together with AES-256-GCM (NIST SP 800-38D)
under the key of one data subject, and that key is kept wrapped (again AES-256-GCM) under the installation's master key,
which is a file outside of the database. Destroying the wrapped key makes payload and salt unreadable in the database
and in every copy of it: the commitment can then no longer be checked, nor guessed at.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import pybase64
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from metaqore.audit.private_file import make_once
from metaqore.errors import SettingsError

SALT_BYTES = 32
_NONCE_BYTES = 12
#: A sealed payload begins with this; JSON never does.
_MARK = "~"
_MAX_CACHED = 10_000


class Unreadable(Exception):
    """The payload was erased: its key is gone."""


class Vault:
    """Seals and opens. Safe to use from many threads.

    Args:
        path: the file with the master key, made (mode 0600) at the first use where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._master: AESGCM | None = None
        self._ciphers: dict[str, AESGCM] = {}
        #: (organization, data subject) → (key id, wrapped key) as they were when last looked up.
        self.known: dict[tuple[str, str], tuple[str, bytes]] = {}

    def new_key(self, key_id: str) -> bytes:
        """Return a new data key, wrapped.

        Raises:
            SettingsError: the master key cannot be read or made.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._key().encrypt(nonce, secrets.token_bytes(32), key_id.encode())

    def derived(self, purpose: str) -> bytes:
        """Return 32 bytes that every process with this master key has, for one purpose only (HKDF, RFC 5869).

        Raises:
            SettingsError: the master key cannot be read or made.
        """
        return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(_load_or_make(self._path))

    def seal(self, key_id: str, wrapped: bytes, salt: bytes, payload: bytes) -> str:
        """Return salt and payload as sealed text."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(key_id, wrapped).encrypt(nonce, salt + payload, None)
        return f"{_MARK}{key_id}{_MARK}{pybase64.b64encode_as_string(nonce + sealed)}"

    def remember(self, keys: Mapping[tuple[str, str], tuple[str, bytes]]) -> None:
        """Keep in mind which keys were there; whoever relies on it must look again before the commit."""
        if len(self.known) >= _MAX_CACHED:
            self.known.clear()
        self.known.update(keys)

    def open(self, text: str, find: Callable[[str], bytes | None]) -> tuple[bytes, bytes]:
        """Return (salt, payload) of a sealed text.

        Args:
            find: key id → the wrapped key, None where it was destroyed.

        Raises:
            Unreadable: the key is gone, or is not the one that sealed it.
        """
        _, key_id, body = text.split(_MARK, 2)
        wrapped = find(key_id)
        if wrapped is None:
            self._ciphers.pop(key_id, None)
            raise Unreadable
        raw = pybase64.b64decode(body)
        try:
            opened = self._cipher(key_id, wrapped).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except InvalidTag as error:
            raise Unreadable from error
        return opened[:SALT_BYTES], opened[SALT_BYTES:]

    def _cipher(self, key_id: str, wrapped: bytes) -> AESGCM:
        found = self._ciphers.get(key_id)
        if found is None:
            if len(self._ciphers) >= _MAX_CACHED:
                self._ciphers.clear()
            try:
                key = self._key().decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], key_id.encode())
            except InvalidTag as error:
                raise SettingsError(
                    f"{self._path} is not the key with which {key_id} was wrapped: restore the file that belongs to "
                    "this database"
                ) from error
            found = self._ciphers[key_id] = AESGCM(key)
        return found

    def _key(self) -> AESGCM:
        if self._master is None:
            self._master = AESGCM(_load_or_make(self._path))
        return self._master


def marked_by(key_id: str) -> str:
    """Return what a payload begins with that was sealed under a key."""
    return f"{_MARK}{key_id}{_MARK}"


def is_sealed(text: str) -> bool:
    """Tell whether a stored payload is sealed."""
    return text.startswith(_MARK)


def _load_or_make(path: Path) -> bytes:
    try:
        if not path.exists():
            make_once(path, secrets.token_hex(32) + "\n")
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others than its owner: chmod 600 {path}")
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SettingsError(f"the master key of data subjects, {path}, cannot be used: {error}") from error
    if len(key) != 32:
        raise SettingsError(f"{path} holds {len(key)} bytes, a master key has 32: 64 hexadecimal digits")
    return key
