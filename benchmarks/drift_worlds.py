"""Worlds without drift, as the opened panes of a view at ε = 1: from the flights themselves, and synthetic ones.

**Flights.** The exact sums of a year are cut into weeks, and a world has some of them in random order, each at most once, and
fresh noise of releases. Every week is equally likely to be the newest one, so no week differs from the others beyond what weeks of
this year differ: the worlds hold no drift, and have the flights' own weekdays, storms, holidays, and planes that are late at
several airlines at once.

**Synthetic.** Events are drawn from rates that do not change but for a weekly season: independent counts; counts in groups;
rates that wander around their mean (AR(1)); rates that all keys share in part; variation with heavy tails (Student's t of 3
degrees of freedom); and storms, in which most events are missing for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from base.times import DAY_US
from edge_client.compute import compute
from edge_client.events import make_events
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Rate
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Panes
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import MILLION
from simulations.datasets.flights import CLIENT_COLUMN, load_flights

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rng = np.random.Generator

RHO: Final = 0.0244
"""ε = 1 a client-day at δ = 1e-6."""
MONDAY: Final = 15_707 + 5
"""2013-01-07, days since the epoch."""
WEEKS_OF_2013: Final = 51
KINDS: Final = ("independent", "groups", "wandering", "shared", "heavy", "storms")


@dataclass(frozen=True, eq=False)
class World:
    """The exact sums of a view.

    Attributes:
        starts: int64[T], µs; sums: int64[T, K, S], mapped; clients: int64[T], of each pane.
    """

    view: FeatureView
    starts: Ints
    sums: Ints
    clients: Ints

    def panes(self, rng: Rng) -> Panes:
        """The panes with fresh noise of both aggregators; those with too few clients are void."""
        count = len(self.starts)
        noise = rng.normal(size=self.sums.shape) * noise_sd(self.view)
        return Panes(
            start=self.starts,
            opened=self.clients >= self.view.privacy.min_clients,
            site_share=np.full(count, MILLION),
            slots=self.sums + np.rint(noise).astype(np.int64),
            withheld=np.zeros((count, 1), dtype=bool),
            noise_units=np.full((count, 1), 2.0),
            known=np.ones((count, 1), dtype=bool),
            released_at=self.starts + self.view.pane_us,
            retracted_at=np.full(count, NEVER),
        )

    def shifted(self, feature: str, key: int | None, errors: float, last: int) -> World:
        """The same with a shift in the newest panes, of so many standard errors of a served value.

        Args:
            feature: `flights` shifts the count; `late` shifts the rate, by moving events from one side to the other.
            key: None: all keys.
        """
        sums, keys = self.sums.copy(), slice(None) if key is None else slice(key, key + 1)
        sd, newest = noise_sd(self.view), slice(len(sums) - last, None)
        if feature == "flights":
            sums[newest, keys, 0] += round(errors * sd[0])
        else:
            n = np.maximum(sums[newest, keys, 2], 1)
            of_rate = np.sqrt(sd[1] ** 2 + (sums[newest, keys, 1] / n * sd[2]) ** 2)
            sums[newest, keys, 1] += np.rint(errors * of_rate).astype(np.int64)
        return replace(self, sums=sums)


def noise_sd(view: FeatureView) -> Floats:
    """float64[S], the standard deviation of each opened sum's noise."""
    layout = layout_of(view)
    sd = np.zeros(layout.slots_per_key)
    for group in layout.groups:
        sd[list(group.slots)] = group.opened_variance**0.5
    return sd


