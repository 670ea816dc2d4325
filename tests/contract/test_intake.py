"""Accept (T1): one commit, idempotency keys, neighbours that do not harm each other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from metaqore import failpoints
from metaqore.errors import Contention, InvalidInput, MetaQoreError, Unavailable
from metaqore.messages import Request, Submission
from metaqore.requests import intake as intake_module
from metaqore.requests import ringing
from metaqore.requests.catalogue import UnknownKind
from metaqore.requests.intake import Intake
from metaqore.requests.model import Idempotency, IdempotencyMismatch, Receipt
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore
from tests.contract.pipeline import Pipeline, together
from tests.running import wait_until


def count(pipeline: Pipeline, table: str = "requests") -> int:
    return int(pipeline.sql(f"SELECT count(*) FROM {table}")[0][0])


class Gate:
    """A store whose write transactions wait at the door, and may be made to fail when they commit."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.reached = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.commits = 0
        self.fail: Callable[[int], None] = lambda commit: None

    def read(self) -> Any:
        return self._store.read()

    @property
    def one_writer(self) -> bool:
        return self._store.one_writer

    def seal(self, *payload: Any) -> str | None:
        return self._store.seal(*payload)

    @contextlib.contextmanager
    def write(self, meanwhile: Callable[[], None] | None = None) -> Iterator[Any]:
        self.reached.set()
        self.open.wait(60)
        with self._store.write(meanwhile) as tx:
            yield tx
            self.commits += 1
            self.fail(self.commits)


@pytest.fixture
def gate(pipeline: Pipeline) -> Gate:
    return Gate(pipeline.store)


@pytest.fixture
def gated(pipeline: Pipeline, gate: Gate) -> Intake:
    return Intake(gate, pipeline.catalogue, pipeline.bell, batch=8, clock=pipeline.clock)


def _submit_nothing(gated: Intake) -> None:
    with contextlib.suppress(MetaQoreError):
        gated.submit([])


def share_a_commit(gate: Gate, gated: Intake, jobs: list[Callable[[], Any]]) -> list[Any]:
    """Run ``jobs`` so that all of them wait while the committer is held up at the database."""
    gate.open.clear()
    # A batch of nothing holds the committer up and stores nothing.
    threading.Thread(target=_submit_nothing, args=(gated,), daemon=True).start()
    assert gate.reached.wait(60)

    def release() -> None:
        wait_until(lambda: len(gated._waiting) == len(jobs), "all wait")
        gate.open.set()

    return together([*jobs, release])[:-1]


def test_an_accepted_request_is_stored_with_its_audit_entry_and_rung(pipeline: Pipeline) -> None:
    receipt = pipeline.intake.submit([pipeline.submission("test.scripted", "p", ä="ö")])
    row = pipeline.row(receipt.ids[0])
    assert (row["state"], row["payload"], row["attempt"], row["ordering_key"]) == ("accepted", '{"ä":"ö"}', 0, "p")
    assert (row["created_at"], row["available_at"]) == (pipeline.clock.now, pipeline.clock.now)
    assert pipeline.sql("SELECT request_id FROM audit_entries") == [(receipt.ids[0],)]
    assert pipeline.bell.rung == [("psmp", receipt.ids)]


def test_many_are_stored_in_one_commit_in_the_order_they_were_given(
    pipeline: Pipeline, gate: Gate, gated: Intake
) -> None:
    receipt = gated.submit([pipeline.submission("test.scripted", n=n) for n in range(500)])
    assert gate.commits == 1
    assert [row[0] for row in pipeline.sql("SELECT id FROM requests ORDER BY seq")] == receipt.ids


def test_waiting_callers_share_a_commit(pipeline: Pipeline, gate: Gate, gated: Intake) -> None:
    jobs = [lambda n=n: gated.submit([pipeline.submission("test.scripted", n=n)]) for n in range(17)]
    receipts = share_a_commit(gate, gated, jobs)  # type: ignore[arg-type]
    assert len({receipt.ids[0] for receipt in receipts}) == 17 == count(pipeline)
    # The empty one that held them up, then eight, eight and one.
    assert gate.commits == 4


