"""Differences between two positions of a project, as callers see them."""

from __future__ import annotations

from typing import Any

from api import paging
from api.door import caller, door
from metaqore.errors import NotFound
from metaqore.psmp.diff import content_lines


def of_project(project: str, start: int, end: int, *, token: str, limit: int) -> dict[str, Any]:
    """Return one page of what differs.

    Raises:
        InvalidInput: the token was not made here.
    """
    after = paging.after(token, tuple[int, str])
    found, last = door().views.time.diff(project, start, end, after=after, limit=limit)
    shown = [difference.shown() for difference in found]
    return {"project": project, "from": start, "to": end, "items": shown, "next_page_token": paging.token(last)}


def of_artifact(project: str, artifact: str, start: int, end: int) -> dict[str, Any]:
    """Return what differs of one artifact, with the differences of its content.

    Raises:
        NotFound: the project has no such artifact.
    """
    who, time = caller().organization, door().views.time
    if door().views.psmp.project_of(who, "artifacts", artifact) != project:
        raise NotFound(f"artifact {artifact} does not exist")
    found = time.difference(artifact, start, end)
    rows = [time.at(position).artifact(who, artifact) for position in (start, end)]
    before, after = (None if row is None else row["content"] for row in rows)
    items = [] if found is None else [found.shown()]
    return {"project": project, "from": start, "to": end, "items": items, "content": content_lines(before, after),
            "next_page_token": ""}  # fmt: skip
