"""The provenance of an artifact as it goes out: a PROV-JSON document, or a picture of the same graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from api import answers
from api.about import named_version
from api.door import caller, door
from metaqore.audit.picture import draw
from metaqore.audit.provenance import to_prov_json
from metaqore.clock import now_ms, to_rfc3339

#: More nodes than this nobody can read in one picture, and placing them would keep others waiting.
MOST_DRAWN = 120
SVG = "image/svg+xml; charset=utf-8"


def of(artifact: str, query: Mapping[str, Any]) -> Response:
    """Return the provenance of the version that a query names.

    Raises:
        NotFound: the caller's organization has no such artifact or version.
        InvalidInput: the artifact's project has no such moment.
    """
    who = caller()
    version = named_version(artifact, query["version"], query["as_of"])["version"]
    drawn = query["format"] == "svg"
    graph = door().views.provenance.of(
        who.organization,
        artifact,
        version,
        depth=query["depth"],
        limit=min(query["nodes"], MOST_DRAWN) if drawn else query["nodes"],
        project=who.project,
    )
    if drawn:
        return answers.Whole(draw(graph, f"Provenance of {artifact}, version {version}").encode(), content_type=SVG)
    about = {"artifact": artifact, "version": version, "depth": query["depth"], "asOf": query["as_of"],
             "collectedAt": to_rfc3339(now_ms())}  # fmt: skip
    return answers.body(to_prov_json(graph, who.organization, about))
