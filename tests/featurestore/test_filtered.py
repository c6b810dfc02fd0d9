"""`Filtered`: the kernel agrees with a plain transcription, bit by bit, wherever its values are read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from base.times import from_us, to_us
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.filtered import Filtered, local_slots
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Panes
from featurestore.define.privacy import Privacy
from featurestore.define.release import BUDGET_SPENT, RETRACTED, Release, Void
from featurestore.define.schema import feature_arrays, offline_schema
from featurestore.define.values import served_features
from featurestore.define.wire import definition_hash, view_from_bytes, view_to_bytes
from featurestore.errors import DefinitionError, ViewMalformed
from featurestore.offline.filter_runs import filter_rows, runs_of
from featurestore.offline.parquet import Offline, as_us
from featurestore.offline.window_rows import issue_times, make_issues
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from featurestore.registry.registry import Registry
from featurestore.store import Store
from tests.featurestore.filter_oracle import Pane, Served, served
from tests.featurestore.making import DAY, HOUR, MINUTE, a_release, a_view, a_void, manifest_of

NEW_YORK = "America/New_York"
LATE = Rate("late", where="delay >= 15")
AREA = Filtered("late", "258m", sd=0.13, tz=NEW_YORK)
CARRIER = Filtered(
    "late", "20d", sd=0.06, season=None, tz=NEW_YORK, scaled=False, baseline_half_life="60d", baseline_variance=0.01
)
VIEW = a_view(features=[LATE, AREA])
MARCH, NOVEMBER = to_us(datetime(2013, 3, 10, tzinfo=UTC)), to_us(datetime(2013, 11, 3, tzinfo=UTC))
PARTS = ("dev", "dev_se", "pred", "pred_se", "n", "n_se")


def some_panes(view: FeatureView, first: int, count: int, seed: int, open_share: float = 0.7) -> Panes:
    """Panes that follow each other, some of them void, with random sums."""
    layout, rng = layout_of(view), np.random.default_rng(seed)
    start = first + np.arange(count) * view.pane_us
    opened = rng.random(count) < open_share
    slots = rng.integers(-60, 200, (count, layout.keys, layout.slots_per_key))
    slots[~opened] = 0
    units = rng.choice([0.0, 2.0], count, p=[0.1, 0.9])
    none = np.zeros(count, dtype=bool)
    return Panes(start, opened, slots, none, units, start + view.pane_us, np.full(count, NEVER))


def expected(view: FeatureView, filtered: Filtered, panes: Panes, known: Sequence[bool], key: int) -> list[Served]:
    """By the transcription, for each pane from the first to the last, known or not."""
    sums, counts = layout_of(view).groups_of(view.rate_of(filtered))
    opened = {
        start: Pane(
            start,
            int(slots[sums.slots[0]]),
            int(slots[counts.slots[0]]),
            units * sums.variance,
            units * counts.variance,
        )
        for start, is_known, slots, units in zip(
            panes.start.tolist(), known, panes.slots[:, key], panes.noise_units.tolist(), strict=False
        )
        if is_known
    }
    every = range(int(panes.start[0]), int(panes.start[len(known) - 1]) + 1, view.pane_us)
    rows = dict(zip(every, served(filtered, view.pane_us, every, opened), strict=True))
    return [rows[start] for start in panes.start[: len(known)].tolist()]


def rows_of(view: FeatureView, filtered: Filtered, panes: Panes) -> dict[str, np.ndarray[Any, Any]]:
    """By the kernel: float64[P, K] of each part; every pane has its row."""
    at = np.arange(len(panes.start))
    decoded = filter_rows(view, filtered, panes, at, runs_of(panes, at, panes.released_at))
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
            for name in ("start", "opened", "slots", "withheld", "noise_units", "released_at", "retracted_at")
        )
    )
    assert len(kept) < 190
    all_rows, some_rows = rows_of(VIEW, AREA, panes), rows_of(VIEW, AREA, fewer)
    for part in PARTS:
        assert all_rows[part][kept].tobytes() == some_rows[part].tobytes(), part


def test_voids_before_the_first_opened_pane_leave_no_rounding_behind() -> None:
    filtered = replace(AREA, half_life="90m", sd=0.006)
    phi_sq, start = 2.0 ** -(60 / 90) * 2.0 ** -(60 / 90), 0.006 * 0.006
    assert math.sqrt(phi_sq * start + start * (1.0 - phi_sq)) != math.sqrt(start)  # a prediction would
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
        """Rates that follow the local hour are predicted as well after a change of the clock as before it."""
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
                units, never = np.full(len(start), 2.0), np.full(len(start), NEVER)
                panes = Panes(start, always, slots[:, None], ~always, units, start + HOUR, never)
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


def noisy(release: Release, slots: np.ndarray[Any, Any]) -> Release:
    return replace(release, manifest=manifest_of(VIEW, noise="full"), slots=slots)


def a_history(count: int = 60, seed: int = 1) -> list[Release | Void]:
    """Replayed panes of the view since the epoch, every fourth void."""
    panes = some_panes(VIEW, 0, count, seed)
    return [noisy(a_release(VIEW, i * HOUR), panes.slots[i]) if i % 4 else a_void(VIEW, i * HOUR) for i in range(count)]


def as_panes(items: Sequence[Release | Void]) -> Panes:
    layout = layout_of(VIEW)
    zero = np.zeros((layout.keys, layout.slots_per_key), dtype=np.int64)
    return Panes(
        np.array([item.pane_start for item in items]),
        np.array([isinstance(item, Release) for item in items]),
        np.array([item.slots if isinstance(item, Release) else zero for item in items]),
        np.zeros(len(items), dtype=bool),
        np.full(len(items), 2.0),
        np.array([item.released_at for item in items]),
        np.full(len(items), NEVER),
    )


def publish(directory: Path, *calls: Sequence[Release | Void]) -> None:
    """Each call by a publisher of its own, as after a restart."""
    for items in calls:
        with Publisher(directory, lambda: 100 * DAY) as publisher:
            publisher.register(VIEW)
            publisher.publish(items)


NAMES = [f"late_{part}" for part in ("dev", "pred", "n")]
COLUMNS = [column for name in NAMES for column in (name, f"{name}__se")]


def bits(table: pa.Table, *names: str) -> dict[str, bytes]:
    """The numbers of some columns; null is NaN."""
    return {
        name: np.asarray(table[name].combine_chunks().fill_null(float("nan")), dtype=np.float64).tobytes()
        for name in names or COLUMNS
    }


def transcribed(panes: Panes, known: Sequence[bool], at: int | slice = slice(None)) -> dict[str, bytes]:
    """The bits of `COLUMNS` for the rows of some panes, pane-major."""
    by_key = [expected(VIEW, AREA, panes, known, key) for key in range(2)]
    rows = np.array([[[getattr(row, part) for part in PARTS] for row in of_key] for of_key in by_key])
    chosen = np.swapaxes(rows, 0, 1)[at].reshape(-1, len(PARTS))
    return {column: np.ascontiguousarray(chosen[:, i]).tobytes() for i, column in enumerate(COLUMNS)}


def newest(directory: Path) -> pa.Table:
    with Store.open(directory) as store:
        return store.get([f"delays:{name}" for name in NAMES], {"dest": ["ATL", "LAX"]})


def joined(directory: Path, times: list[int]) -> pa.Table:
    """For each time the rows of both keys."""
    labels = pa.table(
        {"dest": ["ATL", "LAX"] * len(times), "at": pa.array(np.repeat(times, 2), pa.timestamp("us", "UTC"))}
    )
    with Store.open(directory) as store:
        return store.join(labels, [f"delays:{name}" for name in NAMES], "at").read_all()


def stored_panes(directory: Path) -> tuple[Panes, Offline, Registry, int]:
    """What history is recomputed from: the registry's panes and the slots in the Parquet files."""
    registry = Registry(directory / "store" / "registry.db", read_only=True)
    offline = Offline(directory / "store" / "offline")
    registered = registry.view("delays")
    slots = offline.slots(registry.files(registered.view_id), offline_schema(VIEW), 2)
    records = [record for record in registry.panes(registered.view_id) if record.makes_row]
    zero = np.zeros((2, layout_of(VIEW).slots_per_key), dtype=np.int64)
    panes = Panes(
        np.array([record.pane_start for record in records]),
        np.array([record.opened for record in records]),
        np.array([slots.get(record.pane_start, zero) for record in records]),
        np.zeros(len(records), dtype=bool),
        np.array([float(record.manifest.noisers) for record in records]),
        np.array([record.released_at for record in records]),
        np.array([record.retracted_at for record in records]),
    )
    return panes, offline, registry, registered.view_id


