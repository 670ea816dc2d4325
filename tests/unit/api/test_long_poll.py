"""Who waits for a verdict, and may do so no longer."""

from __future__ import annotations

import threading

import pytest

from api.door import EXTENSION
from tests.in_process import InProcess
from tests.running import Answer, wait_until


@pytest.mark.parametrize("how", ["revoked", "stopped", "its delegator's key is revoked"])
def test_who_may_not_ask_any_more_waits_no_longer(mq: InProcess, how: str) -> None:
    """The request is never decided, for nobody drains; the wait ends long before its minute all the same."""
    project = mq.post("/projects", {"name": "p"}).json["id"]
    waiter = f"waiter-{len(how)}"
    made = mq.post("/keys", {"name": "n", "principal": waiter, "role": "agent"}).json
    key = made["secret"]
    if how.startswith("its"):
        asked = {"agent": "a", "project": project, "scopes": ["requests:read"]}
        key = mq.post("/tokens", asked, key=made["secret"]).json["token"]
    declared = {"project": project, "type": "code", "name": "n", "content": 1}
    request = mq.post("/artifacts", declared, key=made["secret"]).json["id"]
    answers: list[Answer] = []
    wait = threading.Thread(
        target=lambda: answers.append(mq.get(f"/requests/{request}", key=key, headers={"Prefer": "wait=60"}))
    )
    wait.start()
    hub = mq.app.extensions[EXTENSION].announcements
    wait_until(lambda: request in hub._waiting, "somebody waits", 30)

    if how == "stopped":
        assert mq.post("/stops", {"kind": "principal", "subject": waiter, "reason": "it loops"}).status == 201
    else:
        assert mq.call("DELETE", f"/keys/{made['id']}").status == 204

    wait.join(45)
    assert [answer.status for answer in answers] == [403 if how == "stopped" else 401]
    assert not hub._waiting