class Flights:
    """The flights of 2013 by week.

    Args:
        hourly: the departures of the area by hour, else the arrivals of each airline by day.
    """

    def __init__(self, *, hourly: bool) -> None:
        table = load_flights()
        carriers = sorted(pc.unique(table["carrier"]).to_pylist())
        self.view = FeatureView(
            "departures" if hourly else "arrivals",
            entity=Entity("area", value="NYC") if hourly else Entity("carrier", domain=carriers),
            time="departed_at" if hourly else "arrived_at",
            pane="1h" if hourly else "1d",
            features=[Count("flights"), Rate("late", where="dep_delay >= 15" if hourly else "arr_delay >= 15")],
            bounds=Bounds(max_cells=2 if hourly else 1),
            privacy=Privacy(rho=RHO, min_clients=20 if hourly else 50),
        )
        of_week = 7 * DAY_US // self.view.pane_us
        layout, done = layout_of(self.view), compute(self.view, make_events(table, CLIENT_COLUMN, str(self.view.time)))
        at = (done.pane_start - MONDAY * DAY_US) // self.view.pane_us
        inside = (at >= 0) & (at < WEEKS_OF_2013 * of_week)
        sums = np.zeros((WEEKS_OF_2013 * of_week, layout.length), np.int64)
        entry = np.repeat(inside, np.diff(done.slots.indptr))
        rows = np.repeat(at, np.diff(done.slots.indptr))
        np.add.at(sums, (rows[entry], done.slots.columns[entry]), done.slots.values[entry])
        mapped = sums.reshape(-1, layout.keys, layout.slots_per_key) @ layout.basis.T
        self._weeks = mapped.reshape(WEEKS_OF_2013, of_week, layout.keys, layout.slots_per_key)
        self._clients = np.bincount(at[inside], minlength=len(sums)).reshape(WEEKS_OF_2013, of_week)

    def world(self, rng: Rng, weeks: int, rest: int) -> World:
        """Some weeks in random order, and as many panes of one more."""
        chosen = rng.permutation(WEEKS_OF_2013)[: weeks + 1]
        count = weeks * self._weeks.shape[1] + rest
        starts = MONDAY * DAY_US + np.arange(count, dtype=np.int64) * self.view.pane_us
        sums = self._weeks[chosen].reshape(-1, *self._weeks.shape[2:])[:count]
        return World(self.view, starts, sums, self._clients[chosen].reshape(-1)[:count])


def synthetic(rng: Rng, kind: str, keys: int, days: int) -> World:
    """A synthetic world of days."""
    view = FeatureView(
        "synthetic",
        entity=Entity("key", domain=range(keys)),
        features=[Count("flights"), Rate("late", where="x >= 1")],
        pane="1d",
        bounds=Bounds(max_cells=1),
        privacy=Privacy(rho=RHO, min_clients=20),
    )
    weekday = np.arange(days) % 7
    rate = np.exp(rng.normal(5.0, 0.6, keys)) * np.exp(rng.normal(0, 0.25, 7))[weekday][:, None]
    share = np.clip(rng.normal(0.2, 0.05, keys) + rng.normal(0, 0.03, 7)[weekday][:, None], 0.02, 0.9)
    moved, turned = (_VARIATIONS[kind](rng, days, keys) for _ in range(2))
    n = rng.poisson(rate * moved)
    true = rng.binomial(n, np.clip(share * turned, 0.0, 1.0))
    sums = np.stack([n, 2 * true - n, n], axis=-1).astype(np.int64)
    starts = (MONDAY + np.arange(days, dtype=np.int64)) * DAY_US
    return World(view, starts, sums, np.full(days, 1_000))


def _wandering(rng: Rng, days: int, keys: int) -> Floats:
    x = rng.normal(size=(days, keys))
    for day in range(1, days):
        x[day] = 0.6 * x[day - 1] + 0.8 * x[day]
    return np.exp(0.2 * x)


_VARIATIONS: Final[dict[str, Callable[[Rng, int, int], Floats]]] = {
    "independent": lambda _, days, keys: np.ones((days, keys)),
    "groups": lambda rng, days, keys: rng.gamma(10, 0.1, (days, keys)),
    "wandering": _wandering,
    "shared": lambda rng, days, keys: np.exp(0.2 * rng.normal(size=(days, 1)) + 0.1 * rng.normal(size=(days, keys))),
    "heavy": lambda rng, days, keys: np.exp(np.clip(0.1 * rng.standard_t(3, (days, keys)), -2, 2)),
    "storms": lambda rng, days, keys: np.where(rng.random((days, 1)) < 0.04, 0.3, 1.0) * np.ones((days, keys)),
}
