from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.errors import ReleaseRefused, StoreCorrupt, StoreInUse, UnknownView
from featurestore.online.settings import OnlineSettings
from featurestore.publish.publish import Publisher
from featurestore.publish.rows import FILES_OF_A_SIZE
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, a_void, fill

VIEW = a_view()


class Crash(Exception):
    """A power cut."""


class CrashBeforeCommit(Publisher):
    def _commit(self, *_: Any) -> None:
        raise Crash


class CrashBeforeOnline(Publisher):
    def _newest(self, *_: Any) -> None:
        raise Crash


def files(directory: Path, view: FeatureView = VIEW) -> list[str]:
    return sorted(path.name for path in (directory / "store/offline" / view.name / "v1").iterdir())


def latest(directory: Path) -> dict[str, Any]:
    with Store.open(directory) as store:
        row: dict[str, Any] = store.get(["delays:flights", "delays:flights_3h"], {"dest": ["LAX"]}).to_pylist()[0]
        return row


def publish_after_crash(directory: Path, kind: type[Publisher], items: Sequence[Any]) -> None:
    publisher = kind(directory, lambda: DAY)
    with pytest.raises(Crash):
        publisher.publish(items)
    publisher.close()


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 3)
    with Store.open(tmp_path) as store:
        before, stored = store.history("delays"), files(tmp_path)
    fill(tmp_path, VIEW, 3)
    with Store.open(tmp_path) as store:
        assert store.history("delays").equals(before)
    assert files(tmp_path) == stored


def test_a_release_twice_in_one_call_counts_once(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        report = publisher.publish([a_release(VIEW, 0), a_release(VIEW, 0)])
        assert (report.published, report.repeated) == (1, 1)
        assert publisher.opened(VIEW).tolist() == [0]


@pytest.mark.parametrize("other", [a_release(VIEW, 0, 11), a_void(VIEW, 0)], ids=["slots", "void"])
def test_a_pane_is_published_with_one_content_only(tmp_path: Path, other: Any) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        with pytest.raises(ReleaseRefused, match="other content"):
            publisher.publish([a_release(VIEW, 0, 10), other])
        publisher.publish([a_release(VIEW, 0, 10)])
        with pytest.raises(ReleaseRefused, match="other content"):
            publisher.publish([other])


GOOD = a_release(VIEW, 0)


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, pane_start=1, pane_end=1 + HOUR),
        replace(GOOD, pane_end=2 * HOUR),
        replace(GOOD, released_at=HOUR - 1),
        replace(GOOD, slots=GOOD.slots[:1]),
        replace(GOOD, slots=GOOD.slots.astype(np.int32)),
        replace(GOOD, clock="wall"),  # type: ignore[arg-type]
        replace(GOOD, pane_start=2**61 // HOUR * HOUR, pane_end=2**61 // HOUR * HOUR + HOUR),
        a_release(VIEW, 0, definition_hash="00" * 32),
        a_release(VIEW, 0, view_version=2),
        a_release(VIEW, 0, noisers=2),
        a_release(VIEW, 0, noise="discrete-gaussian", noisers=0),
        a_release(VIEW, 0, noise_split="shared"),
    ],
    ids=[
        "unaligned",
        "long",
        "early",
        "keys",
        "dtype",
        "clock",
        "date",
        "definition",
        "version",
        "none, 2",
        "noise, 0",
        "split",
    ],
)
def test_a_release_that_does_not_fit_is_refused_and_nothing_of_the_call_is_published(tmp_path: Path, bad: Any) -> None:
    other = a_view("another")
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(other)
        publisher.register(VIEW)
        with pytest.raises(ReleaseRefused):
            publisher.publish([a_release(other, 0), bad])
        assert publisher.opened(other).tolist() == []
    assert [path for path in (tmp_path / "store" / "offline").rglob("*") if path.is_file()] == []


