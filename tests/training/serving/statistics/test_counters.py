"""Counters that all workers of a server share."""

from __future__ import annotations

import tempfile

import pytest

from training.serving.statistics.counters import COUNT_BYTES, VERSIONS, ModelCounters

NAME = "n" * 63


def test_any_worker_answers_for_all_and_a_replaced_one_continues() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(2 * COUNT_BYTES)
        first, second = (ModelCounters(2, number, file.fileno()) for number in range(2))
        second.of("other", 1).outcome("ok", 1.0)  # workers meet versions in different orders
        for worker, times in ((first, 1), (second, 10)):
            counter = worker.of(NAME, 999_999_999)
            for _ in range(times):
                counter.outcome("ok", 0.5)
                counter.outcome("busy", 0.25)
                counter.stage("queue", 0.0002)
                counter.batch(3, times)
                counter.features((6, 2, 1))
                counter.outputs((1, 2))
            worker.waiting({(NAME, 999_999_999): times})
        second = ModelCounters(2, 1, file.fileno())
        second.of(NAME, 999_999_999).batch(1_000, 5)
        for worker in (first, second):
            found, other = worker.statistics()
            assert (found.model, found.version, other.model) == (NAME, 999_999_999, "other")
            assert (found.requests["ok"], found.requests["busy"], found.requests["gone"]) == (11, 11, 0)
            assert (found.succeeded_s, found.failed_s) == (5.5, 2.75)
            assert (found.rows, found.batches.total, sum(found.batches.counts)) == (1_033, 1_033, 12)
            assert found.batches.counts[2] == 11  # 3 rows are in the bucket that ends at 4
            assert found.stages["queue"].total == pytest.approx(0.0022)
            assert found.features == {"used": 66, "null": 22, "stale": 11}
            assert found.outputs[:3] == (11, 22, 0)
            assert (found.waiting, found.last_us) == (11, 5)


def test_a_version_that_is_not_held_any_more_has_no_row_that_waits() -> None:
    counters = ModelCounters()
    counters.waiting({("late", 1): 5, ("late", 2): 0})
    assert [one.waiting for one in counters.statistics()] == [5, 0]
    counters.waiting({("late", 2): 3})
    assert [one.waiting for one in counters.statistics()] == [0, 3]


def test_the_version_that_was_used_longest_ago_gives_its_row_to_a_new_one() -> None:
    counters = ModelCounters()
    for version in range(1, VERSIONS + 1):
        counters.of("late", version).batch(1, 1_000 - version)
    counters.of("late", 999).batch(2, 2_000)
    found = {one.version: one for one in counters.statistics()}
    assert len(found) == VERSIONS
    assert VERSIONS not in found
    assert found[999].rows == 2
    assert found[1].rows == 1
    counters.waiting({("late", version): 1 for version in range(1_000)})
    waiting = {one.version: one.waiting for one in counters.statistics()}
    assert waiting == dict.fromkeys(found, 1)  # a version without a row takes none
