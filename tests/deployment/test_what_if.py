"""The cost of a collection every day, against the accountant and by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from deployment.errors import ItemMissing, UsageError
from deployment.inspect.lasting import MOST_DAYS, ledger_outlook
from deployment.inspect.ledger_claims import LEDGER_DELTA
from deployment.inspect.ledger_view import LedgerView, read_ledgers
from deployment.inspect.what_if import SPANS, CostChange, chosen_views, what_if
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.errors import DefinitionError
from federation.accountant import cost_of_day, epsilon
from federation.ledger.state import Budget
from federation.price import Observer
from tests.covey.test_ledger_show import FIRST, write
from tests.featurestore.making import a_view

CHEAP = a_view("cheap", privacy=Privacy(rho=0.02, min_clients=2))
DEAR = a_view("dear", privacy=Privacy(rho=0.09, min_clients=2, delta=1e-7))
PURE = a_view("pure", privacy=Privacy(epsilon=0.5, mechanism="laplace", min_clients=2))


class TestCost:
    def test_views_add_up_and_the_smallest_delta_counts(self) -> None:
        found = what_if([CHEAP, DEAR], [], 365)
        total = cost_of_day([layout_of(CHEAP), layout_of(DEAR)])
        assert (found.micro_rho, found.delta) == (total.micro_rho, 1e-7) == (110_000, 1e-7)
        assert found.claims == total.claims(1e-7, SPANS)
        assert [one.micro_rho for one in found.views] == [20_000, 90_000]

    def test_epsilon_grows_with_the_days_and_outsiders_learn_less(self) -> None:
        curve = what_if([CHEAP], [], 365).curve
        assert [one.days for one in curve][-1] == 365
        assert all(one.outsiders < one.aggregator for one in curve)
        assert all(a.aggregator < b.aggregator for a, b in pairwise(curve))

    @pytest.mark.parametrize("days", [1, 2, 100, 365, MOST_DAYS])
    def test_the_curve_ends_at_the_requested_day(self, days: int) -> None:
        found = [one.days for one in what_if([CHEAP], [], days).curve]
        assert found == sorted(set(found))
        assert found[-1] == days

    def test_laplace_views_have_a_pure_epsilon(self) -> None:
        assert what_if([PURE], [], 30).claims[1].pure == pytest.approx(7 * 0.5, rel=1e-3)


class TestBudgets:
    def test_a_budget_pays_for_each_day_or_for_none(self) -> None:
        fits, not_enough = what_if(
            [CHEAP, DEAR], [("operator", Budget(110_000)), ("site-a", Budget(109_999))], 365
        ).budgets
        assert (fits.fits, fits.left) == (True, 0)
        assert (not_enough.fits, not_enough.left) == (False, -1)

    def test_a_quota_is_checked_for_its_own_view(self) -> None:
        (found,) = what_if([CHEAP, DEAR], [("operator", Budget(200_000, {"cheap": 19_999, "dear": 90_000}))], 1).budgets
        assert (found.fits, found.over_quota) == (False, (("cheap", 20_000, 19_999),))

    def test_a_budget_may_count_what_outsiders_learn(self) -> None:
        (found,) = what_if([CHEAP], [("operator", Budget(10_000, counts=Observer.OUTSIDERS))], 1).budgets
        assert (found.cost, found.fits) == (10_000, True)


class TestLasting:
    def test_it_is_the_last_day_within_the_limit(self) -> None:
        found = what_if([CHEAP], [], 1, 5.0).lasting
        assert found is not None
        cost = cost_of_day([layout_of(CHEAP)])
        assert (
            cost.over(found.aggregator_days).epsilon(1e-6) <= 5.0 < cost.over(found.aggregator_days + 1).epsilon(1e-6)
        )
        assert found.outsiders_days > found.aggregator_days

    def test_a_limit_that_one_day_exceeds_lasts_no_day(self) -> None:
        found = what_if([DEAR], [], 1, 0.01).lasting
        assert found is not None
        assert (found.outsiders_days, found.aggregator_days) == (0, 0)


class TestLedgers:
    """How long the budgets of `tests.covey.test_ledger_show` last: 0.1 a day, of which the worst day has spent all."""

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> LedgerView:
        write(tmp_path / "ledgers", "operator", "leader")
        (found,) = read_ledgers(tmp_path, {"operator": None})
        assert isinstance(found, LedgerView)
        return found

    def test_the_budget_lasts_as_long_as_its_claims_say(self, ledger: LedgerView) -> None:
        found = ledger_outlook(ledger, [CHEAP, DEAR], FIRST, 10.0).spent
        days = found.aggregator_days
        assert epsilon(100_000, LEDGER_DELTA, days) <= 10.0 < epsilon(100_000, LEDGER_DELTA, days + 1)
        assert found.outsiders_days == days
        outsiders = replace(ledger, budget=replace(ledger.budget, counts=Observer.OUTSIDERS))
        trusting = ledger_outlook(outsiders, [], FIRST, 10.0).spent
        assert (trusting.outsiders_days, trusting.aggregator_days < days) == (days, True)

    def test_the_worst_day_is_repeated(self, ledger: LedgerView) -> None:
        found = ledger_outlook(ledger, [], FIRST, 10.0).worst
        assert found is not None
        price = ledger.days[0].price
        for days, observer in (
            (found.outsiders_days, Observer.OUTSIDERS),
            (found.aggregator_days, Observer.AGGREGATOR),
        ):
            within, beyond = (sum([price] * (days + more - 1), price) for more in (0, 1))
            assert within.epsilon(LEDGER_DELTA, observer) <= 10.0 < beyond.epsilon(LEDGER_DELTA, observer)
        assert ledger_outlook(replace(ledger, spent=()), [], FIRST, 10.0).worst is None

    def test_a_view_may_take_what_today_and_its_quota_have_left(self, ledger: LedgerView) -> None:
        def fits(day: int, **quotas: int) -> list[bool]:
            given = replace(ledger, budget=replace(ledger.budget, quotas=quotas))
            return [one.fits for one in ledger_outlook(given, [CHEAP, DEAR], day, 1.0).today]

        assert fits(FIRST) == [False, False]  # all of the day is spent
        assert fits(FIRST + 5) == [True, False]  # 0.02 are left
        assert fits(FIRST + 11) == [True, True]
        assert fits(FIRST + 11, cheap=19_999) == [False, True]

    def test_a_view_that_has_paid_for_today_costs_nothing_more(self, ledger: LedgerView) -> None:
        found = ledger_outlook(ledger, [replace(CHEAP, name="area"), CHEAP], FIRST, 1.0).today
        assert [(one.view, one.paid, one.fits) for one in found] == [("area", True, True), ("cheap", False, False)]


class TestChoice:
    def test_all_views_are_chosen_unless_some_are_named(self) -> None:
        changes = {"cheap": CostChange(rho=0.01)}
        assert [one.privacy.micro_rho for one in chosen_views([CHEAP, DEAR], [], changes)] == [10_000, 90_000]
        assert chosen_views([CHEAP, DEAR], ["dear"], {}) == [DEAR]

    def test_a_view_that_is_not_there_or_not_chosen_is_named(self) -> None:
        with pytest.raises(ItemMissing, match="no view 'gone' here; the views are: cheap, dear"):
            chosen_views([CHEAP, DEAR], ["gone"], {})
        with pytest.raises(UsageError, match="'cheap' has another price or pane, but is not among the chosen"):
            chosen_views([CHEAP, DEAR], ["dear"], {"cheap": CostChange(rho=0.01)})


class TestChange:
    def test_another_price_and_pane_change_nothing_else(self) -> None:
        changed = CostChange(rho=0.01, pane="15m").applied(CHEAP)
        assert (changed.privacy.micro_rho, changed.pane, changed.windows) == (10_000, "15m", CHEAP.windows)
        assert CostChange().applied(CHEAP) is CHEAP

    def test_the_default_of_noisers_stays(self) -> None:
        shared = CHEAP.with_default_noisers("shared")
        assert CostChange(rho=0.01).applied(shared).privacy.chosen_noisers == "shared"

    def test_the_cells_of_a_day_follow_its_panes(self) -> None:
        view = a_view("wide", bounds=Bounds(max_cells=100))
        assert CostChange(pane="1h").applied(view).bounds.max_cells == 48
        assert CostChange(pane="15m").applied(view).bounds.max_cells == 100

    @pytest.mark.parametrize("change", [CostChange(epsilon=1, rho=1), CostChange(pane="1d"), CostChange(rho=-1)])
    def test_what_a_view_cannot_have_is_refused(self, change: CostChange) -> None:
        with pytest.raises(DefinitionError):
            change.applied(CHEAP)
