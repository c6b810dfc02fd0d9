"""Ways to lose a day, through real processes: each is named, and the day is collected afterwards, exactly and for one price."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from deployment.local.processes import Processes
from deployment.printing.collection import site_lines
from deployment.project.project import Project
from featurestore.define.views_file import load_views
from featurestore.store import Store
from federation.parties import Roster
from tests.covey.conftest import make_events
from tests.deployment.test_deployment import start_services
from tests.deployment.two_sites import SITES, Deployment, change, states
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
FIRST = date(2020, 5, 1)
ENOUGH = 8
"""Seconds in which a running site answers. A collection waits as long for a site that does not run."""


# httpcore leaves a socket that it cannot connect to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed <socket.socket .*family=1,:ResourceWarning")
def test_no_mishap_loses_a_day(covey: Covey, project: Path) -> None:
    assert covey("init", project, "--budget", "1")[0] == 0
    policy, toml = project / "policy.toml", project / "covey.toml"
    change(policy, "min_k = 50", "min_k = 2")
    change(policy, "allow_noise_off = false", "allow_noise_off = true")
    change(toml, "allow_noise_off = false", "allow_noise_off = true")
    table = make_events(count=900)
    for site, name in SITES.items():
        pq.write_table(table.filter(pc.equal(table["site"], name)), project / f"events-{site}.parquet")
    days = [FIRST + timedelta(number) for number in range(3)]
    with Processes(project / "logs") as processes:
        deployment = Deployment(covey, project, processes)

        # nobody is there
        code, result, _ = deployment.collect(days[0], seconds=3)
        assert (code, states(result)) == (6, dict.fromkeys(SITES, ("absent", "NO_ANSWER")))
        assert {view: len(panes) for view, panes in result["due"].items()} == {"visits": 1, "everywhere": 24}
        assert result["why_due"].startswith(
            "0 site(s) would take part, 0 would refuse, and min_sites is 2; the plan was not"
        )

        # every site refuses; then one has another column; then one is killed
        change(policy, "allow_activity_visible = true", "allow_activity_visible = false")
        deployment.start("1", "2")
        code, result, _ = deployment.collect(days[0])
        assert (code, states(result)) == (6, dict.fromkeys(SITES, ("refused", "ACTIVITY_VISIBLE")))
        change(policy, "allow_activity_visible = false", "allow_activity_visible = true")
        code, result, _ = deployment.collect(days[0])
        assert (code, states(result)) == (0, dict.fromkeys(SITES, ("answered", "OK")))

        config = project / "sites" / "2.toml"
        change(config, 'time = "at"', 'time = "aat"')
        code, result, _ = deployment.collect(days[1])
        assert (code, states(result)) == (6, {"1": ("answered", "OK"), "2": ("refused", "SCHEMA")})
        change(config, 'time = "aat"', 'time = "at"')
        code, result, _ = deployment.collect(days[1], until=f"{days[1]}T12:00:00")
        assert (code, list(result["views"])) == (0, ["everywhere"])
        code, result, _ = deployment.collect(days[1])
        assert (code, states(result)) == (0, dict.fromkeys(SITES, ("answered", "OK")))

        with deployment.stopped_once_planned("2"):
            code, result, _ = deployment.collect(days[2], seconds=ENOUGH)
        assert (code, states(result)) == (6, {"1": ("answered", "OK"), "2": ("absent", "NO_ANSWER")})
        assert "1 site(s) answered, and min_sites is 2" in result["why_due"]  # one was charged: the plan was freed

        # one view needs both sites, and the other does with one: it is attempted
        change(toml, "min_sites = 2", "min_sites = 1")
        change(toml, "\n[coordinator]", "\n[collection.views.everywhere]\nmin_sites = 2\n\n[coordinator]")
        code, result, err = deployment.collect(date(2019, 6, 1), seconds=ENOUGH)
        assert (code, result["too_few_sites"]) == (6, {"everywhere": "1 site(s), and its min_sites is 2"}), err
        assert {view: len(panes) for view, panes in result["due"].items()} == {"visits": 1, "everywhere": 24}
        change(toml, "[collection.views.everywhere]\nmin_sites = 2\n\n", "")
        change(toml, "min_sites = 1", "min_sites = 2")
        deployment.start("2")

        # a year without events, and days that are published in part
        code, result, _ = deployment.collect(date(2019, 5, 1))
        assert (code, result["views"]["visits"]) == (3, {"opened": 0, "void": 0, "due": 1}), states(result)
        code, out, err = covey("status", *deployment.at, "--json")
        state = json.loads(out)
        assert (code, state["views"]["visits"]["opened"], state["unfinished_until"]) == (0, 2, None), err
        assert {f"{day}T00:00:00Z" for day in (date(2019, 5, 1), days[2])} <= set(state["views"]["visits"]["due"])
        void = ("release", "void", "visits", "2019-05-01", "--reason", "no events", *deployment.at, "--json")
        assert covey(*void)[0] == 1  # nobody confirms
        code, out, err = covey(*void, "--yes")
        assert (code, [one["reason"] for one in json.loads(out)]) == (0, ["DECIDED: no events"]), err
        for panes, why in (
            (["2019-05-01"], "is published already"),
            (["2019-05-02T01:00:00"], "no pane of 1d begins at"),
            (["2119-05-02"], "has not ended"),
        ):
            code, _, err = covey("release", "void", "visits", *panes, "--reason", "x", "--yes", *deployment.at)
            assert (code, why in err) == (2, True), err

        # the SuperLink restarts during the collection, which ends in a new run
        with deployment.superlink_killed_between("1", "2"):
            code, result, err = deployment.collect(days[0], days=3)
        assert (code, result["views"]["visits"]) == (0, {"opened": 1, "void": 0, "due": 0}), err
        assert states(result) == dict.fromkeys(SITES, ("answered", "OK"))
        assert " ".join(err.split()).count("the collection goes on in a new run") == 1, err
        code, result, _ = deployment.collect(days[0], days=3)
        assert result["views"].get("visits") is None
    visits, everywhere = load_views(project / "views.py")
    first = (datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    since = datetime(2020, 1, 1, tzinfo=UTC)
    with Store.open(project) as store:
        for view in (visits, everywhere):
            published = store.releases(view.name).filter(pc.greater(pc.field("pane_start"), since))
            assert published["reason"].to_pylist() == [None] * published.num_rows
            expected = oracle(
                view,
                table,
                client_column="who",
                time_column="at",
                site_column="site",
                days=range(first, first + 3),
                min_clients=view.privacy.min_clients,
            )
            opened = pc.is_in(
                expected["pane_start"].cast("int64"), published["pane_start"].cast("int64").combine_chunks()
            )
            assert published.num_rows == len(set(expected.filter(opened)["pane_start"].to_pylist())) > 2
            collected = store.history(view.name).filter(pc.greater(pc.field("pane_start"), since))
            assert_equal_to_oracle(collected, expected.filter(opened), view.entity.keys)
        reasons = store.releases("visits").sort_by("pane_start")["reason"].to_pylist()
        assert reasons == ["DECIDED: no events", None, None, None]
    code, out, err = covey("ledger", "show", *deployment.at, "--json")
    assert code == 0, err
    for ledger in json.loads(out)["ledgers"]:
        spent = {day["day"]: day["micro_rho"] for day in ledger["days"] if day["day"].startswith("2020")}
        assert spent == {str(day): {"everywhere": 500_000, "visits": 500_000} for day in days}, ledger["ledger"]
    code, out, err = covey("release", "verify", "--all", *deployment.at, "--json")
    assert (code, {one["state"] for one in json.loads(out)["releases"]}) == (0, {"verified"}), err

    # the operator's ledger is lost; then the files of the roles, too
    ledgers, roles = project / "ledgers", project / "roles"
    for lost, why in ((ledgers, "that were closed here"), (roles, "whose releases are in the store")):
        shutil.rmtree(lost)
        for role in ("leader", "helper"):
            code, _, err = covey("start", role, *deployment.at, "--port", 0)
            assert (code, why in err, "`covey ledger rebuild`" in err) == (1, True, True), err
    assert covey("ledger", "rebuild", *deployment.at)[0] == 0
    with Processes(project / "logs") as processes:
        start_services(project, processes)


SALES = """
from covey import *

