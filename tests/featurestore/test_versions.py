"""Versions of a view: what a changed definition does to numbers, schedule, history and reads."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.define.changes import Annotated, NewCollection, Recomputed, Unchanged
from featurestore.define.definitions import FeatureView
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.privacy import Privacy
from featurestore.define.records import FIRST_MOMENT
from featurestore.define.release import Release, Void
from featurestore.define.services import FeatureService
from featurestore.errors import (
    FeatureInService,
    HandOverRefused,
    OverlapRefused,
    ReleaseRefused,
    UnknownVersion,
    VersionInUse,
    ViewChanged,
    ViewGivenTwice,
)
from featurestore.publish.publish import Publisher
from featurestore.publish.verify import check_store
from featurestore.registry.registry import Registry
from featurestore.registry.tables import FORMAT
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view

NOW = 10 * DAY + 5 * HOUR
MIDNIGHT = 11 * DAY
V1 = a_view()
WIDER = a_view(windows=["3h", "6h"])
"""Recomputed from V1."""
PRICED = a_view(privacy=Privacy(rho=0.7, min_clients=2))
DEARER = a_view(privacy=Privacy(rho=0.9, min_clients=2))
"""New collections that carry all of V1's features."""
PRICED_WIDER = a_view(privacy=Privacy(rho=0.7, min_clients=2), windows=["3h", "6h"])
"""Recomputed from PRICED."""
WITH_MEAN = a_view(features=[Count("flights"), Rate("late", where="delay >= 15"), Mean("delay", clip=(0, 60))])
"""A new collection with a feature that V1's panes do not have."""


def opened(view: FeatureView, version: int, start: int, value: int = 10, **given: Any) -> Release:
    return a_release(view, start, value, view_version=version, **given)


def publisher_of(directory: Path, now: int = NOW) -> Publisher:
    return Publisher(directory, lambda: now)


def with_panes(directory: Path, days: int = 2) -> None:
    """V1, with whole days before the present one."""
    first = 10 * DAY - days * DAY
    with publisher_of(directory) as publisher:
        publisher.register(V1)
        publisher.publish([opened(V1, 1, first + i * HOUR, i + 1) for i in range(24 * days)])


def registry_of(directory: Path) -> Registry:
    return Registry(directory / "store" / "registry.db", read_only=True)


def flights(store: Store, ref: str) -> int | None:
    found: int | None = store.get([ref], {"dest": ["ATL"]}).column(ref.partition(":")[2])[0].as_py()
    return found


def at(moment_us: int) -> datetime:
    return datetime.fromtimestamp(moment_us / 10**6, UTC)


def require_whole(directory: Path) -> None:
    assert check_store(directory).damaged == ()


def test_the_first_version_of_a_name_is_collected_from_the_first_moment_on_and_served_at_once(tmp_path: Path) -> None:
    with publisher_of(tmp_path) as publisher:
        (applied,) = publisher.apply([V1])
    assert (applied.change, applied.from_us, applied.registered.version) == (None, FIRST_MOMENT, 1)
    registry = registry_of(tmp_path)
    (due,) = registry.to_collect()
    assert (due.view, due.version, due.from_us, due.until_us) == (V1, 1, FIRST_MOMENT, None)
    assert registry.view("delays").view == V1


def test_the_same_definition_applied_again_changes_nothing(tmp_path: Path) -> None:
    with_panes(tmp_path)
    before = registry_of(tmp_path).lineages()
    with publisher_of(tmp_path) as publisher:
        (applied,) = publisher.apply([V1])
    assert applied.change == Unchanged()
    assert registry_of(tmp_path).lineages() == before


def test_an_annotation_keeps_the_number_and_both_definitions_and_is_served_at_once(tmp_path: Path) -> None:
    with_panes(tmp_path)
    texted = a_view(ttl="2h", description="late flights")
    with publisher_of(tmp_path) as publisher:
        (applied,) = publisher.apply([texted])
        assert isinstance(applied.change, Annotated)
        with Store.open(tmp_path, clock=lambda: NOW) as store:
            assert store.blocks.snapshot.find("delays").header.ttl_us == 2 * HOUR
        publisher.publish([opened(V1, 1, 10 * DAY, 7)])  # of a plan that was made before
        publisher.publish([opened(texted, 1, 10 * DAY + HOUR, 8)])
    registry = registry_of(tmp_path)
    (version,) = registry.versions("delays")
    assert (version.registered.version, version.registered.view, len(version.definitions)) == (1, texted, 2)
    with Store.open(tmp_path, clock=lambda: 10 * DAY + 3 * HOUR) as store:
        assert store.blocks.snapshot.find("delays").header.ttl_us == 2 * HOUR
        assert store.release(opened(V1, 1, 10 * DAY).release_id).slots[0, 0] == 7
        assert flights(store, "delays:flights") == 8
    require_whole(tmp_path)


