"""Listing and finding releases where a view has several versions: each pane once, also those that no newer version carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.inspect.releases import find_id, listed
from deployment.inspect.view_versions import read_versions
from featurestore.define.entities import Entity
from featurestore.define.release import RETRACTED, Void
from featurestore.errors import UnknownVersion
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, a_release, a_view, manifest_of

OLD = a_view(pane="1d", windows=[])
CARRIES = a_view(pane="1d", windows=["2d"])
WIDER = a_view(pane="1d", windows=[], entity=Entity("dest", domain=["ATL", "LAX", "SFO"]))


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    with Publisher(tmp_path, lambda: 3 * DAY + 1) as publisher:
        publisher.register(OLD)
        publisher.publish([a_release(OLD, day * DAY) for day in range(3)])
        publisher.apply([CARRIES])
        publisher.apply([WIDER])
        publisher.publish([a_release(WIDER, 4 * DAY, view_version=3)])
    return tmp_path


def test_each_pane_of_each_version_is_listed_once(store_folder: Path) -> None:
    with Store.open(store_folder) as store:
        assert store.version_names() == store.version_names("delays") == ["delays@v1", "delays@v2", "delays@v3"]
        assert [row["pane_start"].day for row in listed(store, None)] == [1, 2, 3, 5]
        assert listed(store, "delays") == listed(store, None)
        assert [row["pane_start"].day for row in listed(store, "delays@v3")] == [5]
        assert {row["view"] for row in listed(store, "delays@v2")} == {"delays"}
        with pytest.raises(UnknownVersion):
            listed(store, "delays@v4")


def test_a_release_that_only_an_older_version_uses_is_found_by_its_id(store_folder: Path) -> None:
    old = a_release(OLD, DAY).release_id
    with Store.open(store_folder) as store:
        assert find_id(store, old.hex()[:12]) == old


def test_the_panes_of_each_version_are_counted_and_a_retracted_one_is_not_opened(store_folder: Path) -> None:
    with Publisher(store_folder, lambda: 9 * DAY) as publisher:
        publisher.publish([Void(manifest_of(OLD), 2 * DAY, 3 * DAY, 9 * DAY, 9 * DAY, "live", RETRACTED)])
    first, second, third = read_versions(store_folder, "delays").versions
    for one in (first, second):
        assert (one.opened, one.void, one.due, one.first, one.last) == (2, 1, 0, 0, 2 * DAY)
        assert one.release == a_release(OLD, DAY).release_id.hex()
    assert (third.opened, third.void, third.due, third.first, third.last) == (1, 0, 0, 4 * DAY, 4 * DAY)
    with Publisher(store_folder, lambda: 9 * DAY) as publisher:
        publisher.publish(
            [Void(manifest_of(WIDER, view_version=3), 4 * DAY, 5 * DAY, 9 * DAY, 9 * DAY, "live", RETRACTED)]
        )
    third = read_versions(store_folder, "delays").versions[-1]
    assert (third.opened, third.void, third.plan, third.release) == (0, 1, None, None)
