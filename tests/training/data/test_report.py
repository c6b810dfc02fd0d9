from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, MINUTE, a_view, fill
from training.data.build_cache import CacheRequest, joined_cache
from training.data.cache_report import JoinReport
from training.data.training_labels import Roles
from training.errors import AllNull, TooMuchMissing

RELEASED = HOUR + 30 * MINUTE


def report_of(tmp_path: Path, rows: list[tuple[str | None, int | None, float | None]], **view: Any) -> JoinReport:
    """The report on a join of (key, time, distance) in a store of three hourly panes. The last pane is released at 3:30."""
    if not (tmp_path / "store").exists():
        fill(tmp_path / "store", a_view(**({"windows": [], "ttl": "5h"} | view)), 3)
    keys, times, distances = zip(*rows, strict=True)
    labels = pa.table(
        {
            "dest": pa.array(keys, pa.string()),
            "t": pa.array(times, pa.timestamp("us")),
            "distance": pa.array(distances, pa.float64()),
            "y": [1] * len(rows),
        }
    )
    asked = CacheRequest(labels, ["delays:flights", "delays:late"], Roles("t", "y", {}, {}, ("distance",), None))
    with Store.open(tmp_path / "store") as store:
        return joined_cache(store, asked, tmp_path / "cache", lambda _done, _total: None).header.report


def test_it_counts_each_kind_of_missing_row_and_gives_its_first_example(tmp_path: Path) -> None:
    report = report_of(
        tmp_path,
        [
            ("ATL", RELEASED, 1.0),
            ("ATL", RELEASED - 1, 1.0),  # before the first release
            ("LAX", 0, None),  # also before the first release
            ("BOS", 2 * HOUR, 1.0),  # not a key of the domain
            (None, 2 * HOUR, 1.0),
            ("LAX", None, 1.0),  # no time
            ("LAX", 4 * HOUR, 1.0),  # after the newest release
            ("LAX", 3 * HOUR + 5 * HOUR, 1.0),  # at the ttl's end
            ("LAX", 3 * HOUR + 5 * HOUR + 1, 1.0),  # beyond it
        ],
    )
    (view,) = report.views
    assert (view.first_release, view.newest_release) == (RELEASED, 3 * HOUR + 30 * MINUTE)
    assert (view.unreleased.rows, view.unreleased.share) == (2, 2 / 9)
    assert view.unreleased.example == "row 1 (dest='ATL', 1970-01-01T01:29:59.999999Z)"
    assert (view.unknown_key.rows, view.unknown_key.example) == (2, "row 3 (dest='BOS', 1970-01-01T02:00:00Z)")
    assert (view.beyond_ttl.rows, view.beyond_ttl.example) == (1, "row 8 (dest='LAX', 1970-01-01T08:00:00.000001Z)")
    assert (view.after_newest.rows, view.after_newest.example) == (3, "row 6 (dest='LAX', 1970-01-01T04:00:00Z)")
    assert (report.without_time.rows, report.without_time.example) == (1, "row 5 (dest='LAX', no time)")
    flights, late, distance = report.features
    assert (flights.feature, flights.null.rows, late.null.rows) == ("delays:flights", 6, 6)
    assert flights.statuses == {"NOT_FOUND": 5, "OUTSIDE_MAX_AGE": 1}
    assert (distance.null.rows, distance.null.example) == (1, "row 2 (dest='LAX', 1970-01-01T00:00:00Z)")
    text = str(report)
    assert "before the first release: 2 (22.2%), such as row 1 (dest='ATL'" in text
    assert "delays:flights: null 6 (66.7%), such as row 1" in text
    assert "NOT_FOUND 5, OUTSIDE_MAX_AGE 1" in text
    assert JoinReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_rows_are_numbered_across_batches(tmp_path: Path) -> None:
    rows: list[tuple[str | None, int | None, float | None]] = [("ATL", 2 * HOUR, 1.0)] * 70_000
    report = report_of(tmp_path, [*rows, ("BOS", 2 * HOUR, 1.0)])
    assert report.rows == 70_001
    assert str(report.views[0].unknown_key.example).startswith("row 70,000 (")


def test_too_much_missing_names_the_worst_feature_and_why(tmp_path: Path) -> None:
    report = report_of(tmp_path, [("ATL", 2 * HOUR, 1.0), ("ATL", 0, None)])
    report.require(0.5)
    with pytest.raises(TooMuchMissing, match=r"delays:flights is null in 50\.0% of the rows \(NOT_FOUND 1\)"):
        report.require(0.49)


@pytest.mark.parametrize("column", ["feature", "plain feature"])
def test_a_feature_without_a_value_is_an_error_whatever_is_allowed(tmp_path: Path, column: str) -> None:
    times = (DAY, 1.0) if column == "feature" else (2 * HOUR, None)
    report = report_of(tmp_path, [("ATL", *times)] * 3)
    name = "delays:flights" if column == "feature" else "distance"
    with pytest.raises(AllNull, match=f"{name} is null in every row"):
        report.require(1)


def test_a_view_without_a_release_has_nothing_for_any_row(tmp_path: Path) -> None:
    fill(tmp_path / "store", a_view(windows=[]), 0)
    report = report_of(tmp_path, [("ATL", 2 * HOUR, 1.0)] * 2)
    assert report.views[0].first_release is None
    assert report.views[0].unreleased.rows == 2
    assert "released never to never" in str(report)
