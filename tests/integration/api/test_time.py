"""A project's history over HTTP: looking back, naming moments, comparing them, going back."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.running import Answer, Running


def declare(mq: Running, project: str, name: str, content: Any, base: int | None = None, **more: Any) -> Answer:
    body = {"project": project, "type": "doc", "name": name, "content": content, "base_version": base, **more}
    return mq.post("/artifacts", body, prefer="wait=60")


@pytest.fixture
def history(mq: Running, project: str) -> dict[str, str]:
    """A project at position 4: x (two versions), then y."""
    x = declare(mq, project, "x", "one\ntwo\n").json["result"]["artifact"]["id"]
    declare(mq, project, "x", "one\nTWO\n", 1)
    y = declare(mq, project, "y", 1, depends_on=[{"type": "doc", "name": "x"}]).json["result"]["artifact"]["id"]
    return {"project": project, "x": x, "y": y}


def test_every_read_can_look_back(mq: Running, history: dict[str, str]) -> None:
    p, x = history["project"], history["x"]
    declare(mq, p, "z", 1, depends_on=[{"type": "doc", "name": "nowhere"}])  # blocked, position 5
    conflict = mq.get(f"/conflicts?project={p}").json["items"][0]["id"]
    task = mq.post("/tasks", {"project": p, "title": "late"}).json["id"]  # position 6

    assert mq.get(f"/projects/{p}").json["position"] == 6
    assert mq.get(f"/projects/{p}?as_of=4").json["position"] == 4
    names = [item["name"] for item in mq.get(f"/artifacts?project={p}&as_of=3").json["items"]]
    assert names == ["x"]
    then = mq.get(f"/artifacts/{x}?as_of=2")
    assert (then.json["version"], then.json["content"], then.headers["ETag"]) == (1, "one\ntwo\n", '"1"')
    assert mq.get(f"/artifacts/{history['y']}?as_of=3").status == 404
    assert [v["version"] for v in mq.get(f"/artifacts/{x}/versions?as_of=2").json["items"]] == [1]
    assert mq.get(f"/artifacts/{x}/versions/2?as_of=2").status == 404
    assert mq.get(f"/conflicts?project={p}&as_of=4").json["items"] == []
    assert mq.get(f"/conflicts/{conflict}?as_of=4").status == 404
    assert mq.get(f"/conflicts/{conflict}?as_of=5").json["state"] == "open"
    assert [mq.get(f"/projects/{p}/blocking-report?as_of={n}").json["open"] for n in (4, 5)] == [0, 1]
    assert mq.get(f"/projects/{p}/blocking-report?as_of=5").json["items"][0]["remedies"] == []
    assert mq.get(f"/tasks?project={p}&as_of=5").json["items"] == []
    assert mq.get(f"/tasks/{task}?as_of=5").status == 404
    assert mq.get(f"/tasks/{task}?as_of=6").json["title"] == "late"


@pytest.mark.parametrize(
    "moment", ["5", "nobody", "chk_0", "-1", "2026-99-01T00:00:00Z", "9999-01-01T00:00:00Z", "%20"]
)
def test_a_moment_that_is_none_says_so(mq: Running, history: dict[str, str], moment: str) -> None:
    for path in (f"/projects/{history['project']}?", f"/artifacts?project={history['project']}&",
                 f"/artifacts/{history['x']}?", f"/projects/{history['project']}/blocking-report?"):  # fmt: skip
        answer = mq.get(f"{path}as_of={moment}")
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/as_of"), path


def test_as_of_over_all_projects_means_nothing(mq: Running) -> None:
    assert mq.get("/conflicts?as_of=1").status == 422


def test_a_checkpoint_is_made_used_and_deleted(mq: Running, history: dict[str, str]) -> None:
    p, key = history["project"], {"Idempotency-Key": uuid.uuid4().hex}
    made = mq.post(f"/projects/{p}/checkpoints", {"name": "before-y", "at": 3, "note": "n"}, headers=key)
    again = mq.post(f"/projects/{p}/checkpoints", {"name": "before-y", "at": 3, "note": "n"}, headers=key)
    twice = mq.post(f"/projects/{p}/checkpoints", {"name": "before-y"})

    assert (made.status, made.json["position"], again.json["id"]) == (201, 3, made.json["id"])
    assert (twice.status, again.headers["Idempotency-Replayed"]) == (409, "true")
    for moment in ("before-y", made.json["id"]):
        assert [item["name"] for item in mq.get(f"/artifacts?project={p}&as_of={moment}").json["items"]] == ["x"]
    assert mq.get(f"/projects/{p}/checkpoints").json["items"] == [mq.get(made.headers["Location"][7:]).json]
    assert mq.call("DELETE", made.headers["Location"][7:]).status == 204
    assert mq.get(made.headers["Location"][7:]).status == 404
    past = mq.post(f"/projects/{p}/checkpoints", {"name": "late", "expires_at": "2020-01-01T00:00:00Z"})
    assert (past.status, past.json["errors"][0]["pointer"]) == (422, "/expires_at")


def test_a_diff_is_paged_and_shows_the_content_of_one_artifact(mq: Running, history: dict[str, str]) -> None:
    p = history["project"]
    first = mq.get(f"/projects/{p}/diff?from=2&to=4&page_size=1").json
    rest = mq.get(f"/projects/{p}/diff?from=2&to=4&page_size=1&page_token={first['next_page_token']}").json

    assert [(i["title"], i["change"]) for i in first["items"] + rest["items"]] == [
        ("doc/x", "changed"),
        ("doc/y", "added"),
    ]
    one = mq.get(f"/projects/{p}/diff?from=2&artifact={history['x']}").json
    assert (one["from"], one["to"]) == (2, 4)
    assert one["content"][2:] == ["@@ -1,2 +1,2 @@", " one", "-two", "+TWO"]
    assert mq.get(f"/projects/{p}/diff?from=9").json["errors"][0]["pointer"] == "/from"
    assert mq.get(f"/projects/{p}/diff?from=2&artifact=art_none").status == 404


def test_a_project_goes_back_and_forth(mq: Running, history: dict[str, str]) -> None:
    p, x = history["project"], history["x"]
    went = mq.post(f"/projects/{p}/restore", {"to": 2, "reason": "wrong way"}, prefer="wait=60")

    assert went.status == 200, went.body
    result = went.json["result"]
    assert (result["before"], result["position"]) == (4, 5)
    assert {m["title"]: m["did"] for m in result["members"]} == {"doc/x": "restored", "doc/y": "deprecated"}
    assert (mq.get(f"/artifacts/{x}").json["content"], mq.get(f"/artifacts/{x}").json["version"]) == ("one\ntwo\n", 3)
    back = mq.post(f"/projects/{p}/restore", {"to": result["before"]}, prefer="wait=60").json["result"]
    assert mq.get(f"/artifacts/{x}").json["content"] == "one\nTWO\n"
    assert mq.get(f"/projects/{p}/diff?from=4&to={back['position']}").json["items"] == []
    assert mq.post(f"/projects/{p}/restore", {"to": "nobody"}).status == 422
    assert mq.post(f"/projects/{p}/restore", {"to": 1}, key=mq.make_key(["projects:write"])).status == 403


def test_a_preview_decides_as_a_worker_would_and_leaves_no_trace(mq: Running, history: dict[str, str]) -> None:
    p = history["project"]
    declarations = [
        {"type": "doc", "name": "x", "content": "other\n", "base_version": 1},
        {"type": "doc", "name": "new", "content": 1, "depends_on": [{"type": "doc", "name": "y"}]},
    ]

    strict = mq.post("/decisions/preview", {"project": p, "declarations": declarations})
    playground = mq.post("/decisions/preview", {"project": p, "declarations": declarations, "mode": "playground"})

    assert strict.status == 200, strict.body
    assert [item["verdict"] for item in strict.json["items"]] == ["blocked", "approved"]
    assert [item["verdict"] for item in playground.json["items"]] == ["approved", "approved"]
    assert mq.get(f"/projects/{p}").json["position"] == strict.json["position"] == 4
    reader = mq.make_key(["artifacts:read"])
    assert mq.post("/decisions/preview", {"project": p, "declarations": declarations}, key=reader).status == 200
    bad = mq.post("/decisions/preview", {"project": p, "declarations": declarations, "policy": "version: 1"})
    assert (bad.status, bad.json["errors"][0]["pointer"]) == (422, "/policy")


def test_a_replay_says_what_another_mode_would_have_made_of_it(mq: Running, history: dict[str, str]) -> None:
    p = history["project"]
    declare(mq, p, "z", 1, depends_on=[{"type": "doc", "name": "nowhere"}])

    same = mq.post("/decisions/replay", {"project": p})
    playground = mq.post("/decisions/replay", {"project": p, "from": 2, "mode": "playground"}).json

    assert (same.json["decided"], same.json["same"], same.json["not_reproduced"]) == (5, 5, 0), same.body
    assert (playground["from"], playground["decided"]) == (2, 3)
    assert [(c["what"], c["was"], c["would_be"]) for c in playground["changed"]] == [("doc/z", "blocked", "approved")]
    assert mq.post("/decisions/replay", {"project": p, "from": 3, "to": 2}).status == 422


def test_a_replay_can_be_followed_line_by_line(mq: Running, history: dict[str, str]) -> None:
    asked = {"project": history["project"], "from": 2}
    whole = mq.post("/decisions/replay", asked)
    streamed = mq.post("/decisions/replay", asked, headers={"Accept": "application/x-ndjson"})

    lines = [json.loads(line) for line in streamed.body.splitlines()]
    assert (whole.status, streamed.status, streamed.headers["Content-Type"]) == (200, 200, "application/x-ndjson")
    assert (whole.json["decided"], whole.json["not_reproduced"]) == (2, 0)
    assert lines[-1]["result"] == whole.json


def test_a_long_replay_is_the_work_of_a_worker(mq: Running, history: dict[str, str]) -> None:
    asked = {"project": history["project"], "from": 2, "mode": "playground"}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    whole = mq.post("/decisions/replay", asked)
    promised = mq.post("/decisions/replay", asked, prefer="respond-async", headers=key)
    again = mq.post("/decisions/replay", asked, prefer="respond-async", headers=key)
    done = mq.get(promised.headers["Location"][7:], prefer="wait=60").json

    assert (promised.status, promised.headers["Preference-Applied"]) == (202, "respond-async"), promised.body
    assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (promised.json["id"], "true")
    assert (done["state"], done["kind"], done["result"]) == ("succeeded", "history.replay", whole.json)
    assert "progress" not in done
    bad = mq.post("/decisions/replay", {**asked, "policy": "version: 1"}, prefer="respond-async")
    assert (bad.status, bad.json["errors"][0]["pointer"]) == (422, "/policy")
