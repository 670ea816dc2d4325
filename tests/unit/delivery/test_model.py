from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaqore.delivery.model import MAX_BODY_BYTES, RETRY_AFTER_S, body_of, retry_after_ms, wants
from tests.webhooks import make_delivery, make_endpoint


def test_attempts_follow_the_table_of_standard_webhooks_for_three_days() -> None:
    waits = [retry_after_ms(attempt, 0.0, None) for attempt in range(1, 11)]

    assert waits == [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000,
                     86_400_000, None]  # fmt: skip
    assert 75 < sum(RETRY_AFTER_S) / 3600 < 76


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_jitter_adds_at_most_a_tenth(attempt: int, jitter: float) -> None:
    plain, waited = retry_after_ms(attempt, 0.0, None), retry_after_ms(attempt, jitter, None)

    assert plain is not None and waited is not None
    assert plain <= waited <= plain * 1.1


@pytest.mark.parametrize(
    ("attempt", "asked_s", "expected_ms"),
    [
        (1, 2.0, 5_000),  # shorter than the table: the table holds
        (1, 120.0, 120_000),
        (3, 60.0, 1_800_000),
        (1, 1e9, 86_400_000),  # a day at most
        (10, 60.0, None),  # the last attempt is the last
    ],
)
def test_a_longer_wait_that_is_asked_for_is_honoured(attempt: int, asked_s: float, expected_ms: int | None) -> None:
    assert retry_after_ms(attempt, 0.0, asked_s) == expected_ms


@pytest.mark.parametrize(
    ("pattern", "event_type", "wanted"),
    [
        ("*", "artifact.created", True),
        ("artifact.*", "artifact.created", True),
        ("artifact.*", "artifact.version.created", True),
        ("artifact.*", "artifacts.created", False),
        ("artifact.*", "artifact", False),
        ("artifact.created", "artifact.created", True),
        ("artifact.created", "artifact.created.twice", False),
    ],
)
def test_a_pattern_is_everything_a_prefix_or_one_type(pattern: str, event_type: str, wanted: bool) -> None:
    assert wants(pattern, event_type) is wanted


def test_an_endpoint_of_a_project_hears_only_of_it() -> None:
    endpoint = make_endpoint(project="prj_1", events=["artifact.*"])

    assert endpoint.receives("artifact.created", "art_1", "prj_1")
    assert not endpoint.receives("artifact.created", "art_1", "prj_2")
    assert not endpoint.receives("artifact.created", "art_1", None)
    assert not endpoint.receives("task.created", "tsk_1", "prj_1")


def test_a_test_goes_to_the_tested_endpoint_alone_whatever_it_is_subscribed_to() -> None:
    assert make_endpoint(id="whk_1", events=["task.*"], project="prj_1").receives("webhook.test", "whk_1", None)
    assert not make_endpoint(id="whk_2", events=["*"]).receives("webhook.test", "whk_1", None)


def test_an_endpoint_is_never_told_that_it_cannot_be_told_anything() -> None:
    assert not make_endpoint(id="whk_1", events=["*"]).receives("webhook.dead", "whk_1", None)
    assert make_endpoint(id="whk_2", events=["*"]).receives("webhook.dead", "whk_1", None)


@pytest.mark.parametrize(("now", "secrets"), [(99, ["new", "old"]), (100, ["new"]), (101, ["new"])])
def test_the_old_secret_signs_until_the_overlap_ends(now: int, secrets: list[str]) -> None:
    assert make_endpoint(secret="new", previous_secret="old", previous_until=100).secrets(now) == secrets


def test_the_body_names_what_happened_and_where_to_read_it() -> None:
    body = body_of(make_delivery())

    assert msgspec.json.decode(body) == {
        "type": "artifact.created",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {"state": "active"},
        "id": "evt_1",
        "subject": "art_1",
        "audit": None,
        "project": "prj_1",
        "request": "req_1",
        "sequence": 7,
    }
    assert body == body_of(make_delivery(attempt=5, fence=9))


def test_a_body_stays_below_twenty_kilobytes() -> None:
    fits = body_of(make_delivery(data='{"x":"' + "a" * 19_700 + '"}'))
    too_large = body_of(make_delivery(data='{"x":"' + "a" * 20_000 + '"}'))

    assert len(fits) < MAX_BODY_BYTES and b"truncated" not in fits
    decoded = msgspec.json.decode(too_large)
    assert (decoded["data"], decoded["truncated"], decoded["sequence"]) == ({}, True, 7)
