"""Webhook delivery for tests: the real store, handlers, sender and dispatcher; network and clock as the test likes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore import bootstrap
from metaqore.delivery.dispatch import Bulkheads, Dispatcher
from metaqore.delivery.egress import EgressPolicy, Target
from metaqore.delivery.model import Delivery, Endpoint
from metaqore.delivery.ports import Network, Reply
from metaqore.delivery.webhooks import Sender
from metaqore.messages import Submission
from metaqore.requests.executor import Executor
from metaqore.requests.model import Finished, Idempotency, Ran
from metaqore.requests.recorder import Recorder
from metaqore.settings import load
from metaqore.store.engine import Database
from metaqore.store.repositories.delivery import DeliveryRows
from metaqore.store.unit_of_work import SqlStore

ORGANIZATION = "acme"
START = 1_800_000_000_000
PUBLIC = "93.184.215.14"


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


class Sent(msgspec.Struct):
    """What one attempt would have put on the wire."""

    target: Target
    addresses: list[str]
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The decoded body."""
        return msgspec.json.decode(self.body, type=dict[str, Any])


class FakeNetwork:
    """Answers as ``answer`` says and remembers what was sent."""

    def __init__(self, answer: Callable[[Sent], Reply] = lambda sent: Reply(status=204)) -> None:
        self.answer = answer
        self.addresses: Callable[[str], list[str]] = lambda host: [PUBLIC]
        self.sent: list[Sent] = []
        self.resolved: list[str] = []
        self._lock = threading.Lock()

    def resolve(self, host: str, port: int, timeout_s: float) -> list[str]:
        """See ``Network``."""
        self.resolved.append(host)
        return self.addresses(host)

    def post(
        self, target: Target, addresses: Sequence[str], headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """See ``Network``."""
        sent = Sent(target, list(addresses), dict(headers), body)
        with self._lock:
            self.sent.append(sent)
        return self.answer(sent)


class Bell:
    """Remembers which queues were rung."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, queue: str, ids: Sequence[str]) -> None:
        """See ``metaqore.requests.ports.Bell``."""
        self.rung.append(queue)


class Results:
    """Remembers whose event streams were said to have grown."""

    def __init__(self) -> None:
        self.organizations: list[str] = []

    def publish(self, finished: Sequence[Finished], organizations: frozenset[str]) -> None:
        """See ``metaqore.requests.ports.Results``."""
        self.organizations += organizations


class Outbox:
    """The control plane that makes endpoints and events, and the dispatcher that delivers them."""

    def __init__(
        self, database: Database, network: Network, *, policy: EgressPolicy | None = None, timeout_s: float = 15.0,
        clock: Callable[[], int] | None = None, bulkheads: Bulkheads | None = None,
    ) -> None:  # fmt: skip
        private = {"webhook_allow_private": True} if policy is not None and policy.allow_private else {}
        settings = load({"storage_dsn": database.dsn, "redis_url": "redis://127.0.0.1:1/0", **private}, environ={})
        engine = bootstrap.build(settings, lambda _settings: Bell())
        engine.database.close()
        self.database = database
        self.store = SqlStore(database)
        self.network = network
        self.clock = clock or Clock()
        self.bell, self.results = Bell(), Results()
        self.catalogue = engine.catalogue
        self.executor = Executor(self.store, self.catalogue, self.results, self.bell, clock=self.clock)
        self.policy = policy or EgressPolicy()
        self.timeout_s = timeout_s
        self.bulkheads = bulkheads
        self.dispatcher = self.another_dispatcher()

    def another_dispatcher(self) -> Dispatcher:
        """Return what another worker process would have."""
        sender = Sender(self.network, self.policy, timeout_s=self.timeout_s, clock=self.clock, jitter=lambda: 0.0)
        return Dispatcher(
            self.store, sender, lambda now: Recorder(self.catalogue, now),
            lambda journal: self.executor.after_commit([], journal), bulkheads=self.bulkheads, clock=self.clock,
        )  # fmt: skip

    def run_now(
        self, kind: str, *, organization: str = ORGANIZATION, idempotency: Idempotency | None = None, **payload: Any
    ) -> Ran:
        """Run a control-plane request."""
        asked = Submission(organization=organization, project=None, principal="agent", kind=kind, payload=payload)
        return self.executor.run_now(asked, idempotency)

    def endpoint(self, url: str = "https://hooks.example.com/in", **payload: Any) -> tuple[str, str]:
        """Create an endpoint; return its id and secret."""
        ran = self.run_now("endpoint.save", url=url, **payload)
        return str(ran.result["id"]), str(ran.once["secret"])

    def events(self, n: int = 1, organization: str = ORGANIZATION) -> None:
        """Let ``n`` events of type ``project.created`` happen."""
        for _ in range(n):
            self.run_now("project.save", organization=organization, name="any")

    def sql(self, text: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        with self.database.read() as connection:
            return list(connection.exec_driver_sql(self.database.sql(text), values).mappings().fetchall())

    def deliveries(self, state: str | None = None) -> list[Any]:
        """Return the rows of all deliveries, or of those in one state."""
        rows = self.sql("SELECT * FROM webhook_deliveries ORDER BY id")
        return [row for row in rows if state in (None, row["state"])]

    def state_of(self, endpoint: str) -> str:
        """Return an endpoint's state."""
        return str(self.sql("SELECT state FROM webhook_endpoints WHERE id = ?", endpoint)[0]["state"])

    def audited(self, tag: str) -> list[Mapping[str, Any]]:
        """Return what the audit entries with ``tag`` say."""
        rows = self.sql("SELECT body FROM audit_entries WHERE tag = ? ORDER BY organization, seq", tag)
        return [msgspec.json.decode(bytes(row["body"]))["about"] for row in rows]

    def event_types(self) -> list[str]:
        """Return the types of all events in order."""
        return [row["type"] for row in self.sql("SELECT type FROM events ORDER BY organization, seq")]

    def claim(self, **limits: int) -> list[Delivery]:
        """Claim in a transaction of its own."""
        wanted = {"lease_ms": 30_000, "limit": 64, "per_endpoint": 2, "per_organization": 64, **limits}
        with self.store.write() as tx:
            rows: DeliveryRows = tx.reads("delivery")
            return rows.claim(self.clock(), **wanted)

    def until_settled(self, seconds: int = 400_000) -> None:
        """Deliver, letting time go by as the table of attempts wants it, until nothing is pending."""
        assert isinstance(self.clock, Clock)
        end = self.clock.now + seconds * 1000
        while pending := self.deliveries("pending"):
            assert self.clock.now <= end, f"{len(pending)} deliveries are still pending"
            self.clock.now = max(self.clock.now, min(row["next_at"] for row in pending))
            self.dispatcher.run()


def make_endpoint(**changes: Any) -> Endpoint:
    """Return an endpoint for tests without a database."""
    fields: dict[str, Any] = {
        "id": "whk_1", "organization": ORGANIZATION, "project": None, "url": "https://hooks.example.com/in",
        "secret": "whsec_" + "A" * 43 + "=", "events": ["*"], "state": "active",
    }  # fmt: skip
    return Endpoint(**{**fields, **changes})


def make_delivery(**changes: Any) -> Delivery:
    """Return a claimed delivery for tests without a database."""
    fields: dict[str, Any] = {
        "id": "del_1", "organization": ORGANIZATION, "endpoint": make_endpoint(), "event_id": "evt_1", "event_seq": 7,
        "event_type": "artifact.created", "subject": "art_1", "project": "prj_1", "request_id": "req_1",
        "data": '{"state":"active"}', "created_at": START, "attempt": 1, "fence": 1,
    }  # fmt: skip
    return Delivery(**{**fields, **changes})
