"""`covey lab attack`: lies in the aggregate without proofs, out of it with them; and once all ten through real processes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from base.times import wall_clock
from deployment.local.processes_run import run_over_wire
from featurestore.define.definitions import Bounds, FeatureView, Privacy
from featurestore.define.entities import Entity
from featurestore.define.features import ClientCount, Count, Histogram, Mean, Rate
from featurestore.store import Store
from federation.ledger.state import Budget
from simulations.attacks.lies.kinds import KINDS, PLAUSIBLE
from simulations.attacks.lies.lying_site import LyingSite
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle, run_views

Covey = Callable[..., tuple[int, str, str]]
FIRST = datetime(2020, 5, 1, tzinfo=UTC)
FIRST_DAY, DAYS = 18_383, 2
TEN = tuple(kind for kind in KINDS if kind != PLAUSIBLE)
COLUMNS = {"client_column": "who", "time_column": "at", "site_column": "site"}

LAB_VIEWS = """
from covey import *

visits = FeatureView(
    "visits",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1d",
    features=[Count("visits"), Histogram("spent", edges=[10, 50])],
    bounds=Bounds(max_cells=1, max_events_per_cell=2),
    privacy=Privacy(rho=1.0, min_clients=5),
)
people = FeatureView(
    "people",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1d",
    features=[ClientCount("people")],
    bounds=Bounds(max_cells=1, max_events_per_cell=2),
    privacy=Privacy(rho=1.0, min_clients=5),
)
"""


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A view of which every lie but three can be told, one that has only clients, and one visit each of eight clients."""
    (tmp_path / "views.py").write_text(LAB_VIEWS)
    visits = {
        "who": [f"p{i}" for i in range(8)],
        "at": pa.array([FIRST + timedelta(hours=i) for i in range(8)], pa.timestamp("us", "UTC")),
        "shop": ["a"] * 6 + ["b"] * 2,
        "spent": [5.0] * 6 + [20.0] * 2,
    }
    pq.write_table(pa.table(visits), tmp_path / "events.parquet")
    events = str(tmp_path / "events.parquet")
    return [str(tmp_path / "views.py"), "--events", events, "--client-column", "who", "--time-column", "at"]


