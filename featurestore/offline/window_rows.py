"""From panes to rows: pane features, trailing windows, coverage, and the *issues* of each row.

A row of pane end E is reissued whenever a pane inside its largest window is released or retracted after it. Its issue
times are the distinct values of max(released_at(E), released_at(P)) and max(released_at(E), retracted_at(P)) over the known
panes P ≤ E of that window; the issue of time r sums, for each window, the opened panes with released_at(P) ≤ r <
retracted_at(P). So at any time t the latest issue with r ≤ t holds exactly what was released and not retracted by t,
whatever the order in which panes were published. In order and without retractions, every pane end has one issue, and all
windows come from one cumulative sum.

The coverage of a window is the sum over its opened panes of the share of enrolled clients whose sites are counted, divided by the
number of its panes. It is computed in millionths, so it has no rounding error. A pane with a smaller share than
`min_site_coverage` is LOW_COVERAGE itself, and no window and no Filtered feature uses it.

A Filtered feature (`featurestore.offline.filter_runs`) uses all panes up to the row's, so its window reaches to the first pane.

A void with the reason BUDGET_SPENT is not a known pane here. It makes no row, so reads continue with the last row
(`featurestore.registry.staleness`), and it does not count in the windows of later panes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from featurestore.define.decoded import Bytes, Decoded, Floats, Ints, Status
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Bools, Panes
from featurestore.define.release import MILLION
from featurestore.define.values import decode, served_features

EVER_US: Final = 2**61
"""Longer than the years 1 to 9999, but added to any time it stays within int64."""

Sums = TypeVar("Sums", Ints, Floats)


@dataclass(frozen=True, eq=False)
class Issues:
    """Rows to be written: I issues of K keys each; arrays of I·K entries are issue-major.

    Attributes:
        pane: int64[I], index of the row's own pane in `Panes`.
        released_at: int64[I], µs.
        features: the I·K values of each served feature.
        coverage: float64[I·K] by the window's name.
    """

    pane: Ints
    released_at: Ints
    features: tuple[Decoded, ...]
    coverage: dict[str, Floats]


def issue_times(view: FeatureView, panes: Panes, ends: Ints, since: Ints) -> tuple[Ints, Ints]:
    """The issues (pane index, released_at) of these pane ends, in order.

    Args:
        ends: int64[N], indices of the panes whose rows are wanted.
        since: int64[N]; only issues at or after this time are returned.
    """
    if panes.in_order:  # one issue each
        wanted = panes.released_at[ends] >= since
        return ends[wanted], panes.released_at[ends][wanted]
    first = np.searchsorted(panes.start, panes.start - reach_us(view))
    at: list[Ints] = []
    times: list[Ints] = []
    for end, after in zip(ends.tolist(), since.tolist(), strict=True):
        inside = slice(first[end], end + 1)
        retracted_at = panes.retracted_at[inside]
        events = np.concatenate((panes.released_at[inside], retracted_at[retracted_at != NEVER]))
        distinct = np.unique(np.maximum(events, panes.released_at[end]))
        distinct = distinct[distinct >= after]
        at.append(np.full(len(distinct), end, dtype=np.int64))
        times.append(distinct)
    return np.concatenate(at), np.concatenate(times)


def make_issues(view: FeatureView, panes: Panes, pane: Ints, released_at: Ints) -> Issues:
    """Decode the rows of these issues, which `issue_times` returns."""
    layout = layout_of(view)
    keys = layout.keys
    is_open = panes.opened[pane] & (released_at < panes.retracted_at[pane])
    enough = panes.usable(view.min_site_coverage)[pane]
    base = np.where(enough, np.uint8(Status.OK), np.uint8(Status.LOW_COVERAGE))
    base = np.where(is_open, base, np.uint8(Status.VOID)).repeat(keys)
    base = _suppressed(view, panes.slots[pane].reshape(-1, layout.slots_per_key), base)
    sums = {"": panes.slots[pane]}
    units: dict[str, Floats] = {"": np.where(is_open, panes.noise_units[pane], 0.0).repeat(keys)}
    status = {"": base}
    coverage: dict[str, Floats] = {}
    for window in view.trailing:
        total, unit, shares = _window_sums(view, panes, window.panes, pane, released_at)
        coverage[window.name] = _of_keys(shares, keys) / (MILLION * window.panes)
        enough = coverage[window.name] >= view.min_coverage
        sums[window.name] = total
        units[window.name] = _of_keys(unit, keys)
        status[window.name] = np.where(enough, np.uint8(Status.OK), np.uint8(Status.LOW_COVERAGE))
    estimates = _estimates(view, panes, pane, released_at)
    features = []
    for served in served_features(view):
        if not isinstance(served.feature, PaneFeature):
            features.append(estimates[served.name])
            continue
        name = "" if served.window is None else served.window.name
        rows = sums[name].reshape(-1, layout.slots_per_key)
        features.append(decode(layout, served.feature, rows, units[name], status[name]))
    return Issues(pane, released_at, tuple(features), coverage)


def _estimates(view: FeatureView, panes: Panes, pane: Ints, released_at: Ints) -> dict[str, Decoded]:
    """The values of the view's Filtered features in these issues, by name."""
    if not view.filtered:
        return {}
    from .filter_runs import filter_rows, runs_of  # numba is slow to import

    runs = runs_of(panes, panes.usable(view.min_site_coverage), pane, released_at)
    by_name: dict[str, Decoded] = {}
    for filtered in view.filtered:
        by_name |= zip(filtered.names, filter_rows(view, filtered, panes, pane, runs), strict=True)
    return by_name


