"""Two sites of 100 and 300 enrolled clients: what a release, a read and a check say if one of them is away, or has no event."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.define.release import CountedSites, Release
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.transcripts import NOW, VIEW, run

Covey = Callable[..., tuple[int, str, str]]
DAILY = replace(VIEW, windows=("2d",), min_coverage=0.0)


def published(folder: Path, clients: dict[str, list[int]], **view: float) -> list[Release]:
    """The releases of two days, in a store in this folder."""
    made = run(folder / "roles", clients, "none", view=replace(DAILY, **view))
    assert all(isinstance(item, Release) for item in made.released)
    with Publisher(folder, lambda: NOW) as publisher:
        publisher.register(made.plan.views[0].view)
        publisher.publish(made.released, made.evidence)
    return made.released


@pytest.mark.parametrize(
    ("clients", "sites"),
    [
        ({"a": [8, 8]}, CountedSites(counted=1, enrolled=2, missing=("b",), clients=100, enrolled_clients=400)),
        ({"b": [8, 8]}, CountedSites(counted=1, enrolled=2, missing=("a",), clients=300, enrolled_clients=400)),
        (
            {"a": [8, 8], "b": [0, 0]},  # b has no event, and says so
            CountedSites(counted=2, enrolled=2, missing=(), clients=400, enrolled_clients=400),
        ),
    ],
)
def test_a_release_says_which_sites_are_counted_and_which_share_of_clients(
    tmp_path: Path, clients: dict[str, list[int]], sites: CountedSites
) -> None:
    for item in run(tmp_path, clients, "none").released:
        assert item.manifest.sites == sites
        assert item.manifest.outside_claim == ("activity", "counted_sites")


@pytest.mark.parametrize(("least", "status"), [(0.0, "OK"), (0.75, "OK"), (0.8, "LOW_COVERAGE")])
def test_an_absent_site_lowers_coverage_and_may_make_values_null(tmp_path: Path, least: float, status: str) -> None:
    published(tmp_path, {"b": [8, 8]}, min_site_coverage=least)
    with Store.open(tmp_path) as store:
        rows = [row for row in store.history("v").to_pylist() if row["k"] == "y"]
    assert [row["n__status"] for row in rows] == [status] * 2
    assert [row["coverage_2d"] for row in rows] == ([0.375, 0.75] if status == "OK" else [0.0, 0.0])
    assert (rows[0]["n"] is None) == (status != "OK")


def test_release_show_names_each_site_and_verify_checks_them(covey: Covey, tmp_path: Path) -> None:
    item = published(tmp_path, {"a": [8, 8]})[0]
    words = (item.release_id.hex(), "--store", tmp_path)
    code, out, err = covey("release", "show", *words, "--json")
    assert code == 0, err
    shown = json.loads(out)
    assert shown["sites"] == {
        "counted": 1,
        "enrolled": 2,
        "client_share": 0.25,
        "sites": {"a": "counted", "b": "not counted"},
    }
    assert shown["verified"]
    code, out, _ = covey("release", "show", *words)
    text = " ".join(out.split())
    for line in ("1 of 2 counted, with 25 % of enrolled clients (100 of 400)", "a: counted", "b: not counted"):
        assert line in text
    assert covey("release", "verify", *words)[0] == 0


def test_a_release_that_hides_an_absent_site_does_not_verify(covey: Covey, tmp_path: Path) -> None:
    made = run(tmp_path / "roles", {"a": [8, 8]}, "none", view=DAILY)
    honest = made.released[0]
    assert honest.manifest.sites is not None
    whole = replace(honest.manifest.sites, counted=2, missing=(), clients=400)
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(DAILY)
        publisher.publish([replace(honest, manifest=replace(honest.manifest, sites=whole))], made.evidence)
    code, _, err = covey("release", "verify", honest.release_id.hex(), "--store", tmp_path)
    assert (code, "sites: sites is" in err) == (1, True), err
