from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from base.metrics import DRIFT, DRIFT_SERIES
from deployment.drift.report import Report
from deployment.drift.watch import DriftWatch, check_project
from deployment.monitor.coordinator import CoordinatorState
from deployment.scheduler.steps import Ended, Idle
from featurestore.errors import StoreCorrupt
from tests.featurestore.making import DAY, a_view, fill

from .drifting import MONDAY, SHOPS, publish, sums

NOW = MONDAY + 91 * DAY


def _now() -> int:
    return NOW


def _metrics(watch: DriftWatch) -> dict[str, dict[str, float]]:
    return {
        metric.name: {one.labels[0]: float(one.value) for one in watch.samples() if one.metric is metric}  # type: ignore[arg-type]
        for metric in (DRIFT, DRIFT_SERIES)
    }


def test_a_view_that_drifts_is_shown_and_one_with_a_short_past_is_not(tmp_path: Path) -> None:
    publish(tmp_path, sums(90, 3, jump=150))
    fill(tmp_path, a_view(), 5)
    watch = DriftWatch(lambda: check_project(tmp_path), _now)
    watch.published()
    watch.wait()
    found = _metrics(watch)
    assert found["covey_drift"] == {"shops": 1.0}
    assert found["covey_drift_series"]["shops"] >= 1


def test_a_view_without_drift_has_the_value_0(tmp_path: Path) -> None:
    publish(tmp_path, sums(90, 3))
    watch = DriftWatch(lambda: check_project(tmp_path), _now)
    watch.published()
    watch.wait()
    assert _metrics(watch) == {"covey_drift": {"shops": 0.0}, "covey_drift_series": {"shops": 0.0}}


def test_a_view_that_is_not_collected_any_more_stops_to_drift_after_a_week(tmp_path: Path) -> None:
    publish(tmp_path, sums(90, 3, jump=150))
    now = [MONDAY + 97 * DAY + SHOPS.release_delay_us - 1]
    watch = DriftWatch(lambda: check_project(tmp_path), lambda: now[0])
    watch.published()
    watch.wait()
    assert _metrics(watch)["covey_drift"] == {"shops": 1.0}
    now[0] += 1
    assert watch.samples() == []


def test_a_view_that_cannot_be_read_hides_no_other_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    publish(tmp_path, sums(90, 3, jump=150))
    fill(tmp_path, a_view(), 30)
    for file in (tmp_path / "store" / "offline" / "delays").rglob("*.parquet"):
        file.write_bytes(b"damaged")
    (report,) = check_project(tmp_path)
    assert report.view == "shops"
    assert "drift of view delays cannot be checked" in caplog.text


def test_a_project_without_a_store_has_no_checks(tmp_path: Path) -> None:
    assert check_project(tmp_path) == []


def test_publications_do_not_wait_for_a_check_and_those_during_one_need_one_more() -> None:
    begins, may_end, checks = Event(), Event(), list[int]()

    def check() -> Sequence[Report]:
        checks.append(1)
        begins.set()
        assert may_end.wait(30)
        return ()

    watch = DriftWatch(check)
    watch.published()
    assert begins.wait(30)
    for _ in range(5):
        watch.published()
    assert len(checks) == 1
    may_end.set()
    watch.wait()
    assert len(checks) == 2


def test_the_thread_rests_before_the_next_check_as_long_as_a_check_is_slow() -> None:
    begins, may_end, rests, clock = Event(), Event(), list[float](), iter([0.0, 2.0, 100.0, 103.0])

    def check() -> Sequence[Report]:
        begins.set()
        assert may_end.wait(30)
        return ()

    watch = DriftWatch(check, monotonic=lambda: next(clock), rest=rests.append)
    watch.published()
    assert begins.wait(30)
    watch.published()
    may_end.set()
    watch.wait()
    assert (watch.checks, rests) == (2, [18.0])


def test_a_store_that_cannot_be_read_is_logged_and_has_no_metrics(caplog: pytest.LogCaptureFixture) -> None:
    def check() -> Sequence[Report]:
        raise StoreCorrupt("a file is missing")

    watch = DriftWatch(check)
    watch.published()
    watch.wait()
    assert watch.samples() == []
    assert "drift cannot be checked" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_of_one_check_does_not_end_all_checks() -> None:
    broken = [True, False]

    def check() -> Sequence[Report]:
        if broken.pop(0):
            raise ZeroDivisionError
        return ()

    watch = DriftWatch(check)
    for _ in range(2):
        watch.published()
        watch.wait()
    assert broken == []


def test_a_coordinator_checks_when_it_starts_and_after_each_opened_pane(tmp_path: Path) -> None:
    publish(tmp_path, sums(40, 1))
    state = CoordinatorState(tmp_path, lambda: MONDAY + 41 * DAY)
    state.follow(Idle(None, ()), 0)
    state.drift.wait()
    names = [one.metric.name for one in state.samples()]
    assert "covey_drift" in names
    assert state.drift.checks == 1
    state.follow(Idle(None, ()), 0)
    state.follow(Ended({"views": {"shops": {"opened": 0}}}, {}), 0)
    state.drift.wait()
    assert state.drift.checks == 1
    state.follow(Ended({"views": {"shops": {"opened": 1}}}, {}), 0)
    state.drift.wait()
    assert state.drift.checks == 2
