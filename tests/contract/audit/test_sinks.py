"""Streaming the log to sinks over both databases: all of it, in order, whoever is down, slow or killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore.adapters.line_file import RotatedFile
from metaqore.delivery import signing
from metaqore.delivery.egress import EgressPolicy, EgressRefused
from metaqore.delivery.ports import Reply, Unreachable
from metaqore.delivery.sinks import Handlers, remove
from metaqore.delivery.streaming import Streamer
from metaqore.errors import Conflict, InvalidInput, NotFound
from metaqore.messages import Submission
from metaqore.requests.catalogue import Catalogue, Kind
from metaqore.store.engine import Database
from metaqore.store.views.health import HealthViews
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.webhooks import FakeNetwork, Sent

ROOT = Path(__file__).resolve().parents[3]
URL = "https://siem.example.com/in"


class Streaming(Pipeline):
    """A pipeline with sinks."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        added = [("sink.add", Handlers(EgressPolicy()).add), ("sink.remove", remove)]
        kinds = [Kind(name=name, queue="control", feature="sinks", scope="-", decide=how) for name, how in added]
        self.executor.catalogue = self.catalogue = Catalogue([*self.catalogue.all().values(), *kinds])
        self.network = FakeNetwork()
        self.streamer = self.another_streamer()

    def another_streamer(self) -> Streamer:
        return Streamer(self.store, self.network, EgressPolicy(), RotatedFile(), log_name="log.example",
                        clock=self.clock)  # fmt: skip

    def add(self, name: str = "siem", /, **payload: Any) -> Any:
        asked = {"name": name, "kind": "webhook", "target": URL, **payload}
        return self.executor.run_now(
            Submission(organization=ORGANIZATION, project=None, principal="ann", kind="sink.add", payload=asked)
        )

    def entries(self, count: int) -> None:
        """Have more entries in the log, one for each request and one for each decision."""
        self.submit_many([{}] * (count // 2))
        self.settle_all()

    def received(self) -> list[int]:
        """The ids of all events that were sent, in their order."""
        found: list[int] = []
        for sent in self.network.sent:
            body = json.loads(sent.body)
            found += [int(event["id"]) for event in (body if isinstance(body, list) else [body])]
        return found

    def cursor(self, name: str = "siem") -> int:
        return int(self.sql("SELECT cursor FROM audit_sinks WHERE name = ?", name)[0][0])

    def size(self) -> int:
        return int(self.sql("SELECT audit_seq FROM counters WHERE organization = ?", ORGANIZATION)[0][0])


@pytest.fixture
def streaming(database: Database) -> Iterator[Streaming]:
    made = Streaming(database)
    yield made
    made.check_sequences()
    made.check_recorded()


def test_every_entry_is_taken_once_in_order_and_signed(streaming: Streaming) -> None:
    secret = streaming.add().once["secret"]
    streaming.entries(600)

    assert streaming.streamer.run() == streaming.size()
    assert streaming.received() == list(range(1, streaming.size() + 1))
    assert len(streaming.network.sent) == -(-streaming.size() // 256)
    sent = streaming.network.sent[0]
    assert sent.headers["content-type"] == "application/cloudevents-batch+json"
    signing.verify(secret, sent.headers, sent.body, streaming.clock() // 1000)
    streaming.entries(2)
    assert streaming.streamer.run() == 2


def test_structured_mode_sends_one_event_at_a_time(streaming: Streaming) -> None:
    streaming.add("siem", mode="structured", **{"from": 0})
    before = streaming.size()
    streaming.entries(4)
    streaming.streamer.run()
    # The two entries of its own addition came after the cursor was set.
    assert streaming.received() == list(range(before - 1, streaming.size() + 1))
    assert {sent.headers["content-type"] for sent in streaming.network.sent} == {"application/cloudevents+json"}


def test_one_event_at_a_time_is_not_one_commit_for_each(streaming: Streaming, tmp_path: Path) -> None:
    streaming.add("siem", mode="structured")
    streaming.add("file", kind="file", target=str(tmp_path / "a.jsonl"), mode="structured")
    streaming.entries(300)
    streaming.streamer.run()
    claims = -(-streaming.size() // 256)
    assert streaming.sql("SELECT DISTINCT fence FROM audit_sinks") == [(claims,)]
    assert streaming.received() == list(range(1, streaming.size() + 1))


def test_what_was_taken_before_a_failure_is_not_sent_again(streaming: Streaming) -> None:
    streaming.add("siem", mode="structured")
    streaming.entries(10)
    streaming.network.answer = lambda sent: Reply(status=200 if len(streaming.network.sent) != 5 else 503)
    assert streaming.streamer.run() == 4
    assert streaming.cursor() == 4
    assert streaming.sql("SELECT failures, lease_until FROM audit_sinks") == [(1, 0)]
    streaming.clock.advance(60)
    streaming.streamer.run()
    # The fifth was refused, and came again.
    assert streaming.received() == [1, 2, 3, 4, 5, *range(5, streaming.size() + 1)]


def test_a_slow_receiver_is_left_before_the_lease_ends(streaming: Streaming) -> None:
    def slow(sent: Sent) -> Reply:
        streaming.clock.advance(3)
        return Reply(status=200)

    streaming.add("siem", mode="structured")
    streaming.entries(20)
    streaming.network.answer = slow
    with streaming.store.read() as tx:
        [sink] = tx.reads("sinks").due(streaming.clock())
    assert streaming.streamer.step(sink) == streaming.cursor() == 3
    streaming.streamer.run()
    assert streaming.received() == list(range(1, streaming.size() + 1))


@pytest.mark.parametrize("how", [lambda sent: Reply(status=500), lambda sent: Reply(status=413), None])
def test_a_receiver_that_is_down_loses_nothing_and_gets_less_at_once(
    streaming: Streaming, how: Callable[[Sent], Reply] | None
) -> None:
    def down(sent: Sent) -> Reply:
        raise Unreachable("timeout", "no answer")

    streaming.add()
    streaming.entries(300)
    streaming.network.answer = how or down
    for _ in range(3):
        assert streaming.streamer.run() == 0
        assert streaming.streamer.run() == 0, "it is not asked again before its time"
        streaming.clock.advance(60)
    assert [len(json.loads(sent.body)) for sent in streaming.network.sent] == [256, 128, 64]
    [row] = HealthViews(streaming.database).sinks()
    assert (row["lag"], row["failures"]) == (streaming.size(), 3) and row["oldest"] is not None
    streaming.network.sent.clear()
    streaming.network.answer = lambda sent: Reply(status=204)

    streaming.streamer.run()

    assert streaming.received() == list(range(1, streaming.size() + 1))
    assert HealthViews(streaming.database).sinks()[0]["lag"] == 0


def test_a_receiver_is_not_asked_before_it_wants_to_be(streaming: Streaming) -> None:
    streaming.add()
    streaming.network.answer = lambda sent: Reply(status=429, retry_after="120")
    streaming.streamer.run()
    streaming.clock.advance(100)
    assert streaming.streamer.run() == 0 and len(streaming.network.sent) == 1
    streaming.clock.advance(21)
    streaming.streamer.run()
    assert len(streaming.network.sent) == 2


def test_a_sink_that_is_down_holds_up_no_other(streaming: Streaming) -> None:
    streaming.add("down", target="https://down.example.com/")
    streaming.add("up")
    streaming.network.answer = lambda sent: Reply(status=500 if sent.target.host.startswith("down") else 200)
    streaming.entries(10)
    streaming.streamer.run()
    assert (streaming.cursor("down"), streaming.cursor("up")) == (0, streaming.size())


def test_of_two_that_stream_one_is_at_a_sink_and_a_late_one_moves_no_cursor(streaming: Streaming) -> None:
    streaming.add()
    streaming.entries(10)
    other = streaming.another_streamer()
    with streaming.store.read() as tx:
        [sink] = tx.reads("sinks").due(streaming.clock())
    at = streaming.size()

    def while_it_sends(sent: Sent) -> Reply:
        if len(streaming.network.sent) == 1:
            assert other.run() == 0, "the lease holds"
            streaming.clock.advance(60)
            assert other.run() == at, "until it ends"
        return Reply(status=200)

    streaming.network.answer = while_it_sends
    assert streaming.streamer.step(sink) == 0, "whoever was late records nothing"
    assert streaming.cursor() == at


def test_addresses_behind_the_walls_are_refused_at_each_attempt(streaming: Streaming) -> None:
    for url in ("http://siem.example.com/", "https://127.0.0.1/", "https://localhost/", "https://a.example:22/"):
        with pytest.raises(EgressRefused):
            streaming.add("bad", target=url)
    streaming.add()
    streaming.network.addresses = lambda host: ["169.254.169.254"]
    assert streaming.streamer.run() == 0
    assert streaming.network.sent == []
    assert "url_refused" in streaming.sql("SELECT last_error FROM audit_sinks")[0][0]


def test_what_cannot_be_used_is_refused_and_what_is_added_and_removed_is_recorded(streaming: Streaming) -> None:
    for payload in ({"kind": "ftp"}, {"mode": "binary"}, {"from": -1}, {"kind": "file", "target": "relative"}):
        with pytest.raises(InvalidInput):
            streaming.add("n", **payload)
    with pytest.raises(InvalidInput):
        streaming.add("No Name")
    streaming.add()
    with pytest.raises(Conflict):
        streaming.add()
    streaming.executor.run_now(streaming.submission("sink.remove", None, name="siem"))
    with pytest.raises(NotFound):
        streaming.executor.run_now(streaming.submission("sink.remove", None, name="siem"))
    tags = [row[0] for row in streaming.sql("SELECT tag FROM audit_entries WHERE tag LIKE 'audit:sink:%' ORDER BY seq")]
    assert tags == ["audit:sink:added", "audit:sink:removed"]


@pytest.mark.parametrize("failpoint", ["sink.before_send", "sink.after_send", "sink.before_commit"])
def test_a_streamer_that_is_killed_loses_and_doubles_nothing_in_a_file(
    sqlite_dsn: str, tmp_path: Path, failpoint: str
) -> None:
    if failpoint != "sink.after_send" and not os.environ.get("METAQORE_TEST_LONG"):
        pytest.skip("the long form: METAQORE_TEST_LONG=1")
    database = Database(sqlite_dsn)
    streaming = Streaming(database)
    path = tmp_path / "siem" / "audit.jsonl"
    streaming.add("file", kind="file", target=str(path))
    streaming.entries(20)
    code = (
        "import sys; from metaqore.settings import load; from metaqore import bootstrap; "
        "from metaqore.store.unit_of_work import SqlStore; s = load(); "
        "bootstrap.streamer(s, SqlStore(bootstrap.open_database(s))).run()"
    )
    environment = {"METAQORE_STORAGE_DSN": sqlite_dsn, "METAQORE_DATA_DIR": str(tmp_path),
                   "METAQORE_FAILPOINT": f"{failpoint}:kill"}  # fmt: skip
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment}, timeout=240,
                           capture_output=True, text=True)  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert streaming.cursor("file") == 0
    if failpoint != "sink.before_send":
        assert path.exists(), "it was written, and nobody knows"

    # The child's clock was the real one.
    lease = streaming.sql("SELECT lease_until FROM audit_sinks")[0][0]
    streaming.clock.now = max(streaming.clock.now, lease)
    streaming.entries(4)
    streaming.streamer.run()

    assert [int(json.loads(line)["id"]) for line in path.read_text().splitlines()] == list(
        range(1, streaming.size() + 1)
    )
    database.close()


def test_another_organizations_entries_go_to_its_own_sinks_only(streaming: Streaming) -> None:
    streaming.add()
    elsewhere = Submission(organization="elsewhere", project="p", principal="x", kind="test.free", payload={})
    streaming.intake.submit([elsewhere])
    streaming.settle_all()
    streaming.streamer.run()
    sources = {event["source"] for sent in streaming.network.sent for event in json.loads(sent.body)}
    assert sources == {f"log.example/{ORGANIZATION}"}
