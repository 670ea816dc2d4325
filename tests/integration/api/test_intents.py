"""Intents and the joint manifest over HTTP, between two agents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.running import Answer, Running


@pytest.fixture(scope="module")
def bob(mq: Running) -> str:
    """The key of a second agent."""
    return mq.make_key(["*"], principal="bob")


def announce(mq: Running, project: str, **body: Any) -> Answer:
    return mq.post(
        f"/projects/{project}/intents", {"purpose": "rewrite it", "expires_in_s": 600, **body}, prefer="wait=60"
    )


def declare(mq: Running, project: str, name: str, *, key: str | None = None, **more: Any) -> Answer:
    body = {"project": project, "type": "code", "name": name, "content": f"{name}\n", **more}
    return mq.post("/artifacts", body, key=key, prefer="wait=60")


def test_an_intent_is_announced_seen_fulfilled_and_withdrawn(mq: Running, project: str, bob: str) -> None:
    answer = announce(mq, project, writes=[{"type": "code", "name": "a.py"}], claims={"paths": ["src/**"]})
    assert (answer.status, answer.json["verdict"], answer.json["result"]["warnings"]) == (200, "approved", [])
    intent = answer.json["result"]["intent"]["id"]
    (listed,) = mq.get(f"/projects/{project}/intents").json["items"]
    assert (listed["id"], listed["state"], listed["remaining"]) == (intent, "open", ["code/a.py"])
    assert listed == mq.get(f"/projects/{project}/intents/{intent}").json

    clash = declare(mq, project, "b.py", key=bob, claims=["src/b.py"])
    assert clash.status == 409
    assert clash.json["blocking_report"]["conflicts"][0]["class"] == "claim_collision"
    assert declare(mq, project, "a.py", intent=intent, owns=[""]).json["result"]["intent"]["state"] == "fulfilled"
    assert mq.get(f"/projects/{project}/intents").json["items"] == []
    assert mq.get(f"/projects/{project}/intents?state=fulfilled").json["items"][0]["id"] == intent
    owned = declare(mq, project, "a.py", key=bob, base_version=1, content="mine\n")
    assert owned.json["blocking_report"]["conflicts"][0]["evidence"]["manager"] == "developer"

    other = announce(mq, project, reads=[{"type": "code", "name": "a.py", "base_version": 1}]).json["result"]["intent"][
        "id"
    ]
    gone = mq.call("DELETE", f"/projects/{project}/intents/{other}", prefer="wait=60")
    assert (gone.status, gone.json["result"]["intent"]["state"]) == (200, "withdrawn")
    assert mq.get(f"/projects/{project}/intents/{other}").json["state"] == "withdrawn"


@pytest.mark.parametrize(
    "body", [{"writes": []}, {"expires_in_s": 0, "reads": [{"artifact": "x"}]}, {"claims": {"paths": ["../x"]}}]
)
def test_an_announcement_that_binds_nobody_is_refused_at_the_door(mq: Running, project: str, body: Any) -> None:
    answer = announce(mq, project, **body)
    assert answer.status == 422, answer.body
    assert mq.get(f"/projects/{project}/intents?state=open").json["items"] == []


def test_an_intent_of_another_project_is_not_there(mq: Running, project: str) -> None:
    intent = announce(mq, project, claims={"resources": ["db"]}).json["result"]["intent"]["id"]
    assert mq.get(f"/projects/{mq.project()}/intents/{intent}").status == 404


def test_the_manifest_shows_what_all_require_and_who_contradicts(mq: Running, bob: str) -> None:
    project = mq.project(mode="strict")
    first = declare(mq, project, "a.py", requires=[{"name": "Requests", "specifier": ">=2.0"}])
    assert first.json["result"]["constraints"][0]["witness"] == "2.0"
    assert declare(mq, project, "b.py", key=bob, requires=[{"name": "requests", "specifier": "<3"}]).status == 201
    clash = declare(mq, project, "c.py", key=bob, requires=[{"name": "requests", "specifier": "<2.0"}])
    assert clash.status == 409
    assert len(clash.json["blocking_report"]["conflicts"][0]["evidence"]["core"]) == 2

    page = mq.get(f"/projects/{project}/manifest").json
    (entry,) = page["items"]
    assert (entry["package"], entry["constraint"], entry["witness"]) == ("requests", "<3,>=2.0", "2.0")
    assert {(r["name"], r["declared_by"]) for r in entry["required_by"]} == {("a.py", "developer"), ("b.py", "bob")}
    assert mq.get("/projects/prj_0/manifest").status == 404
