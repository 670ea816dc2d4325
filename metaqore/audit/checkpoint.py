"""Signed tree heads: C2SP tlog-checkpoint in a C2SP signed-note, with Ed25519 and cosignatures. No I/O.

A note is text, an empty line, and signature lines. Each line names its key and carries the first four bytes of a
hash over name, algorithm and public key, so keys rotate by that id: sign with the old and the new one for a while,
publish both verifier keys ("vkeys"), retire the old one.

The origin of a checkpoint is ``<log name>/<organization>``; the key's name is the log name, so one published vkey
serves every organization of an installation and still cannot vouch for another log.

Sources: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature, RFC 8032.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from metaqore.errors import InvalidInput

#: Signature type bytes of c2sp.org/signed-note. The byte is part of key and key id, so that others can follow.
ED25519 = 0x01
ED25519_COSIGNATURE = 0x04

MAX_SIGNATURES = 64
MAX_NOTE_CHARS = 100_000

_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class BadNote(InvalidInput):
    """The text is not a signed checkpoint."""


class BadSignature(InvalidInput):
    """A signature by a trusted key does not fit the checkpoint: it was changed after it was signed."""


class Untrusted(InvalidInput):
    """The checkpoint is not signed by any trusted key."""


class Checkpoint(NamedTuple):
    """A tree head: whose log, how many entries, and their 32-byte root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text that is signed: three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Signature(NamedTuple):
    """One signature line: key name, 4-byte key id, and the bytes after it."""

    name: str
    key_id: bytes
    value: bytes


class Note(NamedTuple):
    """A parsed note: its signed text, ending in a newline, and its signatures. Nothing of it is verified."""

    text: str
    signatures: tuple[Signature, ...]


class Verified(NamedTuple):
    """A signature that holds: by which key and, for a witness's cosignature, when (seconds since the epoch)."""

    key: VerifierKey
    time_s: int | None


@dataclass(frozen=True)
class VerifierKey:
    """A public key under a name; ``str()`` is its vkey, ``<name>+<8 hex digits>+<base64>``."""

    name: str
    algorithm: int
    public_key: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput(f"key name {self.name!r}: it must not be empty or hold spaces or '+'")
        if self.algorithm not in (ED25519, ED25519_COSIGNATURE):
            raise InvalidInput(f"key {self.name} has signature type {self.algorithm:#04x}, known are 0x01 and 0x04")
        if len(self.public_key) != 32:
            raise InvalidInput(f"key {self.name} has {len(self.public_key)} bytes, an Ed25519 public key has 32")

    @property
    def key_id(self) -> bytes:
        """Four bytes: ``SHA-256(name || 0x0A || type || public key)[:4]``."""
        key = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public_key
        return hashlib.sha256(key).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.algorithm]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Return the key of a vkey.

        Raises:
            InvalidInput: it is not a vkey, its type is unknown, or its id does not fit its key.
        """
        name, _, rest = vkey.strip().partition("+")
        key_id, _, material = rest.partition("+")
        try:
            decoded = _decode(material)
        except ValueError:
            decoded = b""
        if not decoded:
            raise InvalidInput(f"{vkey!r} is no verifier key: expected <name>+<8 hex digits>+<base64>")
        key = cls(name, decoded[0], decoded[1:])
        if key.key_id.hex() != key_id:
            raise InvalidInput(f"verifier key {vkey!r} has the id {key_id!r}, its name and key give {key.key_id.hex()}")
        return key

    def check(self, text: str, value: bytes) -> int | None:
        """Verify a signature over a note text; return the time of a cosignature in seconds, else None.

        Raises:
            BadSignature: it does not verify.
        """
        time_s: int | None = None
        message = text.encode()
        if self.algorithm == ED25519_COSIGNATURE:
            if len(value) != 72:
                raise BadSignature(f"the cosignature of {self.name} has {len(value)} bytes instead of 72")
            time_s = struct.unpack(">Q", value[:8])[0]
            message = _cosigned(text, time_s)
            value = value[8:]
        try:
            _public_key(self.public_key).verify(value, message)
        except (InvalidSignature, ValueError) as error:
            raise BadSignature(
                f"the signature of {self.name} ({self.key_id.hex()}) does not fit: the checkpoint was changed after "
                "it was signed"
            ) from error
        return time_s


class Signer:
    """An Ed25519 private key under a log's or a witness's name."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey, *, witness: bool = False) -> None:
        self._private_key = private_key
        algorithm = ED25519_COSIGNATURE if witness else ED25519
        self.vkey = VerifierKey(name, algorithm, private_key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, name: str, seed: bytes, *, witness: bool = False) -> Signer:
        """Return the signer of a 32-byte Ed25519 seed (RFC 8032 §5.1.5)."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed), witness=witness)

    def sign(self, text: str, time_s: int | None = None) -> str:
        """Return the signature line over a note text.

        Args:
            time_s: seconds since the epoch: needed by a witness, refused for a log.
        """
        if (time_s is None) == (self.vkey.algorithm == ED25519_COSIGNATURE):
            raise InvalidInput(f"{self.vkey.name}: a witness signs with the time, a log without")
        if time_s is None:
            value = self._private_key.sign(text.encode())
        else:
            value = struct.pack(">Q", time_s) + self._private_key.sign(_cosigned(text, time_s))
        return f"\u2014 {self.vkey.name} {base64.b64encode(self.vkey.key_id + value).decode()}\n"


def origin_of(log_name: str, organization: str) -> str:
    """Return the origin line of an organization's log."""
    return f"{log_name}/{quote(organization, safe='')}"