def assert_recomputed(directory: Path) -> None:
    """Every issue in the files is what the panes give when all of history is computed at once."""
    panes, offline, registry, view_id = stored_panes(directory)
    ends = np.arange(len(panes.start))
    pane, released_at = issue_times(VIEW, panes, ends, np.full(len(ends), -(2**63)))
    issues = make_issues(VIEW, panes, pane, released_at)
    again = {}
    for served_, decoded in zip(served_features(VIEW), issues.features, strict=True):
        again |= dict(zip((served_.name, f"{served_.name}__se"), feature_arrays(served_, decoded)[:2], strict=False))
    schema = offline_schema(VIEW)
    stored = offline.read(registry.files(view_id), schema, schema.names)
    registry.close()
    # of equal (pane, release time) the last published counts
    place = {
        key: row
        for row, key in sorted(
            enumerate(
                zip(as_us(stored["pane_start"])[::2].tolist(), as_us(stored["released_at"])[::2].tolist(), strict=True)
            ),
            key=lambda one: stored["seq"][2 * one[0]].as_py(),
        )
    }
    wanted = [place.pop((int(panes.start[i]), int(r))) for i, r in zip(pane, released_at, strict=True)]
    assert not place
    rows = stored.take(pa.array([2 * row + key for row in wanted for key in range(2)]))
    assert bits(rows) == bits(pa.table({name: pa.chunked_array([again[name]]) for name in COLUMNS}))


