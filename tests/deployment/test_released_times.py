"""No label reads a value before the value could be read: live collections over real processes, with a clock that is moved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from base.times import to_us
from deployment.local.processes import Processes
from featurestore.errors import NotFoundError
from featurestore.store import Store
from tests.deployment.moved_clock import MovedClock
from tests.deployment.two_sites import SITES, Deployment, change
from tests.planted import CLIENT

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
Value = tuple[object, ...]
"""The key and the features of a row."""

VIEWS = """
from covey import *

hourly = FeatureView(
    "hourly",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1h",
    windows=["6h"],
    features=[Mean("spent", clip=(0, 100), resolution=0.001)],
    bounds=Bounds(max_cells=4),
    privacy=Privacy(rho=0.4, min_clients=2),
    release_delay="5m",
)
daily = FeatureView(
    "daily",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1d",
    features=[Mean("spent", clip=(0, 100), resolution=0.001), ClientCount("people")],
    bounds=Bounds(max_cells=2),
    privacy=Privacy(rho=0.4, min_clients=2),
)
"""
READS = {"hourly": ("spent_mean", "spent_mean_6h"), "daily": ("spent_mean", "people")}
FIRST = date(2020, 5, 1)
COLLECTIONS = (  # when the coordinator starts, and what it collects
    ("2020-05-01T09:10:00", "2020-05-01", "2020-05-01T09:00:00"),
    ("2020-05-02T02:39:00", "2020-05-01", "2020-05-02"),
    ("2020-05-02T23:30:00", "2020-05-02", "2020-05-02T21:00:00"),
)


class Recorder:
    """Reads the store over and over. For each value it notes the latest time at which a reader did not find it."""

    def __init__(self, directory: Path, clock: MovedClock) -> None:
        self._directory, self._clock = directory, clock
        self.absent_at: dict[tuple[str, Value], int] = {}
        self.errors: list[BaseException] = []
        self._last = clock.now()

    def look(self) -> None:
        """Read the history and the newest rows of each view."""
        began = self._clock.now()
        try:
            with Store.open(self._directory) as store:
                planned = {view.name for view in store.views()} & {*READS}  # a view is registered with its first plan
                found = {(view, value) for view in planned for value in self._values(store, view)}
        except NotFoundError:  # nothing is registered yet
            found = set()
        for value in found:
            self.absent_at.setdefault(value, self._last)
        self._last = began

    def _values(self, store: Store, view: str) -> Iterator[Value]:
        refs = [f"{view}:{feature}" for feature in READS[view]]
        offline = store.history(view).select(["shop", *READS[view]])
        online = store.get(refs, {"shop": ["a", "b"]}).select(["shop", *READS[view]])
        return chain(values_of(offline), values_of(online))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Look until the block ends, in a thread."""
        over = threading.Event()

        def run() -> None:
            try:
                while not over.wait(0.02):
                    self.look()
            except BaseException as error:  # noqa: BLE001 - the test raises it
                self.errors.append(error)

        thread = threading.Thread(target=run)
        self.look()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.look()


def values_of(table: pa.Table) -> list[Value]:
    """The rows with a value, without companions."""
    return [row for row in zip(*(table[name].to_pylist() for name in table.column_names), strict=True) if any(row[1:])]


def make_events() -> pa.Table:
    rng, count = np.random.default_rng(3), 6000
    times = [datetime(2020, 5, 1, tzinfo=UTC) + timedelta(seconds=int(s)) for s in rng.integers(0, 2 * 86_400, count)]
    return pa.table({
        "who": [f"{CLIENT}-p{client}" for client in rng.integers(0, 400, count)],
        "site": rng.choice(["x", "y"], count).tolist(),
        "at": pa.array(times, pa.timestamp("us", "UTC")),
        "shop": rng.choice(["a", "b"], count).tolist(),
        "spent": rng.uniform(0, 100, count),
    })  # fmt: skip


def labels(published: list[int]) -> pa.Table:
    """Labels each half hour, and around each release: hours, seconds, and a hundredth of a second apart."""
    start = to_us(datetime(2020, 5, 1))
    times = [start + number * 1_800_000_000 for number in range(110)]
    near = [*range(-3_000_000, 3_000_001, 20_000), -1, 1, *(hours * 3_600_000_000 for hours in range(-3, 4))]
    times += [moment + step for moment in published for step in near]
    return pa.table({
        "shop": [shop for _ in times for shop in "ab"],
        "at": pa.array([moment for moment in times for _ in "ab"], pa.timestamp("us", "UTC")),
    })  # fmt: skip


def test_no_label_reads_what_could_not_be_read_at_its_time(
    covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "p"
    project.mkdir()
    (project / "views.py").write_text(VIEWS)
    clock = MovedClock(tmp_path / "moved", monkeypatch)
    monkeypatch.setattr("base.tls.authority.BACKDATED", timedelta(days=10_000))  # TLS goes by the real clock, too
    assert covey("init", project, "--budget", "1")[0] == 0
    for file in (project / "policy.toml", project / "covey.toml"):
        change(file, "allow_noise_off = false", "allow_noise_off = true")
    change(project / "policy.toml", "min_k = 50", "min_k = 2")
    table = make_events()
    for site, name in SITES.items():
        pq.write_table(table.filter(pc.equal(table["site"], name)), project / f"events-{site}.parquet")
    recorder = Recorder(project, clock)
    newest: dict[str, list[tuple[int, list[Value]]]] = {view: [] for view in READS}
    clock.move(datetime.fromisoformat(COLLECTIONS[0][0]))
    with Processes(project / "logs") as processes:
        deployment = Deployment(covey, project, processes)
        deployment.start(*SITES)
        for moment, since, until in COLLECTIONS:
            clock.move(datetime.fromisoformat(moment))
            with recorder.recording():
                code, result, err = deployment.collect(since, until=until)
            assert (code, recorder.errors) == (0, []), (result, err)
            with Store.open(project) as store:
                planned = {view.name for view in store.views()}
                for view, features in READS.items():
                    if view in planned and store.releases(view).num_rows:
                        rows = store.get([f"{view}:{one}" for one in features], {"shop": ["a", "b"]})
                        newest[view].append((clock.now() + 5_000_000, values_of(rows.select(["shop", *features]))))
    assert len(newest["hourly"]) == len(COLLECTIONS)
    with Store.open(project) as store:
        for view, features in READS.items():
            refs = [f"{view}:{feature}" for feature in features]
            releases = store.releases(view)
            assert set(releases["clock"].to_pylist()) == {"live"}
            published = sorted(set(releases["released_at"].cast("int64").to_pylist()))
            joined = store.join(labels(published), refs, "at").read_all()
            read = zip(
                joined["at"].cast("int64").to_pylist(), joined.select(["shop", *features]).to_pylist(), strict=True
            )
            values = [(at, tuple(row.values())) for at, row in read if any(list(row.values())[1:])]
            assert len({value for _, value in values}) >= 2 * len(published) > 0
            too_early = [(at, value) for at, value in values if at <= recorder.absent_at[view, value]]
            assert too_early == [], (len(too_early), len(values))
            for moment, online in newest[view]:  # what is read now is what a label of now reads
                now = pa.table({"shop": ["a", "b"], "at": pa.array([moment] * 2, pa.timestamp("us", "UTC"))})
                assert values_of(store.join(now, refs, "at").read_all().select(["shop", *features])) == online
