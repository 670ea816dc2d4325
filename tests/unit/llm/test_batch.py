from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metaqore.llm.batch import Batch, Limits, Waiting, plan


def call(name: str, prefix: str, tokens: int = 100, at: int = 0, provider: str = "p", model: str = "m") -> Waiting:
    return Waiting(name, provider, model, prefix, tokens, at)


def names(batches: list[Batch]) -> list[str]:
    return ["".join(member.request_id for member in batch.members) for batch in batches]


def test_three_calls_over_two_prefixes_are_cut_at_the_token_limit() -> None:
    waiting = [call("1", "a", 600), call("2", "a", 600), call("3", "b", 600)]
    batches = plan(waiting, Limits(max_batch_tokens=1024), now=0)
    assert sorted(names(batches)) == ["1", "2", "3"]
    assert sum(batch.tokens for batch in batches) == 1800


def test_calls_with_one_prefix_fill_one_batch() -> None:
    batches = plan([call(n, "a", 500) for n in "123"], Limits(max_batch_tokens=2048), now=0)
    assert names(batches) == ["123"]
    assert batches[0].prefix_hash == "a"


def test_an_oversize_call_goes_alone_and_the_order_stays() -> None:
    waiting = [call("1", "a", 10), call("2", "a", 9000), call("3", "a", 10)]
    assert names(plan(waiting, Limits(), now=0)) == ["1", "2", "3"]


def test_a_batch_is_cut_at_its_size() -> None:
    assert names(plan([call(n, "a") for n in "12345"], Limits(max_batch_size=2), now=0)) == ["12", "34", "5"]


def test_providers_and_models_never_mix() -> None:
    waiting = [call("1", "a"), call("2", "a", model="n"), call("3", "a", provider="q"), call("4", "a")]
    assert sorted(names(plan(waiting, Limits(), now=0))) == ["14", "2", "3"]


def test_calls_that_share_their_prefix_with_nobody_fill_a_common_batch() -> None:
    batches = plan([call("1", "a"), call("2", "b"), call("3", ""), call("4", "c"), call("5", "c")], Limits(), now=0)
    assert sorted(names(batches)) == ["123", "45"]
    assert {batch.prefix_hash for batch in batches} == {"", "c"}


def test_a_warm_prefix_goes_first_until_a_cold_call_has_waited_long_enough() -> None:
    waiting = [call("1", "", at=0), call("2", "hot", at=900), call("3", "hot", at=950)]
    limits = Limits(max_wait_ms=1000)
    assert names(plan(waiting, limits, now=999, warm={"hot"})) == ["23", "1"]
    assert names(plan(waiting, limits, now=1000, warm={"hot"})) == ["1", "23"]


def test_a_cold_call_under_an_endless_hot_load_is_served_within_the_ageing_bound() -> None:
    limits = Limits(max_batch_size=4, max_wait_ms=100)
    waiting = [call("cold", "cold", at=0)]
    serial = 0
    for now in range(0, 1000, 10):
        for _ in range(6):  # more arrives than is ever served
            waiting.append(call(f"hot{serial}", "hot", at=now))
            serial += 1
        first = plan(waiting, limits, now, warm={"hot"})[0]
        served = {member.request_id for member in first.members}
        waiting = [item for item in waiting if item.request_id not in served]
        if "cold" in served:
            assert now <= limits.max_wait_ms
            return
    raise AssertionError("the cold call starved")


calls = st.lists(
    st.tuples(st.sampled_from("pq"), st.sampled_from(["", "a", "b"]), st.integers(1, 12000), st.integers(0, 5000)),
    max_size=40,
)


@given(calls, st.integers(0, 9000))
def test_every_call_is_in_exactly_one_batch_within_the_limits_and_in_order(
    drawn: list[tuple[str, str, int, int]], now: int
) -> None:
    limits = Limits(max_batch_size=5)
    waiting = [call(str(n), prefix, tokens, at, p) for n, (p, prefix, tokens, at) in enumerate(drawn)]

    batches = plan(waiting, limits, now)

    placed = [member for batch in batches for member in batch.members]
    assert sorted(member.request_id for member in placed) == sorted(item.request_id for item in waiting)
    for batch in batches:
        assert len(batch.members) <= 5
        assert batch.tokens <= limits.max_batch_tokens or len(batch.members) == 1
        assert {member.provider for member in batch.members} == {batch.provider}
        order = [int(member.request_id) for member in batch.members]
        assert order == sorted(order)
