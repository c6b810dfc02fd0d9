from __future__ import annotations

import random

import pytest

from edge_client.event_log.merging import FAN, MOST_BYTES, MOST_ROWS, TAIL, Size, left_over, mergeable


def append(batches: list[Size], rows: int, size: int = 0, hour: int = 0, form: int = 0) -> int:
    """Append a batch (the newest first) as a log does; returns the rows that were rewritten."""
    rewritten = 0
    for is_over in (True, False):
        if not is_over:
            batches.insert(0, Size(rows, size, hour, form))
        tail = batches[:TAIL]
        count = left_over(tail, hour) if is_over else mergeable(tail)
        if count:
            merged = batches[:count]
            assert len({(one.hour, one.form) for one in merged}) == 1
            whole = Size(
                sum(one.rows for one in merged), sum(one.bytes for one in merged), merged[0].hour, merged[0].form
            )
            assert whole.rows <= MOST_ROWS
            assert whole.bytes <= MOST_BYTES
            batches[:count] = [whole]
            rewritten += whole.rows
    return rewritten


@pytest.mark.parametrize(
    "sizes",
    [[1], [15], [1_000], [4_095], [4_096], [1, 20], [1, 5_000], [1, 20, 300], [15] * 15 + [17], [300, 1, 300, 1, 17]],
)
def test_whatever_the_appends_are_few_batches_remain_and_no_event_is_rewritten_often(sizes: list[int]) -> None:
    batches: list[Size] = []
    rewritten = total = 0
    while total < 70_000:
        for rows in sizes:
            rewritten += append(batches, rows)
            total += rows
    large = sum(rows >= FAN**3 for rows in sizes) / sum(sizes) * total
    assert len(batches) <= total / FAN**3 + 2 * large + 60
    assert rewritten <= 6 * total


def test_random_appends_leave_few_batches() -> None:
    generator = random.Random(7)
    batches: list[Size] = []
    total = sum(
        rows for _ in range(5_000) if append(batches, rows := int(10 ** generator.uniform(0, 3.2)), rows * 100) >= 0
    )
    assert sum(one.rows for one in batches) == total
    assert len(batches) <= total / FAN**3 + 60


def test_large_events_stay_in_small_batches() -> None:
    batches: list[Size] = []
    for _ in range(1_000):
        append(batches, 1, MOST_BYTES // 3)
    assert len(batches) > 300


def test_batches_of_an_hour_that_is_over_become_one_and_those_of_other_hours_stay_apart() -> None:
    batches: list[Size] = []
    for hour in range(50):
        for _ in range(20):
            append(batches, 1, hour=hour)
    assert len(batches) <= 50 + 20
    assert [one.rows for one in batches[-49:]] == [20] * 49


def test_forms_stay_apart() -> None:
    batches: list[Size] = []
    for at in range(200):
        append(batches, 1, form=at % 2)
    assert len(batches) == 200