def test_a_window_is_recomputed_and_served_at_once_while_the_older_version_goes_on(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        (applied,) = publisher.apply([WIDER])
        assert isinstance(applied.change, Recomputed)
        with Store.open(tmp_path, clock=lambda: NOW) as store:
            assert flights(store, "delays:flights_6h") == sum(range(43, 49))
            assert flights(store, "delays@v1:flights_3h") == sum(range(46, 49))
            assert store.history("delays").num_rows == store.history("delays@v1").num_rows == 96
        publisher.publish([opened(WIDER, 2, 10 * DAY, 100)])
        with Store.open(tmp_path, clock=lambda: NOW) as store:
            assert flights(store, "delays:flights_6h") == sum(range(44, 49)) + 100
            assert flights(store, "delays@v1:flights_3h") == 47 + 48 + 100
    (due,) = registry_of(tmp_path).to_collect()
    assert (due.view, due.version) == (WIDER, 2)
    require_whole(tmp_path)


def test_a_new_collection_begins_at_the_next_midnight_and_is_served_with_its_first_release(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        (applied,) = publisher.apply([WITH_MEAN])
        assert isinstance(applied.change, NewCollection)
        assert applied.from_us == MIDNIGHT
        publisher.publish([opened(V1, 1, 10 * DAY + i * HOUR, 1) for i in range(24)])
        registry = registry_of(tmp_path)
        assert [(one.version, one.from_us, one.until_us) for one in registry.to_collect()] == [
            (1, FIRST_MOMENT, MIDNIGHT),
            (2, MIDNIGHT, None),
        ]
        assert registry.view("delays").version == 1
        publisher.publish([opened(WITH_MEAN, 2, MIDNIGHT, 50)])
        assert registry.view("delays").version == 2
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert flights(store, "delays:flights") == 50
        assert flights(store, "delays:flights_3h") == 52  # over panes of both collections
        assert flights(store, "delays@v1:flights") == 1
        history = store.history("delays")
        assert history.num_rows == 2 * (3 * 24 + 1)
        assert history["delay_mean"].null_count == 2 * 3 * 24
        assert set(history["view_version"].to_pylist()) == {2}
    require_whole(tmp_path)


def test_a_join_reads_a_feature_with_and_without_the_number_of_its_version(tmp_path: Path) -> None:
    with_panes(tmp_path)
    labels = pa.table({"dest": ["ATL"], "at": [at(NOW)]})
    refs = ["delays:flights", "delays@v1:flights"]
    names = ["delays__flights", "delays@v1__flights"]
    with Store.open(tmp_path) as store:
        joined = store.join(labels, refs, "at", full_names=True).read_all()
        assert joined.select(names).to_pylist() == [dict.fromkeys(names, 48)]


def test_with_an_overlap_each_version_uses_its_own_panes_of_the_days_of_both(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED], overlap_days=1)
        publisher.publish([opened(V1, 1, MIDNIGHT, 1), opened(PRICED, 2, MIDNIGHT, 2)])
        publisher.publish([opened(PRICED, 2, MIDNIGHT + DAY, 3)])
        with pytest.raises(VersionInUse):
            publisher.deprecate("delays", 2)
    registry = registry_of(tmp_path)
    assert [(one.version, one.until_us) for one in registry.to_collect()] == [(1, MIDNIGHT + DAY), (2, None)]
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert flights(store, "delays@v1:flights") == 1
        assert flights(store, "delays:flights") == 3
        assert store.history("delays", at(MIDNIGHT), at(MIDNIGHT + HOUR))["flights"].to_pylist() == [2, 2]
    require_whole(tmp_path)


def test_the_definition_of_an_older_version_rolls_back_to_it_without_a_new_number(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([WIDER])
        (back,) = publisher.apply([V1])
        assert (back.registered.version, back.is_back) == (1, True)
    assert [one.registered.version for one in registry_of(tmp_path).versions("delays")] == [1, 2]
    assert registry_of(tmp_path).view("delays").version == 1
    require_whole(tmp_path)


def test_a_roll_back_to_another_collection_takes_over_its_panes_in_between(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED])
        publisher.publish([opened(PRICED, 2, MIDNIGHT + i * HOUR, 5) for i in range(24)])
    with publisher_of(tmp_path, NOW + DAY) as publisher:
        (back,) = publisher.apply([V1])
        assert (back.registered.version, back.from_us) == (1, MIDNIGHT + DAY)
        with Store.open(tmp_path, clock=lambda: NOW) as store:
            assert store._registry.view("delays").version == 2
            assert flights(store, "delays@v1:flights_3h") == 15
        publisher.publish([opened(V1, 1, MIDNIGHT + DAY, 7)])
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert store._registry.view("delays").version == 1
        assert flights(store, "delays:flights_3h") == 17
    require_whole(tmp_path)


def test_a_collection_cannot_begin_before_the_days_that_another_one_opened(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        with pytest.raises(HandOverRefused, match="begin at 1970-01-11T00:00:00Z or later") as refused:
            publisher.apply([PRICED], start=9 * DAY)
        assert refused.value.earliest == 10 * DAY
        with pytest.raises(HandOverRefused, match="a UTC midnight"):
            publisher.apply([PRICED], start=20 * DAY + HOUR)
        (applied,) = publisher.apply([PRICED], start=9 * DAY, overlap_days=1)
    assert applied.from_us == 9 * DAY
    require_whole(tmp_path)


def test_all_views_are_applied_or_none(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        with pytest.raises(HandOverRefused):
            publisher.apply([a_view("other"), PRICED], start=9 * DAY)
        with pytest.raises(ViewGivenTwice):
            publisher.apply([V1, WIDER])
    assert [one.view for one in registry_of(tmp_path).views()] == [V1]
    require_whole(tmp_path)


def test_a_service_keeps_a_view_from_losing_its_feature(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.register_services([FeatureService("model", ["delays:flights_3h"])])
        with pytest.raises(FeatureInService, match="feature service 'model' names delays:flights_3h"):
            publisher.apply([a_view(windows=["6h"])])
        publisher.register_services([FeatureService("model", ["delays@v1:flights_3h"])])
        publisher.apply([a_view(windows=["6h"])])
    require_whole(tmp_path)


def test_a_view_without_published_panes_takes_another_definition_under_its_number(tmp_path: Path) -> None:
    with publisher_of(tmp_path) as publisher:
        publisher.apply([V1])
        (applied,) = publisher.apply([PRICED])
        assert (applied.registered.version, applied.from_us) == (1, None)
        publisher.publish([opened(PRICED, 1, 0, 7)])
    require_whole(tmp_path)


def test_a_pane_of_its_own_takes_the_place_of_one_that_a_version_used_before(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED])
        publisher.publish([opened(PRICED, 2, 9 * DAY + 22 * HOUR, 1000, released_at=NOW + DAY)])
        assert registry_of(tmp_path).view("delays").version == 1  # its own days have not begun
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert flights(store, "delays@v2:flights_3h") == 46 + 1000 + 48
        assert flights(store, "delays@v1:flights_3h") == 46 + 47 + 48
    require_whole(tmp_path)


def test_a_plan_never_asks_for_a_day_that_another_collection_opened_unless_both_are_scheduled(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED], overlap_days=1)
        publisher.publish([opened(V1, 1, 10 * DAY, 1), opened(V1, 1, MIDNIGHT, 1)])
        of_both, day = publisher.opened(V1), [10 * DAY + i * HOUR for i in range(24)]
        assert publisher.opened(PRICED).tolist()[-24:] == day
        assert of_both.tolist()[-2:] == [10 * DAY, MIDNIGHT]


def test_a_deprecated_version_keeps_its_rows_and_gets_no_new_ones(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([WIDER])
        with pytest.raises(VersionInUse, match="the name serves it"):
            publisher.deprecate("delays", 2)
        publisher.deprecate("delays", 1)
        publisher.publish([opened(WIDER, 2, 10 * DAY, 100)])
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert flights(store, "delays@v1:flights") == 48
        assert flights(store, "delays:flights") == 100
    require_whole(tmp_path)


def test_of_two_collections_of_a_day_a_later_version_uses_the_one_that_was_scheduled_last(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED], overlap_days=1)
        publisher.publish([opened(PRICED, 2, MIDNIGHT, 2), opened(V1, 1, MIDNIGHT, 1)])
    with publisher_of(tmp_path, NOW + 2 * DAY) as publisher:
        publisher.apply([DEARER])
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert flights(store, "delays@v3:flights") == 2
    require_whole(tmp_path)


def test_a_change_before_the_hand_over_takes_the_place_of_the_change_before_it(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED])
        publisher.apply([DEARER], overlap_days=1)
    assert [(one.version, one.from_us, one.until_us) for one in registry_of(tmp_path).to_collect()] == [
        (1, FIRST_MOMENT, MIDNIGHT + DAY),
        (3, MIDNIGHT, None),
    ]


def test_the_retraction_of_a_pane_reaches_the_deprecated_versions_that_have_it(tmp_path: Path) -> None:
    with_panes(tmp_path)
    moment = NOW + HOUR
    with publisher_of(tmp_path) as publisher:
        publisher.apply([WIDER])
        publisher.deprecate("delays", 1)
        publisher.publish([opened(WIDER, 2, 10 * DAY, 100), opened(WIDER, 2, 10 * DAY + HOUR, 200)])
    with publisher_of(tmp_path, moment) as publisher:
        for pane in (opened(V1, 1, 9 * DAY + 23 * HOUR), opened(WIDER, 2, 10 * DAY)):
            publisher.publish([retraction_of(pane, moment)])
        publisher.deprecate("delays", 1)
        with Store.open(tmp_path, clock=lambda: NOW) as store:
            assert flights(store, "delays@v1:flights") is None
            rows = store.history("delays@v1")
            assert (
                rows["pane_start"].cast("int64").to_pylist()[-1] == 9 * DAY + 23 * HOUR
            )  # none of the second version's
            assert flights(store, "delays:flights") == 200
        publisher.apply([V1])
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert flights(store, "delays:flights") == 200
    require_whole(tmp_path)


def test_a_retraction_reaches_a_deprecated_version_that_carries_the_pane(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED])
        publisher.publish([opened(PRICED, 2, MIDNIGHT, 50)])
    with publisher_of(tmp_path, NOW + DAY) as publisher:
        publisher.apply([PRICED_WIDER])
        publisher.deprecate("delays", 2)
        last = opened(V1, 1, 9 * DAY + 23 * HOUR)
        publisher.publish([retraction_of(last, NOW + DAY)])
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        found = store.history("delays@v2", at(last.pane_start), at(MIDNIGHT))
        assert found["flights"].to_pylist()[:2] == [None, None]
    require_whole(tmp_path)


