"""`covey lab run attack=…` of a lie: it is in the aggregate without proofs and not with them. All ten run through real processes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.store import Store
from federation.terms import Noise, Shares, Validity
from simulations.attacks.lies.kinds import KINDS, PLAUSIBLE
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import Generated
from simulations.fleets.block import Columns
from simulations.fleets.event_file import EventFile
from simulations.levels.collect import LEVELS, STORE, Collection, Level, collect
from simulations.shards.run import FleetTerms
from simulations.shards.workers import Inline
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
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A view to which every lie but three applies, a view that has clients only, and one visit of each of eight clients."""
    (tmp_path / "views.py").write_text(LAB_VIEWS)
    visits = {
        "who": [f"p{i}" for i in range(8)],
        "at": pa.array([FIRST + timedelta(hours=i) for i in range(8)], pa.timestamp("us", "UTC")),
        "shop": ["a"] * 6 + ["b"] * 2,
        "spent": [5.0] * 6 + [20.0] * 2,
    }
    pq.write_table(pa.table(visits), tmp_path / "events.parquet")
    monkeypatch.chdir(tmp_path)
    fleet = ["fleet=file", "fleet.path=events.parquet", "fleet.client_column=who", "fleet.time_column=at"]
    return ["view=views.py", *fleet, "noise=off"]


def told(covey: Covey, kind: str, *words: Any) -> dict[str, Any]:
    """The run's report on a lie."""
    code, out, err = covey("lab", "run", f"attack={kind}", *words, "--json")
    assert code == 0, err
    return json.loads(out)["lie"]


@pytest.mark.usefixtures("without_pictures")
def test_the_numbers_are_those_of_the_honest_the_lying_and_the_proven_sum(covey: Covey, arguments: list[str]) -> None:
    report = told(covey, "too-many-events", *arguments)
    assert {name: report[name] for name in ("kind", "liars", "noise", "level")} == {
        "kind": "too-many-events",
        "liars": 1,
        "noise": "off",
        "level": "memory",
    }
    assert list(report["skipped"]) == ["people"]
    assert "a feature beside ClientCount" in report["skipped"]["people"]
    (view,) = report["views"]
    assert (view["view"], view["opened"], view["void_with_proofs"], view["rejected"]) == ("visits", 1, 0, 1)
    assert view["values"] == 2 * (1 + 3)  # keys times a count and three cells
    # six visits at "a", one of them the liar's, which claims three visits with the largest spending
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
    values = {name: spent[name] for name in ("feature", "honest", "without_proofs", "with_proofs")}
    assert values == {"feature": "spent_hist[2]", "honest": 0.0, "without_proofs": 3.0, "with_proofs": 0.0}


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("kind", [kind for kind in TEN if kind not in ("count-without-histogram", "copied-proof")])
def test_every_kind_is_rejected_and_leaves_the_sum_of_the_others(covey: Covey, arguments: list[str], kind: str) -> None:
    (view, *_) = told(covey, kind, *arguments, "attack.liars=2")["views"]
    assert (view["rejected"], view["void_with_proofs"]) == (2, 0)
    visits = next(one for one in view["worst"] if one["feature"] == "visits")
    without_liars = {"a": (6.0, 4.0), "b": (2.0, 2.0)}
    assert (visits["honest"], visits["with_proofs"]) == without_liars[visits["key"][0]]
    assert visits["without_proofs"] not in (visits["honest"], visits["with_proofs"])


@pytest.mark.usefixtures("without_pictures")
def test_a_plausible_lie_counts_with_proofs_as_without(covey: Covey, arguments: list[str]) -> None:
    views = told(covey, "plausible", *arguments)["views"]
    assert [view["rejected"] for view in views] == [0, 0]
    for moved in views[0]["worst"]:
        assert moved["with_proofs"] == moved["without_proofs"] != moved["honest"]
    assert views[1]["worst"] == []  # the liar is at "a" in any case


@pytest.mark.usefixtures("without_pictures")
def test_the_table_has_the_sums_side_by_side(covey: Covey, arguments: list[str]) -> None:
    code, out, err = covey("lab", "run", "attack=negative", *arguments)
    assert code == 0
    assert "visits: in each pane one client adds minus one million" in out
    row = next(line.split() for line in out.splitlines() if line.startswith("visits  "))
    off = (1_000_001) / math.sqrt(8)
    assert row == ["visits", "a", "2020-05-01", "6", "-999,995", f"{off:.1e}", "5", f"{1 / math.sqrt(8):.2f}"]
    assert "visits: 1 report(s) rejected with proofs, in 1 pane(s), because the proof fails" in err
    assert "visits: of 8 values 3 are off without proofs, 2 with; " in err
    assert "values that are off with proofs lack the liars' own events" in err


def test_with_noise_on_nothing_is_called_exact(covey: Covey, arguments: list[str]) -> None:
    (view, _) = told(covey, "huge", *arguments, "noise=on")["views"]
    assert view["rejected"] == 1
    assert (view["moved_without_proofs"], view["moved_with_proofs"]) == (None, None)
    code, _, err = covey("lab", "run", "attack=huge", *arguments, "noise=on")
    assert code == 0
    assert "each run draws new noise" in err
    assert "their own events" not in err


