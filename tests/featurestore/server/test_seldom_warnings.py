"""A flood of invalid requests writes one line a minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from featurestore.server.seldom_warnings import PERIOD_S, SeldomWarnings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> Iterator[logging.Logger]:
    made, seldom = logging.getLogger("tests.seldom"), SeldomWarnings(clock)
    made.addFilter(seldom)
    yield made
    made.removeFilter(seldom)


def test_a_warning_is_written_once_a_period_with_the_number_of_those_between(
    log: logging.Logger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1_500):
        log.warning("invalid request")
    log.warning("another one of %s", "a")
    log.warning("another one of %s", "b")
    clock.now += PERIOD_S
    log.warning("invalid request")
    clock.now += PERIOD_S
    log.warning("invalid request")
    assert caplog.messages == [
        "invalid request",
        "another one of a",
        "invalid request (1,499 more since the last such line)",
        "invalid request",
    ]


def test_errors_are_all_written(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        log.error("a defect")
    assert caplog.messages == ["a defect"] * 3