def test_a_lone_caller_is_not_held_back_to_fill_a_batch(pipeline: Pipeline, gate: Gate, gated: Intake) -> None:
    for n in range(3):
        gated.submit([pipeline.submission("test.scripted", n=n)])
    assert gate.commits == 3


def test_whoever_gave_up_does_not_keep_the_next_from_being_stored(
    pipeline: Pipeline, gate: Gate, gated: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open.clear()
    threading.Thread(target=_submit_nothing, args=(gated,), daemon=True).start()
    assert gate.reached.wait(60)
    with monkeypatch.context() as impatient:
        impatient.setattr(intake_module, "COMMIT_TIMEOUT_S", 0.05)
        with pytest.raises(Unavailable):
            gated.submit([pipeline.submission("test.scripted", n=1)])

    def release() -> None:
        wait_until(lambda: len(gated._waiting) >= 1 and not gated._waiting[-1].taken, "the next waits")
        gate.open.set()

    receipt, _ = together([lambda: gated.submit([pipeline.submission("test.scripted", n=2)]), release])
    assert [row[0] for row in pipeline.sql("SELECT id FROM requests")] == receipt.ids


# --- idempotency ------------------------------------------------------------------------------------------------


def test_the_same_key_with_the_same_body_returns_the_first_receipt(pipeline: Pipeline) -> None:
    first = pipeline.submit_once("k", n=3)
    again = pipeline.submit_once("k", n=3)
    assert (first.replayed, again.replayed, again.ids) == (False, True, first.ids)
    assert count(pipeline) == 3
    assert len(pipeline.bell.rung) == 1


def test_the_same_key_with_another_body_is_refused_and_stores_nothing(pipeline: Pipeline) -> None:
    pipeline.submit_once("k", "one")
    with pytest.raises(IdempotencyMismatch):
        pipeline.submit_once("k", "two")
    assert count(pipeline) == 1


@pytest.mark.parametrize("difference", ["organization", "principal", "route", "key"])
def test_a_key_counts_only_within_its_organization_principal_and_route(pipeline: Pipeline, difference: str) -> None:
    def submit(**changed: str) -> Receipt:
        values = {"organization": "acme", "principal": "agent", "route": "r", "key": "k", **changed}
        asked = Submission(organization=values["organization"], project="p", principal=values["principal"],
                           kind="test.scripted", payload={})  # fmt: skip
        return pipeline.intake.submit([asked], Idempotency(values["route"], values["key"], "sha256:body"))

    assert submit().ids != submit(**{difference: "another"}).ids
    assert submit().replayed


@pytest.mark.parametrize("bodies", [1, 2])
def test_concurrent_duplicates_of_two_processes_become_one_request(pipeline: Pipeline, bodies: int) -> None:
    databases = [pipeline.database, Database(pipeline.database.dsn)]
    intakes = [Intake(SqlStore(d), pipeline.catalogue, pipeline.bell, clock=pipeline.clock) for d in databases]
    for key in range(5):
        answers = together(
            [
                lambda n=n, key=key: pipeline.submit_once(str(key), str(n // 2 % bodies), intake=intakes[n % 2])  # type: ignore[misc]
                for n in range(16)
            ]
        )
        receipts = [answer for answer in answers if isinstance(answer, Receipt)]
        refused = [answer for answer in answers if isinstance(answer, IdempotencyMismatch)]
        assert len(receipts) + len(refused) == 16, answers
        assert len(refused) == (0 if bodies == 1 else 8)
        assert len({tuple(receipt.ids) for receipt in receipts}) == 1
        assert [receipt.replayed for receipt in receipts].count(False) == 1
        assert count(pipeline) == key + 1
    databases[1].close()


def test_duplicates_within_one_commit_become_one_request(pipeline: Pipeline, gate: Gate, gated: Intake) -> None:
    jobs = [lambda n=n: pipeline.submit_once("k", str(n == 3), intake=gated) for n in range(7)]
    answers = share_a_commit(gate, gated, jobs)  # type: ignore[arg-type]
    assert count(pipeline) == 1
    kinds = sorted(type(answer).__name__ for answer in answers)
    assert kinds in (["IdempotencyMismatch"] + ["Receipt"] * 6, ["IdempotencyMismatch"] * 6 + ["Receipt"])


# --- neighbours -------------------------------------------------------------------------------------------------


def test_a_payload_without_canonical_form_is_refused_before_anything_is_stored(pipeline: Pipeline) -> None:
    for payload in ({"x": float("nan")}, {"x": "\x00"}, {"x": "\ud800"}, {"x": 2**60}):
        with pytest.raises(InvalidInput):
            pipeline.intake.submit([pipeline.submission("test.scripted", "p", **payload)])
    assert count(pipeline) == 0


def test_an_unknown_kind_is_denied(pipeline: Pipeline) -> None:
    with pytest.raises(UnknownKind):
        pipeline.intake.submit([pipeline.submission("test.unknown")])


@pytest.mark.parametrize("error", [MetaQoreError("no"), Contention("no"), ValueError("no"), TypeError("no")])
def test_one_bad_record_does_not_fail_its_neighbours(
    pipeline: Pipeline, gate: Gate, gated: Intake, error: Exception
) -> None:
    stored: list[str] = []

    class Watched(SqlStore):
        @contextlib.contextmanager
        def write(self, meanwhile: Callable[[], None] | None = None) -> Iterator[Any]:
            stored.clear()
            with super().write(meanwhile) as tx:
                insert = tx.requests.insert

                def watched(rows: Any) -> None:
                    stored.extend(row[7] for row in rows)
                    insert(rows)

                tx.requests.insert = watched  # type: ignore[method-assign]
                yield tx

    def fail(_commit: int) -> None:
        if '{"n":"bad"}' in stored:
            raise error

    gate._store, gate.fail = Watched(pipeline.database), fail
    jobs = [
        lambda n=n: gated.submit([pipeline.submission("test.scripted", n="bad" if n == 4 else n)]) for n in range(9)
    ]
    answers = share_a_commit(gate, gated, jobs)  # type: ignore[arg-type]
    assert [isinstance(answer, Receipt) for answer in answers] == [n != 4 for n in range(9)]
    assert isinstance(answers[4], MetaQoreError)
    assert count(pipeline) == 8


def test_a_commit_that_fails_stores_nothing_and_says_so(pipeline: Pipeline, gate: Gate, gated: Intake) -> None:
    def fail(_commit: int) -> None:
        raise Unavailable("the disk is full")

    gate.fail = fail
    with pytest.raises(Unavailable):
        pipeline.submit_once("k", intake=gated)
    assert (count(pipeline), count(pipeline, "idempotency"), count(pipeline, "audit_entries")) == (0, 0, 0)
    # Where the ring was on its way already, whoever hears it finds nothing.
    assert ringing.answer(pipeline.executor, "psmp", [i for _, ids in pipeline.bell.rung for i in ids]) == 0
    gate.fail = lambda commit: None
    assert not pipeline.submit_once("k", intake=gated).replayed


def test_a_database_that_is_gone_is_asked_once_for_all_who_wait(pipeline: Pipeline, gate: Gate, gated: Intake) -> None:
    """Whether a commit that broke off was stored is not known, so what was in it must not be stored again."""

    def fail(_commit: int) -> None:
        raise Unavailable("the connection is gone")

    gate.fail = fail
    jobs = [lambda n=n: gated.submit([pipeline.submission("test.scripted", n=n)]) for n in range(8)]
    answers = share_a_commit(gate, gated, jobs)  # type: ignore[arg-type]
    assert {type(answer) for answer in answers} == {Unavailable}
    # The empty one that held them up, and theirs.
    assert gate.commits == 2


def test_a_caller_that_is_not_served_in_time_hears_so_and_nothing_is_stored(
    pipeline: Pipeline, gate: Gate, gated: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "COMMIT_TIMEOUT_S", 0.05)
    gate.open.clear()
    first = threading.Thread(target=lambda: gated.submit([pipeline.submission("test.scripted", n=0)]))
    first.start()
    assert gate.reached.wait(60)
    with pytest.raises(Unavailable):
        gated.submit([pipeline.submission("test.scripted", n=1)])
    gate.open.set()
    first.join(60)
    gated.submit([pipeline.submission("test.scripted", n=2)])
    assert [row[0] for row in pipeline.sql("SELECT payload FROM requests ORDER BY seq")] == ['{"n":0}', '{"n":2}']


# --- after the commit -------------------------------------------------------------------------------------------


def test_what_goes_wrong_after_the_commit_takes_no_promise_back(
    pipeline: Pipeline, gate: Gate, gated: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("submit.after_commit:raise"))
    jobs = [lambda n=n: gated.submit([pipeline.submission("test.scripted", n=n)]) for n in range(5)]
    answers = share_a_commit(gate, gated, jobs)  # type: ignore[arg-type]
    assert {type(answer) for answer in answers} == {Receipt}, answers
    assert count(pipeline) == 5


def test_a_bell_that_breaks_takes_no_promise_back(pipeline: Pipeline) -> None:
    class Broken:
        def ring(self, queue: str, ids: object) -> None:
            raise RuntimeError("can't start new thread")

    intake = Intake(pipeline.store, pipeline.catalogue, Broken(), clock=pipeline.clock)
    receipts = [intake.submit([pipeline.submission("test.scripted", n=n)]) for n in range(2)]
    assert [pipeline.state(receipt.ids[0]).value for receipt in receipts] == ["accepted"] * 2


def test_a_ring_that_is_heard_before_the_commit_is_answered_after_it(pipeline: Pipeline) -> None:
    answered: list[int] = []
    workers: list[threading.Thread] = []

    class Heard:
        """A worker of another process that is quicker than the commit."""

        def ring(self, queue: str, ids: Sequence[str]) -> None:
            looked = threading.Event()

            def work() -> None:
                executor = pipeline.another_executor("quick")
                executor.store, peek = SqlStore(Database(pipeline.database.dsn)), executor.peek

                def watched(*given: Any, **more: Any) -> list[Request]:
                    found = peek(*given, **more)
                    looked.set()
                    return found

                executor.peek = watched  # type: ignore[method-assign]
                answered.append(ringing.answer(executor, queue, ids))
                executor.store.database.close()

            workers.append(threading.Thread(target=work))
            workers[-1].start()
            assert looked.wait(60)

    intake = Intake(pipeline.store, pipeline.catalogue, Heard(), clock=pipeline.clock)
    receipt = intake.submit([pipeline.submission("test.scripted", n=1)])
    for worker in workers:
        worker.join(60)
    assert answered == [1]
    assert pipeline.all_have_their_effect(receipt.ids)


def test_a_ring_for_what_is_decided_already_changes_nothing(pipeline: Pipeline) -> None:
    request = pipeline.submit(n=1)
    assert ringing.answer(pipeline.executor, "psmp", [request]) == 1
    assert ringing.answer(pipeline.executor, "psmp", [request]) == 0
    assert ringing.answer(pipeline.executor, "psmp", ["req_that_was_rolled_back"]) == 0
    assert pipeline.all_have_their_effect([request])


@pytest.mark.parametrize("place", ["submit.before_tx", "submit.after_insert", "submit.before_commit"])
def test_what_goes_wrong_before_the_commit_stores_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(failpoints, "_active", failpoints._parse(f"{place}:raise"))
    with pytest.raises(MetaQoreError):
        pipeline.submit_once("k")
    assert (count(pipeline), count(pipeline, "idempotency"), count(pipeline, "audit_entries")) == (0, 0, 0)
    monkeypatch.setattr(failpoints, "_active", {})
    assert not pipeline.submit_once("k").replayed
