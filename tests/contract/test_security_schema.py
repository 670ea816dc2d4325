"""No decision, no call: held by the schema and by the transaction, not by care."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from metaqore.messages import Outcome, Prepared
from metaqore.store.engine import Database
from metaqore.store.repositories import llm
from tests.contract.test_security_policy import Governed

Sent = list[Any]
#: What a faulty handler might do to the decision of a call: leave it out, take another one, take a veto.
Fault = Callable[[Prepared], list[Any]]


def _left_out(prepared: Prepared) -> list[Any]:
    return [write for write in prepared.writes if type(write).__name__ != "NewDecision"]


def _unknown(prepared: Prepared) -> list[Any]:
    decision, call = prepared.writes
    return [decision, msgspec.structs.replace(call, decision_id="dec_of_another")]


def _of_another_request(prepared: Prepared) -> list[Any]:
    decision, call = prepared.writes
    return [msgspec.structs.replace(decision, request_id="req_other"), call]


def _a_veto(prepared: Prepared) -> list[Any]:
    decision, call = prepared.writes
    return [msgspec.structs.replace(decision, verdict="vetoed"), call]


def _call_with(database: Database, monkeypatch: pytest.MonkeyPatch, fault: Fault | None) -> tuple[Sent, Governed]:
    """Ask for a call whose handler has a fault; return what was sent to the provider."""
    governed = Governed(database)
    handlers = governed.executor.catalogue["llm.generate"].long
    assert handlers is not None
    prepare, perform, sent = handlers.prepare, handlers.perform, list[Any]()

    def faulty(*arguments: Any) -> list[Outcome | Prepared]:
        answers = prepare(*arguments)
        if fault is not None:
            for answer in answers:
                assert isinstance(answer, Prepared)
                answer.writes = fault(answer)
        return answers

    def noted(batch: Any) -> list[Outcome]:
        sent.extend(batch)
        return perform(batch)

    monkeypatch.setattr(handlers, "prepare", faulty)
    monkeypatch.setattr(handlers, "perform", noted)
    governed.do("llm.generate", prompt="Which maintenance type is this? fix a bug")
    return sent, governed


@pytest.mark.parametrize("fault", [_left_out, _unknown, _of_another_request, _a_veto])
def test_a_call_without_its_own_approval_is_never_made(
    database: Database, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    sent, governed = _call_with(database, monkeypatch, fault)

    assert sent == []
    assert governed.sql("SELECT count(*) FROM llm_calls")[0][0] == 0
    governed.engine.database.close()


def test_the_same_call_with_its_approval_is_made(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, governed = _call_with(database, monkeypatch, None)

    assert len(sent) == 1
    governed.engine.database.close()


def test_a_decision_cannot_be_taken_away_from_a_call(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _, governed = _call_with(database, monkeypatch, None)

    with pytest.raises(Exception, match=r"(?i)foreign key"), database.write() as connection:
        connection.exec_driver_sql("DELETE FROM decisions")
    governed.engine.database.close()


def test_without_the_check_the_call_would_be_made(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: with foreign key and look-up gone, the tests above would see a call go out."""
    monkeypatch.setattr(llm, "_must_be_decided", lambda *_: None)
    with database.migration() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("CREATE TABLE free AS SELECT * FROM llm_calls")
            connection.exec_driver_sql("DROP TABLE llm_calls")
            connection.exec_driver_sql("ALTER TABLE free RENAME TO llm_calls")
        else:
            connection.exec_driver_sql("ALTER TABLE llm_calls DROP CONSTRAINT fk_llm_calls_decision_id")

    sent, governed = _call_with(database, monkeypatch, _left_out)

    assert len(sent) == 1
    governed.engine.database.close()
    if not database.is_sqlite:
        # The next test gets this database, emptied but as it is.
        with database.migration() as connection:
            connection.exec_driver_sql(
                "ALTER TABLE llm_calls ADD CONSTRAINT fk_llm_calls_decision_id "
                "FOREIGN KEY (decision_id) REFERENCES decisions (id) NOT VALID"
            )