def attacked(covey: Covey, *words: Any) -> dict[str, Any]:
    code, out, err = covey("lab", "attack", *words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_the_numbers_are_those_of_the_honest_the_lying_and_the_proven_sum(covey: Covey, arguments: list[str]) -> None:
    report = attacked(covey, "too-many-events", *arguments)
    assert {name: report[name] for name in ("kind", "liars", "noise", "wire")} == {
        "kind": "too-many-events",
        "liars": 1,
        "noise": "off",
        "wire": False,
    }
    assert list(report["skipped"]) == ["people"]
    assert "a feature beside ClientCount" in report["skipped"]["people"]
    (view,) = report["views"]
    assert (view["view"], view["opened"], view["void_with_proofs"], view["rejected"]) == ("visits", 1, 0, 1)
    assert view["values"] == 2 * (1 + 3)  # keys times a count and three cells
    # six visits at "a", one of them the liar's, who says that it made three, and spent most in each of them
    assert (view["moved_without_proofs"], view["moved_with_proofs"]) == (3, 2)
    visits, spent = view["worst"]
    assert visits == {
        "feature": "visits",
        "key": ["a"],
        "pane_start": "2020-05-01T00:00:00+00:00",
        "honest": 6.0,
        "without_proofs": 8.0,
        "with_proofs": 5.0,
        "noise_se": pytest.approx(math.sqrt(2 * 2**2 / (2 * 0.5))),  # two noises of Δ²/2ρ, half of ρ
    }
    told = {name: spent[name] for name in ("feature", "honest", "without_proofs", "with_proofs")}
    assert told == {"feature": "spent_hist[2]", "honest": 0.0, "without_proofs": 3.0, "with_proofs": 0.0}


@pytest.mark.parametrize("kind", [kind for kind in TEN if kind not in ("count-without-histogram", "copied-proof")])
def test_every_kind_is_rejected_and_leaves_the_sum_of_the_others(covey: Covey, arguments: list[str], kind: str) -> None:
    (view, *_) = attacked(covey, kind, *arguments, "--liars", "2")["views"]
    assert (view["rejected"], view["void_with_proofs"]) == (2, 0)
    visits = next(one for one in view["worst"] if one["feature"] == "visits")
    without_liars = {"a": (6.0, 4.0), "b": (2.0, 2.0)}
    assert (visits["honest"], visits["with_proofs"]) == without_liars[visits["key"][0]]
    assert visits["without_proofs"] not in (visits["honest"], visits["with_proofs"])


def test_a_plausible_lie_counts_with_proofs_as_without(covey: Covey, arguments: list[str]) -> None:
    views = attacked(covey, "plausible", *arguments)["views"]
    assert [view["rejected"] for view in views] == [0, 0]
    for moved in views[0]["worst"]:
        assert moved["with_proofs"] == moved["without_proofs"] != moved["honest"]
    assert views[1]["worst"] == []  # of "a", where the liar is anyway


def test_the_table_has_the_sums_side_by_side(covey: Covey, arguments: list[str]) -> None:
    code, out, err = covey("lab", "attack", "negative", *arguments)
    assert code == 0
    assert "visits: in each pane one client adds minus one million" in out
    row = next(line.split() for line in out.splitlines() if line.startswith("visits  "))
    off = (1_000_001) / math.sqrt(8)
    assert row == ["visits", "a", "2020-05-01", "6", "-999,995", f"{off:.1e}", "5", f"{1 / math.sqrt(8):.2f}"]
    assert "visits: 1 report(s) rejected with proofs, in 1 pane(s)" in err
    assert "visits: of 8 values 3 are off without proofs, 2 with; " in err
    assert "what the liars did not report: their own events" in err


def test_with_noise_on_nothing_is_called_exact(covey: Covey, arguments: list[str]) -> None:
    (view, _) = attacked(covey, "huge", *arguments, "--noise", "on")["views"]
    assert view["rejected"] == 1
    assert (view["moved_without_proofs"], view["moved_with_proofs"]) == (None, None)
    code, _, err = covey("lab", "attack", "huge", *arguments, "--noise", "on")
    assert code == 0
    assert "drawn anew in each run" in err
    assert "their own events" not in err


def test_more_liars_than_clients_leave_nothing_to_open(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.png"
    (view, people) = attacked(covey, "huge", *arguments, "--liars", "9", "--picture", picture)["views"]
    for one in (view, people):
        assert (one["opened"], one["void_with_proofs"], one["rejected"]) == (1, 1, 8)
        assert {moved["with_proofs"] for moved in one["worst"]} == {None}
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, out, err = covey("lab", "attack", "huge", *arguments, "--liars", "9")
    assert code == 0
    assert "9 clients lie; each adds 2^63" in out
    assert next(line.split()[-3:] for line in out.splitlines() if line.startswith("visits  ")) == [
        "no",
        "value",
        "gone",
    ]
    assert "visits: 1 pane(s) void with proofs: too few honest clients were left" in err


def test_a_picture_is_written(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    for kind, picture in (("wrap-around", one), ("negative", two)):
        code, _, err = covey("lab", "attack", kind, *arguments, "--picture", picture)
        assert (code, f"drawn in {picture}" in err) == (0, True)
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert one.read_bytes() != two.read_bytes()


def test_a_picture_without_matplotlib_is_an_error_that_names_it(
    covey: Covey, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, err = covey("lab", "attack", "huge", *arguments, "--picture", "a.png")
    assert (code, out, "--picture needs matplotlib" in err) == (2, "", True)


def test_an_unknown_kind_is_an_error_with_all_kinds_before_anything_is_read(covey: Covey) -> None:
    code, out, err = covey("lab", "attack", "fancy", "nowhere.py")
    assert (code, out) == (2, "")
    assert f"there is no attack 'fancy'; there are: {', '.join(KINDS)}" in err


def test_a_lie_that_no_view_allows_is_an_error_that_says_what_it_needs(covey: Covey, arguments: list[str]) -> None:
    code, out, err = covey("lab", "attack", "count-without-histogram", *arguments)
    assert (code, out) == (2, "")
    assert "the lie 'count-without-histogram' cannot be told of view 'visits': it needs a Count of its own" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--noise", "some"], "--noise is on or off"),
        (["--picture", "a.txt"], "--picture writes a .png"),
        (["--picture", "nowhere/a.png"], "no directory"),
        (["--liars", "0"], "--liars"),
    ],
)
def test_other_options_are_refused(covey: Covey, arguments: list[str], words: list[str], says: str) -> None:
    code, out, err = covey("lab", "attack", "huge", *arguments, *words)
    assert (code, out, says in err) == (2, "", True)


def test_views_without_events_say_what_is_missing(covey: Covey, arguments: list[str]) -> None:
    code, _, err = covey("lab", "attack", "huge", arguments[0], "--time-column", "at")
    assert code == 2
    assert "missing --events, --client-column" in err


def test_too_few_honest_clients_are_no_attack(covey: Covey, arguments: list[str]) -> None:
    views = Path(arguments[0])
    views.write_text(views.read_text().replace("min_clients=5", "min_clients=9"))
    code, out, err = covey("lab", "attack", "huge", *arguments)
    assert (code, out, "there is nothing to attack" in err) == (3, "", True)


# ---- through real processes --------------------------------------------------------------------------------------------


def every_feature(name: str, cells: int, events: int) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("shop", domain=["a", "b", "c"]),
        pane="1d",
        features=[
            Count("n"),
            ClientCount("c"),
            Mean("spent", clip=(0, 100), resolution=1),
            Histogram("spent", edges=[10, 50], nulls=True),
            Rate("big", where="spent >= 50"),
        ],
        bounds=Bounds(cells, events),
        privacy=Privacy(rho=0.5, min_clients=5),
    )


def events_of_two_sites() -> pa.Table:
    """Site x: ten clients, first in the table, then six more; site y: nine. Each has events on both days, some more than
    the bounds allow, some without a value."""
    rows: list[dict[str, Any]] = []
    clients = (
        [("x", f"liar{i}") for i in range(10)] + [("x", f"x{i}") for i in range(6)] + [("y", f"y{i}") for i in range(9)]
    )
    for number, (site, who) in enumerate(clients):
        for day in range(DAYS):
            for event in range(1 + (number + day) % 4):
                at = FIRST + timedelta(days=day, minutes=37 * number + event)
                spent = None if (number + event) % 5 == 0 else float(13 * number + 29 * event - 10)
                rows.append({"site": site, "who": who, "at": at, "shop": "abc"[(number + event) % 3], "spent": spent})
    return pa.Table.from_pylist(rows)


@pytest.mark.xdist_group("fleet")  # one fleet of processes at a time
def test_ten_lies_of_one_site_through_real_processes_leave_what_the_oracle_says_of_the_others(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")
    views, table = [every_feature("many", 2, 3), every_feature("one", 1, 1)], events_of_two_sites()
    reports, answers = run_over_wire(
        views,
        table,
        tmp_path / "store",
        **COLUMNS,
        sites=1,
        noise="none",
        min_clients=None,
        participation="active",
        budget=Budget(10**7),
        days=None,
        clock=wall_clock,
        progress=lambda *_: None,
        validity="prio3",
        site_app=LyingSite("x", TEN).site_app,
    )
    assert answers == {"x": "OK", "y": "OK"}
    assert len(TEN) == 10
    assert [(report.opened, report.rejected) for report in reports] == [(DAYS, 10 * DAYS)] * 2
    honest = table.filter(pc.invert(pc.starts_with(table["who"], "liar")))
    run_views(views, honest, tmp_path / "honest", client="who", time="at", site="site")
    with Store.open(tmp_path / "store") as store, Store.open(tmp_path / "honest") as others:
        for view in views:
            expected = oracle(
                view, honest, **COLUMNS, days=range(FIRST_DAY, FIRST_DAY + DAYS), min_clients=view.privacy.min_clients
            )
            assert_equal_to_oracle(store.history(view.name), expected, view.entity.keys)
            assert slots(store, view.name) == slots(others, view.name)


def slots(store: Store, view: str) -> list[list[int]]:
    """The opened sums of every pane, in order of time."""
    releases = store.releases(view).sort_by("pane_start")
    assert releases["state"].to_pylist() == ["opened"] * DAYS
    return [store.release(bytes.fromhex(one)).slots.reshape(-1).tolist() for one in releases["release_id"].to_pylist()]
