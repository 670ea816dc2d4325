"""A pipeline for contract tests: the real store and the real doors; clock, bell and result cache can be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from metaqore import bootstrap
from metaqore.audit.database import open_database
from metaqore.audit.findings import Verdict as LogVerdict
from metaqore.audit.reconcile import reconcile
from metaqore.errors import Contention
from metaqore.messages import EventNote, Outcome, Prepared, Request, State, Submission, Verdict, failed
from metaqore.requests.attempts import Limits
from metaqore.requests.catalogue import Catalogue, Kind
from metaqore.requests.executor import Executor
from metaqore.requests.intake import Intake
from metaqore.requests.model import Finished, Idempotency, Receipt
from metaqore.settings import load
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore

ORGANIZATION = "acme"
START = 1_800_000_000_000


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += int(seconds * 1000)


class Bell:
    """Remembers what was rung."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, list[str]]] = []

    def ring(self, queue: str, ids: Sequence[str]) -> None:
        """See ``metaqore.requests.ports.Bell``."""
        self.rung.append((queue, list(ids)))


class Results:
    """Remembers what was announced."""

    def __init__(self) -> None:
        self.published: list[Finished] = []

    def publish(self, finished: Sequence[Finished], organizations: frozenset[str]) -> None:
        """See ``metaqore.requests.ports.Results``."""
        self.published += finished


class Scripted(Exception):
    """What a scripted handler raises: an error that is none of ours."""


def decide(batch: Sequence[Request], _reads: Any, _now: int) -> list[Outcome]:
    """Decide ``test.scripted``: fail ``times`` attempts as the payload's ``how`` says, then approve with one event."""
    outcomes = []
    for request in batch:
        if request.attempt >= int(request.payload.get("times", 0)):
            done = EventNote("test.done", request.id, {})
            outcomes.append(Outcome(verdict=Verdict.APPROVED, result=dict(request.payload), events=[done]))
            continue
        how = request.payload["how"]
        if how == "raise":
            raise Scripted
        if how == "contention":
            raise Contention
        outcomes.append(failed(how, "scripted", retryable=how == "retry"))
    return outcomes


def study(request: Request) -> None:
    """Refuse, or fall ill, before the transaction."""
    if request.payload.get("how") == "study":
        raise Scripted


class LongWork:
    """``test.long``: counts what was performed, and does what ``during`` says while it performs."""

    def __init__(self) -> None:
        self.performed: list[str] = []
        self.prepared: list[str] = []
        self.errors: list[BaseException] = []
        self.during: Callable[[Request], None] = lambda request: None

    def prepare(self, batch: Sequence[Request], _reads: Any, _now: int) -> list[Outcome | Prepared]:
        """See ``metaqore.requests.catalogue.LongWork``."""
        answers: list[Outcome | Prepared] = []
        for request in batch:
            if request.payload.get("how") == "prepare":
                raise Scripted
            if request.payload.get("how") == "at_once":
                answers.append(Outcome(verdict=Verdict.VETOED))
                continue
            self.prepared.append(request.id)
            answers.append(Prepared(work=request.id))
        return answers

    def perform(self, batch: Sequence[tuple[Request, Any]]) -> list[Outcome]:
        """See ``metaqore.requests.catalogue.LongWork``."""
        outcomes = []
        for request, work in batch:
            try:
                self.during(request)
            except BaseException as error:
                # The engine takes it for a fault of the work; the test must not.
                self.errors.append(error)
                raise
            self.performed.append(work)
            how = request.payload.get("how")
            if how == "raise":
                raise Scripted
            if how == "retry" and request.attempt <= int(request.payload.get("times", 0)):
                outcomes.append(failed("retry", "scripted", retryable=True))
                continue
            done = EventNote("test.done", request.id, {})
            outcomes.append(Outcome(verdict=Verdict.APPROVED, result={"attempt": request.attempt}, events=[done]))
        return outcomes


