"""Panes of which a site was missing: their coverage, and what reads, windows and filters make of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import Count, Rate
from featurestore.define.release import CountedSites, Manifest, Release
from featurestore.errors import StoreCorrupt
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from featurestore.publish.verify import check_store
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, a_void, manifest_of

HALF = CountedSites(counted=1, enrolled=2, missing=("b",), clients=10, enrolled_clients=20)
THIRD = CountedSites(counted=1, enrolled=2, missing=("b",), clients=1, enrolled_clients=3)
WITH_FILTER = [
    Count("flights"),
    Rate("late", where="delay >= 15"),
    Filtered("late", half_life="2h", sd=0.1, name="trend"),
]


def publish(folder: Path, view: FeatureView, *items: Any) -> None:
    with Publisher(folder, lambda: 100 * DAY) as publisher:
        publisher.register(view)
        publisher.publish(items)


def rows(folder: Path, view: FeatureView) -> list[dict[str, Any]]:
    """The rows of one key, by pane."""
    with Store.open(folder) as store:
        return [row for row in store.history(view.name).to_pylist() if row["dest"] == "ATL"]


def of_sites(view: FeatureView, pane: int, sites: CountedSites | None) -> Release:
    return a_release(view, pane * HOUR, pane + 1, sites=sites)


def test_a_window_counts_each_pane_by_the_share_of_its_sites(store_dir: Path) -> None:
    view = a_view(min_coverage=0.5)
    publish(store_dir, view, of_sites(view, 0, None), of_sites(view, 1, HALF), of_sites(view, 2, THIRD))
    found = rows(store_dir, view)
    assert [row["coverage_3h"] for row in found] == [1 / 3, 0.5, 1_833_333 / 3_000_000]
    assert [row["flights_3h__status"] for row in found] == ["LOW_COVERAGE", "OK", "OK"]
    assert found[2]["flights_3h"] == 1 + 2 + 3  # sums are never scaled up
    assert [row["flights__status"] for row in found] == ["OK"] * 3


@pytest.mark.parametrize("at_least", [0.5, 0.500001])
def test_a_pane_below_its_minimum_is_null_and_no_window_uses_it(store_dir: Path, at_least: float) -> None:
    view, enough = a_view(min_coverage=0.5, min_site_coverage=at_least), at_least <= 0.5
    publish(store_dir, view, *(of_sites(view, pane, HALF if pane == 1 else None) for pane in range(3)))
    found = rows(store_dir, view)
    assert [row["flights__status"] for row in found] == ["OK", "OK" if enough else "LOW_COVERAGE", "OK"]
    assert [row["flights"] for row in found] == [1, 2 if enough else None, 3]
    assert found[2]["flights_3h"] == (6 if enough else 4)
    assert found[2]["coverage_3h"] == (2.5 / 3 if enough else 2 / 3)


def test_a_filter_passes_over_a_pane_below_its_minimum_as_over_a_void(tmp_path: Path) -> None:
    view = a_view(features=WITH_FILTER, min_site_coverage=0.6)

    def trend(name: str, *second: Any) -> list[tuple[Any, ...]]:
        publish(tmp_path / name, view, of_sites(view, 0, None), *second, of_sites(view, 2, None))
        return [tuple(row[f"trend_{part}"] for part in ("dev", "pred", "n")) for row in rows(tmp_path / name, view)]

    assert trend("low", of_sites(view, 1, HALF)) == trend("void", a_void(view, HOUR))
    assert trend("enough", of_sites(view, 1, None)) != trend("low again", of_sites(view, 1, HALF))


def test_online_rows_joins_and_a_rebuilt_store_have_the_same_values(store_dir: Path) -> None:
    view = a_view(min_coverage=0.0, min_site_coverage=0.4)
    late = replace(of_sites(view, 1, HALF), released_at=9 * HOUR, clock="live")  # out of order: rows are issued again
    publish(store_dir, view, of_sites(view, 0, THIRD), of_sites(view, 2, THIRD), of_sites(view, 3, HALF))
    publish(store_dir, view, late)
    refs, names = ["delays:flights", "delays:flights_3h"], ("flights", "flights_3h", "flights__status")

    def got() -> list[dict[str, Any]]:
        with Store.open(store_dir) as store:
            return store.get(refs, {"dest": ["ATL"]}).to_pylist()

    before, last = got(), rows(store_dir, view)[-1]
    assert [before[0][name] for name in names] == [last[name] for name in names]
    assert (last["flights_3h"], last["coverage_3h"]) == (2 + 4, 1 / 3)
    rebuild_online(store_dir)
    assert got() == before
    assert check_store(store_dir).damaged == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sites: sites | {"counted": 3},
        lambda sites: sites | {"clients": 21},
        lambda sites: sites | {"clients": -1},
        lambda sites: sites | {"missing": []},
        lambda sites: sites | {"missing": ["b", "b"], "counted": 0},
        lambda sites: {"counted": 1},
        lambda _: 7,
    ],
)
def test_a_manifest_whose_sites_contradict_each_other_is_refused(spoil: Any) -> None:
    manifest = manifest_of(a_view(), sites=HALF)
    assert Manifest.from_json(manifest.to_json()) == manifest
    data = json.loads(manifest.to_json())
    with pytest.raises(StoreCorrupt):
        Manifest.from_json(json.dumps(data | {"sites": spoil(data["sites"])}))
