"""From panes to rows: pane features, trailing windows, coverage, and the *issues* of each row.

A row of pane end E is reissued whenever a pane inside its largest window is released or retracted after it. Its issue
times are the distinct values of max(released_at(E), released_at(P)) and max(released_at(E), retracted_at(P)) over the known
panes P ≤ E of that window; the issue of time r sums, for each window, the opened panes with released_at(P) ≤ r <
retracted_at(P). So at any time t the latest issue with r ≤ t holds exactly what was released and not retracted by t,
whatever the order in which panes were published. In order and without retractions, every pane end has one issue, and all
windows come from one cumulative sum.

A pane of another version of the view may lack a feature (`featurestore.define.carry`). The feature is VOID in that pane, and the
pane counts as not opened in the windows of that feature. So features may differ in coverage; `coverage_<window>` is that of the
feature that has the most. A feature that none of the opened panes of a window has is LOW_COVERAGE, whatever `min_coverage` is.

The coverage of a window is the sum over its opened panes of the share of enrolled clients whose sites are counted, divided by the
number of its panes. It is computed in millionths, so it has no rounding error. A pane with a smaller share than
`min_site_coverage` is LOW_COVERAGE itself, and no window and no Filtered feature uses it.

A Filtered feature (`featurestore.offline.filter_runs`) uses all panes up to the row's, so its window reaches to the first pane.

A void with the reason BUDGET_SPENT is not a known pane here. It makes no row, so reads continue with the last row
(`featurestore.registry.staleness`), and it does not count in the windows of later panes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from featurestore.define.decoded import Bytes, Decoded, Floats, Ints, Status
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Bools, Panes, suppressed_cells
from featurestore.define.release import MILLION
from featurestore.define.values import decode, served_features

EVER_US: Final = 2**61
"""Longer than the years 1 to 9999, but added to any time it stays within int64."""

Sums = TypeVar("Sums", Ints, Floats, Bytes, Bools)


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
    layout, columns = layout_of(view), _Columns.of(view, panes)
    sums = {"": _own_sums(view, panes, columns, pane, released_at)}
    coverage: dict[str, Floats] = {}
    for window in view.trailing:
        sums[window.name], coverage[window.name] = _window_sums(view, panes, columns, window.panes, pane, released_at)
    estimates = _estimates(view, panes, columns, pane, released_at)
    features = []
    for served in served_features(view):
        if not isinstance(served.feature, PaneFeature):
            features.append(estimates[served.name])
            continue
        rows = sums["" if served.window is None else served.window.name]
        source = view.source_of(served.feature) or served.feature
        units, status = rows.units[columns.units_of[source.name]], rows.status[columns.known_of[source.name]]
        features.append(decode(layout, served.feature, rows.slots, units, status))
    return Issues(pane, released_at, tuple(features), coverage)


def joined(several: Sequence[Issues]) -> Issues:
    """These issues of one view, one after another."""
    features = tuple(_joined(parts) for parts in zip(*(one.features for one in several), strict=True))
    coverage = {name: np.concatenate([one.coverage[name] for one in several]) for name in several[0].coverage}
    pane, released_at = (np.concatenate([getattr(one, name) for one in several]) for name in ("pane", "released_at"))
    return Issues(pane, released_at, features, coverage)


def _joined(several: Sequence[Decoded]) -> Decoded:
    n = None if several[0].n is None else np.concatenate([one.n for one in several if one.n is not None])
    value, se, status = (np.concatenate([getattr(one, name) for one in several]) for name in ("value", "se", "status"))
    return Decoded(value, se, n, status)


@dataclass(frozen=True, eq=False)
class _Columns:
    """The distinct columns of `Panes.known` and `Panes.noise_units`, so that equal ones are added up once. Mostly each has one.

    Attributes:
        known: bool[P, D]; known_of: the column of each collected feature, by name.
        units: float64[P, C]; units_of: the columns of the noise groups of each collected feature, by name; one if all are equal.
        windowed: the columns of `known` of the features that have windows.
        opened: bool[P, K] or [P, 1], the opened cells of usable panes. Withheld cells are left out.
    """

    known: Bools
    known_of: dict[str, int]
    units: Floats
    units_of: dict[str, int | Ints]
    windowed: list[int]
    opened: Bools

    @classmethod
    def of(cls, view: FeatureView, panes: Panes) -> _Columns:
        collected, groups = view.collected, layout_of(view).groups
        known, known_of = _distinct(panes.known, len(collected))
        units, every = _distinct(panes.noise_units, len(groups))
        units_of: dict[str, int | Ints] = {}
        for feature in collected:
            mine = every[[group.feature == feature.name for group in groups]]
            units_of[feature.name] = int(mine[0]) if (mine == mine[0]).all() else mine
        adding = [not feature.counts_clients for feature in collected]
        return cls(
            known,
            dict(zip((feature.name for feature in collected), known_of.tolist(), strict=True)),
            units,
            units_of,
            known_of[adding if any(adding) else slice(None)].tolist(),
            panes.usable(view.min_site_coverage)[:, None] & ~panes.withheld,
        )


def _distinct(table: Sums, columns: int) -> tuple[Sums, Ints]:
    """The distinct columns of a table, [P, D], and the place of each of its columns among them; [P, 1] has all columns alike."""
    if (table == table[:, :1]).all():
        return table[:, :1], np.zeros(columns, dtype=np.int64)
    distinct, place = np.unique(table, axis=1, return_inverse=True)
    return distinct, place.reshape(-1)


@dataclass(frozen=True, eq=False)
class _Sums:
    """The sums of some issues over their own pane or over one window.

    Attributes:
        slots: int64[I·K, S].
        units: float64[C, I·K], the noise units, by their column.
        status: uint8[D, I·K], OK or the reason why a feature is null, by the column of known features.
    """

    slots: Ints
    units: Floats
    status: Bytes


def _own_sums(view: FeatureView, panes: Panes, columns: _Columns, pane: Ints, released_at: Ints) -> _Sums:
    """The sums of the issues' own panes."""
    keys = layout_of(view).keys
    slots, known = panes.slots[pane], columns.known[pane].T
    is_open = panes.opened[pane] & (released_at < panes.retracted_at[pane])
    enough = np.where(panes.usable(view.min_site_coverage)[pane], np.uint8(Status.OK), np.uint8(Status.LOW_COVERAGE))
    status = np.where(is_open & known, enough, np.uint8(Status.VOID))[:, :, None]
    hidden = panes.withheld[pane] | suppressed_cells(view, slots, panes.known[pane])
    status = np.where((status == Status.OK) & hidden, np.uint8(Status.SUPPRESSED), status)
    units = np.where(is_open, columns.units[pane].T, 0.0)[:, :, None]
    return _Sums(slots.reshape(-1, slots.shape[-1]), _of_keys(units, keys), _of_keys(status, keys))


