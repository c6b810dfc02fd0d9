from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import ConsumerInvalid
from featurestore.server.throttle import BURST_S, Bucket, Limits, ServerLimits, Throttle, Wait


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_a_second_brings_is_there_at_once_and_then_comes_in_at_the_rate() -> None:
    bucket = Bucket(10, 0.0)
    for _ in range(10):
        assert bucket.wait_s(0.0) == 0
        bucket.take(1)
    assert bucket.wait_s(0.0) == 1
    assert bucket.wait_s(0.05) == 0
    bucket.take(1)
    assert bucket.wait_s(0.05) == 1
    assert bucket.wait_s(1_000.0) == 0
    for _ in range(10):
        bucket.take(1)
    assert bucket.wait_s(1_000.0) == 1


def test_one_large_request_goes_into_debt_and_its_debt_is_waited_off() -> None:
    bucket = Bucket(100, 0.0)
    assert bucket.wait_s(0.0) == 0
    bucket.take(10_000)
    assert bucket.wait_s(0.0) == 100
    assert bucket.wait_s(98.9) == 1
    assert bucket.wait_s(100.0) == 0


@given(
    rate=st.floats(0.01, 1e6),
    steps=st.lists(st.tuples(st.floats(0, 50), st.integers(1, 10_000)), min_size=1, max_size=50),
)
def test_in_the_long_run_nobody_gets_more_than_his_rate(rate: float, steps: list[tuple[float, int]]) -> None:
    bucket, now, before = Bucket(rate, 0.0), 0.0, 0
    for pause, tokens in steps:
        now += pause
        if bucket.wait_s(now) == 0:
            assert before <= rate * (now + BURST_S) * (1 + 1e-9)
            bucket.take(tokens)
            before += tokens


@given(rate=st.floats(0.01, 1e6), tokens=st.integers(1, 10_000_000))
def test_the_announced_wait_is_enough_and_a_second_less_is_not(rate: float, tokens: int) -> None:
    bucket = Bucket(rate, 0.0)
    bucket.take(tokens)
    wait = bucket.wait_s(0.0)
    if wait > 1:
        assert bucket.wait_s((wait - 1) * (1 - 1e-9)) >= 1
    assert bucket.wait_s(wait + 1e-6) == 0


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    allowance = Throttle(ServerLimits(Limits(rows=100, requests=1)), clock=clock).allowance("one", Limits())
    assert allowance.admit() is None
    allowance.charge(1_000)
    for _ in range(50):
        assert allowance.admit() == Wait(10, together=False)
    clock.now += 10
    assert allowance.admit() is None


@pytest.mark.parametrize("limits", [Limits(requests=2), Limits(rows=2)])
def test_each_limit_holds_by_itself(limits: Limits) -> None:
    allowance = Throttle(ServerLimits(limits), clock=Clock()).allowance("one", Limits())
    for _ in range(2):
        assert allowance.admit() is None
        allowance.charge(1)
    assert allowance.admit() == Wait(1, together=False)


def test_without_a_limit_nothing_is_ever_refused() -> None:
    allowance = Throttle(ServerLimits(), clock=Clock()).allowance("one", Limits())
    for _ in range(1_000):
        allowance.charge(10**6)
        assert allowance.admit() is None


def test_a_consumers_own_limit_counts_before_the_default() -> None:
    throttle = Throttle(ServerLimits(Limits(rows=5, requests=1)), clock=Clock())
    own, other = throttle.allowance("own", Limits(requests=3)), throttle.allowance("other", Limits())
    assert [own.admit() is None for _ in range(4)] == [True, True, True, False]
    assert [other.admit() is None for _ in range(2)] == [True, False]
    assert throttle.allowance("own", Limits(requests=3)) is own


def test_each_of_several_workers_has_an_equal_share() -> None:
    shares = [Throttle(ServerLimits(Limits(requests=8)), 4, Clock()).allowance("one", Limits()) for _ in range(4)]
    assert sum([share.admit() for _ in range(20)].count(None) for share in shares) == 8


def test_all_readers_together_get_no_more_than_the_servers_limit() -> None:
    throttle = Throttle(ServerLimits(together=Limits(rows=100, requests=3)), clock=Clock())
    one, other = throttle.allowance("one", Limits()), throttle.allowance("other", Limits())
    assert [reader.admit() for reader in (one, other, one)] == [None] * 3
    assert one.admit() == other.admit() == Wait(1, together=True)
    large = Throttle(ServerLimits(together=Limits(rows=100)), clock=Clock())
    one, other = large.allowance("one", Limits()), large.allowance("other", Limits())
    assert one.admit() is None
    one.charge(1_000)
    assert other.admit() == Wait(10, together=True)


def test_a_consumer_over_its_own_limit_takes_nothing_of_the_others_share() -> None:
    throttle = Throttle(ServerLimits(together=Limits(requests=10)), clock=Clock())
    flood, other = throttle.allowance("flood", Limits(requests=1)), throttle.allowance("other", Limits())
    assert [flood.admit() for _ in range(1_000)].count(None) == 1
    assert [other.admit() for _ in range(20)].count(None) == 9


def test_a_request_beyond_the_servers_limit_takes_nothing_of_its_consumers() -> None:
    clock = Clock()
    throttle = Throttle(ServerLimits(together=Limits(requests=10)), clock=clock)
    flood, one = throttle.allowance("flood", Limits()), throttle.allowance("one", Limits(requests=2))
    assert [flood.admit() for _ in range(20)].count(None) == 10
    assert {one.admit() for _ in range(100)} == {Wait(1, together=True)}
    clock.now += 0.25
    assert [one.admit() for _ in range(3)].count(None) == 2


@pytest.mark.parametrize("odd", [0, -1, 10**9 + 1, 1.5, True, "5"])
def test_a_limit_is_a_positive_whole_number(odd: Any) -> None:
    for given_ in ({"rows": odd}, {"requests": odd}):
        with pytest.raises(ConsumerInvalid, match="a second: a whole number from 1"):
            Limits(**given_)
