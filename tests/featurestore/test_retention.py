"""Rows that are older than a view's `retention` leave; their panes stay published, and everything else stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import Rate
from featurestore.define.privacy import Privacy
from featurestore.define.release import RETRACTED, Void
from featurestore.errors import ReleaseExpired, ReleaseRefused
from featurestore.publish.compact import compact
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from featurestore.publish.verify import check_store
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void

KEYS = {"dest": ["ATL", "LAX"]}
REFS = ["delays:flights", "delays:flights_3h", "delays:late_1d"]


def view(retention: str | None = "3d") -> FeatureView:
    """Hourly panes; the longest window is a day."""
    return a_view(windows=["3h", "1d"], retention=retention)


def publish(directory: Path, of: FeatureView, hours: range) -> None:
    with Publisher(directory, lambda: 100 * DAY) as publisher:
        publisher.register(of)
        for first in range(hours.start, hours.stop, 100):
            last = min(first + 100, hours.stop)
            publisher.publish([a_release(of, hour * HOUR, hour % 50 + 1) for hour in range(first, last)])


def days_of_files(directory: Path) -> list[str]:
    return sorted(path.name[:10] for path in (directory / "store" / "offline").rglob("*.parquet"))


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """Ten days of panes, of which three are kept."""
    publish(tmp_path / "short", view(), range(240))
    return tmp_path / "short"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The same panes of a view that keeps all of them."""
    publish(tmp_path / "whole", view(None), range(240))
    return tmp_path / "whole"


def test_files_leave_that_no_row_within_the_retention_needs(short: Path) -> None:
    # the newest pane ends with day 10; three days are kept, and the day before, which their windows reach
    assert days_of_files(short) == [f"1970-01-{day:02}" for day in (7, 8, 9, 10)]
    assert not check_store(short).damaged


def test_what_is_kept_is_read_as_if_nothing_had_left(short: Path, whole: Path) -> None:
    with Store.open(short, clock=lambda: 10 * DAY) as one, Store.open(whole, clock=lambda: 10 * DAY) as other:
        assert one.get(REFS, KEYS).equals(other.get(REFS, KEYS))
        kept, every = one.history("delays"), other.history("delays")
        for name in ("pane_start", "flights", "flights_3h", "late_1d", "coverage_1d", "late_1d__status"):
            assert kept[name].to_pylist() == every[name].to_pylist()[-kept.num_rows :]


def test_a_pane_that_has_left_stays_published_and_says_so(short: Path) -> None:
    with Store.open(short) as store:
        releases = store.releases("delays")
        assert releases.num_rows == 240
        first, last = (bytes.fromhex(releases["release_id"][at].as_py()) for at in (0, -1))
        with pytest.raises(ReleaseExpired, match="older than the view's `retention`"):
            store.release(first)
        assert store.release(last).pane_start == 239 * HOUR
    with Publisher(short, lambda: 100 * DAY) as publisher:
        assert len(publisher.opened(view())) == 240
        assert publisher.publish([a_release(view(), 0, 1)]).repeated == 1
        with pytest.raises(ReleaseRefused):
            publisher.publish([a_release(view(), 0, 2)])


def test_an_old_pane_that_comes_late_is_published_without_rows(short: Path) -> None:
    with Publisher(short, lambda: 100 * DAY) as publisher:
        publisher.register(view())
        publisher.publish([a_void(view(), 240 * HOUR)])
        before = days_of_files(short)
        publisher.publish([a_release(view(), -5 * DAY, 7)])
        assert days_of_files(short) == before
        assert len(publisher.opened(view())) == 242
    assert not check_store(short).damaged


def test_the_age_counts_from_the_newest_pane_and_not_from_the_clock(tmp_path: Path) -> None:
    publish(tmp_path, view(), range(48))  # published on day 100
    assert days_of_files(tmp_path) == ["1970-01-01", "1970-01-02"]


