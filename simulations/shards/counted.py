"""The plain reports of a fleet that count: not lost, and before the deadline. Their sums are the true values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from federation.batch.reports import Reports
from federation.plan import Plan
from simulations.fleets.arrivals import Arrivals
from simulations.fleets.block import Source

from .shard import ReportsBySite, add_truth
from .work import Ints, Tally


class CountedReports:
    """Yields the reports that count, block by block, and adds them up.

    Attributes:
        truth: int64[C, d] of each view, plain sums of the yielded reports. **Secret.**
        tally: counts of the yielded reports, and of all sites and events; it counts no batches.
    """

    def __init__(self, plan: Plan, source: Source, arrivals: Arrivals, deadline_s: float) -> None:
        self._plan, self._source, self._arrivals, self._deadline_s = plan, source, arrivals, deadline_s
        self.truth: tuple[Ints, ...] = tuple(
            np.zeros((len(one.pane_starts), one.layout.length), np.int64) for one in plan.views
        )
        self.tally = Tally()

    def __iter__(self) -> Iterator[Reports]:
        for index in range(self._source.blocks):
            block = self._source.block(index)
            fates = self._arrivals.of(block.sites)
            self.tally.events += block.table.num_rows
            self.tally.sites(fates, self._deadline_s)
            order = np.flatnonzero(fates.in_time(self._deadline_s))
            for view in range(len(self._plan.views)):
                for _, reports in ReportsBySite(self._plan, view, block, order, self.tally):
                    self.tally.reports[view] += len(reports.collection)
                    everything = np.ones(len(reports.collection), np.bool_)
                    add_truth(self.truth[view], reports, self._plan.offsets[view], everything)
                    yield reports
