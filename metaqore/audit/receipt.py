"""Receipts: the evidence about one entry that a client keeps and checks without the server. No I/O.

A receipt is a JSON object ``{"format", "seq", "leaf_hash" (hex), "proof" (base64 each), "checkpoint" (signed note)}``.
The same facts have a text form, C2SP tlog-proof, for tools that read that.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass

from metaqore.audit.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_checkpoint
from metaqore.audit.merkle import HASH_BYTES, leaf_hashes, verify_inclusion
from metaqore.errors import InvalidInput

RECEIPT_FORMAT = "metaqore-audit-receipt/1"
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
#: A tree of 2**63 leaves needs no more.
MAX_PROOF_HASHES = 63


class BadReceipt(InvalidInput):
    """The receipt does not prove that its entry is in the log."""


@dataclass(frozen=True)
class Receipt:
    """Evidence that the entry ``seq`` with ``leaf_hash`` (32 bytes) is in the log at ``checkpoint`` (a signed note)."""

    seq: int
    leaf_hash: bytes
    proof: tuple[bytes, ...]
    checkpoint: str

    def to_json(self) -> str:
        """Return the receipt as one JSON object."""
        return json.dumps(
            {
                "format": RECEIPT_FORMAT,
                "seq": self.seq,
                "leaf_hash": self.leaf_hash.hex(),
                "proof": [base64.b64encode(node).decode() for node in self.proof],
                "checkpoint": self.checkpoint,
            },
            ensure_ascii=False,
        )

    def to_tlog_proof(self) -> str:
        """Return the receipt as C2SP tlog-proof text; its ``extra`` data is the leaf hash."""
        lines = [
            PROOF_HEADER,
            "extra " + base64.b64encode(self.leaf_hash).decode(),
            f"index {self.seq - 1}",
            *(base64.b64encode(node).decode() for node in self.proof),
        ]
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Return the receipt of either form, unverified: see ``check_receipt``.

        Raises:
            BadReceipt: it is neither.
        """
        try:
            return cls._parse_proof(text) if text.startswith(PROOF_HEADER) else cls._parse_json(text)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as error:
            raise BadReceipt(
                f"not a receipt: {error!r}. Expected is a JSON object with format {RECEIPT_FORMAT!r}, or text that "
                f"begins with {PROOF_HEADER!r}"
            ) from error

    @classmethod
    def _parse_json(cls, text: str) -> Receipt:
        value = json.loads(text)
        if value["format"] != RECEIPT_FORMAT:
            raise ValueError(f"format {value['format']!r}")
        if type(value["seq"]) is not int or type(value["checkpoint"]) is not str:
            raise TypeError("seq is an integer, checkpoint a string")
        proof = tuple(base64.b64decode(node, validate=True) for node in value["proof"])
        return cls(value["seq"], bytes.fromhex(value["leaf_hash"]), proof, value["checkpoint"])

    @classmethod
    def _parse_proof(cls, text: str) -> Receipt:
        head, _, note = text.partition("\n\n")
        _, extra, index, *proof = head.split("\n")
        if not extra.startswith("extra ") or not index.startswith("index "):
            raise ValueError("the lines 'extra <leaf hash>' and 'index <number>' are missing")
        return cls(
            int(index[6:]) + 1,
            base64.b64decode(extra[6:], validate=True),
            tuple(base64.b64decode(node, validate=True) for node in proof),
            note,
        )


def check_receipt(
    receipt: Receipt,
    keys: Iterable[VerifierKey] | None,
    *,
    origin: str | None = None,
    body: bytes | None = None,
) -> Checkpoint:
    """Verify a receipt and return the checkpoint that it hangs on.

    Args:
        keys: the trusted keys; None checks the arithmetic alone and trusts the checkpoint as it stands.
        origin: the expected origin line, where it is known.
        body: the bytes of the entry, where the caller has them: they must have the receipt's leaf hash.

    Raises:
        BadReceipt: the entry is not what, or not where, the receipt says.
        BadNote, BadSignature, Untrusted: the checkpoint must not be used.
    """
    if keys is None:
        checkpoint = parse_checkpoint(receipt.checkpoint)
        if origin is not None and checkpoint.origin != origin:
            raise BadReceipt(f"the receipt's checkpoint is of {checkpoint.origin}, expected is {origin}")
    else:
        checkpoint = open_checkpoint(receipt.checkpoint, keys, origin)
    if len(receipt.leaf_hash) != HASH_BYTES or len(receipt.proof) > MAX_PROOF_HASHES:
        raise BadReceipt(f"the receipt of entry {receipt.seq} has a leaf hash or a proof of the wrong length")
    if body is not None and leaf_hashes([body]) != [receipt.leaf_hash]:
        raise BadReceipt(f"the entry shown is not the entry {receipt.seq} of the receipt: their hashes differ")
    if not 1 <= receipt.seq <= checkpoint.size:
        raise BadReceipt(f"entry {receipt.seq} is not among the {checkpoint.size} entries of the checkpoint")
    if not verify_inclusion(receipt.leaf_hash, receipt.seq - 1, checkpoint.size, receipt.proof, checkpoint.root):
        raise BadReceipt(
            f"the proof does not lead from entry {receipt.seq} to the root of the {checkpoint.size} signed entries"
        )
    return checkpoint
