"""Webhook deliveries on both databases: claims, fences, records, replay, and what is written along with them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from metaqore.delivery import signing
from metaqore.delivery.dispatch import Bulkheads
from metaqore.delivery.handlers import MAX_ENDPOINTS, REPLAY_BATCH
from metaqore.delivery.model import Attempted, Delivery
from metaqore.delivery.ports import Reply, Unreachable
from metaqore.errors import Conflict, InvalidInput, NotFound, Unavailable
from metaqore.requests.model import Idempotency
from metaqore.store.engine import Database
from metaqore.store.repositories.delivery import DeliveryRows
from tests.contract.pipeline import Pipeline, together
from tests.webhooks import ORGANIZATION, START, Clock, FakeNetwork, Outbox, Sent


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture
def outbox(database: Database, network: FakeNetwork) -> Outbox:
    return Outbox(database, network)


def attempted(delivery: Delivery, state: str = "delivered", **changes: object) -> Attempted:
    made = Attempted(
        delivery=delivery.id, fence=delivery.fence, state="pending", status=204, error=None, latency_ms=3,
        next_at=START + 5000, at=START,
    )  # fmt: skip
    return msgspec.structs.replace(made, state=state, **changes)


def record(outbox: Outbox, *attempts: Attempted) -> set[str]:
    with outbox.store.write() as tx:
        rows: DeliveryRows = tx.reads("delivery")
        return rows.record(attempts)


def clock_of(outbox: Outbox) -> Clock:
    assert isinstance(outbox.clock, Clock)
    return outbox.clock


# Delivering


def test_an_event_is_delivered_once_signed_and_audited(outbox: Outbox, network: FakeNetwork) -> None:
    endpoint, secret = outbox.endpoint()
    outbox.events()

    assert "system" in outbox.bell.rung
    assert outbox.dispatcher.run() == 1
    assert outbox.dispatcher.run() == 0

    (sent,) = network.sent
    signing.verify(secret, sent.headers, sent.body, now_s=START // 1000)
    assert sent.event["type"] == "project.created"
    (row,) = outbox.deliveries()
    assert (row["state"], row["attempt"], row["last_status"], row["delivered_at"]) == ("delivered", 1, 204, START)
    assert row["lease_until"] is None
    (told,) = outbox.audited("delivery:delivery:delivered")
    assert (told["subject"], told["outcome"]) == (row["id"], "delivered")
    assert told["details"] == {
        "attempt": 1, "endpoint": endpoint, "event": row["event_id"], "reason": None, "status": 204
    }  # fmt: skip


def test_each_endpoint_gets_each_event_it_wants_and_no_other(outbox: Outbox, network: FakeNetwork) -> None:
    for n, events in enumerate((["*"], ["project.*"], ["project.created"], ["artifact.*"])):
        outbox.endpoint(f"https://hooks.example.com/{n}", events=events)
    outbox.events(3)
    outbox.events(2, organization="other")
    outbox.until_settled()

    assert Counter(sent.target.path for sent in network.sent) == {"/0": 3, "/1": 3, "/2": 3}
    assert len({(sent.target.path, sent.headers["webhook-id"]) for sent in network.sent}) == 9


def test_a_receiver_that_recovers_gets_the_event_under_the_same_id(outbox: Outbox, network: FakeNetwork) -> None:
    outbox.endpoint()
    outbox.events()
    network.answer = lambda sent: Reply(status=500 if len(network.sent) < 4 else 200)

    outbox.until_settled()

    assert len(network.sent) == 4 and len({sent.headers["webhook-id"] for sent in network.sent}) == 1
    stamps = [int(sent.headers["webhook-timestamp"]) for sent in network.sent]
    assert [later - earlier for earlier, later in itertools.pairwise(stamps)] == [5, 300, 1800]
    assert [entry["outcome"] for entry in outbox.audited("delivery:delivery:failed")] == ["pending"] * 3
    assert [row["attempt"] for row in outbox.deliveries("delivered")] == [4]


def test_after_ten_attempts_a_delivery_is_dead_and_the_other_endpoints_hear_of_it(
    outbox: Outbox, network: FakeNetwork
) -> None:
    broken, _ = outbox.endpoint("https://broken.example.com/")
    watching, _ = outbox.endpoint("https://watching.example.com/", events=["webhook.*"])

    def answer(sent: Sent) -> Reply:
        if sent.target.host == "broken.example.com":
            raise Unreachable("connect", "no connection")
        return Reply(status=200)

    network.answer = answer
    outbox.events()
    outbox.until_settled()

    (dead,) = outbox.deliveries("dead")
    assert (dead["endpoint"], dead["attempt"], dead["last_error"]) == (broken, 10, "connect: no connection")
    assert clock_of(outbox).now - START == 272_105_000
    told = [sent.event for sent in network.sent if sent.target.host == "watching.example.com"]
    assert [(event["type"], event["subject"]) for event in told] == [("webhook.dead", broken)]
    assert told[0]["data"]["delivery"] == dead["id"] and told[0]["data"]["attempt"] == 10
    assert outbox.results.organizations[-1] == ORGANIZATION
    assert [row["endpoint"] for row in outbox.deliveries("delivered")] == [watching]


def test_two_dead_endpoints_do_not_tell_each_other_for_ever(outbox: Outbox, network: FakeNetwork) -> None:
    network.answer = lambda sent: Reply(status=500)
    outbox.endpoint("https://a.example.com/")
    outbox.endpoint("https://b.example.com/")
    outbox.events()

    outbox.until_settled(seconds=2_000_000)

    # project.created to both; each death is told to the other, and that death to nobody.
    assert Counter(outbox.event_types()) == {"project.created": 1, "webhook.dead": 2}
    assert len(outbox.deliveries("dead")) == 4


def test_a_receiver_that_is_gone_disables_its_endpoint(outbox: Outbox, network: FakeNetwork) -> None:
    network.answer = lambda sent: Reply(status=410)
    endpoint, _ = outbox.endpoint()
    outbox.events(5)

    outbox.dispatcher.run()

    assert outbox.state_of(endpoint) == "disabled"
    # Two were on their way; the rest waits for the endpoint to be enabled again.
    assert len(network.sent) == 2 == len(outbox.deliveries("dead"))
    assert [entry["subject"] for entry in outbox.audited("delivery:endpoint:disabled")] == [endpoint]
    assert outbox.event_types().count("webhook.disabled") == 1

    network.answer = lambda sent: Reply(status=200)
    outbox.events()
    assert len(outbox.deliveries()) == 5, "a disabled endpoint gets no new deliveries"
    outbox.bell.rung.clear()
    outbox.run_now("endpoint.save", id=endpoint, state="active")
    assert outbox.bell.rung == ["system"]
    outbox.until_settled()
    assert len(outbox.deliveries("delivered")) == 3


def test_a_pause_that_a_receiver_asks_for_holds_for_all_its_deliveries(outbox: Outbox, network: FakeNetwork) -> None:
    network.answer = lambda sent: Reply(status=503, retry_after="60")
    endpoint, _ = outbox.endpoint()
    outbox.endpoint("https://other.example.com/", events=["task.*"])
    outbox.events(5)
    outbox.dispatcher.run()
    asked = len(network.sent)
    network.answer = lambda sent: Reply(status=200)

    clock_of(outbox).now = START + 59_999
    assert outbox.dispatcher.run() == 0
    clock_of(outbox).now = START + 60_000
    outbox.dispatcher.run()

    assert asked == 2 and len(outbox.deliveries("delivered")) == 5
    assert (
        outbox.sql("SELECT not_before FROM webhook_endpoints WHERE id = ?", endpoint)[0]["not_before"] == START + 60_000
    )


def test_enabling_an_endpoint_ends_its_pause(outbox: Outbox, network: FakeNetwork) -> None:
    network.answer = lambda sent: Reply(status=429, retry_after="86400")
    endpoint, _ = outbox.endpoint()
    outbox.events(3)
    outbox.dispatcher.run()
    network.answer = lambda sent: Reply(status=200)

    outbox.run_now("endpoint.save", id=endpoint)
    outbox.dispatcher.run()

    assert Counter(row["state"] for row in outbox.deliveries()) == {"delivered": 1, "pending": 2}


# Claims


def test_a_claim_raises_attempt_and_fence_and_hides_the_delivery_until_its_lease_ends(outbox: Outbox) -> None:
    outbox.endpoint()
    outbox.events()

    (first,) = outbox.claim(lease_ms=30_000)
    assert (first.attempt, first.fence) == (1, 1)
    assert outbox.claim() == []
    clock_of(outbox).now += 29_999
    assert outbox.claim() == []
    clock_of(outbox).now += 1
    (second,) = outbox.claim()

    assert (second.id, second.event_id, second.attempt, second.fence) == (first.id, first.event_id, 2, 2)


def test_a_zombie_records_nothing(outbox: Outbox) -> None:
    outbox.endpoint()
    outbox.events()
    (zombie,) = outbox.claim(lease_ms=1000)
    clock_of(outbox).now += 1000
    (living,) = outbox.claim()

    assert record(outbox, attempted(zombie)) == set()
    assert [row["state"] for row in outbox.deliveries()] == ["pending"]
    assert record(outbox, attempted(living, "pending")) == {living.id}
    assert record(outbox, attempted(living, "delivered")) == {living.id}
    assert record(outbox, attempted(living, "pending")) == set(), "delivered is for good"
    assert [row["state"] for row in outbox.deliveries()] == ["delivered"]


def test_at_most_two_are_on_their_way_to_one_endpoint_whoever_claims(outbox: Outbox) -> None:
    outbox.endpoint()
    outbox.events(7)

    first = outbox.claim()
    assert len(first) == 2 and outbox.claim() == []
    record(outbox, attempted(first[0]))
    second = outbox.claim()

    assert len(second) == 1 and second[0].id not in {delivery.id for delivery in first}


def test_an_organization_has_no_more_than_its_share(outbox: Outbox) -> None:
    for organization in (ORGANIZATION, "other"):
        for n in range(6):
            outbox.run_now("endpoint.save", organization=organization, url=f"https://h{n}.example.com/")
        outbox.events(2, organization)

    claimed = outbox.claim(per_organization=5)

    assert Counter(delivery.organization for delivery in claimed) == {ORGANIZATION: 5, "other": 5}
    assert outbox.claim(per_organization=5) == []
    assert max(Counter(delivery.endpoint.id for delivery in claimed).values()) <= 2


def test_the_longest_due_is_claimed_first_and_a_backlog_of_one_endpoint_hides_nobody(outbox: Outbox) -> None:
    busy, _ = outbox.endpoint("https://busy.example.com/", events=["project.*"])
    outbox.events(60)
    quiet, _ = outbox.endpoint("https://quiet.example.com/", events=["webhook.test"])
    clock_of(outbox).now += 5
    outbox.run_now("endpoint.test", id=quiet)

    claimed = outbox.claim(limit=3)

    assert [delivery.endpoint.id for delivery in claimed] == [busy, busy, quiet]
    assert [delivery.event_seq for delivery in claimed] == [1, 2, 61]


def test_workers_that_claim_at_once_never_share_a_delivery_or_exceed_the_limit(outbox: Outbox) -> None:
    for n in range(4):
        outbox.endpoint(f"https://h{n}.example.com/")
    outbox.events(5)

    answers = together([lambda: outbox.claim()] * 6)

    claimed = [delivery for answer in answers for delivery in answer]
    assert len({delivery.id for delivery in claimed}) == len(claimed) == 8
    assert set(Counter(delivery.endpoint.id for delivery in claimed).values()) == {2}


def test_many_dispatchers_at_once_deliver_each_event_once(database: Database, network: FakeNetwork) -> None:
    outbox = Outbox(database, network, bulkheads=Bulkheads(threads=8, per_endpoint=2, per_organization=8))
    for n in range(3):
        outbox.endpoint(f"https://h{n}.example.com/")
    outbox.events(20)
    dispatchers = [outbox.another_dispatcher() for _ in range(4)]

    answers = together([dispatcher.run for dispatcher in dispatchers] * 2)

    assert all(isinstance(answer, int) for answer in answers), answers
    while outbox.deliveries("pending"):
        answers.append(dispatchers[0].run())
    assert sum(answers) == 60 == len(network.sent)
    assert set(Counter((s.target.host, s.headers["webhook-id"]) for s in network.sent).values()) == {1}
    numbers = [row["seq"] for row in outbox.sql("SELECT seq FROM audit_entries WHERE organization = ? ORDER BY seq",
                                                ORGANIZATION)]  # fmt: skip
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("crashes", [1, 9])
def test_after_a_crash_the_delivery_is_sent_again_under_its_id(
    outbox: Outbox, network: FakeNetwork, crashes: int
) -> None:
    """Each claim that is never recorded is a process that was killed."""
    outbox.endpoint()
    outbox.events()
    for _ in range(crashes):
        (lost,) = outbox.claim(lease_ms=1000)
        clock_of(outbox).now += 1000

    outbox.dispatcher.run()

    assert [sent.headers["webhook-id"] for sent in network.sent] == [lost.event_id]
    assert [row["attempt"] for row in outbox.deliveries("delivered")] == [crashes + 1]


def test_a_delivery_that_kills_its_sender_every_time_ends_as_dead_unsent(outbox: Outbox, network: FakeNetwork) -> None:
    outbox.endpoint()
    outbox.events()
    for _ in range(10):
        assert outbox.claim(lease_ms=1000)
        clock_of(outbox).now += 1000

    outbox.dispatcher.run()

    assert network.sent == []
    assert [row["last_error"].split(":")[0] for row in outbox.deliveries("dead")] == ["abandoned"]


def test_an_attempt_that_fails_inside_of_us_is_recorded_like_any_other(outbox: Outbox, network: FakeNetwork) -> None:
    def broken(sent: Sent) -> Reply:
        raise ZeroDivisionError

    network.answer = broken
    outbox.endpoint()
    outbox.events()

    assert outbox.dispatcher.run() == 1
    assert [row["last_error"] for row in outbox.deliveries("pending")] == ["internal: ZeroDivisionError while sending"]


def test_what_came_back_while_the_database_was_away_is_recorded_later(
    outbox: Outbox, network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.endpoint()
    outbox.events()
    away = [False]
    write = outbox.store.write

    def sometimes() -> object:
        if away[0]:
            raise Unavailable
        return write()

    def answer(sent: Sent) -> Reply:
        away[0] = True
        return Reply(status=200)

    monkeypatch.setattr(outbox.store, "write", sometimes)
    network.answer = answer
    with pytest.raises(Unavailable):
        outbox.dispatcher.run()
    away[0] = False

    assert outbox.dispatcher.run() == 1
    assert len(network.sent) == 1 == len(outbox.deliveries("delivered"))


def test_a_worker_that_is_asked_to_stop_finishes_and_begins_nothing(outbox: Outbox, network: FakeNetwork) -> None:
    stopping = [False]

    def answer(sent: Sent) -> Reply:
        stopping[0] = True
        return Reply(status=200)

    network.answer = answer
    outbox.endpoint()
    outbox.events(10)

    assert outbox.dispatcher.run(lambda: stopping[0]) == len(network.sent) == 2
    assert Counter(row["state"] for row in outbox.deliveries()) == {"delivered": 2, "pending": 8}
    assert not [row for row in outbox.deliveries() if row["lease_until"] is not None]


# The control plane


def test_a_secret_is_told_once_and_stored_nowhere_but_with_its_endpoint(outbox: Outbox) -> None:
    again = Idempotency("POST /webhooks", "key", "sha256:x")
    first = outbox.run_now("endpoint.save", idempotency=again, url="https://hooks.example.com/")
    replayed = outbox.run_now("endpoint.save", idempotency=again, url="https://hooks.example.com/")
    rotated = outbox.run_now("endpoint.save", id=first.result["id"], rotate=True)
    changed = outbox.run_now("endpoint.save", id=first.result["id"], events=["task.*"])
    outbox.run_now("endpoint.test", id=first.result["id"])
    outbox.until_settled()

    assert (replayed.replayed, replayed.once, replayed.result) == (True, {}, first.result)
    assert changed.once == {}
    secrets = [str(first.once["secret"]), str(rotated.once["secret"])]
    assert len(set(secrets)) == 2
    for table in ("requests", "events", "webhook_deliveries", "audit_entries", "idempotency"):
        for row in outbox.sql(f"SELECT * FROM {table}"):
            text = " ".join(bytes(v).decode("latin-1") if isinstance(v, bytes | memoryview) else str(v)
                            for v in dict(row).values())  # fmt: skip
            assert not any(secret.removeprefix("whsec_") in text for secret in secrets), table


def test_while_a_rotation_overlaps_both_secrets_hold_and_then_only_the_new_one(
    outbox: Outbox, network: FakeNetwork
) -> None:
    endpoint, old = outbox.endpoint()
    new = str(outbox.run_now("endpoint.save", id=endpoint, rotate=True, overlap_s=60).once["secret"])
    accepted = []
    for seconds in (59, 60):
        clock_of(outbox).now = START + seconds * 1000
        outbox.events()
        outbox.dispatcher.run()
        sent = network.sent[-1]
        for secret in (old, new):
            try:
                signing.verify(secret, sent.headers, sent.body, now_s=START // 1000 + seconds)
                accepted.append((seconds, "old" if secret == old else "new"))
            except signing.BadSignature:
                pass

    assert accepted == [(59, "old"), (59, "new"), (60, "new")]
    outbox.run_now("endpoint.save", id=endpoint)
    assert [row["previous_secret"] for row in outbox.sql("SELECT * FROM webhook_endpoints")] == [None]


def test_a_leaked_secret_can_be_retired_at_once(outbox: Outbox, network: FakeNetwork) -> None:
    endpoint, _ = outbox.endpoint()
    outbox.run_now("endpoint.save", id=endpoint, rotate=True, overlap_s=0)
    outbox.events()
    outbox.dispatcher.run()

    assert " " not in network.sent[0].headers["webhook-signature"]
    assert [row["previous_secret"] for row in outbox.sql("SELECT * FROM webhook_endpoints")] == [None]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"url": "http://hooks.example.com/"}, "https"),
        ({"url": "https://127.0.0.1/"}, "host name"),
        ({"url": None}, "url"),
        ({}, "url"),
        ({"events": []}, "events"),
        ({"events": ["artifact."]}, "artifact."),
        ({"events": ["*.created"]}, "created"),
        ({"events": ["a"] * 51}, "events"),
        ({"events": "*"}, "events"),
        ({"state": "sleeping"}, "sleeping"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_and_nothing_is_stored(
    outbox: Outbox, payload: dict[str, object], said: str
) -> None:
    given: dict[str, object] = {"url": "https://hooks.example.com/", **payload} if payload else {}

    with pytest.raises(InvalidInput, match=said):
        outbox.run_now("endpoint.save", **given)  # type: ignore[arg-type]

    assert outbox.sql("SELECT 1 FROM webhook_endpoints") == outbox.sql("SELECT 1 FROM requests") == []


@pytest.mark.parametrize("overlap_s", [-1, 604_801, "60", 1.5, True])
def test_an_overlap_is_a_number_of_seconds_up_to_a_week(outbox: Outbox, overlap_s: object) -> None:
    endpoint, _ = outbox.endpoint()

    with pytest.raises(InvalidInput, match="overlap_s"):
        outbox.run_now("endpoint.save", id=endpoint, rotate=True, overlap_s=overlap_s)


@pytest.mark.parametrize("kind", ["endpoint.save", "endpoint.delete", "endpoint.test"])
def test_an_endpoint_of_another_organization_does_not_exist(outbox: Outbox, kind: str) -> None:
    endpoint, _ = outbox.endpoint()

    with pytest.raises(NotFound):
        outbox.run_now(kind, organization="other", id=endpoint)


def test_a_delivery_of_another_organization_does_not_exist(outbox: Outbox) -> None:
    endpoint, _ = outbox.endpoint()
    outbox.events()
    outbox.dispatcher.run()

    for payload in ({"delivery": outbox.deliveries()[0]["id"]}, {"endpoint": endpoint}):
        with pytest.raises(NotFound):
            outbox.run_now("delivery.replay", organization="other", **payload)


def test_a_project_of_another_organization_cannot_be_listened_to(outbox: Outbox) -> None:
    project = outbox.run_now("project.save", organization="other", name="theirs").result["id"]

    with pytest.raises(NotFound, match="project"):
        outbox.run_now("endpoint.save", url="https://hooks.example.com/", project=project)


def test_an_organization_has_at_most_a_hundred_endpoints(outbox: Outbox) -> None:
    for n in range(MAX_ENDPOINTS):
        outbox.endpoint(f"https://h{n}.example.com/")

    with pytest.raises(Conflict, match="100"):
        outbox.endpoint()
    outbox.run_now("endpoint.save", organization="other", url="https://hooks.example.com/")


def test_a_test_reaches_only_the_endpoint_that_is_tested(outbox: Outbox, network: FakeNetwork) -> None:
    tested, _ = outbox.endpoint("https://tested.example.com/", events=["artifact.created"])
    outbox.endpoint("https://other.example.com/")

    outbox.run_now("endpoint.test", id=tested)
    outbox.dispatcher.run()

    assert [(sent.target.host, sent.event["type"]) for sent in network.sent] == [("tested.example.com", "webhook.test")]
    outbox.run_now("endpoint.save", id=tested, state="disabled")
    with pytest.raises(Conflict, match="enable it first"):
        outbox.run_now("endpoint.test", id=tested)


def test_deleting_an_endpoint_ends_its_deliveries_and_its_secrets(outbox: Outbox, network: FakeNetwork) -> None:
    endpoint, _ = outbox.endpoint()
    outbox.events(3)
    (flying, _) = outbox.claim()
    outbox.run_now("endpoint.delete", id=endpoint)

    assert outbox.dispatcher.run() == 0 == len(network.sent)
    assert record(outbox, attempted(flying)) == set()
    assert {(row["state"], row["last_error"]) for row in outbox.deliveries()} == {
        ("dead", "deleted: the endpoint was deleted")
    }
    assert outbox.sql("SELECT 1 FROM webhook_endpoints") == []
    with pytest.raises(NotFound, match="deleted"):
        outbox.run_now("delivery.replay", delivery=flying.id)


# Replay


def die(outbox: Outbox, network: FakeNetwork, n: int = 3) -> str:
    endpoint, _ = outbox.endpoint()
    network.answer = lambda sent: Reply(status=500)
    outbox.events(n)
    outbox.until_settled()
    network.answer = lambda sent: Reply(status=200)
    return endpoint


def test_a_dead_delivery_is_replayed_under_its_old_id(outbox: Outbox, network: FakeNetwork) -> None:
    die(outbox, network, n=1)
    (dead,) = outbox.deliveries("dead")

    outbox.bell.rung.clear()
    ran = outbox.run_now("delivery.replay", delivery=dead["id"])
    assert outbox.bell.rung == ["system"]
    outbox.dispatcher.run()

    assert ran.result == {"replayed": 1, "more": False}
    assert len({sent.headers["webhook-id"] for sent in network.sent}) == 1 and len(network.sent) == 11
    (row,) = outbox.deliveries()
    assert (row["state"], row["attempt"]) == ("delivered", 1)
    assert [entry["subject"] for entry in outbox.audited("delivery:delivery:replayed")] == [dead["id"]]


def test_the_dead_of_an_endpoint_are_replayed_together(outbox: Outbox, network: FakeNetwork) -> None:
    endpoint = die(outbox, network, n=5)
    dead = {row["id"] for row in outbox.deliveries("dead")}
    assert len(dead) == 5

    assert outbox.run_now("delivery.replay", endpoint=endpoint).result == {"replayed": 5, "more": False}
    outbox.until_settled()

    assert {row["id"] for row in outbox.deliveries("delivered")} == dead
    assert outbox.run_now("delivery.replay", endpoint=endpoint).result["replayed"] == 0


def test_a_range_is_a_time_and_states(outbox: Outbox, network: FakeNetwork) -> None:
    endpoint, _ = outbox.endpoint()
    for second in range(4):
        clock_of(outbox).now = START + second * 1000
        outbox.events()
        outbox.dispatcher.run()

    ran = outbox.run_now(
        "delivery.replay", endpoint=endpoint, states=["delivered"], since=START + 1000, until=START + 3000
    )
    outbox.dispatcher.run()

    assert ran.result["replayed"] == 2
    seen = Counter(sent.event["sequence"] for sent in network.sent)
    assert seen == {1: 1, 2: 2, 3: 2, 4: 1}


def test_what_is_on_its_way_is_not_taken_from_its_sender(outbox: Outbox) -> None:
    outbox.endpoint()
    outbox.events()
    (flying,) = outbox.claim()

    outbox.run_now("delivery.replay", delivery=flying.id)

    assert record(outbox, attempted(flying)) == {flying.id}


def test_a_long_range_is_replayed_in_parts(outbox: Outbox, network: FakeNetwork) -> None:
    endpoint, _ = outbox.endpoint()
    outbox.events()
    outbox.dispatcher.run()
    (first,) = outbox.deliveries()
    columns = "organization, endpoint, event_seq, next_at, created_at, state"
    copy = f"INSERT INTO webhook_deliveries (id, event_id, {columns}) SELECT ?, ?, {columns} FROM webhook_deliveries"
    with outbox.database.write() as connection:
        for n in range(REPLAY_BATCH):
            values = (f"del_zz{n:06}", f"evt_zz{n}", first["id"])
            connection.exec_driver_sql(outbox.database.sql(copy + " WHERE id = ?"), values)

    parts = [outbox.run_now("delivery.replay", endpoint=endpoint, states=["delivered"]).result for _ in range(2)]

    assert parts == [{"replayed": REPLAY_BATCH, "more": True}, {"replayed": 1, "more": False}]


@pytest.mark.parametrize(
    "payload",
    [{}, {"delivery": "del_1", "endpoint": "whk_1"}, {"endpoint": "whk_1", "states": []},
     {"endpoint": "whk_1", "states": ["lost"]}],
)  # fmt: skip
def test_a_replay_of_nothing_in_particular_is_refused(outbox: Outbox, payload: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        outbox.run_now("delivery.replay", **payload)  # type: ignore[arg-type]


def test_a_disabled_endpoint_has_nothing_due_and_nothing_replayed(outbox: Outbox, network: FakeNetwork) -> None:
    endpoint, _ = outbox.endpoint()
    outbox.events()
    outbox.run_now("endpoint.save", id=endpoint, state="disabled")

    with outbox.store.read() as tx:
        rows: DeliveryRows = tx.reads("delivery")
        assert rows.due(clock_of(outbox).now) == 0
    assert outbox.dispatcher.run() == 0
    with pytest.raises(Conflict, match="by request"):
        outbox.run_now("delivery.replay", endpoint=endpoint)


def test_changes_of_one_endpoint_at_once_are_both_kept(outbox: Outbox) -> None:
    endpoint, _ = outbox.endpoint()
    changes: list[Callable[[], object]] = [
        lambda: outbox.run_now("endpoint.save", id=endpoint, events=["task.*"]),
        lambda: outbox.run_now("endpoint.save", id=endpoint, url="https://new.example.com/"),
    ]

    together(changes)

    (row,) = outbox.sql("SELECT * FROM webhook_endpoints")
    assert (row["events"], row["url"]) == ('["task.*"]', "https://new.example.com/")


# Labels


def test_what_a_sensitive_artifact_is_called_is_not_told_outside(
    outbox: Outbox, network: FakeNetwork, database: Database
) -> None:
    outbox.endpoint(events=["artifact.*"])
    pipeline = Pipeline(database, clock_of(outbox))  # type: ignore[arg-type]
    project = pipeline.project()
    for name, label in (("roadmap", "INTERNAL"), ("layoffs", "SENSITIVE"), ("keys", "CRITICAL")):
        pipeline.declare(project, name, label=label)
    pipeline.executor.drain("psmp")
    # What is blocked is about an artifact that has a label.
    pipeline.declare(project, "layoffs", "other", base_version=9)
    pipeline.executor.drain("psmp")

    outbox.dispatcher.run()

    told = [msgspec.json.decode(sent.body) for sent in network.sent]
    assert sorted((body["type"], body["data"].get("name", "")) for body in told) == [
        ("artifact.blocked", ""), ("artifact.created", ""), ("artifact.created", ""),
        ("artifact.created", "roadmap"),
    ]  # fmt: skip
    assert {tuple(body["data"].get("withheld", ())) for body in told} == {(), ("name",)}
    assert not [sent for sent in network.sent if b"layoffs" in sent.body or b"keys" in sent.body]
