"""Measuring by a clock that the test moves, so that every second is accounted for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from simulations.measuring import Watch, medians, peak_bytes, peak_since, print_figures, start_of_peak, timed

MIB = 2**20


class ManualClock:
    """A clock that advances only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> str:
        self.now += seconds
        return "done"


def test_the_first_turn_does_not_count_and_the_median_does() -> None:
    clock = ManualClock()
    of_one, of_two = iter([50.0, 3.0, 1.0, 2.0]), iter([70.0, 10.0, 30.0, 20.0])
    taken = medians(lambda: clock.wait(next(of_one)), lambda: clock.wait(next(of_two)), clock=clock, turns=3)
    assert taken == [2.0, 20.0]


def test_pieces_of_work_take_turns() -> None:
    order: list[str] = []
    medians(lambda: order.append("a"), lambda: order.append("b"), clock=ManualClock(), turns=2)
    assert order == ["a", "b"] * 3


def test_work_is_timed_with_what_it_gives() -> None:
    clock = ManualClock()
    assert timed(lambda: clock.wait(4.0), clock) == ("done", 4.0)


def test_an_inner_step_counts_for_itself_only() -> None:
    clock = ManualClock()
    watch = Watch(clock)
    with watch.step("seal"):
        clock.wait(1.0)
        with watch.step("sign"):
            clock.wait(2.0)
        clock.wait(4.0)
    with watch.step("seal"):
        clock.wait(8.0)
    assert watch.seconds == {"seal": 13.0, "sign": 2.0}


def test_a_step_that_fails_is_counted() -> None:
    clock = ManualClock()
    watch = Watch(clock)

    def fail() -> None:
        clock.wait(3.0)
        raise KeyError

    with pytest.raises(KeyError), watch.step("add"):
        fail()
    assert watch.seconds == {"add": 3.0}


def test_a_watch_adds_to_the_seconds_that_it_is_given() -> None:
    clock, seconds = ManualClock(), {"share": 1.0}
    with Watch(clock, seconds).step("share"):
        clock.wait(2.0)
    assert seconds == {"share": 3.0}


def test_the_peak_of_memory_rises_with_what_is_held() -> None:
    start = start_of_peak()
    if start is None:
        pytest.skip("this system has no /proc")
    held = np.ones(64 * MIB, np.uint8)
    assert (peak_since(start) or 0) >= 48 * MIB
    assert peak_bytes() >= start + 48 * MIB
    assert held[-1] == 1
    assert peak_since(None) is None


def test_the_last_line_is_json_with_the_load(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures({"reports_per_second": 5})
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["reports_per_second"] == 5
    assert figures["load_average"] >= 0
