"""A small project with something to see in every place of the console: ten days of flights, ledgers, models, and runs of the lab."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from base.times import DAY_US
from covey.cli import call
from deployment.run import run
from featurestore.define.entities import Entity
from featurestore.define.release import RETRACTED, Void
from featurestore.define.views_file import load_declared
from featurestore.publish.model_versions import promote
from featurestore.publish.publish import Publisher
from featurestore.registry.serving_versions import Weights
from simulations.datasets.flights import CLIENT_COLUMN, JUNE, SITE_COLUMN, TIME_COLUMN, load_flights
from tests.featurestore.making import DAY, a_release, a_view, a_void, manifest_of
from tests.fixtures.kept import VERSIONS, unpacked

DAYS: Final = 10
FIRST: Final = JUNE * DAY_US
"""Moment (µs): the first day of the flights, 2013-06-01."""
HOSTILE: Final = '<img src="https://elsewhere.example/x.png" onerror="document.title=1">'
"""A name that runs a script and asks another host, if a page takes it for HTML."""
HOSTILE_KEYS: Final = (HOSTILE, '"><script>document.title=1</script>', "=1+1", "c,d=e")

VIEWS: Final = '''\
"""What the console's tests collect."""

from covey import Bounds, ClientCount, Entity, FeatureService, FeatureView, Histogram, Mean, Privacy, Rate

# the fast signal
area_delay = FeatureView(
    "area_delay",
    entity=Entity("area", value="NYC"),
    time="departed_at",
    pane="1h",
    windows=["3h", "24h"],
    features=[Rate("late", where="dep_delay >= 15")],
    bounds=Bounds(max_cells=2, max_events_per_cell=1),
    privacy=Privacy(rho=0.08, min_clients=20),
    release_delay="5m",
    min_coverage=0.5,  # nights are void
    description="Share of departures from the area that leave 15 minutes late or more.",
)

dest_delay = FeatureView(
    name="dest_delay",
    entity=Entity("dest", domain=["ATL", "BOS", "CLT", "FLL", "LAX", "MCO", "ORD", "SFO"]),
    time="arrived_at",
    pane="1d",
    windows=["7d"],
    features=[
        ClientCount("planes"),
        Mean("arr_delay", clip=(-60, 180), resolution=1.0),
        Histogram("arr_delay", edges=[-15, 0, 15, 30, 60, 120]),
        Rate("late", where="arr_delay >= 15", derive=True),  # read off the histogram
    ],
    bounds=Bounds(max_cells=3, max_events_per_cell=1),
    privacy=Privacy(rho=0.1, min_clients=50),
    release_delay="30m",
    description="Arrival delay by destination.",
)

