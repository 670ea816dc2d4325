"""The kill switch over the running stack: set in one API process, obeyed in another and by the workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from metaqore.embedded.child import Child
from tests.running import Answer, Running, another_api, best_of, wait_until


@pytest.fixture(scope="module")
def other(mq: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second API process over the same database and broker: its URL."""
    settings, spec = another_api(mq, tmp_path_factory.mktemp("other"))
    child = mq.children["other"] = Child(spec)
    try:
        mq.start("other")
        yield f"http://127.0.0.1:{settings.port}"
    finally:
        del mq.children["other"]
        child.kill()
        wait_until(child.ended, "the other API ended")


def ask(mq: Running, at: str, key: str, project: str, **options: Any) -> Answer:
    return mq.call("POST", "/security/assess", {"project": project, "content": "Paris."}, key=key, at=at, **options)


@pytest.mark.parametrize("what", ["principal", "project"])
@pytest.mark.alone
def test_a_stop_that_is_set_here_is_obeyed_there_within_a_second(mq: Running, other: str, what: str) -> None:
    project, name = mq.project("switch"), f"mallory-{what}"
    key = mq.make_key(["security:assess"], principal=name)
    subject = project if what == "project" else name

    def stopped() -> float:
        assert ask(mq, other, key, project).status == 202
        began = time.monotonic()
        assert mq.post("/stops", {"kind": what, "subject": subject, "reason": "it loops"}).status == 201

        # Nothing that is asked for after the answer to the stop is decided otherwise, wherever it was accepted.
        last: list[Answer] = []

        def refused() -> bool:
            last.append(ask(mq, other, key, project))
            return last[-1].status == 403

        wait_until(refused, "obeyed there")
        took_s = time.monotonic() - began
        assert (last[-1].status, last[-1].json["code"]) == (403, "stopped")
        accepted = [answer.json["id"] for answer in last[:-1]]
        for request in accepted:
            verdict = wait_until(lambda request=request: mq.get(f"/requests/{request}").json["verdict"], "decided")  # type: ignore[misc]
            assert verdict == "vetoed"
        assert mq.post("/stops/lift", {"kind": what, "subject": subject}).status == 204
        wait_until(lambda: ask(mq, other, key, project).status == 202, "it goes on there")
        return took_s

    assert best_of(5, stopped) <= 1.0


def test_workers_obey_a_stop_with_their_next_decision(mq: Running, other: str) -> None:
    call = {"prompt": "Which maintenance type is this? fix a bug", "provider": "mock"}
    before = mq.call("POST", "/llm/generate", call, prefer="wait=60", at=other)
    stop = {"kind": "provider", "subject": "mock", "reason": "it leaks"}

    set_at = mq.post("/stops", stop)
    after = mq.call("POST", "/llm/generate", call, prefer="wait=60", at=other)
    mq.post("/stops/lift", {"kind": "provider", "subject": "mock"})

    assert (before.status, set_at.status) == (200, 201)
    assert (after.status, after.json["decision"]["rules"]) == (403, ["provider.stopped"])


def test_what_a_stopped_principal_made_is_set_aside_and_all_of_it_is_audited(mq: Running) -> None:
    project = mq.project("quarantined")
    key = mq.make_key(["artifacts:write", "artifacts:read"], principal="trudy")
    body = {"project": project, "type": "doc", "name": "a", "content": "text of trudy"}
    made = mq.post("/artifacts", body, prefer="wait=60", key=key).json["result"]["artifact"]["id"]
    stop = {"kind": "principal", "subject": "trudy", "reason": "it lies", "quarantine_since": "2020-01-01T00:00:00Z"}

    assert mq.post("/stops", stop).status == 201

    wait_until(lambda: mq.get(f"/artifacts/{made}").json["state"] == "quarantined", "it is set aside")
    assert mq.post("/stops/lift", {"kind": "principal", "subject": "trudy"}).status == 204
    for tag in ("security:stop:set", "security:stop:lifted"):
        entries = mq.get(f"/audit/entries?tag={tag}&page_size=200").json["items"]
        assert [entry for entry in entries if "trudy" in str(entry["entry"])], tag
