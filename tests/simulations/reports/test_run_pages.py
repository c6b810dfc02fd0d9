"""The pages of runs and sweeps: their numbers are those of the stores, and no record brings markup into them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.store import Store
from federation.terms import Noise
from simulations.errors import RunUnreadable
from simulations.fleets.arrivals import Generated
from simulations.fleets.population import Population
from simulations.fleets.spec import Fleet
from simulations.levels.collect import STORE, TRUTH, Collected, Collection, collect
from simulations.reports.folder_pages import write_run_report, write_sweep_report
from simulations.reports.recorded import Record
from simulations.reports.run_page import _series
from simulations.reports.values import write_values
from simulations.shards.run import FleetTerms
from simulations.shards.workers import Inline

Covey = Callable[..., tuple[int, str, str]]
VIEW = FeatureView(
    "visits",
    entity=Entity(["shop", "floor"], domain=[("a", 0), ("a", 1), ("b,c", 0)]),
    pane="1d",
    features=[
        Count("n"),
        Mean("spent", clip=(0, 100)),
        Rate("big", where="spent >= 50"),
        Histogram("spent", edges=[0, 50, 100]),
    ],
    bounds=Bounds(max_cells=1, max_events_per_cell=2),
    privacy=Privacy(rho=1.0, min_clients=50),
    release_delay="30m",
)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as `covey lab run` leaves it: two days, released and exact, with its record."""
    folder = tmp_path_factory.mktemp("run")
    done = _collect(folder, "on")
    errors = write_values(done, [VIEW], folder / "values.parquet")
    record = {
        "config": {"view": {"rho": 1.0}, "protection": "shares"},
        "overrides": ["fleet.clients=400"],
        "git": {"revision": "0123456789abcdef", "dirty": False},
        "versions": {"python": "3.11"},
        "status": "done",
        "error": None,
        "seconds": 1.5,
        "summary": {
            "views": {"visits": {"opened": 2, "void": 0, "reports": 7, "clients": 400}},
            "tally": {"answered": done.tally.answered, "offline": done.tally.offline, "lost": 0, "late": 0},
            "steps_cpu_s": done.seconds,
            "wall_s": done.wall_s,
            "bytes_per_client": 1234.0,
            "error": errors,
        },
        "attack": None,
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def _collect(folder: Path, noise: Any) -> Collected:
    fleet = Fleet(clients=400, clients_per_site=50, days=2, events_per_day=3.0)
    return collect(
        Collection(
            FleetTerms((VIEW,)),
            Population(fleet, (VIEW,)),
            Generated(),
            noise=Noise.FULL if noise == "on" else Noise.NONE,
        ),
        folder,
        Inline(),
    )


def test_values_are_those_of_both_stores_row_by_row(run_folder: Path) -> None:
    rows = pq.read_table(run_folder / "values.parquet").to_pylist()
    with Store.open(run_folder / STORE) as store, Store.open(run_folder / TRUTH) as truth:
        both = [
            {(f"{row['shop']}, {row['floor']}", row["pane_end"]): row for row in one.history("visits").to_pylist()}
            for one in (store, truth)
        ]
    assert len(rows) == 2 * 3 * (3 + 4)  # panes, keys, features and cells of the histogram
    for row in rows:
        released, exact = (one[row["key"], row["pane_end"]] for one in both)
        name, cell = re.fullmatch(r"(\w+)(?:\[(\d)\])?", row["feature"]).groups()  # type: ignore[union-attr]
        value, true = released[name], exact[name]
        if cell is not None:
            value, true = value and value[int(cell)], true and true[int(cell)]
        assert row["value"] == value
        assert row["truth"] == true
        assert row["se"] == released[f"{name}__se"]
        ends = (released[f"{name}__{end}"] for end in ("lo", "hi"))
        assert (row["lo"], row["hi"]) == tuple(end and end[int(cell)] if cell is not None else end for end in ends)
        assert row["status"] == released[f"{name}__status"]
        assert row["error"] == (None if value is None or true is None else value - true)
    assert {row["truth"] for row in rows if row["feature"] == "n"} != {0.0}


def test_the_errors_are_summed_up_over_what_both_stores_have(run_folder: Path) -> None:
    errors = json.loads((run_folder / "run.json").read_text())["summary"]["error"]["visits"]
    rows = [row for row in pq.read_table(run_folder / "values.parquet").to_pylist() if row["feature"] == "spent_mean"]
    told = [row for row in rows if row["error"] is not None]
    error, se = (np.array([row[name] for row in told]) for name in ("error", "se"))
    one = errors["spent_mean"]
    assert (one["rows"], one["values"]) == (len(rows), len(told))
    assert one["rmse"] == pytest.approx(math.sqrt((error**2).mean()))
    assert one["rmse_over_se"] == pytest.approx(math.sqrt((error**2).mean() / (se**2).mean()))
    assert one["coverage"] == np.mean([row["lo"] <= row["truth"] <= row["hi"] for row in told])
    assert one["mean_abs_truth"] == pytest.approx(np.mean([row["truth"] for row in told]))


def test_without_noise_nothing_is_off_and_nothing_is_divided_by_zero(tmp_path: Path) -> None:
    errors = write_values(_collect(tmp_path, "off"), [VIEW], tmp_path / "values.parquet")["visits"]
    assert {one["rmse"] for one in errors.values()} == {0.0}
    assert {one["rmse_over_se"] for one in errors.values()} == {None}


def test_a_run_has_a_page_with_what_it_released_and_how_far_it_is_off(run_folder: Path) -> None:
    write_run_report(run_folder)
    text = (run_folder / "report.html").read_text()
    for told in (
        "fleet.clients=400",
        "spent_hist[2]",
        "ε of view.rho = 1.0",
        "7.77 at δ",
        "CPU time of each step",
        "0123456789ab",
    ):
        assert told in text, told


def test_an_attacks_curve_over_a_wide_range_has_a_log_axis() -> None:
    def scale(*x: float) -> str:
        stored = {"series": [{"label": "AUC", "x": list(x), "y": [0.5] * len(x)}]}
        panel = _series("on", Record(stored))
        assert panel is not None
        return panel.x_scale

    assert scale(0.01, 1.0, 100.0) == "log"
    assert scale(1.0, 3.0, 5.0) == "linear"
    assert scale(0.0, 0.001, 1.0) == "linear"  # a ROC


@pytest.mark.parametrize("record", ["", "[]", "{", '{"a": ' * 100_000, "null"])
def test_what_is_no_record_is_refused_by_name(tmp_path: Path, record: str) -> None:
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(RunUnreadable, match=r"run\.json"):
        write_run_report(tmp_path)


HOSTILE: list[Any] = [
    None,
    7,
    -1.5,
    "<img src=x>",
    [],
    [1],
    {},
    {"a": {"b": "<img src=x>"}},
    {"on": {"effect": 3, "series": [3, {"x": [1]}]}},
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_record_of_any_shape_makes_a_page_and_no_markup(tmp_path: Path, value: Any) -> None:
    names = ("config", "overrides", "git", "versions", "seconds", "status", "error", "summary", "attack")
    for name in names:
        (tmp_path / "run.json").write_text(json.dumps({name: value}))
        write_run_report(tmp_path)
        assert "<img" not in (tmp_path / "report.html").read_text()
    summary = dict.fromkeys(("views", "tally", "steps_cpu_s", "error", "wall_s", "bytes_per_client"), value)
    (tmp_path / "run.json").write_text(json.dumps({"summary": summary, "attack": {"on": value, "off": value}}))
    write_run_report(tmp_path)
    assert "<img" not in (tmp_path / "report.html").read_text()


def _sweep(folder: Path, run_folder: Path) -> None:
    record = json.loads((run_folder / "run.json").read_text())
    plan = []
    for at, clients in enumerate((400, 800, 1600), 1):
        part = folder / "runs" / f"{at:03d}"
        part.mkdir(parents=True)
        failed = at == 3
        (part / "run.json").write_text(json.dumps({"status": "failed", "error": "no <room>"} if failed else record))
        plan.append(
            {"number": at, "folder": f"runs/{at:03d}", "swept": {"fleet.clients": str(clients)}, "status": "done"}
        )
    plan.append({"number": 4, "folder": "../outside", "swept": {"fleet.clients": "9"}, "status": "planned"})
    (folder / "sweep.json").write_text(json.dumps({"name": "sizes", "runs": plan}))


def test_a_sweep_has_a_page_against_what_was_swept_and_names_what_failed(tmp_path: Path, run_folder: Path) -> None:
    sweep = tmp_path / "sweep"
    _sweep(sweep, run_folder)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "run.json").write_text(json.dumps({"status": "done", "summary": {"bytes_per_client": 424_242}}))
    write_sweep_report(sweep)
    text = (sweep / "report.html").read_text()
    assert "Measures against fleet.clients" in text
    assert "visits:n relative error" in text
    assert "2 of 4 done" in text
    assert "no &lt;room&gt;" in text
    assert "2 run(s) did not" in text
    assert "424,242" not in text  # a folder that does not belong to the sweep
