"""Looking at a project as it was: ``as_of`` on the reads of its things."""

from __future__ import annotations

from api.door import caller, door
from metaqore.clock import now_ms
from metaqore.errors import NotFound
from metaqore.psmp.checkpoints import SKEW_MS, Place, parse_point, refuse
from metaqore.store.views.psmp import PsmpViews
from metaqore.store.views.psmp_time import PastViews


def place_of(project: str, text: str | None, field: str) -> Place:
    """Return where a moment of a project is; the present where ``text`` is None.

    Raises:
        NotFound: there is no such project in the caller's organization.
        InvalidInput: it has no such moment.
    """
    point = None if text is None else parse_point(text, field)
    found = door().views.time.place(caller().organization, project, point, field)
    if found is None:
        raise NotFound(f"project {project} does not exist")
    return found


def moment_of(project: str, as_of: str | None) -> Place | None:
    """Return where a moment of a project is; None for the present.

    Raises:
        NotFound: there is no such project.
        InvalidInput: it has no such moment.
    """
    return None if as_of is None else place_of(project, as_of, "as_of")


def time_of(as_of: str) -> int:
    """Return the time, in milliseconds, that is meant for all projects of an organization.

    Raises:
        InvalidInput: it is no time, or yet to come.
    """
    point = parse_point(as_of)
    if point.kind != "time":
        refuse("as_of", "a position or a checkpoint is one of a single project's history: give a time")
    if int(point.value) > now_ms() + SKEW_MS:
        refuse("as_of", f"{as_of} is yet to come")
    return int(point.value)


def views_at(project: str, as_of: str | None) -> PsmpViews | PastViews:
    """Return the look-ups of a project now, or as of a moment.

    Raises:
        NotFound: there is no such project.
        InvalidInput: it has no such moment.
    """
    if as_of is None:
        return door().views.psmp
    return door().views.time.at(place_of(project, as_of, "as_of").position)


def views_of(table: str, key: str, as_of: str | None) -> PsmpViews | PastViews:
    """Return the look-ups for one artifact, task or conflict now, or as of a moment of its project.

    Raises:
        InvalidInput: its project has no such moment.
    """
    if as_of is None:
        return door().views.psmp
    project = door().views.psmp.project_of(caller().organization, table, key)
    # What does not exist is not found in the present either.
    return door().views.psmp if project is None else views_at(project, as_of)
