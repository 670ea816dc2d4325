"""What a token that is bound to a project may touch: nothing outside of it, and what names no project is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Request

from api.door import door
from metaqore.errors import Forbidden, NotFound
from metaqore.security.keys import Principal

#: Where a WSGI environment says that the thing in the path is in the caller's project.
INSIDE = "metaqore.inside_project"
#: Path parameter → the table in which its project stands. Whatever is not here is out of reach.
_TABLES: Mapping[str, str] = {
    "artifact": "artifacts", "task": "tasks", "conflict": "conflicts", "proposal": "proposals", "request_id": "requests"
}  # fmt: skip
#: What names its project in the body and checks it when it submits (``check_submission``). No other body is read.
_SUBMITS = frozenset({"artifacts.Artifacts", "artifacts.Batch", "tasks.Tasks", "security.Assess", "llm.Generate"})
#: Path parameters that name a part of a thing.
_PARTS = frozenset({"version"})


def check_path(asked: Request, who: Principal) -> None:
    """Refuse what is outside of the project that ``who`` is bound to. Bodies are checked when they are submitted.

    Raises:
        NotFound: the thing is in another project, or nowhere.
        Forbidden: this names no project, or another one.
    """
    parameters = {name: value for name, value in (asked.view_args or {}).items() if name not in _PARTS}
    for name, value in parameters.items():
        if _project_of(name, value, who) != who.project:
            raise NotFound(f"{name} {value} does not exist")
        if name == "task" and who.task not in (None, value) and asked.method != "GET":
            raise Forbidden(f"this token is bound to task {who.task}")
    asked.environ[INSIDE] = bool(parameters)
    if parameters:
        return
    if asked.method not in ("GET", "HEAD"):
        if asked.endpoint not in _SUBMITS:
            raise Forbidden(f"this token is bound to project {who.project}, and this is not asked of a project")
    elif asked.args.get("project") != who.project:
        raise Forbidden(f"this token is bound to project {who.project}: ask with ?project={who.project}")


def _project_of(name: str, value: str, who: Principal) -> str | None:
    if name == "project":
        return value
    table = _TABLES.get(name)
    return door().views.security.project_of(table, who.organization, value) if table is not None else None


def check_inputs(artifacts: Sequence[str], who: Principal) -> None:
    """Refuse artifacts outside of the project that ``who`` is bound to: their labels would say that they are there.

    Raises:
        NotFound: one of them is in another project, or nowhere.
    """
    for artifact in artifacts if who.project is not None else ():
        if _project_of("artifact", artifact, who) != who.project:
            raise NotFound(f"inputs: artifact {artifact} does not exist")


def check_submission(environ: Mapping[str, object], project: str | None, who: Principal) -> None:
    """Refuse a request for another project than the one ``who`` is bound to.

    Raises:
        Forbidden: it is for another project, or for none.
    """
    if project != who.project and not (project is None and environ.get(INSIDE)):
        raise Forbidden(f"this token is bound to project {who.project}")
