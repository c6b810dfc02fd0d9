from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from featurestore.define.accounting import merged, schedule_epsilon
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.epsilon import largest_micro_rho
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.accountant import cost_of_day

DELTA = 1e-6
MEAN = Mean("x", clip=(0, 1000), resolution=1)
MANY = (MEAN, Histogram("x", edges=[1, 2, 3]), Rate("r", where="x > 1"), ClientCount("c"))


def _view(
    *features: ViewFeature,
    epsilon: float,
    delta: float = DELTA,
    cells: int = 1,
    events: int = 1,
    rho: float | None = None,
) -> FeatureView:
    return FeatureView(
        "v",
        entity=Entity("k", domain=["a", "b", "c", "d"]),
        features=features,
        pane="1d",
        bounds=Bounds(cells, events),
        privacy=Privacy(rho) if rho else Privacy(epsilon=epsilon, delta=delta, min_clients=2),
    )


def _epsilon(view: FeatureView) -> float:
    moves = merged(group.moves for group in layout_of(view).groups if group.moves is not None)
    return schedule_epsilon(moves, view.privacy.delta)


def _at(view: FeatureView, micro_rho: int) -> FeatureView:
    return replace(view, privacy=replace(view.privacy, epsilon=None, rho=Fraction(micro_rho, 10**6)))


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("delta", [1e-4, 1e-6, 1e-10])
@pytest.mark.parametrize("cells", [3, 4])
def test_an_epsilon_buys_the_largest_whole_micro_rho(epsilon: float, delta: float, cells: int) -> None:
    view = _view(*MANY, epsilon=epsilon, delta=delta, cells=cells)
    held = view.privacy.micro_rho
    assert _epsilon(view) <= epsilon < _epsilon(_at(view, held + len(layout_of(view).groups) * 10))
    assert min(float(group.mechanism.scale) for group in layout_of(view).groups) >= 8


@pytest.mark.parametrize(
    ("features", "bounds", "epsilon"),
    [
        ((Count("n"),), (1, 1), 1.0),  # σ = 4.2
        ((Count("n"),), (1, 1), 4.0),  # σ = 1.2
        ((Count("n"),), (1, 1), 6.0),  # σ < 1: there is no rounding bound
        ((Count("n"), Rate("r", where="x > 1")), (2, 1), 1.0),
        ((Count("n"), MEAN), (1, 3), 3.0),
        ((Histogram("x", edges=[1, 2]),), (2, 3), 6.0),  # a client may spread its events
    ],
)
def test_for_small_sigma_it_is_the_largest_to_one_part_in_two_thousand(
    features: tuple[ViewFeature, ...], bounds: tuple[int, int], epsilon: float
) -> None:
    view = _view(*features, epsilon=epsilon, cells=bounds[0], events=bounds[1])
    held = view.privacy.micro_rho
    assert _epsilon(view) <= epsilon < _epsilon(_at(view, held + held // 500))


@pytest.mark.parametrize("epsilon", [0.01, 0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("features", [(Count("n"),), MANY, (Histogram("x", edges=[1, 2]), ClientCount("c"))])
@pytest.mark.parametrize("bounds", [(1, 1), (4, 1), (2, 5)])
def test_no_view_gets_more_noise_than_by_zcdp(
    epsilon: float, features: tuple[ViewFeature, ...], bounds: tuple[int, int]
) -> None:
    view = _view(*features, epsilon=epsilon, cells=bounds[0], events=bounds[1])
    by_zcdp = largest_micro_rho(Fraction(repr(epsilon)), DELTA, 10**9)
    assert view.privacy.micro_rho >= by_zcdp
    assert view.privacy.micro_rho > by_zcdp or epsilon == 10  # there, with small σ, zCDP is as good


def test_one_epsilon_at_a_millionth_buys_15_percent_more_than_by_zcdp() -> None:
    view = _view(*(Count(f"n{i}") for i in range(8)), epsilon=1.0, cells=4)
    assert view.privacy.micro_rho == pytest.approx(28_010, rel=0.005)  # RULES: .02801 with continuous noise
    assert largest_micro_rho(Fraction(1), DELTA, 10**6) == 24_355


def test_another_definition_of_the_same_epsilon_has_a_rho_of_its_own() -> None:
    view = _view(Count("n"), epsilon=1.0)
    changed = replace(view, bounds=Bounds(4))
    assert changed.privacy.micro_rho == _view(Count("n"), epsilon=1.0, cells=4).privacy.micro_rho
    assert changed.privacy.micro_rho > view.privacy.micro_rho  # σ is larger, so less is lost to the lattice


def test_a_rho_is_taken_as_it_is() -> None:
    assert _view(*MANY, epsilon=0, rho=0.0244).privacy.micro_rho == 24_400


def test_under_shared_noise_the_epsilon_is_the_one_against_outsiders() -> None:
    each = _view(*MANY, epsilon=1.0, cells=3)
    shared = replace(each, privacy=replace(each.privacy, noisers="shared"))
    assert each.privacy.micro_rho == pytest.approx(shared.privacy.micro_rho, abs=1)
    assert (
        cost_of_day([layout_of(shared)]).epsilon_outside(DELTA) <= 1 < cost_of_day([layout_of(shared)]).epsilon(DELTA)
    )
    assert cost_of_day([layout_of(each)]).epsilon(DELTA) <= 1