def test_a_deprecated_version_keeps_the_panes_of_others_when_its_collection_gets_its_own(tmp_path: Path) -> None:
    with_panes(tmp_path)
    late = opened(V1, 1, MIDNIGHT, 7, released_at=MIDNIGHT + 2 * HOUR)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([PRICED])
        publisher.publish([opened(PRICED, 2, MIDNIGHT, 50)])
    with publisher_of(tmp_path, NOW + DAY) as publisher:
        publisher.apply([WIDER])
        publisher.deprecate("delays", 1)
        publisher.publish([late])
        require_flights(tmp_path, {"delays@v1": 50, "delays@v3": 7})
        publisher.publish([retraction_of(late, NOW + DAY)])
        require_flights(tmp_path, {"delays@v1": 50, "delays@v3": None})
    require_whole(tmp_path)


def require_flights(directory: Path, expected: dict[str, int | None]) -> None:
    """The value of the pane at MIDNIGHT, by version."""
    with Store.open(directory, clock=lambda: NOW) as store:
        for version, value in expected.items():
            found = store.history(version, at(MIDNIGHT), at(MIDNIGHT + HOUR))
            assert found["flights"].to_pylist() == [value, value], version


def retraction_of(release: Release, moment: int) -> Void:
    """The tombstone of a release."""
    return Void(release.manifest, release.pane_start, release.pane_end, moment, moment, "live", "RETRACTED")


