from __future__ import annotations

import uuid
from typing import Any

from tests.running import Running, wait_until


def declaration(project: str, **changes: Any) -> dict[str, Any]:
    return {"project": project, "type": "code", "name": f"src/{uuid.uuid4().hex}.py", "content": "x = 1\n", **changes}


def test_a_submit_is_promised_at_once_and_decided_later(mq: Running, project: str) -> None:
    answer = mq.post("/artifacts", declaration(project))

    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/v1/requests/{answer.json['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["state"] == "accepted"
    done = wait_until(
        lambda: found if (found := mq.get(answer.json["links"]["self"][7:]).json)["finished_at"] else None, "decided"
    )
    assert (done["state"], done["verdict"]) == ("succeeded", "approved")


def test_who_prefers_to_wait_gets_the_verdict_itself(mq: Running, project: str) -> None:
    created = mq.post("/artifacts", declaration(project, name="a.py"), prefer="wait=60")
    moved = mq.post("/artifacts", declaration(project, name="a.py", content="2", base_version=1), prefer="wait=60")

    assert (created.status, created.json["result"]["created"]) == (201, True)
    assert created.headers["Preference-Applied"] == "wait=60"
    assert (moved.status, moved.json["result"]["artifact"]["version"]) == (200, 2)


def test_a_blocked_declaration_is_a_problem_with_its_report(mq: Running, project: str) -> None:
    mq.post("/artifacts", declaration(project, name="a.py"), prefer="wait=60")

    answer = mq.post("/artifacts", declaration(project, name="a.py", content="other"), prefer="wait=60")

    assert answer.status == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert (problem["code"], problem["status"], problem["retryable"]) == ("blocked", 409, False)
    assert problem["blocking_report"]["conflicts"][0]["class"] == "version_mismatch"
    assert mq.get(f"/requests/{problem['request']}").json["verdict"] == "blocked"


def test_a_remedy_of_a_report_is_a_request_that_can_be_sent(mq: Running, project: str) -> None:
    mq.post("/artifacts", declaration(project, name="a.py", content="a\nb\nc\nd\n"), prefer="wait=60")
    mq.post("/artifacts", declaration(project, name="a.py", content="A\nb\nc\nd\n", base_version=1), prefer="wait=60")
    late = declaration(project, name="a.py", content="a\nb\nc\nD\n", base_version=1)
    report = mq.post("/artifacts", late, prefer="wait=60").json["blocking_report"]
    merge = next(r for r in report["remedies"] if r["kind"] == "merge")["request"]

    answer = mq.call(merge["method"], merge["url"][7:], merge["body"], headers=merge["headers"], prefer="wait=60")

    assert answer.status == 200, answer.body
    assert mq.get(f"/artifacts/{answer.json['result']['artifact']['id']}").json["content"] == "A\nb\nc\nD\n"
    assert mq.get(f"/projects/{project}/blocking-report").json["is_blocked"] is False


def test_an_override_needs_its_scope_and_a_reason(mq: Running, project: str) -> None:
    mq.post("/artifacts", declaration(project, name="a.py"), prefer="wait=60")
    report = mq.post("/artifacts", declaration(project, name="a.py"), prefer="wait=60").json["blocking_report"]
    path = f"/conflicts/{report['conflicts'][0]['id']}/resolve"
    resolver = mq.make_key(["conflicts:resolve"])

    without_reason = mq.post(path, {"strategy": "override"})
    without_scope = mq.post(path, {"strategy": "override", "reason": "hurry"}, key=resolver, prefer="wait=60")
    allowed = mq.post(path, {"strategy": "override", "reason": "agreed by phone"}, prefer="wait=60")

    assert (without_reason.status, without_reason.json["errors"][0]["pointer"]) == (422, "/reason")
    assert (without_scope.status, without_scope.json["code"]) == (403, "forbidden")
    assert allowed.status == 200


def test_a_batch_reports_each_item_by_itself(mq: Running, project: str) -> None:
    good = [declaration(project) for _ in range(3)]
    items = [good[0], {**good[1], "type": "NOT A TYPE"}, good[1], declaration("prj_of_nobody"), {}, good[2]]

    answer = mq.post("/artifacts/batch", {"items": items}, prefer="wait=60")

    assert answer.status == 200, answer.body
    assert [item["status"] for item in answer.json["items"]] == [201, 422, 201, 404, 422, 201]
    assert answer.json["items"][1]["problem"]["errors"][0]["pointer"] == "/type"
    assert len({item["id"] for item in answer.json["items"] if "id" in item}) == 3


def test_a_batch_without_one_sound_item_is_refused(mq: Running, project: str) -> None:
    answer = mq.post("/artifacts/batch", {"items": [{}, declaration("prj_of_nobody")]})

    assert answer.status == 422
    assert {place["pointer"] for place in answer.json["errors"]} == {"/items/0", "/items/1"}


def test_five_hundred_go_in_one_batch_and_no_more(mq: Running, project: str) -> None:
    items = [declaration(project, content=i) for i in range(500)]

    answer = mq.post("/artifacts/batch", {"items": items}, prefer="wait=50")
    too_many = mq.post("/artifacts/batch", {"items": [*items, items[0]]})

    assert answer.status == 200
    assert {item["status"] for item in answer.json["items"]} == {201}
    assert too_many.status == 422


def test_the_same_key_and_body_give_the_same_promise(mq: Running, project: str) -> None:
    body, key = declaration(project), {"Idempotency-Key": f'"{uuid.uuid4()}"'}

    first = mq.post("/artifacts", body, headers=key)
    again = mq.post("/artifacts", dict(reversed(body.items())), headers=key)
    waited = mq.post("/artifacts", body, headers=key, prefer="wait=60")
    other = mq.post("/artifacts", {**body, "content": "y"}, headers=key)

    assert (again.status, again.json["id"]) == (202, first.json["id"])
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (waited.status, waited.json["id"]) == (201, first.json["id"])
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")


def test_a_batch_can_be_repeated_under_its_key(mq: Running, project: str) -> None:
    body, key = {"items": [declaration(project), {}, declaration(project)]}, {"Idempotency-Key": uuid.uuid4().hex}

    first = mq.post("/artifacts/batch", body, headers=key)
    again = mq.post("/artifacts/batch", body, headers=key)

    assert again.headers["Idempotency-Replayed"] == "true"
    assert [i.get("id") for i in again.json["items"]] == [i.get("id") for i in first.json["items"]]


def test_a_key_belongs_to_its_principal(mq: Running, project: str) -> None:
    body, key = declaration(project), {"Idempotency-Key": uuid.uuid4().hex}
    other = mq.make_key(["*"], principal="somebody else")

    assert (
        mq.post("/artifacts", body, headers=key).json["id"]
        != mq.post("/artifacts", body, headers=key, key=other).json["id"]
    )


def test_a_control_plane_write_is_replayed_too(mq: Running) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}

    first = mq.post("/projects", {"name": "once"}, headers=key)
    again = mq.post("/projects", {"name": "once"}, headers=key)

    assert (first.status, again.status) == (201, 201)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_key_that_is_none_is_refused(mq: Running, project: str) -> None:
    answer = mq.post("/artifacts", declaration(project), headers={"Idempotency-Key": "x" * 256})

    assert (answer.status, answer.json["code"]) == (400, "malformed")


def test_if_match_refuses_a_stale_version_before_it_is_accepted(mq: Running, project: str) -> None:
    new = mq.post("/artifacts", declaration(project, name="a.py"), headers={"If-None-Match": "*"}, prefer="wait=60")
    body = declaration(project, name="a.py", content="2")
    fresh = mq.post("/artifacts", body, headers={"If-Match": '"1"'}, prefer="wait=60")

    assert (new.status, fresh.status, fresh.json["result"]["artifact"]["version"]) == (201, 200, 2)
    assert mq.post("/artifacts", body, headers={"If-Match": '"1"'}).status == 412
    assert mq.post("/artifacts", body, headers={"If-None-Match": "*"}).status == 412
    assert mq.post("/artifacts", {**body, "base_version": 1}, headers={"If-Match": '"2"'}).status == 422


def test_a_request_that_has_ended_cannot_be_cancelled(mq: Running, project: str) -> None:
    promised = mq.post("/artifacts", declaration(project))
    done = mq.get(f"/requests/{promised.json['id']}", prefer="wait=60")

    late = mq.post(f"/requests/{promised.json['id']}/cancel")

    assert done.json["state"] == "succeeded"
    assert (late.status, late.json["code"]) == (409, "conflict")


def test_what_a_caller_has_already_is_not_sent_again(mq: Running, project: str) -> None:
    created = mq.post("/artifacts", declaration(project), prefer="wait=60").json
    artifact, request = created["result"]["artifact"]["id"], created["id"]

    for path in (
        f"/projects/{project}",
        f"/artifacts/{artifact}",
        f"/artifacts/{artifact}/versions/1",
        f"/requests/{request}",
    ):
        tag = mq.get(path).headers["ETag"]
        again = mq.get(path, headers={"If-None-Match": tag})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag), path