def _window_sums(
    view: FeatureView, panes: Panes, columns: _Columns, width: int, pane: Ints, released_at: Ints
) -> tuple[_Sums, Floats]:
    """The sums of one window, and its coverage, float64[I·K]."""
    keys, window = layout_of(view).keys, _Window.of(view, panes, width, pane, released_at)
    opened = columns.opened[:, :, None]
    slots = window.total(np.where(opened, panes.slots, 0))
    unit_of_pane: Floats = columns.units[:, None, :] * opened
    share_of_pane: Ints = panes.site_share[:, None, None] * (columns.known[:, None, :] & opened)
    shares = window.total(share_of_pane)
    opened_share = window.total(panes.site_share[:, None] * columns.opened)  # also of panes that lack the feature
    has_some = (shares > 0) | (opened_share == 0)[:, :, None]
    enough = has_some & (shares / (MILLION * width) >= view.min_coverage)
    status = np.where(enough, np.uint8(Status.OK), np.uint8(Status.LOW_COVERAGE))
    coverage = shares[:, :, columns.windowed].max(axis=-1) / (MILLION * width)
    units = np.moveaxis(window.total(unit_of_pane), -1, 0)
    rows = _Sums(slots.reshape(-1, slots.shape[-1]), _of_keys(units, keys), _of_keys(np.moveaxis(status, -1, 0), keys))
    return rows, _of_keys(coverage, keys)


@dataclass(frozen=True, eq=False)
class _Window:
    """The panes of one window in each issue.

    Attributes:
        first, last: int64[I], indices of the first and the last of them.
        partial: (issue, pane indices) of the issues from before a late pane, or from after a retraction.
    """

    first: Ints
    last: Ints
    partial: list[tuple[int, Ints]]

    @classmethod
    def of(cls, view: FeatureView, panes: Panes, width: int, pane: Ints, released_at: Ints) -> _Window:
        """The window of `width` panes that ends with each issue's pane."""
        first = np.searchsorted(panes.start, panes.start - (width - 1) * view.pane_us)[pane]
        partial: list[tuple[int, Ints]] = []
        if not panes.in_order:
            for i, (low, high, moment) in enumerate(
                zip(first.tolist(), pane.tolist(), released_at.tolist(), strict=True)
            ):
                inside = slice(low, high + 1)
                known = (panes.released_at[inside] <= moment) & (moment < panes.retracted_at[inside])
                if not known.all():
                    partial.append((i, low + np.flatnonzero(known)))
        return cls(first, pane, partial)

    def total(self, of_pane: Sums) -> Sums:
        """The sum over each issue's panes of an array whose first dimension is P; its first dimension is I."""
        total = _range_sums(of_pane, self.first, self.last)
        for i, known in self.partial:
            total[i] = of_pane[known].sum(axis=0)
        return total


def _of_keys(values: Sums, keys: int) -> Sums:
    """[..., I·K] from [..., I, K] or [..., I, 1]."""
    *outer, issues, _ = values.shape
    return np.broadcast_to(values, (*outer, issues, keys)).reshape(*outer, -1)


def _range_sums(values: Sums, first: Ints, last: Ints) -> Sums:
    """Sums of values[first : last + 1] along axis 0, by one cumulative sum."""
    cumulative = np.concatenate((np.zeros_like(values[:1]), np.cumsum(values, axis=0)))
    sums: Sums = cumulative[last + 1] - cumulative[first]
    return sums


def _estimates(view: FeatureView, panes: Panes, columns: _Columns, pane: Ints, released_at: Ints) -> dict[str, Decoded]:
    """The values of the view's Filtered features in these issues, by name.

    A filter needs every cell of a pane, so it passes over a pane with a withheld cell or without its Rate as over a void.
    """
    if not view.filtered:
        return {}
    from .filter_runs import filter_rows, runs_of  # numba is slow to import

    whole = columns.opened.all(axis=1)
    by_name: dict[str, Decoded] = {}
    for filtered in view.filtered:
        known = columns.known[:, columns.known_of[filtered.rate]]
        runs = runs_of(panes, whole & known, pane, released_at)
        by_name |= zip(filtered.names, filter_rows(view, filtered, panes, pane, runs), strict=True)
    return by_name


def reach_us(view: FeatureView) -> int:
    """The distance from a pane to the last row that depends on it: the largest window less one pane, in µs."""
    if view.filtered:
        return EVER_US
    return (max((window.panes for window in view.trailing), default=1) - 1) * view.pane_us
