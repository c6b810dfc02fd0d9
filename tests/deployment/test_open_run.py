"""A session's run on the SuperLink: one for many plans, and another one after it is lost or old."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from aggregator.errors import RunLost, SuperLinkUnusable
from deployment.coordinator.open_run import RUN_SECONDS, OpenRun


class Runs:
    """Runs that are begun, numbered from 1, and a clock."""

    def __init__(self) -> None:
        self.now, self.begun, self.ended, self.confirmed = 100.0, 0, list[int](), list[int]()
        self.fails_to_confirm = False

    def open(self) -> OpenRun:
        return OpenRun(self.begin, lambda: self.now)  # type: ignore[arg-type]  # a grid that only counts

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self.begun += 1
        number = self.begun
        try:
            yield Grid(self, number)
        finally:
            self.ended.append(number)


class Grid:
    def __init__(self, runs: Runs, number: int) -> None:
        self.runs, self.number = runs, number

    def confirm(self) -> None:
        if self.runs.fails_to_confirm:
            raise httpx.ConnectError("away")
        self.runs.confirmed.append(self.number)


def number_of(open_run: OpenRun) -> int:
    with open_run.grid() as grid:
        return grid.number  # type: ignore[attr-defined, no-any-return]  # a grid that only counts


def test_many_plans_share_a_run_whose_replies_are_confirmed_after_each() -> None:
    runs = Runs()
    run = runs.open()
    assert runs.begun == 0
    assert [number_of(run) for _ in range(3)] == [1, 1, 1]
    assert (runs.confirmed, runs.ended) == ([1, 1, 1], [])
    run.close()
    run.close()
    assert runs.ended == [1]
    assert number_of(run) == 2


def test_an_old_run_is_replaced_before_the_next_plan() -> None:
    runs = Runs()
    run = runs.open()
    assert number_of(run) == 1
    runs.now += RUN_SECONDS - 1
    assert number_of(run) == 1
    runs.now += 1
    assert number_of(run) == 2
    assert runs.ended == [1]


@pytest.mark.parametrize("error", [httpx.ReadError("cut"), RunLost("it answers 401")])
def test_a_lost_run_is_named_and_the_next_plan_begins_another(error: Exception) -> None:
    runs = Runs()
    run = runs.open()
    with pytest.raises(RunLost), run.grid():
        raise error
    assert runs.ended == [1]
    assert number_of(run) == 2


def test_a_plan_that_fails_for_another_reason_keeps_the_run() -> None:
    runs = Runs()
    run = runs.open()
    with pytest.raises(SuperLinkUnusable), run.grid():
        raise SuperLinkUnusable("x")
    assert (number_of(run), runs.ended) == (1, [])


def test_a_run_that_is_lost_after_everything_was_received_fails_nothing() -> None:
    runs = Runs()
    run = runs.open()
    runs.fails_to_confirm = True
    assert (number_of(run), runs.ended) == (1, [1])
    runs.fails_to_confirm = False
    assert number_of(run) == 2
