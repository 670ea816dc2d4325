"""Over HTTP: reports whose remedies are sent as they are, approvals by people, and many agents at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from click.testing import CliRunner

from metaqore.cli.main import main
from metaqore.settings import to_environ
from tests.running import Answer, Running

BASE = "a\nb\nc\nd\n"


def declaration(project: str, content: str, base: int | None = None, **more: Any) -> dict[str, Any]:
    return {"project": project, "type": "code", "name": "a.py", "content": content, "base_version": base, **more}


def send(mq: Running, remedy: dict[str, Any], **options: Any) -> Answer:
    """Send a remedy's request exactly as it stands in the report."""
    request = remedy["request"]
    path = request["url"].removeprefix("/api/v1")
    return mq.call(
        request["method"], path, request["body"], headers=request["headers"], prefer="wait=60", **options
    )  # fmt: skip


def blocked(mq: Running, project: str, **options: Any) -> dict[str, Any]:
    """Let a stale change be blocked that does not collide with the head; return its report."""
    mq.post("/artifacts", declaration(project, BASE), prefer="wait=60")
    mq.post("/artifacts", declaration(project, "A\nb\nc\nd\n", 1), prefer="wait=60")
    answer = mq.post("/artifacts", declaration(project, "a\nb\nc\nD\n", 1), prefer="wait=60", **options)
    assert answer.status == 409, answer.body
    report: dict[str, Any] = answer.json["blocking_report"]
    assert answer.json["detail"] == report["summary"]
    return report


def test_a_remedy_is_sent_as_it_stands_and_its_repeat_gets_the_same_answer(mq: Running, project: str) -> None:
    report = blocked(mq, project)
    rebase = report["remedies"][0]

    sent = send(mq, rebase)
    again = send(mq, rebase)

    assert (rebase["kind"], sent.status) == ("rebase", 200), sent.body
    assert sent.json["result"]["artifact"]["version"] == 3
    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.json["result"] == sent.json["result"]
    assert mq.get(f"/projects/{project}/blocking-report").json["is_blocked"] is False
    closed = mq.get(f"/proposals/{report['proposal']}").json
    assert (closed["state"], closed["blocking_report"]) == ("admitted", None)


def test_a_conflict_that_is_over_says_so_wherever_it_is_read(mq: Running, project: str) -> None:
    needs = [{"type": "code", "name": "later.py"}]
    answer = mq.post("/artifacts", declaration(project, BASE, depends_on=needs), prefer="wait=60")
    conflict = answer.json["blocking_report"]["conflicts"][0]["id"]

    def read() -> list[tuple[bool | None, str | None]]:
        rows = [
            mq.get(f"/conflicts/{conflict}").json,
            mq.get(f"/conflicts?project={project}").json["items"][0],
            mq.get(f"/projects/{project}/blocking-report").json["items"][0]["conflicts"][0],
        ]
        return [(row["applies"], row["obsolete_reason"]) for row in rows]

    assert read() == [(True, None)] * 3
    mq.post("/artifacts", {**declaration(project, BASE), "name": "later.py"}, prefer="wait=60")
    assert [applies for applies, _ in read()] == [False] * 3
    assert all(reason is not None and "retry" in reason for _, reason in read())
    mq.post(f"/conflicts/{conflict}/resolve", {"strategy": "retry"}, prefer="wait=60")
    row = mq.get(f"/conflicts/{conflict}").json
    assert (row["state"], row["applies"]) == ("resolved", None)


def test_a_remedy_that_comes_too_late_is_a_412_and_leaves_nothing(mq: Running, project: str) -> None:
    report = blocked(mq, project)
    mq.post("/artifacts", declaration(project, "new\n", 2), prefer="wait=60")

    for remedy in report["remedies"]:
        late = send(mq, remedy)
        assert (late.status, late.json["code"]) == (412, "precondition_failed"), remedy["kind"]
        assert "version 3, not 2" in late.json["detail"]

    listed = mq.get(f"/projects/{project}/blocking-report").json["items"]
    assert [item["proposal"] for item in listed] == [report["proposal"]]
    assert listed[0]["head_version"] == 3
    assert listed[0]["minimal_core"][0]["pointer"] == "/base_version"
    assert send(mq, listed[0]["remedies"][0]).status == 200


def test_a_batch_says_where_the_remedies_are(mq: Running, project: str) -> None:
    mq.post("/artifacts", declaration(project, BASE), prefer="wait=60")
    answer = mq.post("/artifacts/batch", {"items": [declaration(project, "x\n")]}, prefer="wait=60")
    report = answer.json["items"][0]["problem"]["blocking_report"]
    assert mq.get(report["links"]["remedies"].removeprefix("/api/v1")).json["blocking_report"]["remedies"]


