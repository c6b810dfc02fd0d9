"""The rows of `Filtered` features: each issue follows from the panes that were opened by its time, and from nothing else.

An issue of a pane end uses the opened panes up to it that were released and not retracted by its time: all of them, not only
those of a window. One run of the filter over all keys serves all issues that use the same panes, as far as each goes. The
filter only predicts panes that were not opened, void or unknown, those with a smaller share of sites than
`min_site_coverage`, and those without the Rate or with a withheld cell. A run begins with the first pane that it uses, so its
results do not depend on the others before it.
Publication, rebuilding and history all use this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from base.times import DAY_US
from featurestore.define.decoded import Decoded, Floats, Ints, Status
from featurestore.define.definitions import FeatureView
from featurestore.define.filtered import PARTS, Filtered, local_slots, slots_of
from featurestore.define.layout import layout_of
from featurestore.define.panes import Bools, Panes

_WEEK_SLOT_HALF_LIFE_US: Final = 56 * DAY_US
_SEASON_SLOT_HALF_LIFE_US: Final = 14 * DAY_US
_ERROR_HALF_LIFE_US: Final = 14 * DAY_US


@dataclass(frozen=True, eq=False)
class Run:
    """One pass of the filter.

    Attributes:
        known: bool[L], whether each of the first L panes counts as opened.
        issues: int64[R], the issues that the run serves; each belongs to one of the L panes.
    """

    known: Bools
    issues: Ints


def runs_of(panes: Panes, usable: Bools, pane: Ints, released_at: Ints) -> list[Run]:
    """The runs that serve these issues (pane index, released_at), each issue once.

    Args:
        usable: bool[P], the opened panes that the filter may use.
    """
    if not len(pane):
        return []
    if panes.in_order:  # every pane opened up to a pane's end was released by that pane's release
        return [Run(usable[: pane.max() + 1], np.arange(len(pane)))]
    runs: list[Run] = []
    known, issues = usable[:0], list[int]()
    for i in np.lexsort((pane, released_at)).tolist():
        until, moment = slice(0, pane[i] + 1), released_at[i]
        at_issue = usable[until] & (panes.released_at[until] <= moment) & (moment < panes.retracted_at[until])
        common = min(len(known), len(at_issue))
        if not np.array_equal(known[:common], at_issue[:common]):
            runs.append(Run(known, np.array(issues, dtype=np.int64)))
            known, issues = at_issue, []
        known = max(known, at_issue, key=len)
        issues.append(i)
    return [*runs, Run(known, np.array(issues, dtype=np.int64))]


def filter_rows(
    view: FeatureView, filtered: Filtered, panes: Panes, pane: Ints, runs: list[Run]
) -> tuple[Decoded, ...]:
    """The dev, pred and n of a Filtered in these issues, for all keys, issue-major.

    Args:
        panes: all known panes of the view, from the first.
        pane: int64[I], the issues' own panes; runs: the runs of these issues.
    """
    sums = RateSums.of(view, filtered, panes)
    numbers = np.empty((len(pane), sums.true_and_false.shape[1], 2 * len(PARTS)))
    for run in runs:
        part = sums.first(len(run.known))
        numbers[run.issues] = filter_sums(view, filtered, part, run.known, pane[run.issues])
    columns = np.ascontiguousarray(numbers.reshape(-1, 2 * len(PARTS)).T)
    there = np.zeros(columns.shape[1], dtype=np.uint8)
    no_n = np.where(np.isnan(columns[4]), np.uint8(Status.VOID), there)
    return tuple(
        Decoded(columns[2 * i], columns[2 * i + 1], None, no_n if part == "n" else there)
        for i, part in enumerate(PARTS)
    )


@dataclass(frozen=True, eq=False)
class RateSums:
    """The opened sums of a Rate in P panes, for K keys.

    Attributes:
        start: int64[P], µs, increasing.
        true_less_false, true_and_false: int64[P, K].
        sum_variance, count_variance: float64[P], the variances of their noise.
    """

    start: Ints
    true_less_false: Ints
    true_and_false: Ints
    sum_variance: Floats
    count_variance: Floats

    @classmethod
    def of(cls, view: FeatureView, filtered: Filtered, panes: Panes) -> RateSums:
        """The sums that a Filtered of the view reads."""
        layout, count = layout_of(view), len(panes.start)
        sums, counts = layout.groups_of(view.rate_of(filtered))
        units = np.broadcast_to(panes.noise_units, (count, len(layout.groups)))
        return cls(
            panes.start,
            panes.slots[:, :, sums.slots[0]],
            panes.slots[:, :, counts.slots[0]],
            units[:, layout.groups.index(sums)] * sums.variance,
            units[:, layout.groups.index(counts)] * counts.variance,
        )

    def first(self, count: int) -> RateSums:
        """The sums of the first panes."""
        return RateSums(
            self.start[:count],
            self.true_less_false[:count],
            self.true_and_false[:count],
            self.sum_variance[:count],
            self.count_variance[:count],
        )


def filter_sums(view: FeatureView, filtered: Filtered, sums: RateSums, known: Bools, pane: Ints) -> Floats:
    """float64[R, K, 6]: dev, pred and n in R panes, each followed by its standard error; see `filter_keys`.

    Args:
        known: bool[P], the panes that count as opened.
        pane: int64[R], the panes whose rows are wanted.
    """
    from . import filter_kernel  # imports numba, which takes half a second

    width, start = view.pane_us, sums.start
    slot, week = local_slots(filtered, width, start)
    upcoming, _ = local_slots(filtered, width, start + width)
    served, place = np.unique(pane, return_inverse=True)  # a late void gives a pane two issues of one run
    row = np.full(len(start), -1, dtype=np.int64)
    row[served] = np.arange(len(served))
    phi, sd_sq = _left(width, filtered.half_life_us), float(filtered.sd) * float(filtered.sd)
    phi_sq = phi * phi
    out = np.empty((len(served), sums.true_and_false.shape[1], 2 * len(PARTS)))
    filter_kernel.filter_keys(
        np.ascontiguousarray(sums.true_less_false),
        np.ascontiguousarray(sums.true_and_false),
        sums.sum_variance,
        sums.count_variance,
        known,
        _steps(start, known, width),
        slot,
        week,
        upcoming,
        _keep(filtered, start, known, slot, week, upcoming),
        row,
        np.array([phi, phi_sq, sd_sq, sd_sq * (1.0 - phi_sq), float(filtered.baseline_variance)]),
        filtered.scaled,
        *slots_of(filtered, width),
        out,
    )
    return out[place]


def _steps(start: Ints, known: Bools, width: int) -> Ints:
    """int64[L]: each pane's distance to the previous one, in panes; 1 for the first opened pane."""
    steps = np.diff(start, prepend=start[:1]) // width
    first = int(np.argmax(known)) if known.any() else len(known)
    steps[:first] = 0
    steps[first : first + 1] = 1
    return steps