def test_a_deprecated_version_still_stores_the_late_sums_that_others_carry(tmp_path: Path) -> None:
    with_panes(tmp_path)
    late = opened(V1, 1, 10 * DAY + 23 * HOUR, 9, released_at=MIDNIGHT + 2 * HOUR)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([WITH_MEAN])
        publisher.publish([opened(WITH_MEAN, 2, MIDNIGHT, 50)])
        publisher.deprecate("delays", 1)
        publisher.publish([late])
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert store.release(late.release_id).slots[0, 0] == 9
        assert store.history("delays", at(MIDNIGHT - HOUR), at(MIDNIGHT))["flights"].to_pylist() == [9, 9]
    require_whole(tmp_path)


def test_a_release_of_an_unknown_definition_or_under_another_number_is_refused(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([WIDER])
        for item in (opened(PRICED, 2, 10 * DAY), opened(WIDER, 1, 10 * DAY), opened(V1, 2, 10 * DAY)):
            with pytest.raises(ReleaseRefused, match="another definition or version"):
                publisher.publish([item])


def test_a_change_under_a_registered_name_names_the_changed_fields_and_the_mend(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher, pytest.raises(ViewChanged, match="windows") as refused:
        publisher.register(WIDER)
    assert len(refused.value.changes) == 1


@pytest.mark.parametrize("days", [-1, 367, 10**9])
def test_an_impossible_overlap_is_refused_by_name_and_changes_nothing(tmp_path: Path, days: int) -> None:
    with_panes(tmp_path)
    with publisher_of(tmp_path) as publisher, pytest.raises(OverlapRefused, match=f"0 to 366 days, not {days};"):
        publisher.apply([WIDER], overlap_days=days)
    with Store.open(tmp_path) as store:
        assert store.version_names("delays") == ["delays@v1"]


def test_an_unknown_version_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    with_panes(tmp_path)
    with Store.open(tmp_path) as store, pytest.raises(UnknownVersion, match="it has: delays@v1"):
        store.history("delays@v3")


def test_a_retraction_changes_the_rows_of_every_version_that_uses_the_pane(tmp_path: Path) -> None:
    with_panes(tmp_path)
    last = opened(V1, 1, 10 * DAY + 23 * HOUR, 7, released_at=MIDNIGHT)
    with publisher_of(tmp_path) as publisher:
        publisher.apply([WITH_MEAN])
        publisher.publish([replace(last, published_at=MIDNIGHT)])
        publisher.publish([opened(WITH_MEAN, 2, MIDNIGHT, 50)])
    with publisher_of(tmp_path, MIDNIGHT + 2 * HOUR) as publisher:
        moment = MIDNIGHT + 2 * HOUR
        publisher.publish([Void(last.manifest, last.pane_start, last.pane_end, moment, moment, "live", "RETRACTED")])
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        rows = store.history("delays")
        assert rows["flights__status"].to_pylist()[-4:-2] == ["VOID", "VOID"]
        assert store.history("delays@v1")["flights__status"].to_pylist()[-1] == "VOID"
    require_whole(tmp_path)


def test_a_registry_of_the_format_before_gets_versions_and_keeps_its_rows(tmp_path: Path) -> None:
    with_panes(tmp_path)
    path = tmp_path / "store" / "registry.db"
    as_format_5(path)
    FORMAT.migrate(path, private=False)
    (version,) = registry_of(tmp_path).versions("delays")
    assert (version.registered.version, version.schedule[0].from_us) == (1, FIRST_MOMENT)
    require_whole(tmp_path)


def as_format_5(path: Path) -> None:
    """Give a registry of one version the tables of format 5."""
    database = sqlite3.connect(path)
    database.executescript("""
        CREATE TABLE views (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
            definition BLOB NOT NULL, definition_hash BLOB NOT NULL);
        INSERT INTO views SELECT versions.id, name, version, data, hash FROM versions JOIN definitions ON view_id = versions.id;
        ALTER TABLE panes RENAME COLUMN collection_id TO view_id;
        DROP INDEX panes_by_publication; DROP INDEX panes_without_budget; DROP TABLE running;
        DROP TABLE promotions; DROP INDEX models_deleted; ALTER TABLE models DROP COLUMN deleted_at;
        DROP TABLE renewals; DROP TABLE expiries; DROP TABLE schedule; DROP TABLE definitions; DROP TABLE versions; DROP TABLE collections;
        PRAGMA user_version = 5;
    """)
    database.close()
