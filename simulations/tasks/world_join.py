"""The features that labels read in a world, computed without a store.

Which row a label reads does not depend on the noise, so it is found once for all worlds. The rows of a world are decoded by
the functions that the publisher uses. `tests/simulations/test_tasks.py` checks that the features equal those of a join with
the world's store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from featurestore.define.decoded import value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.keys import domain_index
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Panes
from featurestore.define.values import served_features
from featurestore.offline.window_rows import Issues, issue_times, make_issues
from federation.aggregation import OpenedView
from federation.commitment import Outcome
from federation.manifest import manifest_of
from federation.plan import Plan

from .worlds import DATING, Exact, Floats, Ints, WorldNoise, opened_views


@dataclass(frozen=True, eq=False)
class WorldJoin:
    """A point-in-time join of labels with any world of a task.

    Attributes:
        rows: by the name of each view int64[N], pane · K + key of the last row that was released by the label's time; −1: there
            is none.
    """

    exact: tuple[Exact, ...]
    rows: Mapping[str, Ints]

    @classmethod
    def find(cls, views: Sequence[FeatureView], exact: tuple[Exact, ...], labels: pa.Table, time: str) -> Self:
        """Find the rows; the views have no ttl."""
        at = labels[time].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
        rows: dict[str, Ints] = {}
        for view, (_, opened) in zip(views, opened_views(exact, views, None), strict=True):
            pane = np.searchsorted(DATING.released_at(opened.planned, 0), at, side="right") - 1
            keys = [labels[name].combine_chunks() for name in view.entity.keys if not view.entity.constant]
            key = domain_index(view.entity, keys) if keys else np.zeros(len(at), np.int64)
            rows[view.name] = np.where((pane < 0) | (key < 0), -1, pane * len(view.entity.domain) + key)
        return cls(exact, rows)

    def read(
        self, views: Sequence[FeatureView], noise: WorldNoise | None, references: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Read values and standard errors: float64[N, F] each, NaN for null. For the arguments see `published`, `joined`."""
        columns: dict[str, tuple[Floats, Floats]] = {}
        for view, issues in issues_of(self.exact, views, noise):
            at = self.rows[view.name]
            for served, decoded in zip(served_features(view), issues.features, strict=True):
                reference = f"{view.name}:{served.name}"
                if reference in references:
                    there = (at >= 0) & value_is_there(decoded.status)[at]
                    value, se = (np.where(there, column[at], np.nan) for column in (decoded.value, decoded.se))
                    columns[reference] = value, se
        x, se = (np.column_stack([columns[reference][i] for reference in references]) for i in (0, 1))
        return x, se


def issues_of(
    exact: Sequence[Exact], views: Sequence[FeatureView], noise: WorldNoise | None
) -> Iterator[tuple[FeatureView, Issues]]:
    """Decode the rows of each view, one for each pane and key."""
    for plan, opened in opened_views(exact, views, noise):
        panes, view = panes_of(plan, opened), opened.planned.view
        ends = np.arange(len(panes.start))
        yield view, make_issues(view, panes, *issue_times(view, panes, ends, panes.released_at))


def panes_of(plan: Plan, opened: OpenedView) -> Panes:
    """Return the opened panes of a view as the publisher reads them."""
    planned = opened.planned
    layout, starts, is_open = layout_of(planned.view), planned.pane_starts, opened.outcomes == Outcome.OPENED
    manifest = manifest_of(plan, planned, noise_source="", trust="in-process", commitments=("", ""))
    slots = np.zeros((len(starts), layout.keys, layout.slots_per_key), np.int64)
    slots[is_open] = opened.sums
    return Panes(
        start=starts,
        opened=is_open,
        site_share=np.full(len(starts), manifest.site_share),
        slots=slots,
        withheld=np.zeros((len(starts), 1), bool),
        noise_units=np.full((len(starts), 1), float(manifest.noisers)),
        known=np.ones((len(starts), 1), bool),
        released_at=DATING.released_at(planned, 0),
        retracted_at=np.full(len(starts), NEVER),
    )