sales = FeatureView(
    "sales",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1d",
    features=[Count("sold"), ClientCount("people")],
    bounds=Bounds(max_cells=2, max_events_per_cell=2),
    privacy=Privacy(rho=0.4, min_clients=5),
)
"""


@pytest.mark.long  # test_coordination, test_announcement and test_policy always test what is said and charged in each case
def test_a_wrong_key_and_a_typo_in_a_view_lose_no_day(covey: Covey, project: Path) -> None:
    assert covey("init", project, "--budget", "1")[0] == 0
    assert covey("init", project / "other")[0] == 0
    policy, toml, views = project / "policy.toml", project / "covey.toml", project / "views.py"
    change(policy, "min_k = 50", "min_k = 2")
    for file in (policy, toml):
        change(file, "allow_noise_off = false", "allow_noise_off = true")
    views.write_text(SALES)
    table = make_events(count=900)
    for site, name in SITES.items():
        pq.write_table(table.filter(pc.equal(table["site"], name)), project / f"events-{site}.parquet")
    right = toml.read_text()
    parties, others = Project.load(project), Project.load(project / "other")
    with Processes(project / "logs") as processes:
        deployment = Deployment(covey, project, processes)
        deployment.start(*SITES)
        deployment.wait_until_registered()

        # the aggregators have another key of site 2 than the site: its reports are lost, and nothing is opened
        toml.write_text(replace(parties, roster=Roster([parties.roster["1"], others.roster["2"]])).to_toml())
        deployment.restart_services()
        code, result, _ = deployment.collect(FIRST, seconds=30)
        assert (code, states(result)) == (6, {"1": ("answered", "OK"), "2": ("lost", "OK")}), result
        assert result["sites"]["2"]["refused"] == {"SIGNATURE_INVALID": 1}
        assert "1 site(s) answered, and min_sites is 2" in result["why_due"]
        (line,) = (text for text, is_whole in site_lines(result["sites"]) if not is_whole)
        for said in (
            "lost reports: 2: 1 batch(es) refused: SIGNATURE_INVALID",
            "another key for the site",
            "site-ID.pub",
        ):
            assert said in line, line
        toml.write_text(right)
        deployment.restart_services()
        code, result, _ = deployment.collect(FIRST)
        assert (code, result["views"]["sales"]) == (0, {"opened": 1, "void": 0, "due": 0}), result

        # no event has a key of the domain; the changed view costs the day again, which sites allow by their policy only
        second, third = (FIRST + timedelta(days) for days in (1, 2))
        views.write_text(SALES.replace('"sales"', '"returns"').replace('["a", "b"]', '["A", "B"]'))
        code, result, _ = deployment.collect(second)
        assert (code, result["views"]["returns"]) == (3, {"opened": 0, "void": 0, "due": 1}), result
        views.write_text(SALES.replace('"sales"', '"returns"'))
        code, result, said = deployment.collect(second)
        assert (code, states(result)) == (6, dict.fromkeys(SITES, ("refused", "VIEW_OVERLAP"))), said
        change(policy, "overlap = false", "overlap = true")
        for day in (second, third):
            code, result, _ = deployment.collect(day)
            assert (code, result["views"]["returns"]) == (0, {"opened": 1, "void": 0, "due": 0}), result
    (view,) = load_views(views)
    first = (datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    columns = {"client_column": "who", "time_column": "at", "site_column": "site"}
    with Store.open(project) as store:
        for name, days in (("sales", [first]), ("returns", [first + 1, first + 2])):
            expected = oracle(view, table, **columns, days=days, min_clients=5)
            assert expected.num_rows == 2 * len(days)
            assert_equal_to_oracle(store.history(name), expected, view.entity.keys)
    code, out, err = covey("ledger", "show", *deployment.at, "--json")
    assert code == 0, err
    for ledger in json.loads(out)["ledgers"]:
        assert {day["day"]: day["micro_rho"] for day in ledger["days"]} == {
            str(FIRST): {"sales": 400_000}, str(second): {"returns": 800_000}, str(third): {"returns": 400_000},
        }  # fmt: skip
