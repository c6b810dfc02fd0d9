"""`covey diff`, `covey apply` and `covey views NAME`: what changes, from when, what it costs, and which history goes on."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from base.times import DAY_US, to_us
from covey.cli import evolution_options
from deployment.collecting import collecting, plan_folder
from deployment.project.applying import apply_views
from deployment.project.evolution import evolution_of
from deployment.project.project import as_collected_in
from featurestore.define.views_file import load_views
from featurestore.publish.publish import Publisher
from featurestore.registry.hand_over import Timing
from featurestore.store import Store

Covey = Callable[..., tuple[int, str, str]]

NOON = "2020-05-04T12:00:00+00:00"
"""The time of the tests: noon of the day after the three days with events."""
TODAY, TOMORROW = "2020-05-04T00:00:00Z", "2020-05-05T00:00:00Z"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of which three days are collected: 75 panes of two views."""
    from covey.cli import call
    from tests.covey.conftest import write_project

    home = write_project(tmp_path_factory.mktemp("evolution"))
    assert call(["init", str(home / "shop"), "--budget", "1"]) == 0
    (home / "views.py").rename(home / "shop" / "views.py")
    assert call(run_command(home)) == 0
    return home


def run_command(home: Path) -> list[str]:
    return [
        "run", str(home / "shop" / "views.py"), "--events", str(home / "events.parquet"), "--client-column", "who",
        "--time-column", "at", "--site-column", "site", "--store", str(home / "shop"), "--in-process", "--budget", "1",
    ]  # fmt: skip


