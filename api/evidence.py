"""Evidence for those who asked: what the audit log has about their request, and whether a receipt is one of ours."""

from __future__ import annotations

from typing import Any

import msgspec

from api.door import caller, door
from metaqore.audit.checkpoint import VerifierKey, origin_of
from metaqore.audit.receipt import Receipt, check_receipt
from metaqore.errors import InvalidInput, NotFound


def proof(text: str) -> msgspec.Raw:
    """Return the receipt of an entry of the caller's organization.

    Raises:
        NotFound: there is no such entry, or it is not sealed yet.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFound(f"there is no sealed audit entry {text}; a new one is sealed within a second")
    return msgspec.Raw(door().views.audit.proof(caller().organization, int(text)).to_json().encode())


def check(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return what a receipt proves about the log of the caller's organization."""
    here, organization = door(), caller().organization
    keys = [VerifierKey.parse(row["vkey"]) for row in here.views.audit.verifier_keys()]
    origin = origin_of(here.settings.audit_log_name, organization)
    try:
        parsed = Receipt.parse(msgspec.json.encode(receipt).decode())
        checkpoint = check_receipt(parsed, keys, origin=origin)
    except InvalidInput as error:
        return {"valid": False, "why": error.message, "size": None, "in_log": False}
    try:
        in_log = here.views.audit.proof(organization, parsed.seq).leaf_hash == parsed.leaf_hash
    except NotFound:
        in_log = False
    return {"valid": True, "why": None, "size": checkpoint.size, "in_log": in_log}


def with_evidence(document: bytes, request: str) -> tuple[bytes, str]:
    """Return a finished request with what was recorded of it, and a word that changes when it is sealed."""
    found = door().views.audit.evidence(caller().organization, request)
    shown = msgspec.json.encode(found.shown())
    return document[:-1] + b',"audit":' + shown + b"}", "sealed" if found.checkpoint else "finished"
