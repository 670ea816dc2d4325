"""What several resources of an artifact share: the version that a name means, and requests about the artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from api.door import authority, caller, door
from api.moments import place_of, views_of
from api.submit import submit
from metaqore.errors import NotFound
from metaqore.psmp.aliases import LATEST

#: What an artifact shows of one of its versions.
_PARTS = ("version", "content", "content_hash", "label", "base_version", "body", "request_id")


def project_of(artifact: str) -> str:
    """Return the project of an artifact.

    Raises:
        NotFound: there is no such artifact in the caller's organization.
    """
    project = door().views.psmp.project_of(caller().organization, "artifacts", artifact)
    if project is None:
        raise NotFound(f"artifact {artifact} does not exist")
    return project


def submit_about(artifact: str, kind: str, payload: Mapping[str, Any], *, body: Any) -> Response:
    """Accept a request about an artifact whose decision depends on the caller's scopes.

    Raises:
        NotFound: there is no such artifact in the caller's organization.
    """
    return submit(kind, project_of(artifact), {**payload, "authority": authority()}, body=body)


def named_version(artifact: str, name: str, as_of: str | None) -> Mapping[str, Any]:
    """Return the version that a number or an alias means.

    Raises:
        NotFound: there is none.
    """
    number = _number(artifact, name, as_of)
    row = views_of("artifacts", artifact, as_of).version(caller().organization, artifact, number)
    if row is None:
        raise NotFound(f"artifact {artifact} has no version {name}")
    return row


def with_version(row: Mapping[str, Any], name: str, as_of: str | None) -> Mapping[str, Any]:
    """Return an artifact with what the version that ``name`` means carries.

    Raises:
        NotFound: there is no such version.
    """
    version = named_version(row["id"], name, as_of)
    return {**row, **{part: version[part] for part in _PARTS}}


def aliases(artifact: str, as_of: str | None) -> list[Mapping[str, Any]]:
    """Return the aliases of an artifact, ``latest`` first.

    Raises:
        NotFound: there is no such artifact.
    """
    row = views_of("artifacts", artifact, as_of).artifact(caller().organization, artifact)
    if row is None:
        raise NotFound(f"artifact {artifact} does not exist")
    at = None if as_of is None else place_of(row["project"], as_of, "as_of").position
    latest = {"alias": LATEST, "version": row["version"], "set_by": row["updated_by"], "set_at": row["updated_at"]}
    return [latest, *door().views.aliases.aliases(caller().organization, artifact, at=at)]


def _number(artifact: str, name: str, as_of: str | None) -> int:
    if name.isascii() and name.isdigit() and len(name) <= 15:
        return int(name)
    found = next((row["version"] for row in aliases(artifact, as_of) if row["alias"] == name), None)
    if found is None:
        raise NotFound(f"artifact {artifact} has no version {name!r}: give a number or an alias")
    return int(found)