@pytest.fixture
def shop(collected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, at noon of the day after its events."""
    shutil.copytree(collected, tmp_path, dirs_exist_ok=True)
    at = to_us(datetime.fromisoformat(NOON))
    monkeypatch.setattr("base.times.wall_clock", lambda: at)
    return tmp_path / "shop"


def edit(shop: Path, *pairs: tuple[str, str]) -> None:
    text = (shop / "views.py").read_text()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    (shop / "views.py").write_text(text)


@pytest.fixture
def diff(covey: Covey, shop: Path) -> Callable[..., dict[str, Any]]:
    def run(*options: object, name: str = "visits") -> dict[str, Any]:
        code, out, err = covey("diff", shop / "views.py", "--project", shop, "--json", *options)
        assert code == 0, err
        return next(one for one in json.loads(out)["views"] if one["view"] == name)

    return run


@pytest.fixture
def apply(covey: Covey, shop: Path) -> Callable[..., dict[str, Any]]:
    def run(*options: object) -> dict[str, Any]:
        code, out, err = covey("apply", shop / "views.py", "--project", shop, "--yes", "--json", *options)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    return run


@pytest.fixture
def versions(covey: Covey, shop: Path) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        code, out, err = covey("views", "visits", "--project", shop, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)["views"][0]
        return found

    return run


CLIP = ("clip=(0, 100)", "clip=(0, 120)")
WINDOW = ('windows=["2d"]', 'windows=["2d", "3d"]')


def test_nothing_changes_where_the_file_is_the_same(diff: Any, apply: Any, covey: Covey, shop: Path) -> None:
    found = diff()
    assert (found["change"], found["version"], found["changes"], found["from"]) == ("nothing", 1, [], None)
    assert apply()["applied"] == {"visits": 1, "everywhere": 1}
    _, out, err = covey("apply", shop / "views.py", "--project", shop)
    assert (out, "nothing to apply" in err) == ("visits: nothing\neverywhere: nothing\n", True)


def test_texts_change_in_place(diff: Any, apply: Any, versions: Any, shop: Path) -> None:
    edit(shop, ('"visits",\n', '"visits",\n    owner="ops", tags={"tier": "1"},\n'))
    found = diff()
    assert (found["change"], found["version"]) == ("schema only, in place", 1)
    assert [(one["field"], one["new"]) for one in found["changes"]] == [("owner", "'ops'"), ("tags.tier", "'1'")]
    apply()
    shown = versions()
    assert (shown["owner"], shown["tags"], len(shown["versions"])) == ("ops", {"tier": "1"}, 1)
    assert len(shown["versions"][0]["definitions"]) == 2


def test_a_window_is_computed_from_the_panes_and_served_at_once(
    diff: Any, apply: Any, versions: Any, shop: Path
) -> None:
    edit(shop, WINDOW)
    found = diff()
    assert (found["change"], found["before"], found["version"], found["from"]) == ("schema only", 1, 2, None)
    assert [one["field"] for one in found["changes"]] == ["windows"]
    assert len(found["budget"]) == 1
    with Store.open(shop) as store:
        before = store.history("visits").select(["shop", "visits", "visits_2d"])
        apply()
        after = store.history("visits")
    assert after.select(before.column_names).equals(before)
    assert "visits_3d" in after.column_names
    assert [one["state"] for one in versions()["versions"]] == ["older", "served"]


def test_a_clip_is_collected_from_the_next_midnight_and_names_what_begins_anew(
    diff: Any, apply: Any, versions: Any, shop: Path
) -> None:
    edit(shop, CLIP)
    found = diff()
    assert (found["change"], found["version"], found["from"], found["until"]) == (
        "new collection",
        2,
        TOMORROW,
        TOMORROW,
    )
    assert [(one["from"], one["micro_rho"], one["left_micro_rho"]) for one in found["budget"]] == [
        (TODAY, 500_000, 0),
        (TOMORROW, 500_000, 0),
    ]
    anew = {name: one["why"] for name, one in found["features"].items() if not one["keeps_history"]}
    assert anew == {"spent_mean": ["features.spent_mean.clip"]}
    apply()
    old, new = versions()["versions"]
    assert (old["state"], new["state"]) == ("served", "waits for its first release")
    assert (old["collected"], new["collected"]) == (
        [{"from": None, "until": TOMORROW}],
        [{"from": TOMORROW, "until": None}],
    )


def test_an_overlap_is_priced_on_the_days_of_both_collections(diff: Any, versions: Any, apply: Any, shop: Path) -> None:
    """By hand: the budget is 1, everywhere costs ½, and each version of visits ½."""
    edit(shop, CLIP)
    found = diff("--overlap", 2, "--from", "2020-05-06")
    assert (found["from"], found["until"]) == ("2020-05-06T00:00:00Z", "2020-05-08T00:00:00Z")
    assert [(one["from"][:10], one["micro_rho"], one["left_micro_rho"]) for one in found["budget"]] == [
        ("2020-05-04", 500_000, 0),
        ("2020-05-06", 1_000_000, -500_000),
        ("2020-05-08", 500_000, 0),
    ]
    apply("--overlap", 2, "--from", "2020-05-06")
    spans = [one["collected"][0] for one in versions()["versions"]]
    assert [(one["from"], one["until"]) for one in spans] == [
        (None, "2020-05-08T00:00:00Z"),
        ("2020-05-06T00:00:00Z", None),
    ]


def test_a_quota_limits_what_is_left(diff: Any, shop: Path) -> None:
    toml = shop / "covey.toml"
    toml.write_text(
        toml.read_text()
        .replace("budget = 1.0", "budget = 9.0")
        .replace("[privacy.quota]", "[privacy.quota]\nvisits = 0.75\n#")
    )
    edit(shop, ("privacy=Privacy(rho=0.5, min_clients=5)", "privacy=Privacy(rho=1.0, min_clients=5)"))
    assert [(one["micro_rho"], one["left_micro_rho"]) for one in diff()["budget"]] == [
        (500_000, 250_000),
        (1_000_000, -250_000),
    ]


def test_a_day_that_is_open_cannot_be_collected_anew(covey: Covey, shop: Path) -> None:
    edit(shop, CLIP)
    for command in ("diff", "apply"):
        code, _, err = covey(command, shop / "views.py", "--project", shop, "--from", "2020-05-03")
        assert (code, "2020-05-04T00:00:00Z" in err) == (4, True), err


def test_a_new_view_is_a_first_version_and_a_missing_one_is_left_alone(
    covey: Covey, diff: Any, apply: Any, shop: Path
) -> None:
    edit(shop, ('"visits",\n', '"calls",\n'))
    found = diff(name="calls")
    assert (found["change"], found["version"], found["before"]) == ("first version", 1, None)
    assert found["budget"] == [{"from": TODAY, "micro_rho": 500_000, "left_micro_rho": -500_000}]
    _, out, _ = covey("diff", shop / "views.py", "--project", shop)
    assert "0.5 too little of ρ = 1.0 a client-day (covey.toml)" in out
    assert "not in the file, and left alone: visits" in out
    assert apply()["applied"] == {"calls": 1, "everywhere": 1}


def test_a_roll_back_makes_an_older_version_current_and_no_new_one(
    covey: Covey, apply: Any, versions: Any, shop: Path
) -> None:
    edit(shop, WINDOW)
    apply()
    code, out, err = covey("views", "visits", "--roll-back", "v1", "--project", shop)
    assert (code, "visits: roll back" in out, "applied: visits@v1" in err) == (0, True, True), err
    assert [one["state"] for one in versions()["versions"]] == ["served", "older"]
    assert apply()["applied"]["visits"] == 2  # the file's definition is version 2
    assert [one["state"] for one in versions()["versions"]] == ["older", "served"]


def test_a_version_is_deprecated_unless_it_is_served(covey: Covey, apply: Any, versions: Any, shop: Path) -> None:
    edit(shop, WINDOW)
    apply()
    code, _, err = covey("views", "visits", "--deprecate", "v1", "--project", shop)
    assert (code, "deprecated: visits@v1" in err) == (0, True)
    assert [one["state"] for one in versions()["versions"]] == ["deprecated", "served"]
    for option, exits, says in (
        (("visits", "--deprecate", "v2"), 4, "the name serves it"),
        (("visits", "--deprecate", "v9"), 5, "visits@v1, visits@v2"),
        (("visits", "--roll-back", "9"), 5, "visits@v1, visits@v2"),
        (("visits", "--deprecate", "two"), 2, "'two' is no version"),
        (("--deprecate", "v1"), 2, "covey views NAME --deprecate vN"),
        (("visits", "--deprecate", "v1", "--roll-back", "v1"), 2, "one version of one view"),
    ):
        code, _, err = covey("views", *option, "--project", shop)
        assert (code, says in err) == (exits, True), err


def test_lineage_and_freshness_of_a_view(covey: Covey, versions: Any, shop: Path) -> None:
    shown = versions()
    assert (shown["newest_pane_end"], shown["age_seconds"], shown["due_at"]) == (
        TODAY,
        12 * 3_600,
        "2020-05-05T00:30:00Z",
    )
    assert (shown["micro_rho"], shown["budget_micro_rho"], shown["quota_micro_rho"]) == (500_000, 1_000_000, None)
    (version,) = shown["versions"]
    assert version["panes"] == {"opened": 3, "void": 0, "due": 0}
    assert (version["first_pane"], version["last_pane"]) == ("2020-05-01T00:00:00Z", "2020-05-03T00:00:00Z")
    with Store.open(shop) as store:
        last = store.releases("visits").to_pylist()[-1]
    manifest = json.loads(last["manifest"])
    assert (version["last_plan"], version["definitions"]) == (manifest["plan_hash"], [manifest["definition_hash"]])
    assert version["last_release"] == last["release_id"]
    _, out, _ = covey("views", "visits", "--project", shop)
    for said in (
        "visits@v1",
        "served",
        "ended 2020-05-04T00:00:00Z, 12 h ago",
        "ρ = 0.5 a client-day, of 1.0; no quota",
    ):
        assert said in out, said


def test_services_of_the_file_are_changed_with_its_views(covey: Covey, diff: Any, apply: Any, shop: Path) -> None:
    edit(shop, WINDOW)
    with (shop / "views.py").open("a") as file:
        file.write('model = FeatureService("model", ["visits:visits_3d"])\n')
    apply()
    edit(shop, WINDOW[::-1])
    assert diff()["breaks"] == ["model: visits:visits_3d"]
    code, _, err = covey("apply", shop / "views.py", "--project", shop)
    assert (code, "visits:visits_3d" in err) == (4, True), err
    edit(shop, ("visits:visits_3d", "visits:visits_2d"))
    assert apply()["applied"]["visits"] == 1
    with Store.open(shop) as store:
        assert [one.refs for one in store.services()] == [("visits:visits_2d",)]


def test_a_service_of_nothing_stops_the_change_and_one_of_a_coming_version_waits(
    covey: Covey, apply: Any, versions: Any, shop: Path
) -> None:
    edit(shop, ('Count("visits")', 'Count("visits"), Count("calls")'))
    with (shop / "views.py").open("a") as file:
        file.write('model = FeatureService("model", ["visits:nothing"])\n')
    code, _, err = covey("apply", shop / "views.py", "--project", shop)
    assert (code, "serves no feature 'nothing'" in err, len(versions()["versions"])) == (2, True, 1), (code, err)
    edit(shop, ("visits:nothing", "visits:calls"))
    assert apply()["waiting_services"] == ["model"]
    assert len(versions()["versions"]) == 2


def test_a_dry_run_and_a_no_change_nothing(
    covey: Covey, versions: Any, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(shop, CLIP)
    code, out, _ = covey("apply", shop / "views.py", "--project", shop, "--dry-run")
    assert (code, "visits: new collection" in out) == (0, True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    code, _, err = covey("apply", shop / "views.py", "--project", shop)
    assert (code, "nothing was applied" in err) == (0, True)
    assert len(versions()["versions"]) == 1


def test_the_times_are_of_the_utc_day_that_is_named() -> None:
    timing = evolution_options.timing_of(datetime(2020, 5, 6), 2)
    assert (timing.from_us, timing.overlap_days) == (18_388 * DAY_US, 2)
    assert evolution_options.timing_of(None, 0).start is None


def test_the_commands_of_the_page_work_as_written(
    covey: Covey, versions: Any, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a view with another name, in a project with another name."""
    monkeypatch.chdir(shop)
    page = (Path(__file__).resolve().parents[2] / "docs" / "changing-views.md").read_text()
    change, back, deprecate = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    edit(shop, WINDOW)
    for block, states in (
        (change, ["older", "served"]),
        (back, ["served", "older"]),
        (deprecate, ["served", "deprecated"]),
    ):
        for line in block.splitlines():
            words = [{"dest_delay": "visits", "flights": "."}.get(word, word) for word in shlex.split(line)]
            code, _, err = covey(*words[1:])
            assert (words[0], code) == ("covey", 0), (line, err)
        assert [one["state"] for one in versions()["versions"]] == states, block
    (line,) = re.findall(r"```toml\n(.*?)\n```", page, flags=re.DOTALL)
    assert line.replace("true  #", "false  #") in (shop / "policy.toml").read_text()


def test_a_view_without_a_release_takes_another_definition_in_its_place(
    covey: Covey, diff: Any, apply: Any, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(shop, ('"visits",\n', '"calls",\n'))
    apply()
    edit(shop, ('"c,d=e"', '"c,d=e", "z"'))
    found = diff(name="calls")
    assert (found["change"], found["before"], found["version"], found["from"]) == ("new collection", 1, 1, None)
    assert [one["micro_rho"] for one in found["budget"]] == [500_000]
    _, out, _ = covey("diff", shop / "views.py", "--project", shop)
    assert "calls@v1 has published nothing, and takes the definition in its place" in out
    plan_folder(shop).mkdir(parents=True)
    code, _, err = covey("apply", shop / "views.py", "--project", shop)
    assert (code, "unfinished" in err) == (2, True), err
    plan_folder(shop).rmdir()
    with collecting(shop):
        assert covey("apply", shop / "views.py", "--project", shop)[0] != 0
    assert apply()["applied"]["calls"] == 1
    assert diff(name="calls")["change"] == "nothing"


def test_applying_waits_for_a_publication(shop: Path) -> None:
    edit(shop, WINDOW)
    now = to_us(datetime.fromisoformat(NOON))
    found = evolution_of(shop, as_collected_in(shop, load_views(shop / "views.py")), Timing(now))
    with ThreadPoolExecutor(1) as threads:
        with Publisher(shop, lambda: now) as publisher:
            waits = threads.submit(apply_views, shop, found, Timing(now), lambda: now, lambda *_: None)
            publisher.publish([])
            assert not waits.done()
        assert [one.registered.name for one in waits.result().applied] == ["visits@v2", "everywhere@v1"]


def test_a_run_opens_no_day_again_that_an_older_version_has_opened(covey: Covey, apply: Any, shop: Path) -> None:
    edit(shop, ('"c,d=e"', '"c,d=e", "z"'))
    apply()
    ledger = covey("ledger", "show", "--project", shop, "--json")[1]
    code, _, err = covey(*run_command(shop.parent))
    assert (code, "visits: already published: 3 opened" in err) == (0, True), err
    assert covey("ledger", "show", "--project", shop, "--json")[1] == ledger


def test_a_day_that_is_over_is_given_to_another_version_only_while_no_plan_may_have_its_panes(
    covey: Covey, apply: Any, versions: Any, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(shop, CLIP)
    plan_folder(shop).mkdir(parents=True)
    assert apply("--from", "2020-05-04")["applied"]["visits"] == 2  # no plan has a pane of today
    edit(shop, CLIP[::-1])
    later = 18_388 * DAY_US
    monkeypatch.setattr("base.times.wall_clock", lambda: later)
    since = ("apply", shop / "views.py", "--project", shop, "--yes", "--from", "2020-05-05")
    code, _, err = covey(*since)
    assert (code, "unfinished" in err) == (2, True), err
    plan_folder(shop).rmdir()
    with collecting(shop):
        assert covey(*since)[0] != 0
    assert len(versions()["versions"][0]["collected"]) == 1
    assert covey(*since)[0] == 0
    assert len(versions()["versions"][0]["collected"]) == 2
