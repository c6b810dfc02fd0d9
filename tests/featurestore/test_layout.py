from __future__ import annotations

import itertools
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.mechanism import GaussianMechanism, LaplaceMechanism
from featurestore.define.privacy import Bounds, Privacy
from featurestore.errors import DefinitionError
from federation.accountant import epsilon
from tests.shared_files import SHARED, shared_file

_VIEWS: list[dict[str, Any]] = (
    json.loads((SHARED / "vectors" / "privacy.json").read_text())["views"]
    if (SHARED / "vectors" / "privacy.json").is_file()
    else [{"name": "missing"}]
)


def _feature(data: dict[str, Any]) -> ViewFeature:
    arguments = {name: value for name, value in data.items() if name != "type"}
    match data["type"]:
        case "Count":
            return Count(**arguments)
        case "ClientCount":
            return ClientCount(**arguments)
        case "Rate":
            return Rate(**arguments)
        case "Mean":
            return Mean(arguments.pop("column", data["name"].removesuffix("_mean")), **arguments)
        case "Histogram":
            return Histogram(arguments.pop("column", data["name"].removesuffix("_hist")), **arguments)
    raise AssertionError(data["type"])


@pytest.mark.parametrize("golden", _VIEWS, ids=lambda view: str(view["name"]))
def test_sensitivities_split_and_sigma_equal_the_vector(golden: dict[str, Any]) -> None:
    shared_file("vectors/privacy.json")
    view = FeatureView(
        golden["name"],
        entity=Entity("key", domain=["a", "b", "c", "d", "e", "f", "g", "h"]),
        features=[_feature(data) for data in golden["features"]],
        pane="1d",
        bounds=Bounds(**golden["bounds"]),
        privacy=Privacy(rho=Fraction(golden["micro_rho"], 10**6), delta=golden["delta"]),
    )
    layout = layout_of(view)
    made = [(group, group.mechanism) for group in layout.groups]
    mine = [(group.feature, group.kind, noise.delta2_sq, noise.micro_rho, noise.sigma_sq) for group, noise in made]
    assert mine == [
        (
            group["feature"],
            group["group"],
            group["delta2_sq"],
            group["micro_rho"],
            Fraction(group["sigma_sq"]),
        )
        for group in golden["groups"]
    ]
    for group, expected in zip(layout.groups, golden["groups"], strict=True):
        assert group.opened_variance**0.5 == pytest.approx(expected["opened_se"], rel=1e-12)
    assert layout.micro_rho == golden["rho_spent_micro"]
    assert epsilon(layout.micro_rho, golden["delta"]) == pytest.approx(golden["epsilon_day"], rel=5e-4)
    assert epsilon(layout.micro_rho, golden["delta"], days=30) == pytest.approx(golden["epsilon_30_days"], rel=5e-4)


def _view(*features: ViewFeature, keys: int = 2, **changes: Any) -> FeatureView:
    settings: dict[str, Any] = {"pane": "1d", "bounds": Bounds(2, 3), "privacy": Privacy(rho=0.1)} | changes
    return FeatureView("v", entity=Entity("k", domain=range(keys)), features=features, **settings)


def test_slots_hold_what_one_client_adds_to_one_cell_at_most() -> None:
    layout = layout_of(
        _view(
            Count("n"), ClientCount("c"), Mean("x", clip=(0, 10), resolution=1), Histogram("x", edges=[1], nulls=True)
        )
    )
    assert [(slot.feature, slot.max_value) for slot in layout.slots] == [
        ("n", 3), ("c", 1), ("x_mean", 30), ("x_mean", 3), ("x_hist", 3), ("x_hist", 3), ("x_hist", 3),
    ]  # fmt: skip
    assert [slot.bits for slot in layout.slots] == [2, 1, 5, 2, 2, 2, 2]
    assert layout.length == 14


def test_groups_partition_the_slots() -> None:
    layout = layout_of(_view(Count("n"), Rate("r", where="x > 1"), Mean("x", clip=(0, 9)), ClientCount("c")))
    assert sorted(slot for group in layout.groups for slot in group.slots) == list(range(layout.slots_per_key))


@pytest.mark.parametrize(("q_max", "centre", "largest"), [(10, 5, 5), (11, 5, 6)])
def test_the_centred_sum_moves_by_half_the_range_rounded_up(q_max: int, centre: int, largest: int) -> None:
    layout = layout_of(_view(Mean("x", clip=(0, q_max), resolution=1)))
    assert layout.basis.tolist() == [[1, -centre], [0, 1]]
    assert max(abs(q - centre) for q in range(q_max + 1)) == largest
    assert layout.groups[0].delta2_sq == 2 * (3 * largest) ** 2


FEATURES = (Count("n"), ClientCount("c"), Mean("x", clip=(0, 11), resolution=1), Rate("r", where="x > 1"), Histogram("x", edges=[1, 2], weight=2))  # fmt: skip