def test_a_person_approves_over_http_what_its_author_may_not(mq: Running, project: str) -> None:
    report = blocked(mq, project)
    escalate = next(remedy for remedy in report["remedies"] if remedy["kind"] == "escalate")
    approval = send(mq, escalate).json["result"]["approval"]
    person = mq.make_key(["approvals:answer", "artifacts:read"], principal="pat")
    path = f"/approvals/{approval['id']}"

    listed = mq.get(f"/approvals?project={project}&state=open", key=person).json["items"]
    assert [each["id"] for each in listed] == [approval["id"]]
    assert mq.get(f"/proposals/{listed[0]['subject']}", key=person).json["content_hash"] == approval["content_hash"]
    own = mq.post(path + "/approve", {}, prefer="wait=60")
    assert (own.status, own.json["code"]) == (403, "forbidden")
    other = mq.post(path + "/approve", {"content_hash": "sha256:" + "0" * 64}, key=person, prefer="wait=60")
    assert other.status == 412
    shown = {"content_hash": approval["content_hash"], "reason": "agreed"}
    answered = mq.post(path + "/approve", shown, key=person, prefer="wait=60")
    assert (answered.status, answered.json["result"]["artifact"]["version"]) == (200, 3), answered.body
    assert mq.post(path + "/deny", {}, key=person, prefer="wait=60").json["code"] == "already_answered"
    assert mq.get(path, key=person).json["answered_by"] == "pat"


@pytest.mark.parametrize("word", ["approve", "deny"])
def test_a_person_answers_on_the_command_line(
    mq: Running, project: str, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    report = blocked(mq, project)
    conflict = report["conflicts"][0]["id"]
    asked = mq.post(f"/conflicts/{conflict}/resolve", {"strategy": "escalate"}, prefer="wait=60")
    approval = asked.json["result"]["approval"]["id"]
    for name, value in to_environ(mq.settings).items():
        monkeypatch.setenv(name, value)

    listed = CliRunner().invoke(main, ["approvals", "list", "--project", project, "--json"])
    shown = CliRunner().invoke(main, ["approvals", "show", approval])
    own = CliRunner().invoke(main, ["approvals", "approve", approval, "--by", "developer"])
    answered = CliRunner().invoke(main, ["approvals", word, approval, "--by", "pat", "--reason", "seen"])
    twice = CliRunner().invoke(main, ["approvals", word, approval, "--by", "pat"])

    assert approval in listed.output, listed.output
    assert "a\\nb\\nc\\nD" in shown.output
    assert (own.exit_code, "another must" in own.output) == (1, True), own.output
    assert answered.exit_code == 0, answered.output
    assert ("code/a.py is at version 3" in answered.output) == (word == "approve")
    assert (twice.exit_code, "is " + ("approved" if word == "approve" else "denied") in twice.output) == (1, True)
    assert mq.get(f"/approvals/{approval}").json["answered_by"] == "pat"


def test_an_author_withdraws(mq: Running, project: str) -> None:
    report = blocked(mq, project)
    other = mq.make_key(["artifacts:write"], principal="other")
    withdraw = next(remedy for remedy in report["remedies"] if remedy["kind"] == "withdraw")

    assert send(mq, withdraw, key=other).status == 403
    assert send(mq, withdraw).json["result"]["proposal"]["state"] == "withdrawn"
    assert mq.get(f"/projects/{project}/blocking-report").json["items"] == []


@pytest.mark.parametrize("agents", [24])
def test_of_many_agents_at_once_no_update_is_lost_and_versions_have_no_gap(mq: Running, agents: int) -> None:
    project = mq.project(mode="adaptive")
    counts = {str(n): 0 for n in range(agents)}
    first = mq.post("/artifacts", {**declaration(project, ""), "content": counts}, prefer="wait=60")
    keys = [mq.make_key(["artifacts:write"], principal=f"agent-{n}") for n in range(agents)]
    answers: list[Answer | None] = [None] * agents
    start = threading.Barrier(agents)

    def agent(n: int) -> None:
        body = {**declaration(project, "", 1), "content": {**counts, str(n): 1}}
        start.wait()
        answers[n] = mq.post("/artifacts", body, key=keys[n], prefer="wait=60")

    threads = [threading.Thread(target=agent, args=(n,)) for n in range(agents)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    versions = sorted(answer.json["result"]["artifact"]["version"] for answer in answers if answer is not None)
    artifact = first.json["result"]["artifact"]["id"]
    assert versions == list(range(2, agents + 2))
    assert mq.get(f"/artifacts/{artifact}").json["content"] == dict.fromkeys(counts, 1)
