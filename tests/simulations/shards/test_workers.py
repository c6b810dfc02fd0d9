"""Workers return results in the order of the tasks, and run only a fixed number of tasks ahead."""

from __future__ import annotations

import os

import pytest

from simulations.errors import WorkerDied
from simulations.shards.workers import Inline, LocalProcesses, in_order


def test_results_come_in_the_order_of_the_tasks_and_no_more_than_so_many_are_under_way() -> None:
    under_way: set[int] = set()
    most = 0

    def submit(task: int) -> int:
        nonlocal most
        under_way.add(task)
        most = max(most, len(under_way))
        return task

    def result(task: int) -> int:
        under_way.remove(task)
        return -task

    assert list(in_order(submit, result, iter(range(20)), 3)) == [-task for task in range(20)]
    assert most == 3
    assert list(in_order(submit, result, iter(()), 3)) == []


def test_what_a_task_raises_is_raised() -> None:
    for workers in (Inline(), LocalProcesses(1)):
        with pytest.raises(ValueError, match="invalid literal"):
            list(workers.map(int, ["1", "one"]))


def test_a_worker_that_is_killed_is_an_error_that_says_so() -> None:
    with pytest.raises(WorkerDied, match="one of 1 worker processes was killed"):
        list(LocalProcesses(1).map(os._exit, [9]))
