"""The log's signing keys: a file of mode 0600, one line for each key, and beside it the verifier keys for everybody.

A line of the private file is ``PRIVATE+KEY+<name>+<8 hex digits>+<base64>``, the form of Go's ``sumdb/note``; the
last such line signs. Rotating adds a line: from then on the new key signs, and the one before it signs beside it for
as long as its line is there, so that auditors who only know the old key can follow. Lines that are verifier keys
(``<name>+<id>+<base64>``) are retired: nothing is signed with them and checkpoints they signed stay trusted.

Sources: https://c2sp.org/signed-note, https://pkg.go.dev/golang.org/x/mod/sumdb/note.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from metaqore.audit.checkpoint import ED25519, Signer, VerifierKey
from metaqore.audit.private_file import draft_of, make_once
from metaqore.errors import InvalidInput, SettingsError

_PRIVATE = "PRIVATE+KEY+"


class Keys(NamedTuple):
    """What a key file says: who signs, and which keys are to be trusted, the oldest first."""

    signers: list[Signer]
    vkeys: list[VerifierKey]


def load_or_make(path: Path, name: str) -> Keys:
    """Return the keys of a file; make it, with one new key, where there is none.

    Of several processes that make it at once one wins, and all return what it made.

    Raises:
        SettingsError: the file is no key file, is of another log, or may be read by others.
    """
    if not path.exists():
        make_once(path, _line(name, secrets.token_bytes(32)) + "\n")
    keys = load(path)
    if name != keys.signers[-1].vkey.name:
        raise SettingsError(
            f"{path} has the keys of the log {keys.signers[-1].vkey.name!r}, METAQORE_AUDIT_LOG_NAME is {name!r}: "
            "set the name back, or name another METAQORE_AUDIT_KEY_FILE"
        )
    _publish(path, keys)
    return keys


def load(path: Path) -> Keys:
    """Return the keys of a file.

    Raises:
        SettingsError: see ``load_or_make``.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others than its owner: chmod 600 {path}")
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the audit key file {path} cannot be read: {error}") from error
    signers: list[Signer] = []
    vkeys: list[VerifierKey] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith(_PRIVATE):
            signers.append(_signer(line, f"{path}, line {number}"))
            vkeys.append(signers[-1].vkey)
        elif line.strip():
            try:
                vkeys.append(VerifierKey.parse(line))
            except InvalidInput as error:
                raise SettingsError(f"{path}, line {number}: {error.message}") from error
    if not signers:
        raise SettingsError(f"{path} has no line {_PRIVATE}…: no key to sign with")
    return Keys(signers[-2:], vkeys)


def rotate(path: Path, *, retire: bool) -> Keys:
    """Add a new key to a file and return its keys.

    Args:
        retire: forget the private part of all keys before it at once, instead of signing with the last of them too.

    Raises:
        SettingsError: see ``load_or_make``.
    """
    name = load(path).signers[-1].vkey.name
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    private = [number for number, line in enumerate(lines) if line.startswith(_PRIVATE)]
    for number in private if retire else private[:-1]:
        lines[number] = str(_signer(lines[number], str(path)).vkey)
    lines.append(_line(name, secrets.token_bytes(32)))
    os.replace(draft_of(path, "\n".join(lines) + "\n"), path)
    keys = load(path)
    _publish(path, keys)
    return keys


class KeyFile:
    """The keys of a file as they are now: a rotation counts at the next signature, without a restart."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._seen: tuple[int, int] | None = None
        self._keys = Keys([], [])

    def signers(self) -> list[Signer]:
        """Return who signs now, the newest key last; make the file where there is none.

        Raises:
            SettingsError: see ``load_or_make``.
        """
        if self._seen is None or self._seen != _stamp(self._path):
            self._keys = load_or_make(self._path, self._name)
            self._seen = _stamp(self._path)
        return self._keys.signers


def published(path: Path) -> Path:
    """Return the file with the verifier keys: what auditors give to ``--trust``."""
    return path.with_name(path.name + ".pub")


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino


def _publish(path: Path, keys: Keys) -> None:
    text = "".join(f"{vkey}\n" for vkey in keys.vkeys)
    public = published(path)
    if not public.exists() or public.read_text(encoding="ascii") != text:
        draft = draft_of(public, text)
        draft.chmod(0o644)
        os.replace(draft, public)


def _line(name: str, seed: bytes) -> str:
    key_id = Signer.from_seed(name, seed).vkey.key_id.hex()
    return f"{_PRIVATE}{name}+{key_id}+{base64.b64encode(bytes([ED25519]) + seed).decode()}"


def _signer(line: str, where: str) -> Signer:
    name, _, rest = line.removeprefix(_PRIVATE).partition("+")
    key_id, _, material = rest.partition("+")
    try:
        decoded = base64.b64decode(material, validate=True)
        if len(decoded) != 33 or decoded[0] != ED25519:
            raise ValueError("not an Ed25519 seed")
        signer = Signer.from_seed(name, decoded[1:])
        if signer.vkey.key_id.hex() != key_id:
            raise ValueError("its id does not fit its key")
    except (ValueError, binascii.Error, InvalidInput) as error:
        raise SettingsError(f"{where}: no signing key: {error}") from error
    return signer
