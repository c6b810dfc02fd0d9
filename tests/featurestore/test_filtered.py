"""`Filtered`: the kernel gives the bits of a plain transcription; its definition, its local time and its intervals."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.times import from_us, to_us
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.filtered import Filtered, local_slots
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.panes import Panes
from featurestore.define.privacy import Privacy
from featurestore.define.values import served_features
from featurestore.define.wire import definition_hash, view_from_bytes, view_to_bytes
from featurestore.errors import DefinitionError, ViewMalformed
from featurestore.offline.filter_runs import filter_rows, runs_of
from tests.featurestore.filter_cases import (
    AREA,
    CARRIER,
    LATE,
    NAMES,
    NEW_YORK,
    PARTS,
    VIEW,
    expected,
    own_panes,
    some_panes,
)
from tests.featurestore.filter_oracle import Pane, Served, served
from tests.featurestore.making import DAY, HOUR, a_view

MARCH, NOVEMBER = to_us(datetime(2013, 3, 10, tzinfo=UTC)), to_us(datetime(2013, 11, 3, tzinfo=UTC))


def rows_of(view: FeatureView, filtered: Filtered, panes: Panes) -> dict[str, np.ndarray[Any, Any]]:
    """The kernel's rows: float64[P, K] of each part, with a row for every pane."""
    at = np.arange(len(panes.start))
    decoded = filter_rows(view, filtered, panes, at, runs_of(panes, panes.usable(0.0), at, panes.released_at))
    flat = [numbers for one in decoded for numbers in (one.value, one.se)]
    return dict(zip(PARTS, (numbers.reshape(len(at), -1) for numbers in flat), strict=True))


def numbers_of(rows: list[Served], part: str) -> bytes:
    return np.array([getattr(row, part) for row in rows]).tobytes()


