"""The hot routes' bodies, checked by msgspec; each agrees with the marshmallow schema named beside it (tested)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from metaqore.llm.model import GenerateCommand
from metaqore.psmp.declaration import check
from metaqore.psmp.model import Declaration

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


#: project, payload of ``llm.generate``
Generation = tuple[str | None, dict[str, Any]]
_project = Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None


def generation(body: Any) -> Generation:
    """Check a model call (``GenerateSchema``) and take it apart.

    Raises:
        msgspec.ValidationError: not of its shape.
        InvalidInput: not exactly one source of text, or variables without a template.
    """
    payload = msgspec.convert(body, dict[str, Any])
    project = msgspec.convert(payload.pop("project", None), _project)
    GenerateCommand.from_json(payload)
    return project, payload
