from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from api.door import EXTENSION
from api.labels import RATE
from api.limits import Limit, RateLimit
from api.quotas import QuotaExceeded, Quotas
from api.rates import Rates, client_address, networks
from metaqore.adapters.limits_redis import Granted, RedisLimits, Wanted
from metaqore.embedded.broker import Broker
from metaqore.errors import RateLimited, SettingsError, Unavailable
from metaqore.security.keys import Principal
from metaqore.settings import load
from tests.contract.pipeline import together
from tests.in_process import InProcess


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counter:
    """A shared counter without refill, which can be gone."""

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.asked: list[list[Wanted]] = []
        self.is_up = True

    def take(self, wanted: Sequence[Wanted]) -> list[Granted]:
        self.asked.append([*wanted])
        if not self.is_up:
            raise Unavailable("gone")
        granted = []
        for one in wanted:
            n = min(one.cells, self.cells)
            self.cells -= n
            granted.append(Granted(n, self.cells, 0.0 if n else 3.0))
        return granted


def spend(rate: RateLimit, limit: Limit, who: str = "w", most: int = 100_000) -> int:
    """Call until refused; return how often it was allowed."""
    for n in range(most):
        try:
            rate.spend([limit.of(who)])
        except RateLimited:
            return n
    return most


def test_most_calls_ask_nobody_and_none_is_allowed_beyond_what_was_taken() -> None:
    counter = Counter(1000)
    rate = RateLimit(counter, Clock())

    assert spend(rate, Limit("principal", 60_000)) == 1000
    assert len(counter.asked) == 1000 // 50 + 1


def test_two_limits_are_asked_about_in_one_round_trip() -> None:
    counter = Counter(1000)
    rate = RateLimit(counter, Clock())

    rate.spend([Limit("principal", 60).of("w"), Limit("organization", 60).of("o")])

    assert [[one.key for one in asked] for asked in counter.asked] == [["principal:w", "organization:o"]]


def test_a_lease_that_was_not_used_is_given_up() -> None:
    clock = Clock()
    counter = Counter(100)
    rate = RateLimit(counter, clock)
    rate.spend([Limit("principal", 60_000).of("w")])
    clock.now += 1.5

    assert spend(rate, Limit("principal", 60_000)) == 50


def test_who_was_refused_is_refused_without_asking_until_the_time_has_come() -> None:
    clock = Clock()
    counter = Counter(1)
    rate = RateLimit(counter, clock)
    limit = Limit("principal", 60)
    rate.spend([limit.of("w")])
    with pytest.raises(RateLimited) as caught:
        rate.spend([limit.of("w")])
    assert caught.value.details["retry_after_s"] == 3
    asked = len(counter.asked)
    for _ in range(5):
        with pytest.raises(RateLimited):
            rate.check(limit.of("w"))
        with pytest.raises(RateLimited):
            rate.spend([limit.of("w")])
    assert len(counter.asked) == asked

    clock.now += 3.1
    counter.cells = 1

    rate.check(limit.of("w"))
    rate.spend([limit.of("w")])


def test_without_the_shared_counter_a_process_allows_a_quarter_and_asks_again_after_a_while() -> None:
    clock = Clock()
    counter = Counter(10_000)
    counter.is_up = False
    rate = RateLimit(counter, clock)
    limit = Limit("principal", 1200)

    assert spend(rate, limit) == 300
    assert len(counter.asked) == 1

    counter.is_up = True
    clock.now += 5

    assert spend(rate, limit) > 1000


def test_no_limit_counts_nothing() -> None:
    none = {"rate_limit_per_minute": 0, "rate_limit_organization_per_minute": 0, "rate_limit_failures_per_minute": 0}
    counter, environ = Counter(0), dict[str, Any]()
    rates = Rates(load(none, environ={}), counter)

    rates.before({})
    rates.failed({})
    rates.spend(who("a"), environ)

    assert (counter.asked, environ) == ([], {})


def test_processes_share_a_limit_in_redis_and_never_exceed_it(valkey: Broker) -> None:
    limit = Limit("principal", 600)
    clock = Clock()
    rates = [RateLimit(RedisLimits(valkey.url), clock) for _ in range(3)]

    began = time.monotonic()
    allowed = sum(spend(rate, limit) for rate in rates)

    # While this runs, cells come back at ten a second.
    assert 600 <= allowed <= 600 + 10 * (time.monotonic() - began) + 1
    redis = RedisLimits(valkey.url)
    refused = redis.take([Wanted("principal:w", 600, 5), Wanted("principal:fresh", 600, 5)])
    assert refused[0].cells <= 5
    assert (refused[1].cells, refused[1].left) == (5, 595)
    assert 0 <= refused[0].wait_s <= 0.11


def who(name: str, **more: Any) -> Principal:
    return Principal(organization="o", name=name, key_id="k", scopes=frozenset(), **more)