def test_a_compaction_lets_rows_leave_where_retention_is_new(whole: Path) -> None:
    with Publisher(whole, lambda: 100 * DAY) as publisher:
        publisher.apply([view()])
    assert len(set(days_of_files(whole))) == 10
    assert compact(whole).expired >= 6
    assert sorted(set(days_of_files(whole))) == [f"1970-01-{day:02}" for day in (7, 8, 9, 10)]
    assert not check_store(whole).damaged
    publish(whole, view(), range(240, 264))
    assert sorted(set(days_of_files(whole))) == [f"1970-01-{day:02}" for day in (8, 9, 10, 11)]
    assert not check_store(whole).damaged


def test_a_later_version_has_the_rows_whose_sums_are_there(short: Path) -> None:
    wider = a_view(windows=["3h", "1d", "2d"], retention="3d")
    with Publisher(short, lambda: 100 * DAY) as publisher:
        publisher.apply([wider])
    with Store.open(short) as store:
        assert store.history("delays").num_rows == 2 * 96
        assert store.get(["delays:flights_2d"], KEYS)["flights_2d__status"].to_pylist() == ["OK", "OK"]
    assert not check_store(short).damaged


def test_more_retention_brings_nothing_back(short: Path) -> None:
    with Publisher(short, lambda: 100 * DAY) as publisher:
        publisher.apply([view("9d")])
    publish(short, view("9d"), range(240, 288))
    assert sorted(set(days_of_files(short)))[0] == "1970-01-07"
    assert not check_store(short).damaged


def test_rows_of_every_version_leave_and_what_is_left_verifies(short: Path) -> None:
    """The next version is a new collection, which uses the panes of the first one before its own."""
    first, following = view(), a_view(windows=["3h", "1d"], retention="3d", privacy=Privacy(rho=0.4, min_clients=2))
    with Publisher(short, lambda: 10 * DAY) as publisher:
        publisher.apply([following], start=11 * DAY)
        registered = publisher.register(following)
        assert registered.version == 2
        publisher.publish([a_release(first, hour * HOUR, 3) for hour in range(240, 264)])
        for day in (11, 12, 13, 14):
            panes = [a_release(following, (day * 24 + hour) * HOUR, 4, view_version=2) for hour in range(24)]
            publisher.publish(panes)
    left = {path.parent.name: set[str]() for path in (short / "store" / "offline").rglob("*.parquet")}
    for path in (short / "store" / "offline").rglob("*.parquet"):
        left[path.parent.name].add(path.name[:10])
    assert min(left["v2"]) == "1970-01-12"
    assert left["v1"] == {"1970-01-11"}  # its last row is still read
    assert not check_store(short).damaged
    rebuild_online(short)
    with Store.open(short, clock=lambda: 15 * DAY) as store:
        assert store.get(["delays@v1:flights", "delays:flights_1d"], KEYS)["flights"].to_pylist() == [3, 3]
    with Publisher(short, lambda: 16 * DAY) as publisher:
        gone = a_release(first, 263 * HOUR, 3)
        void = Void(
            gone.manifest, gone.pane_start, gone.pane_end, 16 * DAY, 16 * DAY, "live", f"{RETRACTED}: wrong", b""
        )
        publisher.publish([void])
    assert not check_store(short).damaged
    with Store.open(short, clock=lambda: 15 * DAY) as store:
        assert store.get(["delays@v1:flights"], KEYS)["flights__status"].to_pylist() == ["VOID", "VOID"]


def test_repro_a_version_that_comes_back_takes_over_the_panes_whose_sums_are_there(short: Path) -> None:
    """The first version ended with day 10, and its last day stays. The sums of the second version's first days have left."""
    second = a_view(windows=["3h", "1d"], retention="3d", privacy=Privacy(rho=0.4, min_clients=2))
    with Publisher(short, lambda: 10 * DAY) as publisher:
        publisher.apply([second], start=10 * DAY)
        for day in range(10, 20):
            hours = range(24 * day, 24 * day + 24)
            publisher.publish([a_release(second, hour * HOUR, 4, view_version=2) for hour in hours])
        publisher.apply([view()], start=20 * DAY)
    assert not check_store(short).damaged
    with Store.open(short, clock=lambda: 20 * DAY) as store:
        pane_starts = store.history("delays@v1")["pane_start"].to_pylist()
        assert pane_starts == store.history("delays@v2")["pane_start"].to_pylist()
        assert len(pane_starts) == 2 * 96
    with Publisher(short, lambda: 21 * DAY) as publisher:
        publisher.publish([a_release(view(), (480 + hour) * HOUR, 5) for hour in range(24)])
    assert not check_store(short).damaged
    with Store.open(short, clock=lambda: 21 * DAY) as store:
        assert store.get(["delays:flights", "delays:flights_1d"], KEYS)["flights_1d"].to_pylist() == [120, 120]