def test_a_view_is_registered_before_its_releases_come(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher, pytest.raises(UnknownView):
        publisher.publish([GOOD])


def test_a_store_has_one_writer(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0), pytest.raises(StoreInUse):
        Publisher(tmp_path, lambda: 0)
    Publisher(tmp_path, lambda: 0).close()


def test_a_crash_before_the_commit_publishes_nothing_and_its_files_are_removed(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    before, stored = latest(tmp_path), files(tmp_path)
    publish_after_crash(tmp_path, CrashBeforeCommit, [a_release(VIEW, 2 * HOUR)])
    assert len(files(tmp_path)) == len(stored) + 1
    assert latest(tmp_path) == before
    with Publisher(tmp_path, lambda: 0) as publisher:
        assert files(tmp_path) == stored
        assert publisher.opened(VIEW).tolist() == [0, HOUR]
        publisher.publish([a_release(VIEW, 2 * HOUR, 7)])
    assert latest(tmp_path)["flights"] == 7


def test_a_crash_between_offline_and_online_is_healed_at_the_next_start(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    publish_after_crash(tmp_path, CrashBeforeOnline, [a_release(VIEW, 2 * HOUR, 7)])
    assert latest(tmp_path)["flights"] == 2
    Publisher(tmp_path, lambda: 0).close()
    assert latest(tmp_path)["flights"] == 7
    assert latest(tmp_path)["flights_3h"] == 1 + 2 + 7


def test_an_online_store_that_was_lost_is_rebuilt(tmp_path: Path) -> None:
    settings = OnlineSettings(block_mib=0)
    with Publisher(tmp_path, lambda: 0, settings) as publisher:
        publisher.register(VIEW)
        publisher.publish([a_release(VIEW, 0)])
    before = latest(tmp_path)
    for path in (tmp_path / "store" / "online").iterdir():
        path.unlink()
    with pytest.raises(StoreCorrupt, match="online"):
        latest(tmp_path)
    Publisher(tmp_path, lambda: 0, settings).close()
    assert latest(tmp_path) == before


def test_an_older_pane_refreshes_the_windows_of_the_newest_and_does_not_replace_it(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.publish([a_release(VIEW, 2 * HOUR, 3)])
        publisher.publish([a_release(VIEW, HOUR, 2, released_at=9 * HOUR), a_release(VIEW, 0, 1)])
    row = latest(tmp_path)
    assert (row["flights"], row["flights_3h"], row["flights_3h__status"]) == (3, 6, "OK")
    with Store.open(tmp_path) as store:
        assert store.history("delays").slice(4).column("released_at").cast(pa.int64()).to_pylist() == [9 * HOUR] * 2


def test_a_day_becomes_one_file_when_it_is_complete_and_lies_in_few_until_then(tmp_path: Path) -> None:
    most = 0
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        for i in range(24):
            publisher.publish([a_release(VIEW, i * HOUR, i)])
            most = max(most, len(files(tmp_path)))
    assert len(files(tmp_path)) == 1
    assert most < 2 * FILES_OF_A_SIZE  # of two sizes
    with Store.open(tmp_path) as store:
        table = store.history("delays")
    assert table.column("flights").to_pylist() == [i for i in range(24) for _ in range(2)]


def test_a_reader_that_was_open_before_sees_what_is_published_after(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        with Store.open(tmp_path) as store:
            assert store.history("delays").num_rows == 0
            for i in range(30):  # meanwhile the day is merged and its old files are deleted
                publisher.publish([a_release(VIEW, i * HOUR, i)])
                assert store.history("delays").num_rows == 2 * (i + 1)
                assert store.get(["delays:flights"], {"dest": ["ATL"]}).column("flights").to_pylist() == [i]


def test_a_file_that_is_cut_off_or_missing_is_named(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    path = tmp_path / "store/offline/delays/v1" / files(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:100])
    with Store.open(tmp_path) as store:
        with pytest.raises(StoreCorrupt, match=path.name):
            store.history("delays")
        path.unlink()
        with pytest.raises(StoreCorrupt, match=path.name):
            store.history("delays")


def test_times_before_1970_and_pane_gaps_of_years_are_published(tmp_path: Path) -> None:
    starts = [-400_000 * HOUR, -1 * HOUR, 400_000 * HOUR]
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.publish([a_release(VIEW, start) for start in starts])
        assert publisher.opened(VIEW).tolist() == starts
    with Store.open(tmp_path) as store:
        assert store.history("delays").column("coverage_3h").to_pylist() == [1 / 3] * 6
