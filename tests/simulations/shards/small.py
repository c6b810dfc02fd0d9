"""A small fleet for tests, its views, and the results of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Release
from featurestore.store import Store
from federation.plan import FromEvents
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import Arrivals, Generated
from simulations.fleets.block import SiteBlock, Source
from simulations.fleets.population import Population
from simulations.fleets.spec import Fleet
from simulations.shards.run import FleetRun, FleetTerms, in_noise_basis, publish, publish_truth, run_fleet
from simulations.shards.workers import Inline

SHOP = Entity("shop", domain=["a", "b"])
HOURLY = FeatureView(
    "hourly",
    entity=SHOP,
    pane="1h",
    features=[Count("n"), Mean("spent", clip=(0, 100), resolution=1)],
    bounds=Bounds(2, 3),
    privacy=Privacy(rho=0.5, min_clients=5),
)
DAILY = FeatureView(
    "daily",
    entity=SHOP,
    pane="1d",
    features=[ClientCount("people"), Histogram("spent", edges=[10, 50])],
    bounds=Bounds(1, 2),
    privacy=Privacy(rho=0.5, min_clients=5),
)
VIEWS = (HOURLY, DAILY)
FLEET = Fleet(clients=200, clients_per_site=15, days=2, seed=3, churn=0.1, clock_skew_s=2)
SOURCE = Population(FLEET, VIEWS)
ALWAYS = Generated()
TERMS = FleetTerms(VIEWS)
NOW = 4_000 * 365 * 86_400 * 10**6


@dataclass(frozen=True)
class Cut:
    """A source of one block that is cut into several."""

    whole: Source
    blocks: int

    @property
    def clients(self) -> int:
        return self.whole.clients

    @property
    def from_events(self) -> tuple[FromEvents, ...]:
        return self.whole.from_events

    @property
    def days(self) -> tuple[int, int]:
        return self.whole.days

    def block(self, index: int) -> SiteBlock:
        whole = self.whole.block(0)
        ends = np.linspace(0, len(whole.sites), self.blocks + 1).astype(int)
        part = slice(ends[index], ends[index + 1])
        names = pa.array(whole.sites[part], pa.string())
        own = pc.is_in(whole.table["site"].cast(pa.string()), names)
        return SiteBlock(whole.sites[part], whole.enrolled[part], whole.table.filter(own), whole.columns)


def exact(
    terms: FleetTerms = TERMS, source: Source = SOURCE, arrivals: Arrivals = ALWAYS, lying: LyingSite | None = None
) -> FleetRun:
    """A run with noise off, in this process."""
    return run_fleet(terms, source, arrivals, noise=None, workers=Inline(), lying=lying)


def sums(run: FleetRun) -> dict[str, dict[int, list[int]]]:
    """The opened sums of each pane, by view and start."""
    return {
        planned.view.name: dict(
            zip(
                planned.pane_starts[one.outcomes == 0].tolist(),
                one.sums.reshape(len(one.sums), -1).tolist(),
                strict=True,
            )
        )
        for planned, one in zip(run.plan.views, run.opened, strict=True)
    }


def truths(run: FleetRun) -> dict[str, dict[int, list[int]]]:
    """The true sums of the opened panes, in the form of `sums`."""
    exactly = (
        replace(one, sums=in_noise_basis(planned, truth)[one.outcomes == 0])
        for planned, one, truth in zip(run.plan.views, run.opened, run.truth, strict=True)
    )
    return sums(replace(run, opened=tuple(exactly)))


def stores(run: FleetRun, folder: Path, noise_name: str = "none") -> dict[str, bytes]:
    """Every file of both published stores, except those of the online database, which contain times."""
    publish(run, folder / "store", NOW, noise_name)
    publish_truth(run, folder / "truth", NOW)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "online" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def slots_of(folder: Path, view: str) -> dict[int, npt.NDArray[np.int64]]:
    """The published sums in a store, by pane start."""
    with Store.open(folder) as store:
        names = store.releases(view)["release_id"].to_pylist()
        items = [store.release(bytes.fromhex(name)) for name in names]
    return {item.pane_start: item.slots for item in items if isinstance(item, Release)}