def test_repro_a_late_pane_of_a_version_that_has_ended_keeps_no_pane_in_its_windows_too_long(tmp_path: Path) -> None:
    """The windows of the late pane reach to panes whose sums have left, so they cannot be subtracted from the stored sums."""
    first = a_view(windows=["3h", "1d"], retention="3d", min_coverage=0.0)
    second = a_view(windows=["3h", "1d"], retention="3d", privacy=Privacy(rho=0.4, min_clients=2))
    publish(tmp_path, first, range(94))
    with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
        publisher.apply([second], start=4 * DAY)
        publisher.publish([a_release(first, 94 * HOUR, 5)])
        for day in range(4, 12):
            hours = range(24 * day, 24 * day + 24)
            publisher.publish([a_release(second, hour * HOUR, 4, view_version=2) for hour in hours])
        publisher.publish([a_release(first, 95 * HOUR, 6)])
    with Store.open(tmp_path) as store:
        last = store.history("delays@v1").slice(46).to_pylist()[0]
    of_day = [hour % 50 + 1 for hour in range(72, 94)] + [5, 6]
    assert (last["flights_1d"], last["coverage_1d"]) == (sum(of_day), 1.0)
    assert not check_store(tmp_path).damaged


def test_repro_a_retraction_reaches_the_last_row_of_a_version_after_its_sums_have_left(short: Path) -> None:
    """The second version never opens a pane. Its last day is one of the first version, which goes on for another day."""
    second, third = (
        a_view(windows=["3h", "1d"], retention="3d", privacy=Privacy(rho=rho, min_clients=2)) for rho in (0.4, 0.3)
    )
    with Publisher(short, lambda: 10 * DAY) as publisher:
        publisher.apply([second], start=10 * DAY, overlap_days=1)
        publisher.apply([third], start=10 * DAY, overlap_days=1)
        publisher.publish([a_release(view(), hour * HOUR, 3) for hour in range(240, 264)])
        for day in range(10, 18):
            hours = range(24 * day, 24 * day + 24)
            publisher.publish([a_release(third, hour * HOUR, 4, view_version=3) for hour in hours])
        with Store.open(short, clock=lambda: 18 * DAY) as store:
            assert store.get(["delays@v2:flights"], KEYS)["flights__status"].to_pylist() == ["OK", "OK"]
        gone = a_release(view(), 239 * HOUR, 40)
        times = gone.pane_start, gone.pane_end, 18 * DAY, 18 * DAY
        publisher.publish([Void(gone.manifest, *times, "live", f"{RETRACTED}: wrong", b"")])
    with Store.open(short, clock=lambda: 18 * DAY) as store:
        assert store.get(["delays@v2:flights"], KEYS)["flights__status"].to_pylist() == ["VOID", "VOID"]
    assert not check_store(short).damaged


def test_nothing_leaves_while_a_version_has_a_filtered(tmp_path: Path) -> None:
    features = [Rate("late", where="delay >= 15"), Filtered("late", "6h", sd=0.1)]
    with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
        publisher.apply([a_view(features=features)])
        publisher.publish([a_release(a_view(features=features), hour * HOUR, 9) for hour in range(24)])
        publisher.apply([a_view(features=features[:1], retention="1d")])
    with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
        kept = a_view(features=features[:1], retention="1d")
        publisher.publish([a_release(kept, hour * HOUR, 9, view_version=2) for hour in range(24, 24 * 9)])
    assert compact(tmp_path).expired == 0
    assert min(days_of_files(tmp_path)) == "1970-01-01"
    assert not check_store(tmp_path).damaged