late_model = FeatureService("late_model", ["area_delay:late_24h", "dest_delay:late_7d"])
'''


@dataclass(frozen=True)
class World:
    """What a console is started on.

    Attributes:
        project: has the store, covey.toml, roles and ledgers. Views: area_delay, dest_delay (flights); visits, everywhere
            (over the wire, 2020); shops, whose keys and texts are HTML.
        views_file: `VIEWS`; of the views area_delay and dest_delay.
        events: Parquet of the flights; its columns: tailnum (client), arrived_at (time), carrier (site).
        lab: two runs of one sweep.
    """

    project: Path
    views_file: Path
    events: Path
    lab: Path

    def options(self) -> list[str]:
        """The options of `covey console` for everything that is here."""
        return [
            "--project", str(self.project), "--views", str(self.views_file), "--events", str(self.events),
            "--client-column", CLIENT_COLUMN, "--time-column", TIME_COLUMN, "--site-column", SITE_COLUMN,
            "--lab", str(self.lab),
        ]  # fmt: skip

    def copied(self, directory: Path) -> World:
        """A copy that a test may change."""
        shutil.copytree(self.project.parent, directory, dirs_exist_ok=True)
        return existing_world(directory)


def make_world(directory: Path) -> World:
    """Make it, in a few seconds. Everything lies in the directory."""
    world = collect_world(directory, some_flights())
    _publish_by_hand(world.project)
    return world


def collect_world(directory: Path, flights: pa.Table) -> World:
    """What is collected and run: no view of HTML, no service, and no model."""
    world = existing_world(directory)
    unpacked(VERSIONS[-1], "project", world.project)
    world.views_file.write_text(VIEWS, encoding="utf-8")
    pq.write_table(flights, world.events)
    declared = load_declared(world.views_file, need_views=True)
    run(
        declared.views,
        flights,
        store=world.project,
        client_column=CLIENT_COLUMN,
        time_column=TIME_COLUMN,
        site_column=SITE_COLUMN,
        budget=0.2,
        in_process=True,
        replay="pane",
    )
    assert call(["lab", "run", "-m", "fleet.clients=200,300", "view.k=20", "noise=on", "--out", str(world.lab)]) == 0
    return world


def some_flights() -> pa.Table:
    """The flights of the first days of June that arrived."""
    flights = load_flights()
    at = flights[TIME_COLUMN].cast(pa.int64())
    return flights.filter(pc.and_(pc.greater_equal(at, FIRST), pc.less(at, FIRST + DAYS * DAY_US)))


def existing_world(directory: Path) -> World:
    """What `collect_world` has made in a directory."""
    project = directory / "project"
    return World(project, project / "views.py", directory / "flights.parquet", directory / "lab")


def _publish_by_hand(project: Path) -> None:
    """A view whose texts are HTML, with a void and a retracted pane; a service; versions of two models."""
    shops = a_view(
        "shops",
        entity=Entity("shop", domain=list(HOSTILE_KEYS)),
        pane="1d",
        windows=["2d"],
        description=HOSTILE,
        owner=HOSTILE,
        tags={"team": HOSTILE},
    )
    gone = FIRST + 4 * DAY
    retracted = Void(
        manifest_of(shops), gone, gone + DAY, gone + 2 * DAY, 0, "live", f"{RETRACTED}: {HOSTILE}", b"signed"
    )
    with Publisher(project, lambda: FIRST + DAYS * DAY) as publisher:
        publisher.register(shops)
        publisher.publish([a_release(shops, FIRST + i * DAY, 10 + 3 * i) for i in range(DAYS) if i != 3])
        publisher.publish([a_void(shops, FIRST + 3 * DAY), retracted])
        declared = load_declared(project / "views.py", need_views=True)
        publisher.register_services(declared.services)
        for version in range(1, 4):
            files = {"trees.json": b"%d" % version, "report.json": json.dumps(_report(version)).encode()}
            publisher.register_model("late", files, json.dumps(_lineage(version)))
        publisher.register_model("odd", {"model.bin": b"x"}, json.dumps({"views": 3, "kind": HOSTILE}))
    promote(project, "late", Weights.single("late", 1), lambda: FIRST + 8 * DAY)
    promote(project, "late", Weights.of("late", {1: 9, 2: 1}), lambda: FIRST + 9 * DAY)


def _lineage(seed: int) -> dict[str, object]:
    return {
        "kind": "mlp",
        "task": "binary",
        "seed": seed,
        "torch": "2.9.1",
        "features": ["area_delay@v1:late_24h", "dest_delay@v1:late_7d"],
        "columns": ["hour"],
        "views": [{"name": "area_delay", "version": 1}, {"name": "dest_delay", "version": 1}],
        "labels": {"file": "labels.parquet", "sha256": "ab" * 32, "rows": 12_000},
    }


def _report(version: int) -> dict[str, object]:
    auc = 0.69 + 0.01 * version
    return {
        "metrics": {
            "model": {
                "auc": {"value": auc, "low": auc - 0.01, "high": auc + 0.01},
                "logloss": {"value": 0.5, "low": None, "high": None},
            },
            "constant": {"auc": {"value": 0.5, "low": 0.5, "high": 0.5}},
        }
    }
