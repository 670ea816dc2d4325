"""Every read of a project's things can look back, and is answered as it was then; found in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest

from tests.running import Running

#: GET operations that look at something else than a project's present state, or name their moments themselves.
ELSEWHERE = {"diffProject": "compares two moments that it is given"}
#: Under which a project's things are read by their own ids.
ROOTS = ("/projects/{project}", "/artifacts/{artifact}", "/tasks/{task}", "/conflicts/{conflict}",
         "/proposals/{proposal}", "/approvals/{approval}")  # fmt: skip
LISTS = ("listArtifacts", "listTasks", "listConflicts", "listApprovals", "listProjects")
WORK = {"a": 1, "text": "A long enough description of the work."}


@pytest.fixture(scope="module")
def reads(mq: Running) -> dict[str, tuple[str, dict[str, Any]]]:
    """operationId → (path, operation) of every GET that the test is about."""
    found = {}
    for path, methods in mq.get("/openapi.json", key="").json["paths"].items():
        operation, short = methods.get("get"), path.removeprefix("/api/v1")
        if operation is not None and (short.startswith(ROOTS) or operation["operationId"] in LISTS):
            found[operation["operationId"]] = (short, operation)
    assert {"getManifest", "listIntents", "getProposal", "listVersions", *LISTS} <= found.keys()
    return found


def test_every_read_of_a_project_and_its_things_has_as_of(reads: dict[str, tuple[str, dict[str, Any]]]) -> None:
    without = {
        name for name, (_, operation) in reads.items()
        if "as_of" not in {parameter.get("name") for parameter in operation.get("parameters", ())}
    }  # fmt: skip
    assert without == set(ELSEWHERE) & set(reads)


@pytest.fixture(scope="module")
def past(mq: Running, reads: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What every read answered at a moment, and what has been changed since: everything."""
    things, queries = _life(mq)
    paths = {
        name: path.format(**things) + queries.get(name, "?")
        for name, (path, _) in reads.items() if name not in ELSEWHERE
    }  # fmt: skip
    answers = {name: mq.get(path).json for name, path in paths.items()}
    position = mq.get(f"/projects/{things['project']}").json["position"]
    _changes(mq, things)
    return {"paths": paths, "answers": answers, "position": position, "things": things}


def _life(mq: Running) -> tuple[dict[str, str], dict[str, str]]:
    project = mq.project("looked back at")

    def declare(name: str, content: Any, **more: Any) -> Any:
        body = {"project": project, "type": "doc", "name": name, "content": content, **more}
        return mq.post("/artifacts", body, prefer="wait=60").json

    needs = [{"name": "requests", "specifier": ">=2"}, {"name": "left-pad", "specifier": "^1.2", "ecosystem": "npm"}]
    artifact = declare("x", WORK, requires=needs, claims=["src/x.py"])["result"]["artifact"]["id"]
    declare("y", {"b": 2}, requires=[{"name": "requests", "specifier": "<4"}])
    mq.call("PUT", f"/artifacts/{artifact}/aliases/released", {"version": 1}, prefer="wait=60")
    blocked = declare("x", {"a": 2})["blocking_report"]
    conflict = blocked["conflicts"][0]["id"]
    approval = mq.post(
        f"/conflicts/{conflict}/resolve", {"strategy": "escalate", "reason": "r"}, prefer="wait=60"
    ).json["result"]["approval"]["id"]
    announced = {"purpose": "p", "expires_in_s": 3600, "writes": [{"type": "doc", "name": n} for n in ("u", "v")]}
    intent = mq.post(f"/projects/{project}/intents", announced, prefer="wait=60").json["result"]["intent"]["id"]
    task = mq.post("/tasks", {"project": project, "title": "first"}).json["id"]
    checkpoint = mq.post(f"/projects/{project}/checkpoints", {"name": "here"}).json["id"]
    things = {"project": project, "artifact": artifact, "conflict": conflict, "approval": approval, "task": task,
              "proposal": blocked["proposal"], "intent": intent, "checkpoint": checkpoint,
              "version": "released"}  # fmt: skip
    listed = f"?project={project}&"
    return things, {name: listed for name in LISTS if name != "listProjects"}


def _changes(mq: Running, things: dict[str, str]) -> None:
    project = things["project"]

    def declare(name: str, content: Any, **more: Any) -> None:
        body = {"project": project, "type": "doc", "name": name, "content": content, **more}
        answer = mq.post("/artifacts", body, prefer="wait=60")
        assert answer.status in (200, 201), answer.json

    declare("u", {"u": 1}, intent=things["intent"])
    declare("x", {"a": 3}, base_version=1, requires=[{"name": "flask", "specifier": ">=3"}])
    mq.call("PUT", f"/artifacts/{things['artifact']}/aliases/released", {"version": 2}, prefer="wait=60")
    mq.post(f"/proposals/{things['proposal']}/withdraw", {}, prefer="wait=60")
    declare("v", {"v": 1}, intent=things["intent"])
    tag = {"If-Match": mq.get(f"/tasks/{things['task']}").headers["ETag"]}
    assert mq.call("PATCH", f"/tasks/{things['task']}", {"title": "second"}, headers=tag).status == 200
    tag = {"If-Match": mq.get(f"/projects/{project}").headers["ETag"]}
    assert mq.call("PATCH", f"/projects/{project}", {"name": "renamed"}, headers=tag).status == 200
    assert mq.call("DELETE", f"/projects/{project}/checkpoints/{things['checkpoint']}").status == 204
    moved = mq.post(f"/artifacts/{things['artifact']}/transition", {"to": "deprecated"}, prefer="wait=60")
    assert moved.json["verdict"] == "approved"


#: What is worked out when it is read, and says of the past only that it is past.
NOW_ONLY = {"summary", "minimal_core", "core_is_minimal", "remedies", "complete", "links", "applies",
            "obsolete", "obsolete_reason", "mq:asOf", "mq:collectedAt"}  # fmt: skip


def _then(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _then(member) for name, member in value.items() if name not in NOW_ONLY}
    return [_then(member) for member in value] if isinstance(value, list) else value


def test_every_read_is_answered_as_it_was_then(mq: Running, past: dict[str, Any]) -> None:
    position = past["position"]
    wrong = {}
    for name, path in past["paths"].items():
        if name == "listProjects":
            continue
        assert _then(mq.get(path).json) != _then(past["answers"][name]), f"{name}: nothing has changed"
        then = mq.get(f"{path}as_of={position}")
        if then.status != 200 or _then(then.json) != _then(past["answers"][name]):
            wrong[name] = (then.status, then.json, past["answers"][name])
    assert not wrong


def test_what_did_not_exist_then_is_not_found(mq: Running, past: dict[str, Any]) -> None:
    """At position 1 the project has just been created."""
    for name, path in past["paths"].items():
        if name == "listProjects":
            continue
        answer = mq.get(f"{path}as_of=1")
        if answer.status == 200 and name not in ("getProject", "getBlockingReport"):
            assert answer.json["items"] == [], name
        else:
            assert answer.status == (200 if name in ("getProject", "getBlockingReport") else 404), name


def test_projects_are_listed_as_of_a_time(mq: Running, past: dict[str, Any]) -> None:
    before = past["answers"]["getProject"]["updated_at"]
    listed = {item["id"]: item for item in mq.get(f"/projects?page_size=200&as_of={before}").json["items"]}
    assert listed[past["things"]["project"]]["name"] == "looked back at"
    assert mq.get("/projects?as_of=3").json["errors"][0]["pointer"] == "/as_of"
    assert mq.get("/projects?as_of=9999-01-01T00:00:00Z").status == 422
