"""A specialist answers calls that come over HTTP, in the worker's own process, until it is retired."""

from __future__ import annotations

from typing import Any

from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore
from tests.running import Running
from tests.specialists import call, changes, register


def test_a_specialist_answers_over_http_until_it_is_retired(mq: Running) -> None:
    database = Database(mq.settings.dsn)
    key = register(SqlStore(database), mq.settings.organization)
    database.close()
    later = changes(30, seed=11)

    def ask(**more: Any) -> list[dict[str, Any]]:
        found = [mq.post("/llm/generate", call(text, **more), prefer="wait=60").json for text, _ in later[:12]]
        return [answer["result"] for answer in found]

    answers = ask()

    own = [answer for answer in answers if answer["provider"] == "specialist"]
    assert len(own) >= 6
    assert all(answer["text"] == kind for answer, (_, kind) in zip(answers, later, strict=False))
    assert own[0]["model"] == key and own[0]["specialist"]["certificate"]["alpha"] == 0.05
    assert {answer["provider"] for answer in ask(specialist=False)} == {"mock"}
    [listed] = [each for each in mq.get("/specialists?state=active").json["items"] if each["id"] == key]
    assert listed["service"]["served"] == len(own)
    assert listed["service"]["served"] + listed["service"]["audited"] + listed["service"]["abstained"] == len(answers)
    assert listed["service"]["saved_tokens"] > 0 and listed["service"]["disagreed"] == 0
    shown = mq.get("//metrics").body.decode()
    assert f'kind="served",organization="{mq.settings.organization}",specialist="{key}"' in shown

    retired = mq.post(f"/specialists/{key}/retire")

    assert (retired.status, retired.json["state"]) == (200, "retired")
    assert {answer["provider"] for answer in ask()} == {"mock"}
    assert mq.post(f"/specialists/{key}/retire").status == 409
