"""`gather` in numpy: what a reader without numba uses. Same arguments, same results."""

from __future__ import annotations

import numpy as np

from featurestore.define.decoded import Bytes, Floats, Status
from featurestore.online.view_rows import Ints


def gather(
    place: Ints,
    numbers: Floats,
    status: Bytes,
    values_at: Ints,
    se_at: Ints,
    status_at: Ints,
    expired: bool,
    values: Floats,
    se: Floats,
    codes: Bytes,
) -> None:
    """Fill the vector of each row. See `featurestore.read.gather`."""
    last = len(numbers) - 1
    rows = np.where(place < 0, last, place)
    codes[...] = status[rows[:, None], status_at]
    if expired:
        values[...] = se[...] = np.nan
        codes[rows != last] = Status.OUTSIDE_MAX_AGE
    else:
        values[...] = numbers[rows[:, None], values_at]
        se[...] = numbers[rows[:, None], se_at]
