"""Custom policies and stops over HTTP, in every process that serves."""

from __future__ import annotations

import pytest

from tests.running import Running, best_of, seconds_until, wait_until

RULE = {"id": "no-eve", "version": 1, "mode": "enforce", "when": 'request.principal == "eve"', "effect": "deny",
        "message": "Eve is on leave."}  # fmt: skip


def test_a_policy_is_saved_listed_and_obeyed(mq: Running) -> None:
    project = mq.project("governed")
    body = {"project": project, "document": {"rules": [RULE]}, "reason": "leave"}
    eve = mq.make_key(["security:assess"], principal="eve")

    mq.post("/security/assess", {"project": project, "content": "Paris."}, prefer="wait=60", key=eve)
    tried = mq.post("/policies/preview", {"project": project, "document": {"rules": [RULE]}}).json

    saved = mq.post("/policies", body)
    listed = mq.get(f"/policies?project={project}").json
    vetoed = mq.post("/security/assess", {"project": project, "content": "Paris."}, prefer="wait=60", key=eve)

    assert [change["after"]["verdict"] for change in tried["changed"]] == ["vetoed"]
    assert (saved.status, saved.json["version"]) == (200, 1)
    assert listed["items"][0]["digest"] == saved.json["digest"]
    assert listed["built_in"]["digest"].startswith("sha256:")
    assert (vetoed.status, vetoed.json["decision"]["rules"]) == (403, ["no-eve@1"])
    shown = mq.get(f"/decisions/{vetoed.json['decision']['id']}").json
    assert shown["body"]["rules"] == ["no-eve@1"]
    assert mq.post("/policies", {**body, "version": 7}).status == 412


def test_a_policy_with_a_mistake_is_refused_where_it_is(mq: Running) -> None:
    wrong = {"document": {"rules": [{**RULE, "when": 'eve == "eve"'}]}, "reason": "leave"}

    refused = mq.post("/policies", wrong)

    assert refused.status == 422
    assert refused.json["errors"][0]["pointer"] == "/document/rules/0/when"


@pytest.mark.parametrize("what", ["principal", "project"])
@pytest.mark.alone
def test_a_stop_counts_within_a_second_and_can_be_lifted(mq: Running, what: str) -> None:
    project = mq.project("stopped")
    eve = mq.make_key(["security:assess"], principal=f"eve-{what}")
    ask = {"project": project, "content": "Paris."}
    subject = project if what == "project" else f"eve-{what}"

    def refused() -> bool:
        answer = mq.post("/security/assess", ask, key=eve)
        return answer.status == 403 and answer.json["code"] in ("stopped", "vetoed")

    def stopped() -> float:
        assert mq.post("/security/assess", ask, key=eve).status == 202
        assert mq.post("/stops", {"kind": what, "subject": subject, "reason": "it loops"}).status == 201

        took_s = seconds_until(refused, "the stop counts")

        assert subject in [stop["subject"] for stop in mq.get("/stops").json["items"]]
        assert mq.post("/stops/lift", {"kind": what, "subject": subject}).status == 204
        wait_until(lambda: mq.post("/security/assess", ask, key=eve).status == 202, "it goes on")
        return took_s

    assert best_of(5, stopped) <= 1.0


def test_readiness_names_the_policy_in_force(mq: Running) -> None:
    policy = mq.get("//readyz", key="").json["checks"]["policy"]

    assert policy["ok"] is True
    assert policy["digest"].startswith("sha256:")
    assert policy["age_s"] >= 0
    metrics = mq.get("//metrics").body.decode()
    assert 'metaqore_policy_usable{file="security.yaml"} 1.0' in metrics
    assert f'metaqore_policy_age_seconds{{digest="{policy["digest"]}",file="security.yaml"}}' in metrics


def test_a_declaration_waits_for_somebody_who_sees_what_it_holds(mq: Running) -> None:
    project = mq.project("four eyes")
    rule = {**RULE, "id": "eyes", "when": 'request.kind == "artifact.declare"',
            "effect": {"require_approval": "approvals:answer"}, "message": "Two people look."}  # fmt: skip
    assert mq.post("/policies", {"project": project, "document": {"rules": [rule]}, "reason": "care"}).status == 200
    author = mq.make_key(["artifacts:read", "artifacts:write"], principal="author")
    person = mq.make_key(["artifacts:read", "approvals:answer"], principal="person")
    body = {"project": project, "type": "code", "name": "a.py", "content": "print(1)"}

    vetoed = [mq.post("/artifacts", body, prefer="wait=60", key=author) for _ in range(2)]
    assert [(answer.status, answer.json["decision"]["approvals"]) for answer in vetoed] == [
        (403, ["approvals:answer"])
    ] * 2
    path = f"/approvals?project={project}&state=open"
    [asked] = wait_until(lambda: mq.get(path, key=person).json["items"], "somebody is asked", seconds=60)
    shown, hidden = (mq.get(f"/approvals/{asked['id']}", key=key).json for key in (person, author))
    answer = mq.post(f"/approvals/{asked['id']}/approve", {"content_hash": asked["content_hash"]}, prefer="wait=60",
                     key=person)  # fmt: skip
    other = mq.post("/artifacts", {**body, "content": "print(2)"}, prefer="wait=60", key=author)
    again = mq.post("/artifacts", body, prefer="wait=60", key=author)

    assert asked["base"] == {"kind": "artifact.declare", "request": vetoed[0].json["request"]}
    assert shown["payload"]["content"] == "print(1)"
    assert hidden["payload"] is None
    assert (answer.status, other.status, again.status) == (200, 403, 201)
