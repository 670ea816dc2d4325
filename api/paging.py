"""Pages by cursor: ``page_size`` and ``page_token`` in, ``{items, next_page_token}`` out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec

from metaqore.errors import InvalidInput
from metaqore.store.views.lookup import Page

#: No key is a larger number (2^53 - 1, RFC 7493).
_LARGEST = 9_007_199_254_740_991


def envelope(page: Page, show: Callable[[Any], Any] = lambda item: item) -> dict[str, Any]:
    """Return a page as callers see it; ``next_page_token`` is empty at the end."""
    return {"items": [show(item) for item in page.items], "next_page_token": token(page.last)}


def token(last: Any) -> str:
    """Return the opaque token that goes on after ``last``."""
    return "" if last is None else base64.urlsafe_b64encode(msgspec.json.encode(last)).decode().rstrip("=")


def after(text: str, kind: Any) -> Any:
    """Return the key that a token stands for, None for no token.

    Args:
        kind: the type of the key, as msgspec reads it.

    Raises:
        InvalidInput: it was not made here.
    """
    if not text:
        return None
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=kind)
        for part in found if isinstance(found, tuple) else (found,):
            # What no database takes for a key cannot be one: it would be an error of the server's.
            if "\0" in part if isinstance(part, str) else not 0 <= part <= _LARGEST:
                raise ValueError
        return found
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        place = {"pointer": "/page_token", "detail": "pass the next_page_token of the page before, unchanged"}
        raise InvalidInput("page_token: not a token of this list", errors=[place]) from error