class TestStore:
    def test_history_get_join_and_recomputation_have_the_transcriptions_bits(self, tmp_path: Path) -> None:
        items = a_history()
        publish(tmp_path, items)
        panes = as_panes(items)
        known = panes.opened.tolist()
        with Store.open(tmp_path) as store:
            history = store.history("delays")
        assert bits(history) == transcribed(panes, known)
        assert bits(newest(tmp_path)) == transcribed(panes, known, slice(-1, None))
        times = panes.released_at.tolist()
        assert bits(joined(tmp_path, times)) == transcribed(panes, known)
        assert joined(tmp_path, [times[0] - 1])["late_dev__status"].to_pylist() == ["NOT_FOUND"] * 2
        assert history["late_n__status"].to_pylist()[:4] == ["VOID", "VOID", "OK", "OK"]
        assert {*history["late_dev__status"].to_pylist()} == {*history["late_pred__status"].to_pylist()} == {"OK"}
        assert_recomputed(tmp_path)

    def test_pane_by_pane_with_restarts_gives_the_same_files_as_at_once(self, tmp_path: Path) -> None:
        items = a_history(30)
        publish(tmp_path / "once", items)
        publish(tmp_path / "parts", items[:7], *([item] for item in items[7:20]), items[20:])
        with Store.open(tmp_path / "once") as once, Store.open(tmp_path / "parts") as parts:
            assert bits(once.history("delays")) == bits(parts.history("delays"))
        assert bits(newest(tmp_path / "once")) == bits(newest(tmp_path / "parts"))

    def test_a_late_pane_changes_the_rows_of_later_panes_from_its_release_on(self, tmp_path: Path) -> None:
        items = a_history(30)
        late = replace(items[9], released_at=items[20].released_at + MINUTE, clock="live")
        publish(tmp_path, [*items[:9], *items[10:25]], [late], items[25:])
        panes = as_panes([*items[:9], late, *items[10:]])
        known = panes.opened.tolist()
        without = [*known[:9], False, *known[10:]]
        # before its release: rows that know nothing of it; after: all of them know it, the newest online too
        before = joined(tmp_path, [items[20].released_at])
        assert bits(before) == transcribed(panes, without, slice(20, 21))
        after = joined(tmp_path, [late.released_at])
        assert bits(after) == transcribed(panes, known, slice(20, 21)) != bits(before)
        with Store.open(tmp_path) as store:
            assert bits(store.history("delays")) == transcribed(panes, known)
        assert bits(newest(tmp_path)) == transcribed(panes, known, slice(-1, None))
        assert_recomputed(tmp_path)

    def test_a_late_void_changes_no_row(self, tmp_path: Path) -> None:
        items = a_history(30)
        late = replace(items[8], released_at=items[20].released_at + MINUTE, clock="live")
        assert isinstance(late, Void)
        publish(tmp_path, [*items[:8], *items[9:25], late], items[25:])
        panes = as_panes(items)
        known = panes.opened.tolist()
        for moment in (items[20].released_at, late.released_at):
            assert bits(joined(tmp_path, [moment])) == transcribed(panes, known, slice(20, 21))
        assert_recomputed(tmp_path)

    def test_online_a_late_pane_refreshes_the_newest_row_and_does_not_replace_it(self, tmp_path: Path) -> None:
        items = a_history(30)
        late = replace(items[9], released_at=items[29].released_at + MINUTE, clock="live")
        publish(tmp_path, [*items[:9], *items[10:]])
        was = newest(tmp_path)
        publish(tmp_path, [late])
        now = newest(tmp_path)
        assert now["delays__pane_end"] == was["delays__pane_end"]
        panes = as_panes([*items[:9], late, *items[10:]])
        assert bits(now) == transcribed(panes, panes.opened.tolist(), slice(-1, None)) != bits(was)

    def test_a_retracted_pane_is_void_from_its_tombstone_on(self, tmp_path: Path) -> None:
        items = a_history(30)
        moment = items[25].released_at + MINUTE
        tombstone = Void(manifest_of(VIEW), 9 * HOUR, 10 * HOUR, moment, moment, "live", RETRACTED)
        publish(tmp_path, items[:26], [tombstone], items[26:])
        panes = as_panes(items)
        known = panes.opened.tolist()
        without = [*known[:9], False, *known[10:]]
        assert bits(joined(tmp_path, [moment - 1])) == transcribed(panes, known, slice(25, 26))
        assert bits(joined(tmp_path, [moment])) == transcribed(panes, without, slice(25, 26))
        with Store.open(tmp_path) as store:
            history = store.history("delays")
        assert bits(history) == transcribed(panes, without)
        assert history["late_n__status"].to_pylist()[18:20] == ["VOID", "VOID"]
        assert bits(newest(tmp_path)) == transcribed(panes, without, slice(-1, None))
        assert_recomputed(tmp_path)

    def test_after_panes_without_budget_the_filter_has_gone_on(self, tmp_path: Path) -> None:
        items = a_history(30)
        spent = [a_void(VIEW, start * HOUR, BUDGET_SPENT) for start in range(12, 20)]
        publish(tmp_path, items[:12], spent)
        assert {*newest(tmp_path)["late_dev__status"].to_pylist()} == {"STALE_BUDGET"}
        publish(tmp_path, items[20:])
        panes = as_panes([*items[:12], *items[20:]])
        with Store.open(tmp_path) as store:
            assert bits(store.history("delays")) == transcribed(panes, panes.opened.tolist())

    def test_the_rows_are_made_again_with_the_same_bits(self, tmp_path: Path) -> None:
        publish(tmp_path, a_history(30))
        was = bits(newest(tmp_path))
        rebuild_online(tmp_path)
        assert bits(newest(tmp_path)) == was

    def test_clamping_holds_predictions_to_a_rate_and_leaves_deviations(self, tmp_path: Path) -> None:
        low = np.array([[-500, 400]] * 2)
        publish(tmp_path, [noisy(a_release(VIEW, i * HOUR), low) for i in range(24 * 8)])
        with Store.open(tmp_path) as store:
            refs = [f"delays:{name}" for name in NAMES]
            free, held = (store.get(refs, {"dest": ["ATL"]}, clamp=clamp).to_pylist()[0] for clamp in (False, True))
        assert free["late_pred"] < 0
        assert free["late_dev"] < 0
        assert held["late_pred"] == 0
        assert held["late_dev"] == free["late_dev"]


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
        # that these are the kernel's too is told above; the rate of the pane itself is not served
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
            ([LATE, replace(AREA, rate="early", name="x")], "`rate` names no Rate of the view: 'early'; it has: late"),
            ([LATE, Count("late_n"), AREA], "'late_n' is already served by feature 'late_n'; give another name"),
            ([LATE, AREA, AREA], "'late_dev' is already served by feature 'late'"),
            ([LATE, replace(AREA, name="late_")], "must not end in _: it serves late__dev, late__pred, late__n"),
            ([LATE, replace(AREA, name="coverage")], "the name is reserved"),
            ([LATE, replace(AREA, half_life="0h")], "`half_life` must be above 0, got '0h'"),
            ([LATE, replace(AREA, half_life="4.3h")], "`half_life` is not a duration: '4.3h'"),
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
            ([LATE, replace(AREA, season="daily")], "`season` is not a duration: 'daily'"),
            ([LATE, replace(AREA, scaled=1)], "`scaled` must be True or False, got 1"),
            ([LATE, replace(AREA, description=b"")], "`description` must be a text"),
            (
                [Histogram("delay", edges=[15]), replace(LATE, derive=True), AREA],
                "the Rate 'late' is derived; a Filtered needs one with slots, and noise, of its own",
            ),
        ],
    )
    def test_what_cannot_be_filtered_is_refused_by_name(self, features: list[Any], says: str) -> None:
        with pytest.raises(DefinitionError) as caught:
            a_view(features=features)
        assert says in str(caught.value)
        assert str(caught.value).startswith("view 'delays', feature ")

    def test_a_view_that_withholds_small_panes_has_no_filter(self) -> None:
        with pytest.raises(DefinitionError, match="`suppress_below` withholds panes that a Filtered is made of"):
            a_view(
                features=[LATE, ClientCount("clients"), AREA], privacy=Privacy(rho=0.5, min_clients=2, suppress_below=5)
            )

    def test_a_mean_is_no_rate(self) -> None:
        with pytest.raises(DefinitionError, match="names no Rate of the view: 'delay_mean'; it has: none"):
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