def _window_sums(
    view: FeatureView, panes: Panes, width: int, pane: Ints, released_at: Ints
) -> tuple[Ints, Floats, Ints]:
    """Slots int64[I, K, S], noise units float64[I, K] and the sum of the panes' site shares int64[I, K] of one window.

    Units and shares have the shape [I, 1] if they are the same for all keys.
    """
    opened = _opened_cells(view, panes)
    slots = np.where(opened[:, :, None], panes.slots, 0)
    first = _first_of_window(view, panes, width)[pane]
    total = _range_sums(slots, first, pane)
    units_of_pane: Floats = panes.noise_units[:, None] * opened
    units = _range_sums(units_of_pane, first, pane)
    share_of_pane = panes.site_share[:, None] * opened
    shares = _range_sums(share_of_pane, first, pane)
    if not panes.in_order:
        for i, (low, high, moment) in enumerate(zip(first.tolist(), pane.tolist(), released_at.tolist(), strict=True)):
            inside = slice(low, high + 1)
            known = (panes.released_at[inside] <= moment) & (moment < panes.retracted_at[inside])
            if not known.all():  # issues from before a late pane, or from after a retraction
                total[i] = slots[inside][known].sum(axis=0)
                units[i] = units_of_pane[inside][known].sum(axis=0)
                shares[i] = share_of_pane[inside][known].sum(axis=0)
    return total, units, shares


def _opened_cells(view: FeatureView, panes: Panes) -> Bools:
    """bool[P, K]: the opened cells of usable panes; [P, 1] if each pane's keys are opened together. Withheld cells are left out."""
    opened = panes.usable(view.min_site_coverage)[:, None]
    limit = view.privacy.suppress_below
    if limit is None or not panes.withheld.any():
        return opened
    return opened & ~(panes.withheld[:, None] & _small(view, panes.slots, limit))


def _of_keys(values: Sums, keys: int) -> Sums:
    """One entry for each issue and key, from [I, K] or [I, 1]."""
    return np.broadcast_to(values, (len(values), keys)).reshape(-1)


def _range_sums(values: Sums, first: Ints, last: Ints) -> Sums:
    """Sums of values[first : last + 1] along axis 0, by one cumulative sum."""
    cumulative = np.concatenate((np.zeros_like(values[:1]), np.cumsum(values, axis=0)))
    sums: Sums = cumulative[last + 1] - cumulative[first]
    return sums


def _first_of_window(view: FeatureView, panes: Panes, width: int) -> Ints:
    """int64[P]: the index of the first known pane in the window of `width` panes that ends with each pane."""
    return np.searchsorted(panes.start, panes.start - (width - 1) * view.pane_us)


def reach_us(view: FeatureView) -> int:
    """The distance from a pane to the last row that depends on it: the largest window less one pane, in µs."""
    if view.filtered:
        return EVER_US
    return (max((window.panes for window in view.trailing), default=1) - 1) * view.pane_us


def _suppressed(view: FeatureView, rows: Ints, base: Bytes) -> Bytes:
    """Mark the rows of keys whose noised ClientCount is below `suppress_below`."""
    limit = view.privacy.suppress_below
    if limit is None:
        return base
    return np.where((base == Status.OK) & _small(view, rows, limit), np.uint8(Status.SUPPRESSED), base)


def _small(view: FeatureView, slots: Ints, limit: int) -> Bools:
    """The keys (int64[..., S]) whose noised ClientCount is below the limit. The finish mpc uses the same rule."""
    small: Bools = slots[..., layout_of(view).client_counts].min(axis=-1) < limit
    return small