@pytest.mark.parametrize(
    ("pane", "first", "changes"),
    [
        ("1h", MARCH - 5 * DAY, {}),
        ("1h", NOVEMBER - 5 * DAY, {"season": "7d", "scaled": False}),
        ("1h", MARCH, {"season": "12h", "tz": "Asia/Kolkata", "half_life": "90s"}),
        ("15m", NOVEMBER, {"tz": "Australia/Lord_Howe", "half_life": "30d", "baseline_half_life": "1h"}),
        ("1d", MARCH - 100 * DAY, {"season": None, "scaled": False, "baseline_variance": 0.01, "half_life": "20d"}),
        ("1d", -50 * DAY, {"tz": "Europe/Paris", "sd": 1}),
        ("5s", NOVEMBER - DAY // 1440, {"half_life": "40s", "season": "1h"}),
        ("15s", MARCH, {"half_life": "5m", "season": None}),
    ],
)
def test_the_kernel_is_the_transcription(pane: str, first: int, changes: dict[str, Any]) -> None:
    filtered = replace(AREA, **changes)
    view = a_view(features=[LATE, filtered], pane=pane, windows=[])
    panes = some_panes(view, first, 300, seed=len(pane))
    got = rows_of(view, filtered, panes)
    for key in range(2):
        rows = expected(view, filtered, panes, panes.opened.tolist(), key)
        for part in PARTS:
            assert got[part][:, key].tobytes() == numbers_of(rows, part), part


def test_panes_that_nobody_knows_are_predicted_like_voids() -> None:
    panes = some_panes(VIEW, MARCH, 200, seed=3)
    kept = np.flatnonzero(panes.opened | (np.arange(200) % 3 > 0))
    fewer = Panes(
        *(
            getattr(panes, name)[kept]
            for name in (
                "start",
                "opened",
                "site_share",
                "slots",
                "withheld",
                "noise_units",
                "known",
                "released_at",
                "retracted_at",
            )
        )
    )
    assert len(kept) < 190
    all_rows, some_rows = rows_of(VIEW, AREA, panes), rows_of(VIEW, AREA, fewer)
    for part in PARTS:
        assert all_rows[part][kept].tobytes() == some_rows[part].tobytes(), part


def test_voids_before_the_first_opened_pane_leave_no_rounding_behind() -> None:
    filtered = replace(AREA, half_life="90m", sd=0.006)
    phi_sq, start = 2.0 ** -(60 / 90) * 2.0 ** -(60 / 90), 0.006 * 0.006
    assert math.sqrt(phi_sq * start + start * (1.0 - phi_sq)) != math.sqrt(start)  # a prediction would round
    panes = some_panes(a_view(features=[LATE, filtered]), MARCH, 6, seed=3, open_share=0.0)
    assert {*rows_of(a_view(features=[LATE, filtered]), filtered, panes)["dev_se"].flat} == {math.sqrt(start)}


def test_before_the_first_opened_pane_nothing_is_known() -> None:
    panes = some_panes(VIEW, MARCH, 5, seed=3, open_share=0.0)
    got = rows_of(VIEW, AREA, panes)
    assert {*got["dev"].flat} == {0.0}
    assert {*got["dev_se"].flat} == {0.13}
    assert {*got["pred"].flat} == {0.5}
    assert np.isnan(got["n"]).all()


def test_a_gap_of_many_years_takes_no_time_and_leaves_the_start() -> None:
    panes = some_panes(VIEW, 0, 2, seed=0, open_share=1.0)
    panes.start[1] = 9_000 * 365 * DAY
    got = rows_of(VIEW, AREA, replace(panes, opened=np.array([True, False])))
    assert np.abs(got["dev"][1]).max() < 1e-300
    assert got["dev_se"][1] == pytest.approx(0.13)


class TestLocalTime:
    """The clock of New York went forward at 07:00 UTC on 10 March 2013, and back at 06:00 UTC on 3 November."""

    def hours(self, day: int) -> tuple[list[int], list[int]]:
        slot, week = local_slots(AREA, HOUR, day + np.arange(24) * HOUR)
        return slot.tolist(), week.tolist()

    def test_in_spring_an_hour_of_the_day_is_left_out(self) -> None:
        slot, week = self.hours(MARCH)
        assert slot == [19, 20, 21, 22, 23, 0, 1, 3, *range(4, 20)]
        assert week[4:9] == [5 * 24 + 23, 6 * 24, 6 * 24 + 1, 6 * 24 + 3, 6 * 24 + 4]

    def test_in_autumn_an_hour_of_the_day_comes_twice(self) -> None:
        slot, week = self.hours(NOVEMBER)
        assert slot == [*range(20, 24), 0, 1, 1, 2, *range(3, 19)]
        assert week[4:8] == [6 * 24, 6 * 24 + 1, 6 * 24 + 1, 6 * 24 + 2]

    def test_a_baseline_of_the_morning_stays_in_the_morning(self) -> None:
        """Rates that follow the local hour are predicted equally well before and after a clock change."""
        for change in (MARCH, NOVEMBER):
            errors = {}
            for tz in (NEW_YORK, "UTC"):
                filtered = replace(AREA, tz=tz)
                view = a_view(features=[LATE, filtered], windows=[], entity=Entity("area", value="NYC"))
                start = change - 40 * DAY + np.arange(43 * 24) * HOUR
                slot, _ = local_slots(AREA, HOUR, start)
                rate = np.where((slot >= 7) & (slot < 12), 0.8, 0.1)
                slots = np.stack([(2 * rate - 1) * 500, np.full(len(rate), 500.0)], axis=1).round().astype(np.int64)
                always = np.ones(len(start), dtype=bool)
                panes = own_panes(start, always, slots[:, None], np.full(len(start), 2.0))
                pred = rows_of(view, filtered, panes)["pred"][:-1, 0]
                errors[tz] = np.abs(pred - rate[1:])[-48:].max()
            assert errors[NEW_YORK] < 0.1
            assert errors["UTC"] > 0.3

    def test_the_last_pane_before_the_gap_predicts_the_hour_after_it(self) -> None:
        panes = some_panes(VIEW, MARCH - 20 * DAY, 20 * 24 + 7, seed=5, open_share=1.0)
        slot, _ = local_slots(AREA, HOUR, panes.start)
        panes.slots[slot == 2] = -400  # S = n = −400: a rate that slot 3 never has
        panes.slots[slot == 3] = 400
        assert rows_of(VIEW, AREA, panes)["pred"][-1, 0] > 0.6


class TestCalibration:
    @pytest.mark.parametrize("rho", [0.02, 0.005])
    def test_its_intervals_cover_the_exact_rate_and_it_is_nearer_than_the_raw_pane(self, rho: float) -> None:
        """A rate with a daily season and an AR(1) deviation, Poisson counts, and the noise of the view's price."""
        view = a_view(
            features=[LATE, AREA], entity=Entity("area", value="NYC"), privacy=Privacy(rho=rho, min_clients=20)
        )
        sums, counts = layout_of(view).groups
        rng = np.random.default_rng(7)
        start = MARCH - 20 * DAY + np.arange(120 * 24) * HOUR
        slot, _ = local_slots(AREA, HOUR, start)
        deviation = np.zeros(len(start))
        phi = 0.5 ** (60 / 258)
        for i in range(1, len(start)):
            deviation[i] = phi * deviation[i - 1] + 0.13 * np.sqrt(1 - phi * phi) * rng.normal()
        rate = np.clip(0.2 + 0.12 * np.sin((slot - 9) / 24 * 2 * np.pi) + deviation, 0.01, 0.99)
        events = rng.poisson(45 + 10 * np.sin(slot / 24 * 2 * np.pi))
        true = rng.binomial(events, rate)
        s = 2 * true - events + np.rint(rng.normal(0, sums.opened_variance**0.5, len(start))).astype(np.int64)
        n = events + np.rint(rng.normal(0, counts.opened_variance**0.5, len(start))).astype(np.int64)
        every = start.tolist()
        opened = {
            at: Pane(at, int(s[i]), int(n[i]), sums.opened_variance, counts.opened_variance)
            for i, at in enumerate(every)
            if slot[i] >= 5
        }
        rows = served(AREA, HOUR, every, opened)
        # the tests above compare these rows with the kernel's; the rate of the pane itself is not served
        judged = (slot >= 5) & (np.arange(len(start)) > 30 * 24)
        estimate = np.array([row.rate for row in rows])[judged]
        se = np.array([row.rate_se for row in rows])[judged]
        exact = rate[judged]
        assert 0.90 <= np.mean(np.abs(estimate - exact) < 1.96 * se) <= 0.99
        raw = np.clip(0.5 * (1 + s / np.maximum(n, 1)), 0, 1)[judged]
        rmse, raw_rmse = (np.sqrt(np.mean((one - exact) ** 2)) for one in (estimate, raw))
        assert rmse < 0.75 * raw_rmse
        pred, pred_se = (np.array([getattr(row, part) for row in rows])[:-1] for part in ("pred", "pred_se"))
        ahead = judged[1:]
        assert 0.90 <= np.mean(np.abs(pred - rate[1:])[ahead] < 1.96 * pred_se[ahead]) <= 0.99

    @pytest.mark.parametrize("stated", [1.0, 1.6])
    def test_intervals_are_as_good_where_the_rate_is_low_as_where_it_is_high(self, stated: float) -> None:
        """Log-odds with a daily season and an AR(1) deviation: such a rate wanders less where it is low.

        Also where the filter states more than it wanders.
        """
        filtered = replace(AREA, half_life="12h", sd=stated * AREA.sd)
        view = a_view(features=[LATE, filtered], windows=[], entity=Entity("area", value="NYC"))
        sums, counts = layout_of(view).groups
        rng, start = np.random.default_rng(11), MARCH - 20 * DAY + np.arange(400 * 24) * HOUR
        slot, _ = local_slots(filtered, HOUR, start)
        phi, deviation = 0.5 ** (1 / 12), np.zeros(len(start))
        for i, step in enumerate(rng.normal(0, AREA.sd / 0.16 * math.sqrt(1 - phi * phi), len(start) - 1)):
            deviation[i + 1] = phi * deviation[i] + step
        rate = 1 / (1 + np.exp(1.4 - 0.7 * np.sin((slot - 9) / 24 * 2 * np.pi) - deviation))
        events = rng.poisson(200, len(start))
        true, units = rng.binomial(events, rate), 0.05
        noise = np.rint(rng.normal(0, np.sqrt([units * one.variance for one in (sums, counts)]), (len(start), 2)))
        slots = np.stack([2 * true - events, events], axis=1) + noise.astype(np.int64)
        always = np.ones(len(start), dtype=bool)
        panes = own_panes(start, always, slots[:, None], np.full(len(start), units))
        rows = rows_of(view, filtered, panes)
        late = slice(30 * 24, -1)
        pred, se = rows["pred"][late, 0], rows["pred_se"][late, 0]
        off = np.abs(pred - rate[30 * 24 + 1 :])
        low, high = np.quantile(pred, [1 / 3, 2 / 3])
        for part in (pred < low, (low <= pred) & (pred < high), pred >= high):
            assert 0.93 <= np.mean(off[part] < 1.96 * se[part]) <= 0.98


class TestDefinition:
    def test_it_has_no_slots_no_price_and_three_features(self) -> None:
        with_it, without = VIEW, a_view(features=[LATE])
        layout, plain = layout_of(with_it), layout_of(without)
        assert (layout.slots, layout.groups) == (plain.slots, plain.groups)
        assert [one.name for one in served_features(with_it)] == ["late", "late_3h", *NAMES]
        assert definition_hash(with_it) != definition_hash(without)

    def test_two_filters_of_one_rate_are_told_apart_by_name(self) -> None:
        slow = Filtered("late", "24h", sd=0.1, tz=NEW_YORK, name="late_slow")
        view = a_view(features=[slow, LATE, AREA], windows=[])
        assert [one.name for one in served_features(view)] == [
            "late", "late_slow_dev", "late_slow_pred", "late_slow_n", *NAMES,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("features", "says"),
        [
            ([LATE, replace(AREA, rate="early", name="x")], "the view has no Rate 'early' for `rate`; its Rates: late"),
            ([LATE, Count("late_n"), AREA], "'late_n' is already served by feature 'late_n'; give another name"),
            ([LATE, AREA, AREA], "'late_dev' is already served by feature 'late'"),
            (
                [LATE, replace(AREA, name="late_")],
                "must not end in _, because it serves late__dev, late__pred, late__n",
            ),
            ([LATE, replace(AREA, name="coverage")], "the name is reserved"),
            ([LATE, replace(AREA, half_life="0h")], "`half_life` must be above 0, got '0h'"),
            ([LATE, replace(AREA, half_life="4.3h")], "`half_life`: not a duration: '4.3h'"),
            ([LATE, replace(AREA, baseline_half_life="0d")], "`baseline_half_life` must be above 0"),
            ([LATE, replace(AREA, sd=0)], "`sd` must be above 0 and at most 1, such as 0.1, got 0"),
            ([LATE, replace(AREA, sd=float("nan"))], "`sd` must be above 0 and at most 1"),
            ([LATE, replace(AREA, baseline_variance=-0.1)], "`baseline_variance` must be above 0"),
            ([LATE, replace(AREA, tz="America/Gotham")], "`tz` must be the IANA name of a time zone"),
            ([LATE, replace(AREA, tz="../UTC")], "`tz` must be the IANA name of a time zone"),
            ([LATE, replace(AREA, tz="America")], "`tz` must be the IANA name of a time zone"),
            ([LATE, replace(AREA, tz=None)], "`tz` must be the IANA name of a time zone"),
            ([LATE, replace(AREA, season="5h")], "`season` '5h' does not divide the week"),
            ([LATE, replace(AREA, season="30m")], "the view's pane does not divide the `season` '30m'"),
            ([LATE, replace(AREA, season="daily")], "`season`: not a duration: 'daily'"),
            ([LATE, replace(AREA, scaled=1)], "`scaled` must be True or False, got 1"),
            ([LATE, replace(AREA, description=b"")], "`description` must be a text"),
            (
                [Histogram("delay", edges=[15]), replace(LATE, derive=True), AREA],
                "the Rate 'late' is derived; a Filtered needs a Rate with slots and noise of its own",
            ),
        ],
    )
    def test_what_cannot_be_filtered_is_refused_by_name(self, features: list[Any], says: str) -> None:
        with pytest.raises(DefinitionError) as caught:
            a_view(features=features)
        assert says in str(caught.value)
        assert str(caught.value).startswith("view 'delays', feature ")

    def test_a_view_that_withholds_small_panes_has_no_filter(self) -> None:
        with pytest.raises(DefinitionError, match="a Filtered needs every cell of a pane"):
            a_view(
                features=[LATE, ClientCount("clients"), AREA], privacy=Privacy(rho=0.5, min_clients=2, suppress_below=5)
            )

    def test_a_mean_is_no_rate(self) -> None:
        with pytest.raises(DefinitionError, match="no Rate 'delay_mean' for `rate`; its Rates: none"):
            a_view(features=[Mean("delay", clip=(0, 60)), Filtered("delay_mean", "4h", sd=0.1)])

    @pytest.mark.parametrize("filtered", [AREA, CARRIER, replace(AREA, name="x", description="why", season="7d")])
    def test_it_survives_its_bytes(self, filtered: Filtered) -> None:
        view = a_view(features=[LATE, filtered], pane="1d", windows=[])
        again = view_from_bytes(view_to_bytes(view))
        assert again == view
        assert view_to_bytes(again) == view_to_bytes(view)

    def test_every_setting_is_in_the_hash(self) -> None:
        changes: list[dict[str, Any]] = [
            {"half_life": "4h"}, {"sd": 0.1}, {"season": None}, {"tz": "UTC"}, {"scaled": False}, {"name": "x"},
            {"baseline_half_life": "30d"}, {"baseline_variance": 0.01}, {"description": "x"},
        ]  # fmt: skip
        hashes = {definition_hash(a_view(features=[LATE, replace(AREA, **change)])) for change in [{}, *changes]}
        assert len(hashes) == len(changes) + 1

    def test_bytes_of_a_filter_that_cannot_be_are_malformed(self) -> None:
        data = view_to_bytes(VIEW)
        with pytest.raises(ViewMalformed, match="`tz` must be the IANA name"):
            view_from_bytes(data.replace(b"America/New_York", b"America/New_Yolk"))


def test_the_pages_views_are_those_that_worked_on_the_flights() -> None:
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")
    (definitions,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    made: dict[str, Any] = {}
    exec(definitions, made)
    slow = Filtered("late", "24h", sd=0.10, tz=NEW_YORK, name="late_slow")
    assert made["area_delay"].filtered == (AREA, slow)
    assert made["carrier_delay"].filtered == (CARRIER,)
    assert layout_of(made["area_delay"]).slots_per_key == layout_of(made["carrier_delay"]).slots_per_key == 2


def test_moments_at_the_ends_of_time_have_a_local_time() -> None:
    ends = np.array([to_us(datetime(1, 1, 1, tzinfo=UTC)), to_us(datetime(9999, 12, 31, 23, tzinfo=UTC))])
    slot, _ = local_slots(AREA, HOUR, ends)
    assert slot.shape == (2,)
    assert from_us(int(ends[0])).year == 1
