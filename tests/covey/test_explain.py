"""`covey explain`, the privacy label: it follows from the definition and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployment.inspect.explain import CLIENTS, ENOUGH, label_of
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.views_file import load_views
from federation.circuit.cost import cost_of

Covey = Callable[..., tuple[int, str, str]]

TWO_VIEWS = """
from covey import *
gauss = FeatureView('gauss', entity=Entity('a', domain=['x', 'y']), pane='1h', windows=['3h'], bounds=Bounds(2),
    features=[Count('n'), Mean('x', clip=(0, 100), resolution=1)], privacy=Privacy(rho=0.04))
pure = FeatureView('pure', entity=Entity('a', value='x'), pane='1d', bounds=Bounds(1),
    features=[Count('n'), Rate('r', where='x > 1')], privacy=Privacy(epsilon=0.3, mechanism='laplace'))
"""

TWO_NOISERS = """
from covey import *
every = dict(entity=Entity('a', domain=['x', 'y']), pane='1d', bounds=Bounds(2), features=[Count('n')])
each = FeatureView('each_of_two', privacy=Privacy(rho=0.02), **every)
shared = FeatureView('shared_by_two', privacy=Privacy(rho=0.02, noisers='shared'), **every)
"""


def view(*features: ViewFeature, name: str = "v", **changes: Any) -> FeatureView:
    settings: dict[str, Any] = {"pane": "1d", "bounds": Bounds(2, 1), "privacy": Privacy(rho=0.1)} | changes
    return FeatureView(name, entity=Entity("k", domain=["a", "b"]), features=features, **settings)


class TestLabel:
    def test_a_gaussian_view_is_told_in_rho_and_in_epsilon_at_delta(self) -> None:
        (told,) = label_of([view(Count("n"), Count("m"), Count("o"))]).views
        assert (told.mechanism, told.asked_rho, told.held_millionths, told.lost_millionths) == (
            "gaussian",
            0.1,
            100_000,
            1,
        )
        assert told.cost.micro_rho == 99_999
        day, week, month = told.cost.epsilon
        assert (day.days, week.days, month.days) == (1, 7, 30)
        assert day.aggregator == pytest.approx(1.99442, rel=1e-5)  # the exact one of 6 moves at σ² = 30; 2.143 by zCDP
        assert 1 - 1e-5 <= month.aggregator / 14.09015 <= 1.005  # 14.95 by zCDP
        assert day.outsiders < day.aggregator
        assert day.pure is None

    def test_a_laplace_view_is_told_in_pure_epsilon_too(self) -> None:
        privacy = Privacy(epsilon=0.5, mechanism="laplace")
        made = view(Count("n"), Rate("r", where="x > 1"), privacy=privacy)
        (told,) = label_of([made]).views
        assert [claim.pure for claim in told.cost.epsilon] == [0.5, 3.5, 15.0]
        assert told.cost.epsilon[-1].aggregator < 15.0
        assert [(g.sensitivity, g.micro_epsilon) for g in told.groups] == [(2, 250_000), (2, 175_000), (2, 75_000)]
        assert told.groups[0].scale == 8.0
        assert told.groups[0].opened_se == layout_of(made).groups[0].opened_variance ** 0.5

    def test_the_expected_error_of_a_count_is_that_of_its_group(self) -> None:
        for privacy in (Privacy(rho=0.1), Privacy(epsilon=0.5, mechanism="laplace")):
            (told,) = label_of([view(Count("n"), privacy=privacy)]).views
            (count,) = told.features
            assert [error.clients for error in count.expected] == list(CLIENTS)
            assert {error.se for error in count.expected} == {told.groups[0].opened_se}

    def test_errors_are_predicted_for_a_stated_number_of_clients(self) -> None:
        features = (Count("n"), Mean("x", clip=(0, 10)), Rate("r", where="x > 1"), Histogram("x", edges=[1, 2, 3]))
        (told,) = label_of([view(*features)], clients=[10, 4_000]).views
        (usual,) = label_of([view(*features)]).views
        assert replace(told, features=usual.features) == usual
        by_name = {feature.feature: feature.expected for feature in told.features}
        assert [error.clients for error in by_name["n"]] == [10, 4_000]
        assert [(error[1].value, error[0].value) for error in by_name.values()] == [
            (4_000, 10),
            (5.0, None),
            (0.5, None),
            (1_000, 2),
        ]
        assert {error[1].drowned for error in by_name.values()} == {False}
        (again,) = label_of([view(*features)], clients=[50, 1_000, 10_000]).views
        assert again == usual

    def test_an_equal_view_that_was_made_again_is_told_alike(self) -> None:
        """Layouts are cached by equality, so a view's layout may hold the features of another, equal object."""

        def made() -> FeatureView:
            cells = Histogram("x", edges=[1, 2], nulls=True)
            return view(cells, Rate("big", where="x >= 2", derive=True), Count("n", derive=True), name="again")

        assert label_of([made()]).views == label_of([made()]).views

    def test_noise_drowns_what_is_below_three_standard_errors_and_what_would_be_null(self) -> None:
        features = (Count("n"), ClientCount("c"), Histogram("x", edges=[1, 2, 3]), Mean("x", clip=(0, 1000)))
        (told,) = label_of([view(*features, privacy=Privacy(rho=0.05))]).views
        by_name = {feature.feature: feature for feature in told.features}
        se = {group.feature: group.opened_se for group in told.groups}
        assert by_name["n"].enough_clients == next(n for n in ENOUGH.tolist() if n >= 3 * se["n"])
        assert by_name["x_hist"].enough_clients == next(n for n in ENOUGH.tolist() if n >= 3 * 4 * se["x_hist"])
        for feature in told.features:
            for error in feature.expected:
                assert feature.enough_clients is not None
                assert error.drowned == (error.clients < feature.enough_clients)
        assert [error.drowned for error in by_name["x_hist"].expected] == [True, False, False]
        assert [error.se is None for error in by_name["x_mean"].expected] == [True, False, False]
        n_se = next(group.opened_se for group in told.groups if group.group == "non_null_count")
        assert by_name["x_mean"].enough_clients == next(n for n in ENOUGH.tolist() if n >= 3 * n_se)

    def test_a_feature_that_no_number_of_clients_saves_says_so(self) -> None:
        hopeless = view(Mean("x", clip=(0, 1)), bounds=Bounds(10**6, 10**6), privacy=Privacy(rho=0.000004))
        (told,) = label_of([hopeless]).views
        assert told.features[0].enough_clients is None

    def test_the_total_is_the_sum_at_the_smallest_delta(self) -> None:
        one = view(Count("n"), privacy=Privacy(rho=0.06))
        other = view(Count("n"), name="w", privacy=Privacy(rho=0.04, delta=1e-9))
        told = label_of([one, other])
        assert (told.total.micro_rho, told.total.delta, told.over_budget) == (100_000, 1e-9, 0)
        assert told.total.epsilon[0].aggregator > told.views[0].cost.epsilon[0].aggregator + 0.5
        third = view(Count("n"), name="z", privacy=Privacy(rho=0.000001))
        assert label_of([one, other, third]).over_budget == 1

    def test_what_a_report_costs_with_proofs_is_told_beside_what_it_costs_without(self) -> None:
        made = view(Count("n"), Rate("r", where="x > 1"))
        (told,) = label_of([made]).views
        assert told.with_proofs == cost_of(layout_of(made))
        assert told.report_bytes_leader == 8 * 6 + 16
        assert told.with_proofs.report_bytes_leader == 8 * (6 + 3 * told.with_proofs.proof) + 32 + 64 + 16
        assert (told.report_bytes_helper, told.with_proofs.report_bytes_helper) == (48, 144)

    def test_only_laplace_views_have_a_pure_total(self) -> None:
        pure = [view(Count("n"), name=name, privacy=Privacy(epsilon=0.2, mechanism="laplace")) for name in "ab"]
        assert label_of(pure).total.epsilon[0].pure == 0.4
        assert label_of([*pure, view(Count("n"))]).total.epsilon[0].pure is None