def test_the_headers_say_what_is_allowed_what_is_left_and_when() -> None:
    settings = load({"rate_limit_per_minute": 60, "rate_limit_organization_per_minute": 600}, environ={})
    rates = Rates(settings, Counter(62))
    environ: dict[str, Any] = {}

    rates.spend(who("a"), environ)

    assert dict(environ[RATE])["RateLimit-Policy"] == '"principal";q=60;w=60, "organization";q=600;w=60'
    assert dict(environ[RATE])["RateLimit"].startswith('"principal";r=61;t=')


def test_a_delegated_token_counts_for_whoever_handed_it_on() -> None:
    counter = Counter(3)
    settings = load({"rate_limit_per_minute": 60, "rate_limit_organization_per_minute": 0}, environ={})
    rates = Rates(settings, counter)
    for name in ("boss/a", "boss/b", "boss/c"):
        rates.spend(who(name, delegator="boss"), {})
    environ: dict[str, Any] = {}

    with pytest.raises(RateLimited):
        rates.spend(who("boss"), environ)

    assert dict(environ[RATE])["RateLimit"] == '"principal";r=0;t=3'


def test_an_address_with_too_many_failed_logins_is_refused_unheard() -> None:
    rates = Rates(load({"rate_limit_failures_per_minute": 60}, environ={}), Counter(2))
    attacker, other = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.2"}
    for _ in range(2):
        rates.before(attacker)
        rates.failed(attacker)
    with pytest.raises(RateLimited):
        rates.failed(attacker)

    with pytest.raises(RateLimited):
        rates.before(attacker)
    rates.before(other)


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "found"),
    [
        ("192.0.2.1", "", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.0/8", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "", "", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", "", "192.0.2.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.7", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7:4711", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8:1:2:3::4]:4711", "10.0.0.0/8", "2001:db8:1:2::/64"),
        ("10.0.0.1", "198.51.100.7, [", "10.0.0.0/8", "10.0.0.1"),
        ("fe80::1%eth0", "", "", "fe80::/64"),
        ("", "198.51.100.7", "", ""),
    ],
)
def test_an_address_is_what_trusted_proxies_say_and_nobody_else(
    peer: str, forwarded: str, trusted: str, found: str
) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert client_address(environ, networks(trusted)) == found


def test_a_trusted_proxy_that_is_no_address_stops_the_start() -> None:
    with pytest.raises(SettingsError):
        networks("10.0.0.0/8, proxy.example")


def test_a_quota_counts_what_waits_and_what_was_accepted_since() -> None:
    clock = Clock()
    waiting: dict[str | None, int] = {"p": 6, "q": 1}
    looked: list[str] = []

    def count(queue: str, organization: str) -> dict[str | None, int]:
        looked.append(queue)
        return waiting

    quotas = Quotas(count, per_organization=10, per_project=8, clock=clock)
    quotas.check("psmp", "o", {"p": 2})
    with pytest.raises(QuotaExceeded, match="project p"):
        quotas.check("psmp", "o", {"p": 1})
    quotas.check("psmp", "o", {"q": 1})
    with pytest.raises(QuotaExceeded, match="organization o"):
        quotas.check("psmp", "o", {None: 1})
    assert looked == ["psmp"]

    waiting.clear()
    clock.now += 0.6

    quotas.check("psmp", "o", {"p": 8})
    assert looked == ["psmp", "psmp"]


def test_threads_share_their_leases_and_do_not_ask_all_at_once() -> None:
    counter = Counter(100_000)
    rate = RateLimit(counter)
    claim = Limit("principal", 600_000).of("w")

    def call(n: int) -> None:
        for _ in range(n):
            rate.spend([claim])

    together([lambda: call(500)] * 16)

    assert len(counter.asked) <= 8000 // 256 + 16
    assert counter.cells >= 100_000 - 256 * len(counter.asked)


def test_one_counts_what_waits_and_the_others_go_on_meanwhile() -> None:
    clock, counting, entered = Clock(), threading.Event(), threading.Event()
    looked: list[str] = []

    def count(queue: str, organization: str) -> dict[str | None, int]:
        looked.append(queue)
        if len(looked) > 1:
            entered.set()
            assert counting.wait(60)
        return {}

    quotas = Quotas(count, per_organization=100, per_project=0, clock=clock)
    quotas.check("psmp", "o", {"p": 1})
    clock.now += 1
    slow = threading.Thread(target=quotas.check, args=("psmp", "o", {"p": 1}))
    slow.start()
    assert entered.wait(60)
    for _ in range(5):
        quotas.check("psmp", "o", {"p": 1})
    counting.set()
    slow.join(60)

    assert looked == ["psmp", "psmp"]


def test_who_is_stopped_may_not_ask_any_oftener_than_others(mq: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    made = mq.post("/keys", {"name": "n", "principal": "loops", "role": "agent"}).json
    assert mq.post("/stops", {"kind": "principal", "subject": "loops", "reason": "it loops"}).status == 201
    spent: list[str] = []
    monkeypatch.setattr(mq.app.extensions[EXTENSION].rates, "spend", lambda who, _environ: spent.append(who.name))

    assert mq.get("/projects", key=made["secret"]).json["code"] == "stopped"
    assert spent == ["loops"]
