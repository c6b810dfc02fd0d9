"""Cells that the finish mpc did not open are SUPPRESSED, and belong to no window of their key."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurestore.define.kinds import ClientCount, Count
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Privacy
from featurestore.define.release import RETRACTED, Manifest, Release, Void
from featurestore.errors import ReleaseRefused, StoreCorrupt
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void, manifest_of

VIEW = a_view(
    features=[Count("flights"), ClientCount("planes")],
    privacy=Privacy(rho=0.5, min_clients=2, suppress_below=5),
    min_coverage=0.5,
)
GONE = 50 * DAY


def pane(index: int, atl: int, lax: int, finish: str = "mpc", noise: str = "discrete-gaussian") -> Release:
    """Two keys with this many flights and planes each. With mpc, counts below five become zeros."""
    usual = a_release(VIEW, index * HOUR, noise=noise, finish=finish)
    slots = np.array([[count, count] for count in (atl, lax)], np.int64)
    if finish == "mpc":
        slots[slots[:, 1] < 5] = 0
    return dataclasses.replace(usual, slots=slots)


def publish(directory: Path, *items: Release | Void) -> None:
    with Publisher(directory, lambda: GONE) as publisher:
        publisher.register(VIEW)
        publisher.publish(items)


def rows(directory: Path, key: str) -> list[dict[str, Any]]:
    """The newest issue of each pane."""
    with Store.open(directory) as store:
        found = [row for row in store.history("delays").to_pylist() if row["dest"] == key]
    newest = {row["pane_start"]: row for row in sorted(found, key=lambda row: row["released_at"])}
    return [newest[start] for start in sorted(newest)]


def column(directory: Path, key: str, name: str) -> list[Any]:
    return [row[name] for row in rows(directory, key)]


PANES = [pane(0, 10, 20), pane(1, 11, 4), pane(2, 12, 2), pane(3, 13, 23)]


def test_a_withheld_cell_is_suppressed_and_adds_nothing_to_windows(tmp_path: Path) -> None:
    publish(tmp_path, *PANES)
    assert column(tmp_path, "LAX", "flights__status") == ["OK", "SUPPRESSED", "SUPPRESSED", "OK"]
    assert column(tmp_path, "LAX", "flights") == [20, None, None, 23]
    assert column(tmp_path, "ATL", "flights_3h") == [None, 21, 33, 36]
    assert column(tmp_path, "ATL", "coverage_3h") == [1 / 3, 2 / 3, 1, 1]
    assert column(tmp_path, "LAX", "coverage_3h") == [1 / 3, 1 / 3, 1 / 3, 1 / 3]
    assert column(tmp_path, "LAX", "flights_3h__status") == ["LOW_COVERAGE"] * 4
    publish(tmp_path, pane(4, 14, 24))
    assert column(tmp_path, "LAX", "flights_3h")[4] == 23 + 24
    (group,) = (group for group in layout_of(VIEW).groups if group.feature == "flights")
    for key, opened in (("LAX", 2), ("ATL", 3)):
        assert column(tmp_path, key, "flights_3h__se")[4] == pytest.approx((opened * group.opened_variance) ** 0.5)
    with Store.open(tmp_path) as store:  # the online row equals the history
        found = store.get(["delays:flights_3h"], {"dest": ["LAX"]}).to_pylist()[0]
    assert (found["flights_3h"], found["flights_3h__se"]) == (47, column(tmp_path, "LAX", "flights_3h__se")[4])


def test_small_cells_that_were_opened_are_in_windows_as_ever(tmp_path: Path) -> None:
    publish(tmp_path, pane(0, 10, 20), pane(1, 11, 4, "open"), pane(2, 12, 2))
    assert column(tmp_path, "LAX", "flights__status") == ["OK", "SUPPRESSED", "SUPPRESSED"]
    assert column(tmp_path, "LAX", "flights_3h") == [None, 24, 24]
    assert column(tmp_path, "LAX", "coverage_3h") == [1 / 3, 2 / 3, 2 / 3]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
def test_the_order_of_publication_does_not_matter(tmp_path: Path, order: tuple[int, ...]) -> None:
    for index in order:
        late = dataclasses.replace(PANES[index], released_at=(30 + order.index(index)) * HOUR)
        publish(tmp_path / "late", late)
    publish(tmp_path / "whole", *PANES)
    for key, name in itertools.product(("ATL", "LAX"), ("flights", "flights_3h", "flights_3h__se", "coverage_3h")):
        assert column(tmp_path / "late", key, name) == column(tmp_path / "whole", key, name)


def test_after_a_retraction_too(tmp_path: Path) -> None:
    publish(tmp_path, *PANES)
    last = PANES[3]
    gone = Void(last.manifest, 3 * HOUR, 4 * HOUR, GONE, GONE, "live", RETRACTED)
    publish(tmp_path, gone)
    assert column(tmp_path, "LAX", "coverage_3h") == [1 / 3, 1 / 3, 1 / 3, 0]
    assert column(tmp_path, "ATL", "coverage_3h") == [1 / 3, 2 / 3, 1, 2 / 3]
    assert column(tmp_path, "ATL", "flights_3h")[3] == 23


def test_a_view_that_suppresses_nothing_has_no_such_release(tmp_path: Path) -> None:
    view = a_view()
    with Publisher(tmp_path, lambda: GONE) as publisher:
        publisher.register(view)
        with pytest.raises(ReleaseRefused, match="requires a view with suppress_below"):
            publisher.publish([a_release(view, 0, noise="discrete-gaussian", finish="mpc")])
        publisher.publish([a_void(view, 0)])


def test_the_finish_is_in_a_manifest_that_has_one_and_in_no_other() -> None:
    usual, of_mpc = manifest_of(VIEW), manifest_of(VIEW, finish="mpc")
    assert "finish" not in usual.to_dict()
    assert of_mpc.to_dict()["finish"] == "mpc"
    for manifest in (usual, of_mpc):
        assert Manifest.from_json(manifest.to_json()) == manifest
    with pytest.raises(StoreCorrupt):
        Manifest.from_json(of_mpc.to_json().replace('"finish"', '"finnish"'))
