"""Filters, random panes for them, and the rows that the oracle `filter_oracle` gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurestore.define.decoded import Floats, Ints
from featurestore.define.definitions import FeatureView
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import Rate
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Bools, Panes
from tests.featurestore.filter_oracle import Pane, Served, served
from tests.featurestore.making import HOUR, a_view

NEW_YORK = "America/New_York"
LATE = Rate("late", where="delay >= 15")
AREA = Filtered("late", "258m", sd=0.13, tz=NEW_YORK)
CARRIER = Filtered(
    "late", "20d", sd=0.06, season=None, tz=NEW_YORK, scaled=False, baseline_half_life="60d", baseline_variance=0.01
)
VIEW = a_view(features=[LATE, AREA])
NAMES = [f"late_{part}" for part in ("dev", "pred", "n")]
"""The features that AREA serves."""
PARTS = ("dev", "dev_se", "pred", "pred_se", "n", "n_se")


def own_panes(start: Ints, opened: Bools, slots: Ints, units: Floats, width: int = HOUR) -> Panes:
    """Panes of one definition, each released at its end, without a missing site."""
    count = len(start)
    every = np.ones((count, 1), dtype=bool)
    whole, never = np.full(count, 10**6), np.full(count, NEVER)
    return Panes(start, opened, whole, slots, ~every, units[:, None], every, start + width, never)


def some_panes(view: FeatureView, first: int, count: int, seed: int, open_share: float = 0.7) -> Panes:
    """Consecutive panes with random sums; some are void."""
    layout, rng = layout_of(view), np.random.default_rng(seed)
    start = first + np.arange(count) * view.pane_us
    opened = rng.random(count) < open_share
    slots = rng.integers(-60, 200, (count, layout.keys, layout.slots_per_key))
    slots[~opened] = 0
    units = rng.choice([0.0, 2.0], count, p=[0.1, 0.9])
    return own_panes(start, opened, slots, units, view.pane_us)


def expected(view: FeatureView, filtered: Filtered, panes: Panes, known: Sequence[bool], key: int) -> list[Served]:
    """The oracle's row for each pane from the first to the last, known or not."""
    sums, counts = layout_of(view).groups_of(view.rate_of(filtered))
    opened = {
        start: Pane(
            start,
            int(slots[sums.slots[0]]),
            int(slots[counts.slots[0]]),
            units * sums.variance,
            units * counts.variance,
        )
        for start, is_known, slots, units in zip(
            panes.start.tolist(), known, panes.slots[:, key], panes.noise_units[:, 0].tolist(), strict=False
        )
        if is_known
    }
    every = range(int(panes.start[0]), int(panes.start[len(known) - 1]) + 1, view.pane_us)
    rows = dict(zip(every, served(filtered, view.pane_us, every, opened), strict=True))
    return [rows[start] for start in panes.start[: len(known)].tolist()]