def test_a_laplace_view_splits_epsilon_as_a_gaussian_one_splits_rho() -> None:
    pure = layout_of(_view(*FEATURES, privacy=Privacy(epsilon=1.0, mechanism="laplace")))
    gauss = layout_of(_view(*FEATURES, privacy=Privacy(rho=1.0)))
    assert [group.mechanism.micro_epsilon for group in pure.groups] == [
        group.mechanism.micro_rho for group in gauss.groups
    ]
    assert [group.mechanism.micro_epsilon for group in pure.groups] == [
        166_666,
        166_666,
        116_666,
        49_999,
        116_666,
        49_999,
        333_333,
    ]
    assert (pure.micro_epsilon, gauss.micro_epsilon) == (999_995, None)
    assert (pure.basis == gauss.basis).all()


def test_sensitivities_of_pure_dp_are_l1_norms_of_a_client_day() -> None:
    layout = layout_of(_view(*FEATURES, privacy=Privacy(epsilon=1.0, mechanism="laplace")))
    # Bounds(2, 3): 2 cells of 3 events; q_max = 11, so an event moves the centred sum by 6 at most
    assert [group.delta1 for group in layout.groups] == [6, 2, 36, 6, 6, 6, 6]
    for group in layout.groups:
        assert group.mechanism.b == Fraction(group.delta1 * 10**6, group.mechanism.micro_epsilon)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 6),
    st.lists(st.lists(st.integers(0, 6), max_size=3), max_size=3),
)
def test_no_client_day_moves_a_group_by_more_than_its_sensitivities(
    cells: int, events: int, q_max: int, day: list[list[int]]
) -> None:
    """A client-day is a set of cells with events. Each event has a value of 0 … q_max; 6 is null."""
    features = (
        Count("n"),
        ClientCount("c"),
        Mean("x", clip=(0, q_max), resolution=1),
        Rate("r", where="x >= 2"),
        Histogram("x", edges=[1, 3], nulls=True),
    )
    layout = layout_of(_view(*features, keys=3, bounds=Bounds(cells, events)))
    moved = []
    for cell in day[:cells]:
        values = [min(value, q_max) if value < 6 else None for value in cell[:events]]
        if not values:
            continue
        known = [value for value in values if value is not None]
        hist = [sum(v < 1 for v in known), sum(1 <= v < 3 for v in known), sum(v >= 3 for v in known)]
        true = sum(v >= 2 for v in known)
        raw = [len(values), 1, sum(known), len(known), true, len(known) - true, *hist, len(values) - len(known)]
        moved.append(layout.basis @ np.array(raw))
    day_moved = np.array(moved, dtype=np.int64).reshape(-1, layout.slots_per_key)
    for group in layout.groups:
        of_group = day_moved[
            :, list(group.slots)
        ]  # cells are separate keys or panes: separate coordinates of the opened sums
        assert np.abs(of_group).sum() <= group.delta1
        assert (of_group**2).sum() <= group.delta2_sq


@pytest.mark.parametrize("keys", [1, 2, 3])
@pytest.mark.parametrize("bounds", [Bounds(1, 2), Bounds(2, 2), Bounds(4, 1), Bounds(4, 2)])
@pytest.mark.parametrize("q_max", [1, 2, 3])
def test_sensitivities_are_the_exact_maxima_over_all_client_days(keys: int, bounds: Bounds, q_max: int) -> None:
    """Every day of a client, event for event: what each key gets, and how its events spread over a histogram."""
    features = (
        Count("n"),
        ClientCount("c"),
        Mean("x", clip=(0, q_max), resolution=1),
        Rate("r", where="x >= 1"),
        Histogram("x", edges=[1, 2], nulls=True),
    )
    layout = layout_of(_view(*features, keys=keys, bounds=bounds))
    raw = []
    for events in range(bounds.max_events_per_cell + 1):
        for values in itertools.combinations_with_replacement([*range(q_max + 1), None], events):
            known = [value for value in values if value is not None]
            hist = [known.count(0), known.count(1), len(known) - known.count(0) - known.count(1)]
            true = len(known) - known.count(0)
            cell = [events, events > 0, sum(known), len(known), true, len(known) - true, *hist, events - len(known)]
            raw.append(cell)
    cells = layout.basis @ np.array(raw).T  # [slot, content]; the first content is no event
    days = np.array(list(itertools.product(range(cells.shape[1]), repeat=keys)))
    days = days[(days > 0).sum(axis=1) <= bounds.declared_cells]
    for group in layout.groups:
        moved = cells[list(group.slots)]
        assert np.abs(moved).sum(axis=0)[days].sum(axis=1).max() == group.delta1
        assert (moved**2).sum(axis=0)[days].sum(axis=1).max() == group.delta2_sq


def test_the_sensitivities_are_reached() -> None:
    layout = layout_of(_view(Mean("x", clip=(0, 7), resolution=1), Histogram("x", edges=[1])))
    # 2 cells of 3 events of the value 7 (centre 3): 3·4 in each; all events in one slot of the histogram
    cell = layout.basis @ np.array([21, 3, 0, 3])
    assert cell.tolist() == [12, 3, 0, 3]
    assert [(group.delta1, group.delta2_sq) for group in layout.groups] == [(24, 288), (6, 18), (6, 18)]


