"""Evidence for those who asked: what the audit log has about their request, and whether a receipt is one of ours."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from api.door import caller, door
from metaqore.audit.checkpoint import VerifierKey, open_checkpoint, origin_of
from metaqore.audit.kept import Kept
from metaqore.audit.merkle import verify_inclusion
from metaqore.audit.receipt import Receipt, check_receipt
from metaqore.audit.source import CannotRead
from metaqore.errors import InvalidInput, NotFound

#: Entries of one result that are checked at once: as many as a result names.
MOST_KEPT = 64


def proof(text: str) -> msgspec.Raw:
    """Return the receipt of an entry of the caller's organization.

    Raises:
        NotFound: there is no such entry, or it is not sealed yet.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFound(f"there is no sealed audit entry {text}; a new one is sealed within a second")
    return msgspec.Raw(door().views.audit.proof(caller().organization, int(text)).to_json().encode())


def check(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a receipt, or what was kept of a result or webhook, proves about the log of the caller's
    organization."""
    try:
        return _check_receipt(given["receipt"]) if "receipt" in given else _check_kept(_kept(given))
    except (InvalidInput, CannotRead) as error:
        return {"valid": False, "why": str(error), "size": None, "in_log": False}


def _check_receipt(receipt: dict[str, Any]) -> dict[str, Any]:
    parsed = Receipt.parse(msgspec.json.encode(receipt).decode())
    checkpoint = check_receipt(parsed, _keys(), origin=_origin())
    try:
        in_log = door().views.audit.proof(caller().organization, parsed.seq).leaf_hash == parsed.leaf_hash
    except NotFound:
        in_log = False
    return {"valid": True, "why": None, "size": checkpoint.size, "in_log": in_log}


def _kept(given: dict[str, Any]) -> Kept:
    webhook = given.get("webhook", {})
    headers = json.dumps(webhook["headers"]) if webhook else None
    kept = Kept.parse(json.dumps(webhook["body"] if webhook else given["result"]), headers)
    if kept is None:
        raise InvalidInput("it has no entries with seq and leaf_hash, as the member audit of a result or webhook has")
    if len(kept.entries) > MOST_KEPT:
        raise InvalidInput(f"it has {len(kept.entries)} entries, {MOST_KEPT} are checked at once")
    return kept


def _check_kept(kept: Kept) -> dict[str, Any]:
    checkpoint = open_checkpoint(kept.checkpoint, _keys(), _origin())
    in_log, why = True, None
    for seq, leaf in kept.entries:
        if not 1 <= seq <= checkpoint.size:
            raise InvalidInput(f"entry {seq} is not among the {checkpoint.size} entries of the checkpoint")
        found = door().views.audit.proof_at(caller().organization, seq, checkpoint.size)
        if found is None or found.leaf_hash != leaf:
            in_log, why = False, f"entry {seq} of the log here is not the one that was shown"
        elif not verify_inclusion(leaf, seq - 1, checkpoint.size, found.proof, checkpoint.root):
            why = why or f"the log here does not have the root that was signed for {checkpoint.size} entries"
    return {"valid": why is None, "why": why, "size": checkpoint.size, "in_log": in_log}


def _keys() -> list[VerifierKey]:
    return [VerifierKey.parse(row["vkey"]) for row in door().views.audit.verifier_keys()]


def _origin() -> str:
    return origin_of(door().settings.audit_log_name, caller().organization)


def with_evidence(document: bytes, request: str) -> tuple[bytes, str]:
    """Return a finished request with what was recorded of it, and a word that changes when it is sealed."""
    found = door().views.audit.evidence(caller().organization, request)
    shown = msgspec.json.encode(found.shown())
    return document[:-1] + b',"audit":' + shown + b"}", "sealed" if found.checkpoint else "finished"
