from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from featurestore.definitions import Bounds, FeatureView, Privacy
from featurestore.entities import Entity
from featurestore.errors import DefinitionError
from featurestore.features import ClientCount, Count, Feature, Histogram, Mean, Rate
from featurestore.layout import layout_of
from federation.accountant import epsilon
from tests.shared_files import SHARED, shared_file

_VIEWS: list[dict[str, Any]] = (
    json.loads((SHARED / "vectors" / "privacy.json").read_text())["views"]
    if (SHARED / "vectors" / "privacy.json").is_file()
    else [{"name": "missing"}]
)


def _feature(data: dict[str, Any]) -> Feature:
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
        entity=Entity("key", domain=["a", "b"]),
        features=[_feature(data) for data in golden["features"]],
        pane="1d",
        bounds=Bounds(**golden["bounds"]),
        privacy=Privacy(rho=Fraction(golden["micro_rho"], 10**6), delta=golden["delta"]),
    )
    layout = layout_of(view)
    mine = [(g.feature, g.kind, g.delta2_sq, g.micro_rho, g.sigma_sq, g.opened_sigma_sq) for g in layout.groups]
    assert mine == [
        (
            group["feature"],
            group["group"],
            group["delta2_sq"],
            group["micro_rho"],
            Fraction(group["sigma_sq"]),
            2 * Fraction(group["sigma_sq"]),
        )
        for group in golden["groups"]
    ]
    for group, expected in zip(layout.groups, golden["groups"], strict=True):
        assert float(group.opened_sigma_sq) ** 0.5 == pytest.approx(expected["opened_se"], rel=1e-12)
    assert layout.micro_rho == golden["rho_spent_micro"]
    assert epsilon(layout.micro_rho, golden["delta"]) == pytest.approx(golden["epsilon_day"], rel=5e-4)
    assert epsilon(layout.micro_rho, golden["delta"], days=30) == pytest.approx(golden["epsilon_30_days"], rel=5e-4)


def _view(*features: Feature, keys: int = 2, **changes: Any) -> FeatureView:
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


def test_rho_is_never_overspent_and_rounding_loses_little() -> None:
    layout = layout_of(_view(*(Count(f"n{i}", weight=i + 1) for i in range(7))))
    assert 100_000 - 7 <= layout.micro_rho <= 100_000


def test_a_vector_that_is_too_long_is_refused() -> None:
    with pytest.raises(DefinitionError, match="at most"):
        layout_of(_view(Histogram("x", edges=range(999)), keys=20_000))
