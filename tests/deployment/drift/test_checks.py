from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployment.drift import checks
from deployment.drift.checks import check_views, daily_terms
from deployment.drift.report import Checked, Terms, Unchecked
from deployment.drift.season import Season
from deployment.drift.stored_panes import StoredPanes
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import RETRACTED, Void
from featurestore.errors import StoreNotFound, UnknownFeature, UnknownView
from featurestore.publish.publish import Publisher
from featurestore.registry.publications import Publications
from tests.featurestore.making import DAY, a_release, a_view, fill, manifest_of

from .drifting import MONDAY, SHOPS, panes_of, publish, sums


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shops whose last day drifts, and delays with ten hours of history."""
    directory = tmp_path_factory.mktemp("store")
    publish(directory, sums(90, 3, jump=150), void=(10, 11))
    fill(directory, a_view(), 10)
    return directory


def test_a_store_has_the_panes_that_its_rows_follow_from(store: Path) -> None:
    with StoredPanes(store) as opened:
        panes = opened.newest(opened.version("shops"), None, 1_000)
        assert panes.start.tolist() == [MONDAY + i * DAY for i in range(90)]
        assert (panes.slots[12:] == sums(90, 3, jump=150)[12:]).all()
        assert (~panes.opened).nonzero()[0].tolist() == [10, 11]
        assert panes.noise_units[-1].tolist() == [2.0] * panes.noise_units.shape[1]
        assert (
            opened.newest(opened.version("shops@v1"), MONDAY + 80 * DAY, 5).start.tolist() == panes.start[-5:].tolist()
        )
        assert opened.newest(opened.version("shops"), MONDAY + 88 * DAY, 5).start.tolist() == panes.start[-2:].tolist()


def test_a_view_without_a_pane_has_none(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(SHOPS)
    with StoredPanes(tmp_path) as opened:
        assert len(opened.newest(opened.version("shops"), None, 10).start) == 0
        (report,) = check_views(opened, (), Terms())
    assert isinstance(report, Unchecked)
    assert report.why.startswith("0 of its panes")


def test_a_directory_without_a_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        StoredPanes(tmp_path)


def test_every_view_of_a_store_is_checked(store: Path) -> None:
    steps = list[tuple[str, int]]()
    with StoredPanes(store) as opened:
        reports = list(check_views(opened, (), Terms(), lambda view, _, done, __: steps.append((view, done))))
    delays, shops = reports
    assert isinstance(delays, Unchecked)
    assert isinstance(shops, Checked)
    assert [(one.feature, one.key) for one in shops.changes][:1] == [("sales", ("south",))]
    assert shops.left_out == {"void": 2}
    assert steps == [("delays", 0), ("delays", 1), ("shops", 0), ("shops", 1)]


def test_the_past_may_begin_later(store: Path) -> None:
    with StoredPanes(store) as opened:
        (report,) = check_views(opened, ["shops@v1"], Terms(since_us=MONDAY + 40 * DAY))
    assert isinstance(report, Checked)
    assert (report.view, report.past, report.since_us) == ("shops@v1", 49, MONDAY + 40 * DAY)


def test_a_check_reads_no_more_panes_than_its_bounds_say(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MOST_SUMS", 15 * 50)
    with StoredPanes(store) as opened:
        (report,) = check_views(opened, ["shops"], Terms())
        assert isinstance(report, Checked)
        assert report.past == 49
        (report,) = check_views(opened, ["shops"], Terms(last=7))
    assert isinstance(report, Unchecked)
    assert report.why.startswith("a check of 7 needs 147 panes, and reads at most 50, because a pane has 15 sums")


def test_more_panes_as_one_than_the_longest_past_is_enough_for_are_named_as_the_reason(store: Path) -> None:
    with StoredPanes(store) as opened:
        (report,) = check_views(opened, ["shops"], Terms(last=10))
    assert isinstance(report, Unchecked)
    assert report.why == "a check of 10 needs 210 panes, and reads at most 192; compare fewer panes as one"


def test_panes_that_leave_while_they_are_read_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, slots = replace(SHOPS, retention="30d"), sums(80, 3)
    publish(tmp_path, slots[:60], view=kept)
    listed, is_read = Publications.pane_starts, list[bool]()

    def and_others_publish(of: Publications, *given: Any) -> Any:
        found = listed(of, *given)
        if not is_read:
            is_read.append(True)
            publish(tmp_path, slots, view=kept)
        return found

    with StoredPanes(tmp_path) as opened:
        version = opened.version("shops")
        monkeypatch.setattr(Publications, "pane_starts", and_others_publish)
        panes = opened.newest(version, None, 100)
    assert panes.opened.all()
    assert panes.start[-1] == MONDAY + 79 * DAY


def test_unknown_views_and_features_are_named(store: Path) -> None:
    with StoredPanes(store) as opened:
        with pytest.raises(UnknownView):
            list(check_views(opened, ["shop"], Terms()))
        with pytest.raises(UnknownFeature, match="sales_7d"):  # a window shares its panes with the one before
            list(check_views(opened, ["shops"], Terms(features=("sales_7d",))))


def test_panes_of_15_minutes_have_a_weekly_season(tmp_path: Path) -> None:
    quarters = replace(SHOPS, pane="15m")
    count = checks.MOST_PANES + 10
    with Publisher(tmp_path, lambda: 10_000 * DAY) as publisher:
        publisher.register(quarters)
        publisher.publish([
            a_release(quarters, MONDAY + i * quarters.pane_us, 100 + i % 7, noise="full") for i in range(count)
        ])  # fmt: skip
    with StoredPanes(tmp_path) as opened:
        (report,) = check_views(opened, (), Terms())
    assert isinstance(report, Checked)
    assert (report.past, report.season) == (checks.MOST_PANES, Season.HOUR_OF_WEEK)


def test_a_retracted_pane_is_no_part_of_the_past(tmp_path: Path) -> None:
    publish(tmp_path, sums(40, 1))
    start, at = MONDAY + 4 * DAY, 9_999 * DAY
    with Publisher(tmp_path, lambda: 10_000 * DAY) as publisher:
        gone = Void(manifest_of(SHOPS, "full"), start, start + DAY, at, at, "live", f"{RETRACTED}: a broken scale")
        publisher.publish([gone])
    with StoredPanes(tmp_path) as opened:
        (report,) = check_views(opened, (), Terms())
    assert isinstance(report, Checked)
    assert report.left_out == {"retracted": 1}


def test_the_checks_of_the_hours_of_a_day_share_its_level() -> None:
    assert daily_terms(SHOPS, 0.01).level == 0.01
    assert daily_terms(a_view(), 0.01).level == pytest.approx(0.01 / 24)


def test_a_count_of_two_keys_has_three_series(tmp_path: Path) -> None:
    first = FeatureView(
        "visits",
        entity=Entity("shop", domain=["a", "b"]),
        features=[Count("visits")],
        pane="1d",
        bounds=Bounds(max_cells=1),
        privacy=Privacy(rho=0.1, min_clients=2),
    )
    with Publisher(tmp_path, lambda: 10_000 * DAY) as publisher:
        publisher.register(first)
        publisher.publish([a_release(first, MONDAY + i * DAY, 100 + i % 3, noise="full") for i in range(60)])
    with StoredPanes(tmp_path) as opened:
        (report,) = check_views(opened, (), Terms())
    assert isinstance(report, Checked)
    assert report.series == 3


def test_panes_by_hand_and_panes_of_a_store_give_the_same_check(store: Path) -> None:
    from deployment.drift.check import check

    slots = sums(90, 3, jump=150)
    opened_panes = panes_of(slots).opened.copy()
    opened_panes[[10, 11]] = False
    by_hand = check(SHOPS, "shops", panes_of(slots, opened=opened_panes), Terms())
    with StoredPanes(store) as opened:
        (from_store,) = check_views(opened, ["shops"], Terms())
    assert by_hand == from_store
