from __future__ import annotations

import numpy as np
import pytest

from training.errors import InputRefused
from training.serving.intervals.level import Level


@pytest.mark.parametrize(
    ("level", "copies", "beyond"),
    [
        (0.8, 39, 4),
        (0.9, 39, 2),
        (0.95, 39, 1),
        (0.98, 199, 2),
        (0.99, 199, 1),
        (0.999, 1999, 1),
        (0.925, 199, 7),  # 7.5 of 200 at each end: the next wider interval
        (0.995, 1999, 5),
    ],
)
def test_a_level_takes_so_many_copies(level: float, copies: int, beyond: int) -> None:
    found = Level.of(level)
    assert (found.copies, found.beyond) == (copies, beyond)
    assert 1 - 2 * beyond / (copies + 1) >= level - 1e-9


@pytest.mark.parametrize("level", [0.5, 0.0, -1.0, 0.9991, 1.0, float("nan"), float("inf")])
def test_other_levels_are_refused(level: float) -> None:
    with pytest.raises(InputRefused, match=r"must be above 0.5 and at most 0.999, such as 0.9"):
        Level.of(level)


def test_the_ends_are_order_statistics() -> None:
    values = np.stack((np.random.default_rng(0).permutation(np.arange(1.0, 40.0)), np.full(39, 7.0)), axis=1)
    low, high = Level.of(0.9).ends(values)
    assert (low.tolist(), high.tolist()) == ([2.0, 7.0], [38.0, 7.0])
    low, high = Level.of(0.95).ends(values)
    assert (low.tolist(), high.tolist()) == ([1.0, 7.0], [39.0, 7.0])
