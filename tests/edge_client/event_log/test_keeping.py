from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from base.times import DAY_US, SECOND_US
from edge_client.event_log.keeping import JUMP_US, STEADY_US, LogTime

HOUR = 3_600 * SECOND_US
NOW = 20_000 * DAY_US
YEARS = 5_000 * DAY_US


def run(time: LogTime, hours: float, ahead: int = 0) -> LogTime:
    """Let both clocks run in steps of a minute, after the wall clock jumped by `ahead`."""
    time = time.at(time.wall_us + ahead, time.monotonic_us)
    for _ in range(round(hours * 60)):
        time = time.at(time.wall_us + 60 * SECOND_US, time.monotonic_us + 60 * SECOND_US)
    return time


def test_it_follows_the_time_that_passes() -> None:
    assert run(LogTime.new(NOW, 0), 100).us == NOW + 100 * HOUR


def test_a_clock_that_jumps_ahead_moves_it_by_at_most_a_day_for_each_steady_hour() -> None:
    time = LogTime.new(NOW, 0)
    time = run(time, 0.9, ahead=YEARS)
    assert time.us == NOW + int(0.9 * HOUR)
    time = run(time, 0.1)
    assert time.us == NOW + HOUR + DAY_US
    assert run(time, 3).us == NOW + 4 * HOUR + 4 * DAY_US


def test_a_clock_that_jumps_each_half_hour_moves_it_not_at_all() -> None:
    time = LogTime.new(NOW, 0)
    for at in range(20):
        time = run(time, 0.5, ahead=YEARS if at % 2 else -YEARS)
    assert time.us == NOW + 10 * HOUR


def test_a_clock_that_jumps_back_does_not_stop_it() -> None:
    time = run(LogTime.new(NOW, 0), 5, ahead=-YEARS)
    assert time.us == NOW + 5 * HOUR


def test_a_machine_that_slept_is_caught_up_with_after_a_steady_hour() -> None:
    time = run(LogTime.new(NOW, 0), 1, ahead=5 * HOUR)
    assert time.us == NOW + 6 * HOUR


def test_a_clock_that_is_corrected_by_less_than_a_minute_stays_steady() -> None:
    time = LogTime.new(NOW, 0)
    for _ in range(4):
        time = run(time, 0.25, ahead=JUMP_US)
    assert time.us == NOW + HOUR + 4 * JUMP_US


class TestStart:
    """A process opens a log that was last used at NOW."""

    def start(self, wall_us: int, us: int = NOW, last_wall_us: int = NOW) -> LogTime:
        return LogTime.at_start(us, last_wall_us, wall_us, 0)

    def test_the_time_in_between_counts_up_to_a_day(self) -> None:
        assert self.start(NOW + 5 * HOUR).us == NOW + 5 * HOUR
        assert self.start(NOW + 3 * DAY_US).us == NOW + DAY_US
        assert self.start(NOW - HOUR).us == NOW

    def test_a_longer_time_is_caught_up_with_by_a_day_an_hour(self) -> None:
        time = self.start(NOW + 3 * DAY_US)
        assert run(time, 2).us == NOW + 3 * DAY_US + 2 * HOUR

    def test_many_starts_with_a_clock_that_is_years_ahead_count_one_day(self) -> None:
        time, wall = LogTime.new(NOW, 0), NOW + YEARS
        for _ in range(100):
            time = run(self.start(wall, time.us, time.wall_us), 0.5)
            wall = time.wall_us + 10 * SECOND_US
        assert time.us < NOW + DAY_US + 100 * (HOUR // 2 + 10 * SECOND_US)

    def test_a_program_that_starts_each_hour_and_ends_at_once_ages_its_log(self) -> None:
        us, wall = NOW, NOW
        for _ in range(1_000):
            wall += HOUR
            us = self.start(wall, us, wall - HOUR).us
        assert us == wall


steps = st.lists(
    st.tuples(st.integers(-YEARS, YEARS) | st.just(0), st.integers(0, 2 * HOUR), st.booleans()), max_size=60
)


@given(steps)
def test_it_never_goes_back_and_is_ahead_of_what_passed_by_a_day_for_each_hour_and_start(
    given_steps: list[tuple[int, int, bool]],
) -> None:
    time, passed, starts = LogTime.new(NOW, 0), 0, 1
    for jump, elapsed, restart in given_steps:
        if restart:
            following = LogTime.at_start(time.us, time.wall_us, time.wall_us + jump + elapsed, 0)
            starts += 1
        else:
            following = time.at(time.wall_us + jump + elapsed, time.monotonic_us + elapsed)
        assert following.us >= time.us
        time, passed = following, passed + elapsed
    assert time.us <= NOW + passed + DAY_US * (starts + passed // STEADY_US)