def _keep(filtered: Filtered, start: Ints, known: Bools, slot: Ints, week: Ints, upcoming: Ints) -> Floats:
    """float64[6, L]: the decay since the last opened pane of each slot; see `keep` of `filter_keys`."""
    baseline, all_slots = filtered.baseline_half_life_us, np.zeros_like(slot)
    return np.stack(
        [
            _kept(start, _last_opened(known, week, week, "left"), _WEEK_SLOT_HALF_LIFE_US),
            _kept(start, _last_opened(known, slot, slot, "left"), _SEASON_SLOT_HALF_LIFE_US),
            _kept(start, _last_opened(known, slot, slot, "left"), baseline),
            _kept(start, _last_opened(known, all_slots, all_slots, "left"), baseline),
            _kept(start, _last_opened(known, slot, upcoming, "right"), baseline),
            _kept(start, _last_opened(known, all_slots, all_slots, "left"), _ERROR_HALF_LIFE_US),
        ]
    )


def _last_opened(known: Bools, group: Ints, wanted: Ints, side: Literal["left", "right"]) -> Ints:
    """int64[L]: for each pane the last opened pane before it ("right": or the pane itself) in the given group; −1: none."""
    count = len(known)
    opened = np.flatnonzero(known)
    ranked = np.sort(group[opened] * count + opened)
    found = np.searchsorted(ranked, wanted * count + np.arange(count), side=side) - 1
    last = np.append(ranked, -1)[found]  # an index of −1 finds the −1 of no pane
    return np.where((last >= 0) & (last // count == wanted), last % count, -1)


def _kept(start: Ints, last: Ints, half_life_us: int) -> Floats:
    elapsed = np.where(last < 0, 0, start - start[last])
    distinct, place = np.unique(elapsed, return_inverse=True)
    return np.array([_left(one, half_life_us) for one in distinct.tolist()])[place]


def _left(elapsed_us: int, half_life_us: int) -> float:
    """The decay after some time. It uses Python's power, because numpy's differs between machines in the last bit."""
    return float(2.0 ** (-(elapsed_us / half_life_us)))