def sign_checkpoint(checkpoint: Checkpoint, signers: Iterable[Signer]) -> str:
    """Return the signed note of a checkpoint; during a rotation, by the old and the new key."""
    return checkpoint.text + "\n" + "".join(signer.sign(checkpoint.text) for signer in signers)


def cosign(note: str, witness: Signer, time_s: int) -> str:
    """Return the note with a witness's cosignature added. The witness must have checked consistency before."""
    return note + witness.sign(parse_note(note).text, time_s)


def parse_note(note: str) -> Note:
    """Return text and signatures of a note, unverified.

    Raises:
        BadNote: it is not a signed note.
    """
    if len(note) > MAX_NOTE_CHARS:
        raise BadNote(f"a checkpoint of {len(note)} characters is not believed: at most {MAX_NOTE_CHARS}")
    text, gap, lines = note.rpartition("\n\n")
    if not gap or not text or not lines.endswith("\n"):
        raise BadNote("a signed note is text, an empty line, and signature lines, each ending in a newline")
    if _CONTROL.search(note):
        raise BadNote("a signed note holds no control characters but newlines")
    signatures = tuple(_parse_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MAX_SIGNATURES:
        raise BadNote(f"the note has {len(signatures)} signatures, at most {MAX_SIGNATURES} are read")
    return Note(text + "\n", signatures)


def parse_checkpoint(note: str | Note) -> Checkpoint:
    """Return the tree head of a note, unverified: see ``open_checkpoint``.

    Raises:
        BadNote: it is not a checkpoint.
    """
    parsed = parse_note(note) if isinstance(note, str) else note
    lines = parsed.text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise BadNote("a checkpoint has three lines (origin, size, root) and no empty ones")
    if not _SIZE.fullmatch(lines[1]):
        raise BadNote(f"the checkpoint's size {lines[1]!r} is not a decimal number without leading zeroes")
    try:
        root = _decode(lines[2])
    except ValueError:
        root = b""
    if len(root) != 32:
        raise BadNote(f"the checkpoint's root {lines[2]!r} is not the base64 of 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> list[Verified]:
    """Return the signatures by known keys, all of them verified; those by unknown keys are ignored.

    Raises:
        BadSignature: one by a known key does not verify.
        Untrusted: none is by a known key.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = [
        Verified(known[name, key_id], known[name, key_id].check(note.text, value))
        for name, key_id, value in note.signatures
        if (name, key_id) in known
    ]
    if not found:
        signed = ", ".join(f"{name} ({key_id.hex()})" for name, key_id, _ in note.signatures)
        trusted = ", ".join(f"{name} ({key_id.hex()})" for name, key_id in known) or "none"
        raise Untrusted(f"the checkpoint is signed by {signed}, trusted is {trusted}")
    return found


def open_checkpoint(note: str, keys: Iterable[VerifierKey], origin: str | None = None) -> Checkpoint:
    """Return the tree head of a note that the log signed with a trusted key.

    Args:
        keys: the trusted keys; witnesses' keys alone do not vouch for the log.
        origin: what the origin line must be; else the key's name, or that and ``/<organization>``.

    Raises:
        BadNote, BadSignature, Untrusted: it must not be used; Untrusted also for another log's origin.
    """
    parsed = parse_note(note)
    checkpoint = parse_checkpoint(parsed)
    logs = [key for key in keys if key.algorithm == ED25519]
    names = {verified.key.name for verified in verify_note(parsed, logs)}
    if origin is not None and checkpoint.origin != origin:
        raise Untrusted(f"the checkpoint is of {checkpoint.origin}, expected is {origin}")
    if not any(checkpoint.origin == name or checkpoint.origin.startswith(name + "/") for name in names):
        raise Untrusted(f"the checkpoint is of {checkpoint.origin}, its key is of {', '.join(sorted(names))}")
    return checkpoint


@lru_cache(maxsize=64)
def _public_key(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def _parse_signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        value = _decode(encoded)
    except ValueError:
        value = b""
    if dash != "\u2014" or not _NAME.fullmatch(name) or len(value) < 5:
        raise BadNote(f"signature line {line[:80]!r}: expected '\u2014 <key name> <base64>'")
    return Signature(name, value[:4], value[4:])


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _decode(encoded: str) -> bytes:
    """Decode base64 that has one spelling only: no white space, no stray bits after the end."""
    try:
        value = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if base64.b64encode(value).decode() != encoded:
        raise ValueError("not the canonical base64 of its bytes")
    return value
