"""Lifecycles, deletion, aliases and labels over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.running import Answer, Running

WAIT = "wait=60"


def declare(mq: Running, project: str, name: str, content: Any = 1, **more: Any) -> Answer:
    body = {"project": project, "type": "doc", "name": name, "content": content, **more}
    return mq.post("/artifacts", body, prefer=WAIT)


def made(mq: Running, project: str, name: str, content: Any = 1, **more: Any) -> str:
    """Declare an artifact and return its id."""
    answer = declare(mq, project, name, content, **more)
    assert answer.status in (200, 201), answer.json
    return str(answer.json["result"]["artifact"]["id"])


@pytest.fixture
def project(mq: Running) -> str:
    return mq.project("lifecycles")


def test_an_illegal_move_is_409_with_the_legal_ones(mq: Running, project: str) -> None:
    artifact = made(mq, project, "x")
    assert mq.post(f"/artifacts/{artifact}/transition", {"to": "deprecated"}, prefer=WAIT).status == 200
    answer = mq.post(f"/artifacts/{artifact}/transition", {"to": "active"}, prefer=WAIT)

    conflict = answer.json["blocking_report"]["conflicts"][0]
    assert (answer.status, conflict["class"]) == (409, "illegal_transition")
    assert conflict["evidence"]["legal"] == ["deleted"]
    assert mq.get(f"/conflicts/{conflict['id']}").json["state"] == "recorded"


def test_who_may_move_is_said_by_the_policy(mq: Running, project: str) -> None:
    artifact = made(mq, project, "x")
    mq.post(f"/artifacts/{artifact}/transition", {"to": "quarantined"}, prefer=WAIT)
    plain = mq.make_key(["artifacts:write", "artifacts:read"])
    move = f"/artifacts/{artifact}/transition"

    assert mq.post(move, {"to": "active"}, prefer=WAIT, key=plain).status == 403
    assert mq.post(move, {"to": "active"}, prefer=WAIT).status == 200


def test_a_deletion_says_what_becomes_of_those_that_depend_on_it(mq: Running, project: str) -> None:
    below = made(mq, project, "y")
    above = made(mq, project, "x", depends_on=[{"artifact": below}])
    refused = mq.call("DELETE", f"/artifacts/{below}", headers={"Prefer": WAIT})
    report = refused.json["blocking_report"]
    assert (refused.status, report["conflicts"][0]["class"]) == (409, "dependants_remain")
    assert mq.call("DELETE", f"/artifacts/{below}", headers={"Prefer": WAIT, "If-Match": '"7"'}).status == 412

    url = report["ways"][0]["url"].removeprefix("/api/v1")
    answer = mq.call("DELETE", url, headers={"Prefer": WAIT})
    assert (answer.status, answer.json["result"]["cascaded"][0]["id"]) == (200, above)
    assert [mq.get(f"/artifacts/{each}").json["state"] for each in (below, above)] == ["deleted", "deleted"]
    assert mq.get(f"/artifacts/{below}/versions/1").status == 200


def test_a_version_is_read_by_its_number_or_by_an_alias(mq: Running, project: str) -> None:
    artifact = made(mq, project, "x", "one")
    made(mq, project, "x", "two", base_version=1)
    put = mq.call("PUT", f"/artifacts/{artifact}/aliases/released", {"version": 1}, headers={"Prefer": WAIT})
    assert (put.status, put.json["result"]["version"]) == (200, 1)

    for name, content in (("1", "one"), ("2", "two"), ("released", "one"), ("latest", "two")):
        assert mq.get(f"/artifacts/{artifact}/versions/{name}").json["content"] == content
        whole = mq.get(f"/artifacts/{artifact}?alias={name}").json
        assert (whole["content"], whole["name"]) == (content, "x")
    listed = {item["alias"]: item["version"] for item in mq.get(f"/artifacts/{artifact}/aliases").json["items"]}
    assert listed == {"latest": 2, "released": 1}
    assert mq.get(f"/artifacts/{artifact}/versions/nightly").status == 404
    removed = mq.call("DELETE", f"/artifacts/{artifact}/aliases/released", headers={"Prefer": WAIT})
    assert removed.status == 200
    assert mq.get(f"/artifacts/{artifact}/versions/released").status == 404
    before = mq.get(f"/projects/{project}").json["position"] - 1
    assert mq.get(f"/artifacts/{artifact}/versions/released?as_of={before}").json["version"] == 1


def test_a_label_is_lowered_by_whoever_has_the_scope_and_gives_a_reason(mq: Running, project: str) -> None:
    artifact = made(mq, project, "x", label="SENSITIVE")
    plain = mq.make_key(["artifacts:write"])
    body = {"label": "PUBLIC", "reason": "names are removed"}
    assert mq.post(f"/artifacts/{artifact}/declassify", body, key=plain).status == 403
    assert mq.post(f"/artifacts/{artifact}/declassify", {"label": "PUBLIC", "reason": " "}).status == 422
    answer = mq.post(f"/artifacts/{artifact}/declassify", body, prefer=WAIT)

    assert (answer.status, answer.json["result"]["artifact"]["label"]) == (200, "PUBLIC")
    read = mq.get(f"/artifacts/{artifact}").json
    assert (read["version"], read["label"]) == (2, "PUBLIC")
    assert read["provenance"]["declassified"]["reason"] == "names are removed"


def test_a_reserved_type_is_refused_at_the_door(mq: Running, project: str) -> None:
    body = {"project": project, "type": "specialist_model", "name": "n", "content": 1}

    answer = mq.post("/artifacts", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/type")
    batch = mq.post("/artifacts/batch", {"items": [body, {**body, "type": "doc", "name": "fine"}]}, prefer=WAIT)
    assert [item["status"] for item in batch.json["items"]] == [422, 201]


def test_an_illegal_move_of_a_project_or_task_names_the_legal_ones(mq: Running, project: str) -> None:
    task = mq.post("/tasks", {"project": project, "title": "t"}).json["id"]
    for path, legal in ((f"/tasks/{task}", "in_progress"), (f"/projects/{project}", "planning")):
        answer = mq.call("PATCH", path, {"state": "completed"}, headers={"If-Match": "*"})
        assert (answer.status, answer.json["code"]) == (409, "illegal_transition")
        assert legal in answer.json["legal"]
        assert answer.json["rule_id"] == "psmp.illegal_transition.v1"
