"""The check of one view: do its newest panes differ from its own past by more than noise and usual variation explain?

All series are judged together: a check of a view without drift finds something with at most the probability `level`, whatever the
number of its keys and features. It reads releases only, so it costs no privacy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from featurestore.define.decoded import Floats
from featurestore.define.definitions import FeatureView
from featurestore.define.panes import NEVER, Panes

from .judge import Blocks, Judged, judged
from .report import Change, Checked, Power, Report, Terms, Unchecked
from .season import places, season_of
from .series import series_of, usable_panes
from .tail import LEAST_BLOCKS, Tail, evidence, single

POWER_Z: Final = 0.8416212
"""The normal quantile of 80 %."""
LOOK_BACK: Final = 28
"""So many panes are searched for the beginning of a change."""


def least_panes(last: int) -> int:
    """How many panes with values a check needs."""
    return last * (LEAST_BLOCKS + 1)


def check(view: FeatureView, name: str, panes: Panes, terms: Terms) -> Report:
    """Check a view.

    Args:
        name: the view as it was named, for the report.
        panes: by increasing start; those before the past that counts may be absent.
    """
    used = usable_panes(view, panes)
    starts = panes.start[used]
    if len(starts) < least_panes(terms.last):
        needed = f"a check of {terms.last} needs {least_panes(terms.last):,}"
        return Unchecked(name, terms, f"{len(starts):,} of its panes have values, and {needed}")
    season = season_of(starts[: -terms.last], view.pane_us)
    blocks = Blocks(starts, places(season, starts), terms.last)
    every = [
        each
        for one in series_of(view, panes, used, blocks.place, blocks.past)
        if not terms.features or one.feature in terms.features
        for each in judged(one, blocks)
    ]
    series = sum(int(one.compared.sum()) for one in every)
    if not series:
        return Unchecked(name, terms, _nothing(every))
    p = np.concatenate([one.deviations.p()[:, one.compared] for one in every], axis=1)
    largest = evidence(p, series).max(axis=1)
    tail = Tail(np.sort(largest[:-1]))
    reader = _Reader(view, blocks, terms, tail, series)
    changes = [change for one in every for change in reader.changes(one)]
    return Checked(
        view=name,
        terms=terms,
        season=season,
        newest=tuple(starts[-terms.last :].tolist()),
        released_us=int(starts[-1]) + view.pane_us + view.release_delay_us,
        pane_us=view.pane_us,
        past=len(starts) - terms.last,
        since_us=int(starts[0]),
        blocks=len(tail.past),
        left_out=_left_out(view, panes),
        series=series,
        p=float(tail.p(largest[-1:])[0]),
        least_rank=tail.least_rank,
        changes=tuple(sorted(changes, key=lambda one: one.p)),
        power=tuple(reader.powers(every)),
    )


def _nothing(every: Sequence[Judged]) -> str:
    """Why no series is compared."""
    if not every:
        return "it has no feature of a single pane that could be compared"
    hidden = sum(int((one.hidden & one.known).sum()) for one in every)
    if hidden:
        return (
            f"in {hidden:,} series the noise of the newest panes hides every possible change; compare more panes as one"
        )
    return "no key has values in the newest panes and enough of them in the past"


def _left_out(view: FeatureView, panes: Panes) -> dict[str, int]:
    """How many panes have no values, by the reason."""
    retracted = panes.opened & (panes.retracted_at != NEVER)
    usable = usable_panes(view, panes)
    counts = {
        "void": int((~panes.opened).sum()),
        "retracted": int(retracted.sum()),
        "with too few sites": int((panes.opened & ~retracted & ~usable).sum()),
        "with other sites, for counts": int((usable & (panes.site_share != panes.site_share[usable][-1])).sum()),
    }
    return {why: count for why, count in counts.items() if count}


@dataclass(frozen=True, eq=False)
class _Reader:
    """Reads changes and powers from deviations, in the units of the features."""

    view: FeatureView
    blocks: Blocks
    terms: Terms
    tail: Tail
    series: int

    def changes(self, one: Judged) -> Iterator[Change]:
        """The series that differ from their past."""
        found = one.deviations
        p = self.tail.p(evidence(found.p()[-1], self.series))
        margin, noise = self._critical(one) * found.sd[-1], np.sqrt(one.base.noise[~one.base.past].sum(axis=0))
        for k in np.flatnonzero(one.compared & (p <= self.terms.level)).tolist():
            size, unit = float(found.size[-1, k]), float(one.measured_units[k])
            yield Change(
                feature=one.series.name,
                key=None if one.keys else self.view.entity.domain[k],
                usual=self._usual(one, k),
                size=size / unit,
                low=(size - float(margin[k])) / unit,
                high=(size + float(margin[k])) / unit,
                noise=float(noise[k]) / unit,
                p=float(p[k]),
                since_us=self._since(one, k),
            )

    def powers(self, every: Sequence[Judged]) -> Iterator[Power]:
        """The smallest shifts that are found, by feature."""
        sums = {one.series.name: one for one in every if one.keys and one.compared.all()}
        for one in every:
            if one.keys:
                continue
            total = sums.get(one.series.name)
            yield Power(
                feature=one.series.name,
                keys=int(one.compared.sum()),
                one=float(np.median(self._smallest(one)[one.compared])) if one.compared.any() else None,
                every=None if total is None else float(self._smallest(total)[0]) / _parts(total),
                hidden=int((one.hidden & one.known).sum()),
                absent=int((~one.known).sum()),
            )

    def _critical(self, one: Judged) -> Floats:
        """float64[K]: the |z| of the newest panes whose p-value is the level."""
        p = single(float(np.exp(-self.tail.evidence_at(self.terms.level))), self.series)
        critical: Floats = one.deviations.critical(p)[-1]
        return critical

    def _smallest(self, one: Judged) -> Floats:
        """float64[K], the shift that is found with 80 %."""
        smallest: Floats = (self._critical(one) + POWER_Z) * one.deviations.sd[-1] / one.units
        return smallest

    def _usual(self, one: Judged, k: int) -> float:
        """What the past says for the newest panes, in the feature's unit."""
        mine = one.base.has[:, k] & ~one.base.past
        newest = float(one.series.values[mine, k].sum())
        usual = (newest - float(one.deviations.size[-1, k])) / float(one.measured_units[k])
        return usual if one.series.ratio is None else usual + float(one.series.ratio.usual[k])

    def _since(self, one: Judged, k: int) -> int:
        """The start of the pane since which the mean deviation has its largest z in the direction of the newest panes."""
        variance = one.base.variance[:, k]
        z = one.base.residual[:, k] / np.sqrt(np.where(variance > 0, variance, 1.0))
        newest_first = (z * np.sign(one.deviations.size[-1, k]))[::-1][: LOOK_BACK + self.terms.last]
        of_means = np.cumsum(newest_first) / np.sqrt(np.arange(1, len(newest_first) + 1))
        return int(self.blocks.starts[len(self.blocks.starts) - 1 - int(np.argmax(of_means))])


def _parts(total: Judged) -> int:
    """Into how many equal shifts of keys a shift of the sum divides: a ratio's keys all shift by as much as the ratio."""
    return total.keys if total.series.ratio is None else 1
