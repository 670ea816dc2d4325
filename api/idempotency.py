"""``Idempotency-Key``: a repeat of the same request gets the first answer, another request under the key is refused."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from flask import request

from api.door import caller, door, header
from metaqore.canonical import canonical_json
from metaqore.errors import Malformed
from metaqore.requests.intake import fingerprint_parts
from metaqore.requests.model import Idempotency
from metaqore.security.keys import PrincipalKind

#: 1 to 255 visible ASCII characters, bare or as a quoted string (draft-ietf-httpapi-idempotency-key-header-07).
_KEY = re.compile(r'"(?P<quoted>(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"|(?P<bare>[\x21\x23-\x7e]{1,255})')
#: Headers that change what a request means.
_MEANING = ("If-Match", "If-None-Match")


class IdempotencyKeyRequired(Malformed):
    """This installation wants an Idempotency-Key with every POST: send a UUID, and the same one with each repeat."""

    code = "idempotency_key_required"


def idempotency(body: Any) -> Idempotency | None:
    """Return the idempotency key of this request, None where it has none.

    Args:
        body: what was sent, parsed; its canonical form is part of the fingerprint.

    Raises:
        IdempotencyKeyRequired: there is none, and the settings want one.
        Malformed: not a key.
    """
    text = header("HTTP_IDEMPOTENCY_KEY")
    if text is None:
        _check_required(door().settings.idempotency_required)
        return None
    match = _KEY.fullmatch(text.strip())
    if match is None:
        raise Malformed("Idempotency-Key: 1 to 255 visible ASCII characters, e.g. a UUID")
    key = match["bare"] or re.sub(r"\\(.)", r"\1", match["quoted"])
    rule = request.url_rule.rule if request.url_rule is not None else request.path
    headers = {name: request.headers[name] for name in _MEANING if name in request.headers}
    sent = fingerprint_parts(request.method, request.path, canonical_json(body), headers)
    return Idempotency(f"{request.method} {rule}", key, hashlib.sha256(sent).hexdigest())


def _check_required(of_whom: str) -> None:
    if of_whom == "nobody" or request.method != "POST":
        return
    if of_whom == "everybody" or caller().kind is PrincipalKind.AGENT:
        raise IdempotencyKeyRequired
