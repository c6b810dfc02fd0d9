"""Worlds of the flights for `benchmarks.prediction_intervals`: exact features, and noised copies as a server draws them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from base.times import from_us, to_us
from featurestore.define.decoded import value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.mechanism import NOISERS
from featurestore.define.panes import Panes
from featurestore.define.values import served_features
from featurestore.offline.window_rows import make_issues
from featurestore.publish.running import part
from featurestore.store import Store
from simulations.datasets.flights import load_flights
from simulations.tasks.flights import LATE_MINUTES, ZONE, late_arrivals, views
from simulations.tasks.prices import Price, price_of
from simulations.tasks.study import EPS1
from simulations.tasks.task import Task
from simulations.tasks.world_join import panes_of
from simulations.tasks.worlds import Exact, WorldNoise, collect, opened_views, published
from training.fit.config import TrainConfig
from training.fit.train import train
from training.serving.intervals.copies import Copies, noised_copies
from training.serving.intervals.newest_sums import NewestSums
from training.serving.kinds.loading import Loading
from training.serving.kinds.open_runner import open_runner
from training.serving.kinds.runner import Runner

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

AREA: Final = ("late_24h", "late_dev", "late_pred")
CARRIER: Final = ("late_7d", "late_28d", "late_pred")
COLUMNS: Final = ("distance", "departs")
REFS: Final = (*(f"area_delay:{name}" for name in AREA), *(f"carrier_delay:{name}" for name in CARRIER))
KINDS: Final = {
    "linear": 'kind = "linear"\nepochs = 3',
    "mlp": 'kind = "mlp"\nhidden = [32, 16]\nepochs = 3',
    "monotone": 'kind = "monotone"',
}
TRAINING_SEED: Final = 1_000
"""The seed of the world in which the models are trained. The measured worlds have other seeds."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows at one moment in one world, one an airline, with F features.

    Attributes:
        x: float64[N, F], as a server reads them; exact: without noise; copies: float64[C, N, F].
        sure: bool[N], which rows have an interval.
    """

    x: Floats
    exact: Floats
    copies: Floats
    sure: Bools


@dataclass(frozen=True, eq=False)
class Flights:
    """The flights, collected once without noise."""

    task: Task
    price: Price
    exact: tuple[Exact, ...]
    carriers: list[str]

    @classmethod
    def collect(cls) -> Flights:
        """Collect the year. Raises DataMissing."""
        task = late_arrivals()
        price = price_of(EPS1, task.views)
        carriers = sorted(pc.unique(load_flights()["carrier"]).to_pylist())
        return cls(task, price, tuple(collect(view, task.events) for view in task.views(None)), carriers)

    def train(self, kinds: Sequence[str], directory: Path) -> dict[str, Runner]:
        """Train each kind of model in a noised world, as `covey train` does."""
        runners: dict[str, Runner] = {}
        with published(self.exact, views(self.carriers, self.price), WorldNoise(self.price, TRAINING_SEED)) as store:
            flights = load_flights()
            flights = flights.filter(pc.is_valid(flights["arr_delay"]))
            labels = pa.table(
                {
                    "carrier": flights["carrier"],
                    "at": flights["sched_dep"],
                    "distance": flights["distance"].cast(pa.float64()),
                    "departs": pc.add(pc.multiply(flights["hour"], 60), flights["minute"]).cast(pa.float64()),
                    "late": pc.greater(flights["arr_delay"], LATE_MINUTES),
                }
            ).sort_by("at")
            pq.write_table(labels, directory / "labels.parquet")
            for kind in kinds:
                runners[kind] = open_runner(train(self.config(kind, store, directory)).model, Loading())
        return runners

    def config(self, kind: str, store: Store, directory: Path) -> TrainConfig:
        """The configuration of a model on the labels of `train`."""
        config = directory / f"{kind}.toml"
        config.write_text(_CONFIG.format(kind=kind, store=store.root, refs=json.dumps(REFS), model=KINDS[kind]))
        return TrainConfig.load(config)

    def moments(self, count: int) -> list[int]:
        """Moments of the test months, µs: departures over the whole day and all months, at equal distances in their order."""
        at = np.sort(self.task.labels[self.task.time].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy())
        of_test = at[at >= to_us(self.task.split)]
        return [int(one) for one in of_test[np.linspace(1_000, len(of_test) - 1, count).astype(int)]]

    def worlds(self, seeds: Sequence[int], moments: Sequence[int], copies: int) -> Iterator[Rows]:
        """The rows of each moment in each world."""
        made = views(self.carriers, self.price)
        plain = [
            _View(view, panes_of(*one)) for view, one in zip(made, opened_views(self.exact, made, None), strict=True)
        ]
        exact = [[_without_noise(view).values(now)[0] for view in plain] for now in moments]
        for seed in seeds:
            opened = opened_views(self.exact, made, WorldNoise(self.price, seed))
            world = [_View(view, panes_of(*one)) for view, one in zip(made, opened, strict=True)]
            for at, now in enumerate(moments):
                yield self._rows(now, exact[at], world, copies, seed * 100_003 + at)

    def _rows(self, now: int, exact: Sequence[Floats], world: Sequence[_View], copies: int, seed: int) -> Rows:
        values, sures, noised = [], [], []
        for view in world:
            x, status = view.values(now)
            made = view.copies(now, seed, copies)
            there = value_is_there(status)
            assert np.array_equal(made.released[there], x[there]), "copies are decoded as rows are"
            values.append(x)
            sures.append(there)
            noised.append(made.noised.transpose(1, 0, 2))
        columns = self._columns(now)
        wide = np.broadcast_to(columns, (copies, *columns.shape))
        return Rows(
            np.hstack((*self._every(values), columns)),
            np.hstack((*self._every(exact), columns)),
            np.concatenate((*self._every(noised), wide), axis=2),
            np.asarray(np.hstack(self._every(sures)).all(axis=1)),
        )

    def _every(self, of_views: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """The rows of the area for each airline, beside those of the airlines."""
        return [np.broadcast_to(one, (*one.shape[:-2], len(self.carriers), one.shape[-1])) for one in of_views]

    def _columns(self, now: int) -> Floats:
        """float64[N, 2], distance and minute of the day."""
        rng = np.random.default_rng(now // 60_000_000)
        local = from_us(now).astimezone(ZoneInfo(ZONE))
        distance = rng.choice([200.0, 500.0, 1_000.0, 2_400.0], len(self.carriers))
        return np.column_stack((distance, np.full(len(self.carriers), 60.0 * local.hour + local.minute)))


class _View:
    """The panes of a view in one world."""

    def __init__(self, view: FeatureView, panes: Panes) -> None:
        self.view, self.panes = view, panes
        names = AREA if view.entity.constant else CARRIER
        by_name = {one.name: one for one in served_features(view)}
        self._served = [by_name[name] for name in names]
        self._at = [list(by_name).index(name) for name in names]

    def values(self, now: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
        """float64[K, F] and uint8[K, F] of `Status`: the newest rows, as they are published."""
        panes = self._until(now)
        last = np.array([len(panes.start) - 1])
        issues = make_issues(self.view, panes, last, panes.released_at[last])
        found = [issues.features[at] for at in self._at]
        return np.column_stack([one.value for one in found]), np.column_stack([one.status for one in found])

    def copies(self, now: int, seed: int, count: int) -> Copies:
        """Noised copies of the newest rows."""
        panes = self._until(now)
        sums = NewestSums.of(self.view, self._served, int(panes.start[-1]), [panes])
        return noised_copies(sums, self._served, np.arange(len(self.view.entity.domain)), seed, count)

    def _until(self, now: int) -> Panes:
        return part(self.panes, 0, int(np.searchsorted(self.panes.released_at, now, side="right")))


def _without_noise(of: _View) -> _View:
    """The exact sums, decoded as noised ones: a filter weighs a pane by the noise that it is stated to have."""
    units = np.full_like(of.panes.noise_units, NOISERS)
    return _View(of.view, replace(of.panes, noise_units=units))


_CONFIG: Final = """
name = "{kind}"
store = "{store}"

[labels]
file = "labels.parquet"
time = "at"
target = "late"
columns = ["distance", "departs"]

[features]
refs = {refs}

[split]
valid_from = 2013-08-01
test_from = 2013-09-01

[model]
{model}
"""