def test_more_liars_than_clients_leave_nothing_to_open(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    (view, people) = told(covey, "huge", *arguments, "attack.liars=9", "--out", "json")["views"]
    for one in (view, people):
        assert (one["opened"], one["void_with_proofs"], one["rejected"]) == (1, 1, 8)
        assert {moved["with_proofs"] for moved in one["worst"]} == {None}
    assert "<svg" in (tmp_path / "json" / "report.html").read_text()
    code, out, err = covey("lab", "run", "attack=huge", *arguments, "attack.liars=9")
    assert code == 0
    assert "9 clients lie; each adds 2^63" in out
    assert next(line.split()[-3:] for line in out.splitlines() if line.startswith("visits  ")) == [
        "no",
        "value",
        "gone",
    ]
    assert "visits: 1 pane(s) void with proofs: too few honest clients are left" in err


def test_the_report_draws_the_value_that_moved_furthest(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    pictures = []
    for kind in ("wrap-around", "negative"):
        report = told(covey, kind, *arguments, "--out", kind)
        page = (tmp_path / kind / "report.html").read_text()
        assert f"Lie: {kind}" in page
        furthest = report["views"][0]["furthest"]
        assert f"visits:{furthest['feature']} of a, the value that moved furthest" in page
        pictures.append(re.findall(r"<svg.*?</svg>", page, flags=re.S))
        assert len(pictures[-1]) >= 2  # without proofs and with them
    assert pictures[0] != pictures[1]


def test_three_stores_are_kept(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    told(covey, "huge", *arguments, "--out", "it")
    folders = {"honest", "without-proofs", "with-proofs"}
    assert {one.name for one in (tmp_path / "it").iterdir()} == {"run.json", "report.html", *folders}
    for folder in folders:
        with Store.open(tmp_path / "it" / folder / "store") as store:
            assert store.history("visits").num_rows == 2


def test_a_sweep_over_lies_has_a_row_for_each(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    code, _, err = covey("lab", "run", "-m", "attack=huge,plausible", *arguments, "--out", "s")
    assert code == 0, err
    rows = pq.read_table(tmp_path / "s" / "results.parquet")
    assert rows["attack"].to_pylist() == ["huge", "plausible"]
    assert rows["lie.visits.rejected"].to_pylist() == [1, 0]
    assert "visits reports rejected with proofs" in (tmp_path / "s" / "report.html").read_text()


def test_an_unknown_kind_is_an_error_with_all_kinds_before_anything_is_read(covey: Covey) -> None:
    code, out, err = covey("lab", "run", "attack=fancy", "view=nowhere.py")
    assert (code, out) == (2, "")
    assert "attack=fancy: no such attack" in err
    assert all(kind in err for kind in KINDS)


def test_a_lie_that_no_view_allows_is_an_error_that_says_what_it_needs(covey: Covey, arguments: list[str]) -> None:
    code, out, err = covey("lab", "run", "attack=count-without-histogram", *arguments)
    assert (code, out) == (2, "")
    assert "the lie 'count-without-histogram' does not apply to view 'visits': it needs a Count of its own" in err


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("noise=some", "noise=some: it must be on or off"),
        ("attack.liars=0", "attack.liars=0: it must be at least 1"),
        ("protection=he", "attack=huge requires protection=shares, not he: liars send additive shares"),
        ("report_per=site", "attack=huge requires report_per=client, not site: each liar sends a report of its own"),
        (
            "validity=prio3",
            "attack=huge requires validity=none, not prio3: the run collects without proofs and with them",
        ),
    ],
)
def test_settings_that_leave_no_room_for_a_lie_are_refused(
    covey: Covey, arguments: list[str], setting: str, says: str
) -> None:
    code, out, err = covey("lab", "run", "attack=huge", *arguments, setting)
    assert (code, out, says in err) == (2, "", True)


def test_too_few_honest_clients_are_no_attack(covey: Covey, arguments: list[str], tmp_path: Path) -> None:
    views, events = tmp_path / "views.py", tmp_path / "events.parquet"
    views.write_text(views.read_text().replace("min_clients=5", "min_clients=9"))
    visits = pq.read_table(events)
    next_day = pa.array([FIRST + timedelta(days=1)], visits.schema.field("at").type)
    another = visits.slice(0, 1).set_column(0, "who", pa.array(["p8"])).set_column(1, "at", next_day)
    pq.write_table(pa.concat_tables([visits, another]), events)  # nine clients in all, on no day more than eight
    code, out, err = covey("lab", "run", "attack=huge", *arguments)
    assert (code, out, "no pane has enough honest clients" in err) == (3, "", True)


# ---- at every level ---------------------------------------------------------------------------------------------------


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
    """Site x: ten clients, first in the table, then six more. Site y: nine clients.

    Each client has events on both days. Some exceed the bounds, and some events have no value.
    """
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


@pytest.mark.parametrize(
    "level", [pytest.param(level, marks=[pytest.mark.long] if level == "flower" else []) for level in LEVELS]
)
def test_ten_lies_of_one_site_at_every_level_leave_what_the_oracle_says_of_the_others(
    tmp_path: Path, level: Level
) -> None:
    if level == "flower":
        pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")
    views, table = [every_feature("many", 2, 3), every_feature("one", 1, 1)], events_of_two_sites()
    pq.write_table(table, tmp_path / "events.parquet")
    source = EventFile(tmp_path / "events.parquet", tuple(views), Columns("who", "at", "site"))
    terms = FleetTerms(tuple(views), Shares(Validity.PRIO3))
    whole = Collection(terms, source, Generated(), level=level, noise=Noise.NONE, lying=LyingSite("x", TEN))
    done = collect(whole, tmp_path, Inline())
    assert len(TEN) == 10
    assert done.opened == {"many": DAYS, "one": DAYS}
    assert [done.tally.rejected[at] for at in range(2)] == [10 * DAYS] * 2
    honest = table.filter(pc.invert(pc.starts_with(table["who"], "liar")))
    run_views(views, honest, tmp_path / "honest", client="who", time="at", site="site")
    with Store.open(done.directory / STORE) as store, Store.open(tmp_path / "honest") as others:
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
