"""The loops of `featurestore.read.part_loops` in numpy, for readers, who need not wait for numba. Same arguments, same results."""

from __future__ import annotations

import numpy as np

from featurestore.define.decoded import Bytes, Floats, Status, n_is_there, value_is_there
from featurestore.define.interval import ends
from featurestore.online.view_rows import Ints

from .request import Bools

_EXPIRED = np.uint8(Status.OUTSIDE_MAX_AGE)


def fill_scalars(
    place: Ints, numbers: Floats, status: Bytes, expired: bool, features: Ints, scalars: Ints, counted: Ints, whole: Ints,
    rules: Floats, limits: Floats, clamp: bool, moments: Ints,
    masks: Bools, floats: Floats, ints: Ints, codes: Bytes,
) -> None:  # fmt: skip
    """Fill the parts of features. See `featurestore.read.part_loops`."""
    many, k = len(scalars), len(counted)
    rows = numbers.take(place, axis=0).T
    codes[...] = status.take(place, axis=0).T.take(features[:, 0], axis=0)
    if expired:
        codes[:, place >= 0] = _EXPIRED
    masks[: len(features)] = there = value_is_there(codes)
    masks[len(features) : -1] = n_there = n_is_there(codes[counted[:, 0]])
    masks[-1] = place >= 0
    floats[:many] = values = rows[scalars[:, 1]]
    floats[3 * many :] = se = rows[features[:, 1]]
    floats[many : 2 * many], floats[2 * many : 3 * many] = ends(values, se[scalars[:, 0]], rules)
    n = rows[counted[:, 1]]
    if clamp:
        for at in range(0, 3 * many, many):
            some = floats[at : at + many]
            np.clip(some, limits[:, :1], limits[:, 1:], out=some)
        n = np.maximum(n, 0.0)
    ints[: len(whole)] = np.where(there[scalars[whole, 0]], floats[whole], 0.0)
    ints[len(whole) : len(whole) + k] = np.where(n_there, n, 0.0)
    ints[-2:] = moments[:, None]


def fill_list(
    place: Ints, numbers: Floats, expired: bool, start: int, se_at: int, rule: Floats, limits: Floats, clamp: bool, there: Bools,
    values: Ints, low: Floats, high: Floats,
) -> None:  # fmt: skip
    """Fill the parts of a list. See `featurestore.read.part_loops`."""
    if expired:
        values[...], low[...], high[...] = 0, np.nan, np.nan
        return
    rows = numbers.take(place, axis=0)
    value, se = rows[:, start : start + values.shape[1]], rows[:, se_at]
    low[...], high[...] = ends(value, se[:, None], rule[None])
    if clamp:
        value = np.clip(value, *limits)
        np.clip(low, *limits, out=low)
        np.clip(high, *limits, out=high)
    values[...] = np.where(there[:, None], value, 0.0)
