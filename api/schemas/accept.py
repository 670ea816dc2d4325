"""The hot routes' bodies, checked by msgspec; each agrees with the marshmallow schema named beside it (tested)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from metaqore.psmp.model import Declaration
from metaqore.psmp.rules import check

#: project, payload of ``artifact.declare``
Declared = tuple[str, dict[str, Any]]


class DeclareBody(Declaration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``DeclareSchema``."""

    project: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


def declaration(body: Any) -> Declared:
    """Check a declaration and take it apart.

    Raises:
        msgspec.ValidationError: not of its shape.
        InvalidInput: no project could admit it.
    """
    checked = msgspec.convert(body, DeclareBody)
    check(checked)
    payload = dict(body)
    return payload.pop("project"), payload
