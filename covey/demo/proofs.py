"""The demo with proofs: the days whose reports carry proofs, and the table of their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from base.times import DAY_US, to_us
from deployment.in_process.run import ViewReport
from deployment.inspect.explain import explain
from deployment.printing.console import day_ranges
from featurestore.define.definitions import FeatureView
from featurestore.store import Store
from federation.terms import Validity

PROVEN_WEEKS: Final = 12
"""The weeks of the back-fill with proofs. All 250,000 reports, of 19 kB with proofs, would take two minutes longer."""


@dataclass(frozen=True)
class BackFill:
    """UTC days since the epoch: reports of [first, proven) carry no proofs, reports of [proven, end) do."""

    first: int
    proven: int
    end: int

    @classmethod
    def of(cls, times: pa.ChunkedArray, weeks: int = PROVEN_WEEKS) -> BackFill:
        """From the day of the first event to the day of the last event; the last `weeks` weeks with proofs."""
        bounds = pc.min_max(times).as_py()
        first, last = (to_us(bounds[name]) // DAY_US for name in ("min", "max"))
        return cls(first, max(first, last + 1 - 7 * weeks), last + 1)

    def __str__(self) -> str:
        return day_ranges(range(self.proven, self.end))


@dataclass(frozen=True)
class TimedCollection:
    """One collection of the demo, with its duration.

    Attributes:
        way: how it ran, as text.
        validity: whether its reports carried proofs.
        views: the result for each view.
        seconds: from the events to the published releases.
    """

    way: str
    validity: Validity
    views: tuple[ViewReport, ...]
    seconds: float

    def reports(self, year: Mapping[str, int]) -> dict[str, int]:
        """The number of reports of each view; 0 if an earlier run had opened panes, so that the number is unknown.

        Args:
            year: the number of reports of each view, counted by a run over the same events in one process. Over the wire
                no party may count them.
        """
        return {one.view: _count(one, year[one.view]) for one in self.views}

    def rate(self, year: Mapping[str, int]) -> float:
        """Reports a second, over all views."""
        return sum(self.reports(year).values()) / self.seconds


def print_proofs(
    out: Console,
    views: Sequence[FeatureView],
    collections: Sequence[TimedCollection],
    year: Mapping[str, int],
    store: Store,
) -> None:
    """Print the cost of proofs for each view, their speed, and the number of releases with proofs.

    Args:
        collections: one collection with proofs for each view, and collections without proofs for comparison.
    """
    columns = [_column(view, collections, year) for view in views]
    table = Table("", *(view.name for view in views), box=SIMPLE_HEAD, title="What proofs cost (validity prio3)")
    for row in columns[0]:
        table.add_row(row, *(column[row] for column in columns))
    table.caption = "bytes: of one report; without → with proofs. What is proven: docs/validity.md"
    out.print(table)
    for one in collections:
        if reports := sum(one.reports(year).values()):
            names = " and ".join(report.view for report in one.views)
            proofs = "with proofs" if one.validity is Validity.PRIO3 else "without"
            out.print(
                f"{one.way}: {reports:,} reports of {names} {proofs}, from events to releases in {one.seconds:.0f} s",
                soft_wrap=True,
            )
    for view in views:
        out.print(_said_by_releases(store, view.name), soft_wrap=True)


def _count(report: ViewReport, year: int) -> int:
    if report.reports is not None:
        return report.reports
    return 0 if report.already_open else year


def _column(view: FeatureView, collections: Sequence[TimedCollection], year: Mapping[str, int]) -> dict[str, str]:
    """One column of the table: the row's name → the view's cell."""
    found = {one.validity: (one, report) for one in collections for report in one.views if report.view == view.name}
    one, report = found[Validity.PRIO3]
    label, rates = explain(view), [found[validity][0].rate(year) for validity in Validity if validity in found]
    return {
        "bytes to leader": f"{label.report_bytes_leader:,} → {label.with_proofs.report_bytes_leader:,}",
        "bytes to helper": f"{label.report_bytes_helper:,} → {label.with_proofs.report_bytes_helper:,}",
        "reports, year": f"{year[view.name]:,}",
        "with proofs": f"{one.reports(year)[view.name]:,}",
        "rejected": f"{report.rejected:,}",
        "reports/s": " → ".join(f"{rate:,.0f}" if rate else "–" for rate in rates)
        + (" together" if len(one.views) > 1 else ""),
    }


def _said_by_releases(store: Store, view: str) -> str:
    """The number and the days of a view's panes with proofs, by their manifests."""
    panes = store.releases(view)
    starts = panes.filter(pc.equal(panes["validity"], "prio3"))["pane_start"]
    days = sorted({to_us(start) // DAY_US for start in starts.to_pylist()})
    line = f"{view}: {len(starts):,} of {panes.num_rows:,} releases say validity prio3"
    return line + (f": {day_ranges(days)}" if days else "")