class Pipeline:
    """Both doors over one database."""

    def __init__(
        self, database: Database, clock: Clock | None = None, limits: Limits | None = None, **overrides: Any
    ) -> None:
        """Args: overrides: settings, e.g. ``config_dir``."""
        given = {"storage_dsn": database.dsn, "redis_url": "redis://127.0.0.1:1/0", **overrides}
        settings = load(given, environ={})
        self.database = database
        self.store = SqlStore(database)
        self.bell, self.results, self.long = Bell(), Results(), LongWork()
        self.clock = clock or Clock()
        engine = bootstrap.build(settings, lambda _settings: self.bell)
        engine.database.close()
        # Kinds with a future in which they may change: only those of PSMP and the control plane are taken.
        real = [k for k in engine.catalogue.all().values() if k.feature in ("psmp", "requests")]
        self.catalogue = Catalogue(
            [
                *real,
                Kind(name="test.scripted", queue="psmp", feature="psmp", scope="-", decide=decide, study=study,
                     ordered_by_project=True, together=True),
                Kind(name="test.free", queue="psmp", feature="psmp", scope="-", decide=decide, together=True),
                Kind(name="test.long", queue="llm", feature="psmp", scope="-", long=self.long, lease_s=30, batch=4),
            ]
        )  # fmt: skip
        self.limits = limits or Limits(drain_batch=256, lease_s=30, max_attempts=3, backoff_base_s=1, backoff_max_s=8)
        self.intake = self.another_intake()
        self.executor = self.another_executor()

    def another_intake(self, **options: Any) -> Intake:
        """Return what another API process would have."""
        return Intake(self.store, self.catalogue, self.bell, clock=self.clock, **options)

    def another_executor(self, owner: str = "one") -> Executor:
        """Return what another worker process would have."""
        return Executor(
            self.store, self.catalogue, self.results, self.bell, limits=self.limits, owner=owner, clock=self.clock
        )

    def submission(self, kind: str, project: str | None = "p", **payload: Any) -> Submission:
        """Return a submission of the test organization."""
        return Submission(organization=ORGANIZATION, project=project, principal="agent", kind=kind, payload=payload)

    def submit(self, kind: str = "test.scripted", project: str | None = "p", **payload: Any) -> str:
        """Accept one request and return its id."""
        return self.intake.submit([self.submission(kind, project, **payload)]).ids[0]

    def submit_many(self, payloads: Iterable[Mapping[str, Any]], project: str = "p") -> list[str]:
        """Accept many scripted requests in one commit and return their ids."""
        return self.intake.submit([self.submission("test.scripted", project, **payload) for payload in payloads]).ids

    def submit_once(self, key: str, body: str = "", *, intake: Intake | None = None, n: int = 1) -> Receipt:
        """Submit ``n`` requests under an idempotency key; ``body`` stands for what was sent."""
        items = [self.submission("test.scripted", body=body, item=i) for i in range(n)]
        return (intake or self.intake).submit(items, Idempotency("POST /test", key, f"sha256:{body}"))

    def project(self, mode: str = "strict", name: str = "project") -> str:
        """Create a project and return its id."""
        ran = self.executor.run_now(self.submission("project.save", None, name=name, mode=mode))
        return str(ran.result["id"])

    def declare(
        self, project: str, name: str, content: Any = "text", *, principal: str = "agent", kind: str = "doc",
        **payload: Any,
    ) -> str:  # fmt: skip
        """Submit a declaration and return the request's id."""
        asked = Submission(
            organization=ORGANIZATION, project=project, principal=principal, kind="artifact.declare",
            payload={"type": kind, "name": name, "content": content, **payload},
        )  # fmt: skip
        return self.intake.submit([asked]).ids[0]

    def sql(self, text: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        with self.database.read() as connection:
            return list(connection.exec_driver_sql(self.database.sql(text), values).fetchall())

    def change(self, text: str, *values: Any) -> None:
        """Run a statement."""
        with self.database.write() as connection:
            connection.exec_driver_sql(self.database.sql(text), values)

    def row(self, request: str) -> Mapping[str, Any]:
        """Return a request's row."""
        with self.store.read() as tx:
            found = tx.reads("requests").request_row(ORGANIZATION, request)
        assert found is not None, f"{request} is lost"
        return dict(found)

    def state(self, request: str) -> State:
        """Return a request's state."""
        return State(self.row(request)["state"])

    def states(self, requests: Sequence[str]) -> list[str]:
        """Return the states of many."""
        return [self.state(request).value for request in requests]

    def effects(self, request: str) -> int:
        """Return how often a scripted request had its effect."""
        found = self.sql("SELECT count(*) FROM events WHERE type = 'test.done' AND request_id = ?", request)
        return int(found[0][0])

    def all_have_their_effect(self, requests: Sequence[str]) -> bool:
        """True where these requests, and no others, have succeeded with exactly one effect each."""
        done = self.sql("SELECT id FROM requests WHERE state = 'succeeded' AND queue <> 'control' ORDER BY id")
        effects = self.sql("SELECT request_id FROM events WHERE type = 'test.done' ORDER BY request_id")
        return [row[0] for row in done] == sorted(requests) == [row[0] for row in effects]

    def settle_all(self, queue: str = "psmp", rounds: int = 50) -> None:
        """Drain, and let time go by, until nothing of ``queue`` is open."""
        for _ in range(rounds):
            self.executor.drain(queue)
            if not self.sql("SELECT 1 FROM requests WHERE queue = ? AND state IN ('accepted', 'running')", queue):
                return
            self.clock.advance(10)
        raise AssertionError(f"{queue} is not empty after {rounds} rounds")

    def check_sequences(self) -> None:
        """Fail unless audit and event numbers are gapless from 1 in every organization, and match the counters."""
        for table, counter in (("audit_entries", "audit_seq"), ("events", "event_seq")):
            for organization, low, high, count in self.sql(
                f"SELECT organization, min(seq), max(seq), count(*) FROM {table} GROUP BY organization"
            ):
                assert (low, high) == (1, count), f"{table} of {organization}: {low}..{high}, {count} rows"
                stored = self.sql(f"SELECT {counter} FROM counters WHERE organization = ?", organization)
                assert stored[0][0] == high

    def check_recorded(self) -> None:
        """Fail unless whatever was done is recorded once, and whatever is recorded was done."""
        source = open_database(self.database.dsn)
        try:
            for organization in source.organizations():
                verdict = LogVerdict(organization)
                reconcile(source, verdict)
                assert not verdict.findings, "\n".join(map(str, verdict.findings))
        finally:
            source.close()

    def check_versions(self) -> None:
        """Fail unless every artifact's versions are 1..head."""
        rows = self.sql(
            "SELECT a.name, a.head, min(v.version), max(v.version), count(*) FROM artifacts a "
            "JOIN artifact_versions v ON v.artifact = a.id GROUP BY a.id, a.name, a.head"
        )
        for name, head, low, high, count in rows:
            assert (low, high, count) == (1, head, head), f"{name}: head {head}, versions {low}..{high}, {count} rows"

    def check_ranks(self) -> None:
        """Fail unless every dependency has a smaller rank than its dependant, and no two have the same."""
        wrong = self.sql(
            "SELECT a.name, a.rank, d.name, d.rank FROM artifact_edges e JOIN artifacts a ON a.id = e.artifact "
            "JOIN artifacts d ON d.id = e.depends_on WHERE d.rank >= a.rank"
        )
        assert not wrong, wrong
        twice = self.sql("SELECT project, rank, count(*) FROM artifacts GROUP BY project, rank HAVING count(*) > 1")
        assert not twice, twice


def together(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run ``jobs`` in threads that start at the same moment; return their answers, exceptions included."""
    barrier = threading.Barrier(len(jobs))
    answers: list[Any] = [None] * len(jobs)

    def run(index: int, job: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            answers[index] = job()
        except BaseException as error:
            answers[index] = error

    threads = [threading.Thread(target=run, args=(i, job)) for i, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a job hangs"
    return answers