def test_a_laplace_group_charges_half_its_epsilon_squared_rounded_up() -> None:
    layout = layout_of(_view(*FEATURES, privacy=Privacy(epsilon=1.0, mechanism="laplace")))
    for group in layout.groups:
        assert 0 <= group.mechanism.micro_rho - Fraction(group.mechanism.micro_epsilon**2, 2 * 10**6) < 1
    assert layout.micro_rho == sum(group.mechanism.micro_rho for group in layout.groups)
    assert layout.micro_rho < 500_000  # with the whole ε = 1 in one group it is ½


@pytest.mark.parametrize("epsilon", [0.5, 1.5, 12.0, 0.001])
def test_the_variance_of_laplace_noise_is_that_of_its_probabilities(epsilon: float) -> None:
    layout = layout_of(
        _view(Count("n"), keys=6, bounds=Bounds(6), privacy=Privacy(epsilon=epsilon, mechanism="laplace"))
    )
    (group,) = layout.groups
    b = float(group.mechanism.b)
    x = np.arange(-int(60 * b) - 5, int(60 * b) + 6)
    p = np.exp(-np.abs(x) / b)
    assert group.variance == pytest.approx(float((x**2 * p).sum() / p.sum()), rel=1e-9)
    assert group.opened_variance == 2 * group.variance


def test_the_variance_of_gaussian_noise_is_sigma_squared() -> None:
    (group,) = layout_of(_view(Count("n"))).groups
    assert group.variance == float(group.mechanism.sigma_sq)
    assert group.opened_variance == float(2 * group.mechanism.sigma_sq)


def test_shared_noise_is_half_of_the_variance_from_each_at_twice_the_price_against_an_aggregator() -> None:
    each, shared = (layout_of(_view(*FEATURES, privacy=Privacy(rho=0.1, noisers=one))) for one in ("each", "shared"))
    assert shared.micro_rho == 2 * each.micro_rho
    assert shared.stated_micro_rho == each.stated_micro_rho == each.micro_rho
    for one, other in zip(each.groups, shared.groups, strict=True):
        assert (other.delta1, other.delta2_sq) == (one.delta1, one.delta2_sq)
        assert other.mechanism.sigma_sq == other.moves.sigma_sq == one.mechanism.sigma_sq / 2
        assert (
            other.opened_variance == one.variance == pytest.approx(10**6 * one.delta2_sq / 2 / one.mechanism.micro_rho)
        )


@given(
    st.lists(st.sampled_from([*FEATURES, Mean("y", clip=(0, 1), weight=0.3)]), min_size=1, unique_by=lambda f: f.name),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_too_little_shared_noise_is_refused_and_the_error_has_the_largest_rho(
    features: list[ViewFeature], cells: int, events: int
) -> None:
    def view(rho: Fraction) -> FeatureView:
        return _view(*features, bounds=Bounds(cells, events), privacy=Privacy(rho=rho, noisers="shared"))

    with pytest.raises(DefinitionError, match=r"noisers='shared' needs noise of σ² ≥ 8 from each") as caught:
        layout_of(view(Fraction(9)))
    assert caught.value.feature in {feature.name for feature in features}
    most = Fraction(str(caught.value).split("`rho` of at most ")[1].split(",")[0])
    assert min(group.mechanism.sigma_sq for group in layout_of(view(most)).groups) >= 8
    with pytest.raises(DefinitionError, match="at most"):
        layout_of(view(most + Fraction(1, 10**6)))


def test_a_mechanism_has_the_scale_of_its_own_kind_only() -> None:
    (gauss,) = layout_of(_view(Count("n"))).groups
    (pure,) = layout_of(_view(Count("n"), privacy=Privacy(epsilon=1.0, mechanism="laplace"))).groups
    assert gauss.mechanism == GaussianMechanism(gauss.delta2_sq, 100_000)
    assert pure.mechanism == LaplaceMechanism(pure.delta1, 1_000_000)
    assert not hasattr(gauss.mechanism, "b")
    assert not hasattr(pure.mechanism, "sigma_sq")


def test_rho_is_never_overspent_and_rounding_loses_little() -> None:
    layout = layout_of(_view(*(Count(f"n{i}", weight=i + 1) for i in range(7))))
    assert 100_000 - 7 <= layout.micro_rho <= 100_000


def test_a_vector_that_is_too_long_is_refused() -> None:
    with pytest.raises(DefinitionError, match="at most"):
        layout_of(_view(Histogram("x", edges=range(999)), keys=20_000))


def test_more_slots_a_key_than_a_basis_is_built_for_are_refused() -> None:
    def view(histograms: int) -> FeatureView:
        features = [Histogram(f"x{i}", edges=list(range(999))) for i in range(histograms)]
        bounds, privacy = Bounds(max_cells=1), Privacy(rho=0.5, min_clients=2)
        return FeatureView(
            "wide", entity=Entity("dest", domain=["ATL"]), features=features, pane="1h", bounds=bounds, privacy=privacy
        )

    assert layout_of(view(2)).slots_per_key == 2_000
    with pytest.raises(DefinitionError, match="more than 2,048 slots a key"):
        layout_of(view(3))
