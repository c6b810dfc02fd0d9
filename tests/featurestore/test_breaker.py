from __future__ import annotations

from featurestore.online.breaker import FIRST_S, LONGEST_S, Breaker


class ManualClock:
    """A clock that a test moves, with random numbers that the test chooses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.chance = 0.0
        self.breaker = Breaker(2.0, lambda: self.now, lambda: self.chance)


def test_while_nothing_failed_every_call_goes_ahead() -> None:
    breaker = ManualClock().breaker
    assert [breaker.wait_s(), breaker.wait_s()] == [0, 0]
    assert not breaker.passed()
    assert breaker.wait_s() == 0


def test_after_a_failure_one_call_goes_ahead_when_the_wait_is_over() -> None:
    at = ManualClock()
    assert at.breaker.failed()
    assert at.breaker.wait_s() == FIRST_S
    at.now = FIRST_S
    assert at.breaker.wait_s() == 0
    assert at.breaker.wait_s() == 2.0  # the probe is on its way
    at.now += 2.0
    assert at.breaker.wait_s() == 0  # the probe got no answer
    assert at.breaker.passed()
    assert [at.breaker.wait_s(), at.breaker.wait_s()] == [0, 0]


def test_the_wait_doubles_up_to_the_longest_and_begins_anew_after_an_answer() -> None:
    at = ManualClock()
    waits = []
    for _ in range(9):
        at.breaker.failed()
        waits.append(round(at.breaker.wait_s(), 9))
        at.now += waits[-1]
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-2:] == [LONGEST_S] * 2
    at.breaker.passed()
    assert at.breaker.failed()
    assert round(at.breaker.wait_s(), 9) == FIRST_S


def test_chance_takes_up_to_a_half_off() -> None:
    at = ManualClock()
    at.chance = 0.5
    at.breaker.failed()
    assert at.breaker.wait_s() == FIRST_S * 0.75
    assert not at.breaker.failed()