class TestCommand:
    def test_the_label_says_all_that_a_person_needs_to_decide(
        self, covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "views.py").write_text(TWO_VIEWS)
        code, out, err = covey("explain", tmp_path / "views.py")
        assert (code, err) == (0, "")
        for text in (
            "one client in one UTC day",
            "all events of that client-day against none; the enrolment is public",
            "18 + 3 × 23 elements of Field64, 1.16 times a SumVec of the slots' bits",
            "passes with probability 2^-180 a try, at most",
            "Prio3 with Covey's own circuit, algorithm 0xFFFF0002: docs/validity.md",
            "discrete Gaussian",
            "discrete Laplace",
            "√2 = 1.41 times",
            "ρ = 0.04 a client-day, of 0.04 requested; rounding lost nothing",
            "ε = 0.3 a client-day, of 0.3 requested; rounding lost nothing; a ledger charges ρ = 0.01",
            "against outsiders",
            "any 7 days",
            "ε at δ = 1e-06",
            "activity, under participation `active`",
            "Nothing, under participation `all`",
            "Δ₁",
            "Δ₂",
            "n = 10,000",
            "warning: noise drowns x_mean at 50 clients",
            "In all, these 2 views cost ρ = 0.0",
            "That is within the default budget of ρ = 0.1 a client-day.",
        ):
            assert text in out

    def test_views_of_different_noisers_are_counted_at_their_prices_against_an_aggregator(
        self, covey: Covey, tmp_path: Path
    ) -> None:
        (tmp_path / "views.py").write_text(TWO_NOISERS)
        code, out, _ = covey("explain", tmp_path / "views.py")
        assert code == 0
        counted = (
            "ρ = 0.06 a client-day against an aggregator, which budgets count by default, and 0.03 against outsiders"
        )
        assert f"In all, these 2 views cost {counted}" in " ".join(out.split())
        total = json.loads(covey("explain", tmp_path / "views.py", "--json")[1])["total"]
        assert (total["micro_rho"], total["outsiders_micro_rho"]) == (60_000, 30_000)

    def test_a_filtered_rate_costs_nothing_and_says_what_its_error_holds(self, covey: Covey, tmp_path: Path) -> None:
        filtered = "Rate('r', where='x > 1'), Filtered('r', '4h', sd=0.1, tz='Europe/Paris')]"
        (tmp_path / "plain.py").write_text(TWO_VIEWS)
        (tmp_path / "views.py").write_text(TWO_VIEWS.replace("Rate('r', where='x > 1')]", filtered))
        _, out, _ = covey("explain", tmp_path / "views.py")
        told = " ".join(out.split())
        assert (
            "r_dev, r_pred, r_n: filtered from r, half-life 4h, s₀ 0.1, season 1d in the local time of Europe/Paris"
            in told
        )
        assert (
            "They cost nothing; their standard error covers tracking and sampling errors as well as the noise" in told
        )
        plain, made = (
            json.loads(covey("explain", tmp_path / name, "--json")[1])["views"][1] for name in ("plain.py", "views.py")
        )
        assert plain.pop("filtered") == []
        assert [one["features"] for one in made.pop("filtered")] == [["r_dev", "r_pred", "r_n"]]
        assert made == plain

    def test_it_fits_100_columns(self, covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "100")
        (tmp_path / "views.py").write_text(TWO_VIEWS)
        _, out, _ = covey("explain", tmp_path / "views.py")
        assert max(map(len, out.splitlines())) <= 100
        assert "…" not in out

    def test_views_beyond_the_default_budget_are_warned_of(self, covey: Covey, tmp_path: Path) -> None:
        (tmp_path / "views.py").write_text(TWO_VIEWS.replace("rho=0.04", "epsilon=4.0"))
        _, out, _ = covey("explain", tmp_path / "views.py")
        assert "for ε ≤ 4 at δ = 1e-06 requested" in out
        assert "more than the default budget of ρ = 0.1 a client-day: aggregators refuse a plan" in out

    def test_json_holds_the_same(self, covey: Covey, tmp_path: Path) -> None:
        (tmp_path / "views.py").write_text(TWO_VIEWS)
        _, out, _ = covey("explain", tmp_path / "views.py", "--json")
        told = json.loads(out)
        gauss, pure = told["views"]
        assert (gauss["with_proofs"]["proofs"], gauss["with_proofs"]["field"]) == (3, "Field64")
        assert gauss["outside_claim"] == {"active": ["activity", "counted_sites"], "all": []}
        assert (gauss["cost"]["micro_rho"], gauss["asked_rho"], pure["asked_epsilon"]) == (40_000, 0.04, 0.3)
        assert [group["delta1"] for group in pure["groups"]] == [1, 1, 1]
        assert told["total"]["micro_rho"] == gauss["cost"]["micro_rho"] + pure["cost"]["micro_rho"]
        assert (told["budget_micro_rho"], told["over_budget_micro_rho"]) == (100_000, 0)

    def test_shared_noise_is_told_with_both_prices_and_a_project_may_be_its_reason(
        self, covey: Covey, tmp_path: Path
    ) -> None:
        (tmp_path / "views.py").write_text(TWO_VIEWS.partition("pure =")[0])
        words = "explain", tmp_path / "views.py", "--project", tmp_path
        assert "each add all of the noise" in covey(*words)[1]
        covey("init", tmp_path)
        toml = tmp_path / "covey.toml"
        toml.write_text(toml.read_text().replace('noisers = "each"', 'noisers = "shared"'))
        _, out, _ = covey(*words)
        said = " ".join(out.split())
        assert "Leader and helper each add half of the variance" in said
        assert (
            "ρ = 0.04 a client-day, of 0.04 requested; rounding lost nothing; a ledger charges ρ = 0.08 for it" in said
        )
        (told,) = json.loads(covey(*words, "--json")[1])["views"]
        assert (told["noise_split"], told["noisers"], told["cost"]["micro_rho"]) == ("shared", 2, 80_000)
        (each,) = label_of([replace(one, privacy=Privacy(rho=0.04)) for one in load_views(tmp_path / "views.py")]).views
        day = told["cost"]["epsilon"][0]
        assert day["outsiders"] == pytest.approx(each.cost.epsilon[0].aggregator)
        assert day["outsiders"] < day["aggregator"]
        for half, whole in zip(told["groups"], each.groups, strict=True):
            assert half["opened_se"] == pytest.approx(whole.opened_se / 2**0.5) == pytest.approx(whole.scale)

    @pytest.mark.parametrize(
        ("price", "says"),
        [
            ("rho=10, noisers='shared'", "use a `rho` of at most 0.125001, or noisers='each'"),
            ("rho=0.1, noisers='both'", "`noisers` must be each or shared, got 'both'"),
            ("epsilon=1, mechanism='laplace', noisers='shared'", "noisers='shared' needs Gaussian noise"),
            ("rho=-1", "`rho` must be from 0.000001 to 1000, got -1"),
            ("epsilon=float('nan')", "`epsilon` must be"),
            ("", "give `rho=` or `epsilon=`, exactly one; got neither"),
            ("rho=1, mechanism='laplace'", "give `epsilon=` instead"),
            ("rho=0.1, min_clients=1", "`min_clients` must be a whole number of at least 2, got 1"),
            ("rho=0.1, delta=0.02", "`delta` 0.02 must be below 1/min_clients = 1/50"),
        ],
    )
    def test_a_bad_price_is_one_line_with_the_mend(self, covey: Covey, tmp_path: Path, price: str, says: str) -> None:
        (tmp_path / "views.py").write_text(TWO_VIEWS.replace("rho=0.04", price))
        code, out, err = covey("explain", tmp_path / "views.py")
        assert (code, out) == (2, "")
        assert says in err
        assert len(err.splitlines()) == 1
