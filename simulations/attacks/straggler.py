"""The straggler: if a site holds one client, its answer and the time of its answer reveal its events.

Source: Haeberlen, Pierce, Narayan 2011, "Differential Privacy Under Fire", §3 (timing, where only values are noised).

The coordinator requests each pane from a site of one client. Time is virtual: a log-normal latency of 80 ms on average with
σ = ½, plus a cost for each event. Under participation `all` every answer is one report, so only the computing time reveals
events; the curve shows the success against the cost of an event. `edge_client.compute` and `participation` make the reports.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import DAY_US
from edge_client.compute import compute
from edge_client.events import make_events
from edge_client.participation import of_active_clients, of_every_client
from featurestore.define.kinds import Count
from federation.plan import Plan
from federation.terms import Participation, Shares

from .attack import AttackResult, DescribedAttack, Progress, ResultLabels, Setting, Success, result_of
from .stage.panes import Ints, halves, plan_of, rng_of, view_of
from .statistics.bounds import Scores
from .statistics.measures import auc, series

LATENCY_MS: Final = 80.0
LATENCY_SIGMA: Final = 0.5
EVENT_MS: Final = 0.01
"""Cost of an event at a site: ten times the µs that DuckDB takes."""
SHOWN_MS: Final = (0.01, 0.1, 1.0, 10.0, 100.0)
EVENTS: Final = 5
"""Average events of an active client in a pane, beyond the first."""
MARGIN: Final = 0.25


class Straggler(DescribedAttack):
    """A coordinator with a clock."""

    def __init__(self) -> None:
        super().__init__("straggler")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the AUC of "was the client active"."""
        rng = rng_of(setting, self.name)
        participation = Participation.ALL if defended else Participation.ACTIVE
        plan = plan_of(view_of(setting, Count("n")), 2 * setting.trials, rng, terms=Shares(participation=participation))
        events = np.zeros(2 * setting.trials, np.int64)
        events[: setting.trials] = 1 + rng.poisson(EVENTS, setting.trials)
        reports = _reports(plan, events)
        progress(1, 1)
        latency = LATENCY_MS * rng.lognormal(-(LATENCY_SIGMA**2) / 2, LATENCY_SIGMA, len(events))
        by_cost = [auc(_scores(reports, latency + cost * events)) for cost in SHOWN_MS]
        effect = by_cost[SHOWN_MS.index(EVENT_MS)]
        note = (
            f"The site answered with a report in {np.mean(reports > 0):.0%} of the panes; half of them had events. The AUC is "
            f"{effect.estimate:.2f} if an event costs {EVENT_MS * 1e3:g} µs, and {by_cost[-1].estimate:.2f} if it costs "
            f"{SHOWN_MS[-1]:g} ms: participation does not hide the computing time of a site."
        )
        points = series("presence, then time", np.array(SHOWN_MS), by_cost)
        labels = ResultLabels((points,), "cost of an event at the site, ms", "AUC: was the client active?", note)
        return result_of(self, setting, labels, Success(effect, 0.5, MARGIN), defended=defended)


def _reports(plan: Plan, events: Ints) -> Ints:
    """Return int64[panes]: the number of reports of a site for each pane, given the client's events."""
    (planned,) = plan.views
    times = np.repeat(planned.pane_starts, events) + DAY_US // 2
    table = pa.table({"who": np.zeros(len(times), np.int64), "k": np.zeros(len(times), np.int64), "t": times})
    table = table.set_column(2, "t", table["t"].cast(pa.timestamp("us")))
    made = compute(planned.view, make_events(table, "who", "t"), panes=planned.pane_starts)
    match plan.terms.participation:
        case Participation.ALL:
            sent = of_every_client(planned.pane_starts, made, np.zeros(1, np.int64), 1)
        case Participation.ACTIVE:
            sent = of_active_clients(planned.pane_starts, made)
    return np.bincount(sent.pane, minlength=len(events))


def _scores(reports: Ints, time_ms: npt.NDArray[np.float64]) -> Scores:
    """Score a pane higher for more reports, and then for a later answer."""
    return halves(reports * 1e9 + time_ms)
