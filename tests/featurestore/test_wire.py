from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given

from featurestore.define import view_pb2 as pb
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.wire import collection_hash, definition_hash, view_from_bytes, view_to_bytes
from featurestore.errors import ExpressionRefused, ViewMalformed
from tests.strategies import Truth, views


def _view(**changes: object) -> FeatureView:
    settings: dict[str, object] = {
        "entity": Entity(["a", "b"], domain=[("x", 1), ("y", -2)], column=["A", "B"]),
        "features": [
            Count("n", derive=True),
            ClientCount("c", weight=0.1, description="who"),
            Mean("x", clip=(-1, 2)),
            Histogram("x", edges=[0, 1.5], nulls=True),
            Rate("r", where="x >= 1.5", derive=True),
        ],
        "pane": "1h",
        "bounds": Bounds(2, 3),
        "privacy": Privacy(rho=0.3, min_clients=20, suppress_below=5),
        "windows": ["3h", "1d"],
        "time": "t",
        "ttl": "7d",
        "owner": "me",
        "tags": {"b": "2", "a": "1"},
    }
    return FeatureView("v", **settings | changes)  # type: ignore[arg-type]


def test_a_view_survives_its_bytes() -> None:
    data = view_to_bytes(_view())
    assert view_to_bytes(view_from_bytes(data)) == data


def test_a_gaussian_view_has_the_hash_that_it_had_before_there_were_mechanisms() -> None:
    assert definition_hash(_view()).hex() == "4e1305a4a9876ca62999ade2d91ff304181798c536abef97b1a22c17f625022c"


def test_a_view_with_shared_noise_survives_its_bytes_and_has_hashes_of_its_own() -> None:
    made = _view(privacy=Privacy(rho=0.3, min_clients=20, suppress_below=5, noisers="shared"))
    again = view_from_bytes(view_to_bytes(made))
    assert (again.privacy, again.privacy.noisers) == (made.privacy, "shared")
    assert definition_hash(made) != definition_hash(_view())
    assert collection_hash(made) != collection_hash(_view())


def test_a_view_that_names_no_noisers_equals_one_whose_noisers_are_each_and_reads_as_that() -> None:
    named = _view(privacy=Privacy(rho=0.3, min_clients=20, suppress_below=5, noisers="each"))
    assert (named, view_to_bytes(named)) == (_view(), view_to_bytes(_view()))
    assert view_from_bytes(view_to_bytes(_view())).privacy.noisers == "each"


def test_a_laplace_view_survives_its_bytes() -> None:
    made = _view(privacy=Privacy(epsilon=0.29, mechanism="laplace", min_clients=20, suppress_below=5))
    again = view_from_bytes(view_to_bytes(made))
    assert again.privacy == made.privacy
    assert (again.privacy.mechanism, again.privacy.micro_epsilon) == ("laplace", 290_000)
    assert definition_hash(made) != definition_hash(_view())


def test_a_price_in_epsilon_travels_as_the_rho_that_it_bought() -> None:
    made = _view(privacy=Privacy(epsilon=1.0))
    again = view_from_bytes(view_to_bytes(made))
    assert again.privacy == made.privacy
    assert again.privacy.epsilon is None
    assert again.privacy.micro_rho == made.privacy.micro_rho


@pytest.mark.parametrize(
    "change",
    [
        {"mechanism": "gaussian"},  # the default is not encoded
        {"mechanism": "cauchy"},
        {"mechanism": "laplace"},  # with a price in ρ
        {"mechanism": "laplace", "micro_rho": 0},
        {"micro_epsilon": 1},  # two prices
        {"micro_rho": 0, "micro_epsilon": 500_000},  # a Gaussian view travels with its ρ
        {"micro_rho": 0},
        {"delta": 0.5},
        {"noisers": "each"},  # the default is not encoded
        {"noisers": "both"},
        {"noisers": "shared", "mechanism": "laplace", "micro_rho": 0, "micro_epsilon": 500_000},
    ],
)
def test_another_price_than_the_mechanisms_own_is_refused(change: dict[str, object]) -> None:
    message = pb.FeatureView.FromString(view_to_bytes(_view()))
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ViewMalformed):
        view_from_bytes(message.SerializeToString(deterministic=True))


def test_a_refused_expression_is_the_cause_of_malformed_bytes() -> None:
    message = pb.FeatureView.FromString(view_to_bytes(_view()))
    message.features[4].rate.where = "x + 1 > 2"
    with pytest.raises(ViewMalformed) as caught:
        view_from_bytes(message.SerializeToString(deterministic=True))
    assert isinstance(caught.value.__cause__, ExpressionRefused)


@given(views())
def test_every_view_survives_its_bytes(drawn: tuple[FeatureView, Mapping[str, Truth]]) -> None:
    view, _ = drawn
    data = view_to_bytes(view)
    assert view_to_bytes(view_from_bytes(data)) == data


@pytest.mark.parametrize(
    "change",
    [
        {"pane": "15m"},
        {"windows": ["3h"]},
        {"owner": ""},
        {"ttl": None},
        {"retention": "400d"},
        {"bounds": Bounds(2, 2)},
        {"tags": {"a": "1"}},
    ],
)
def test_anything_in_the_definition_changes_its_hash(change: dict[str, object]) -> None:
    assert definition_hash(_view(**change)) != definition_hash(_view())


def test_the_share_of_sites_that_a_pane_needs_changes_the_schema_and_no_collection() -> None:
    changed = _view(min_site_coverage=0.5)
    assert view_from_bytes(view_to_bytes(changed)).min_site_coverage == 0.5
    assert definition_hash(changed) != definition_hash(_view())
    assert collection_hash(changed) == collection_hash(_view())


def test_retention_changes_no_collection_and_a_view_without_it_has_the_bytes_of_earlier_versions() -> None:
    changed = _view(retention="400d")
    assert view_from_bytes(view_to_bytes(changed)).retention == "400d"
    assert collection_hash(changed) == collection_hash(_view())
    assert not pb.FeatureView.FromString(view_to_bytes(_view())).retention


def test_the_order_of_domain_and_tags_does_not_change_the_hash() -> None:
    same = _view(entity=Entity(["a", "b"], domain=[("y", -2), ("x", 1)], column=["A", "B"]), tags={"a": "1", "b": "2"})
    assert definition_hash(same) == definition_hash(_view())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"privacy": Privacy(rho=0.29)}, {"privacy": Privacy(rho=Fraction(0.29))}),
        ({"privacy": Privacy(rho=0.3)}, {"privacy": Privacy(rho=Fraction(3, 10))}),
        ({"privacy": Privacy(rho=0.3)}, {"privacy": Privacy(epsilon=0.3, mechanism="laplace")}),
        ({"privacy": Privacy(epsilon=4.0)}, {"privacy": Privacy(epsilon=4.00000001)}),
        ({"min_coverage": 0.0}, {"min_coverage": -0.0}),
        ({"min_site_coverage": 0.0}, {"min_site_coverage": -0.0}),
        ({"features": [Mean("x", clip=(0.0, 2))]}, {"features": [Mean("x", clip=(-0.0, 2.0))]}),
        ({"features": [Histogram("x", edges=[0, 1])]}, {"features": [Histogram("x", edges=[-0.0, 1.0])]}),
        ({"features": [Count("n", weight=0.5)]}, {"features": [Count("n", weight=Fraction(1, 2))]}),
        ({"entity": Entity("a", domain=[0, 1])}, {"entity": Entity("a", domain=[False, True])}),
    ],
)
def test_equal_views_share_their_bytes_and_others_never_do(one: dict[str, object], other: dict[str, object]) -> None:
    """The view caches its bytes, so two views must be equal exactly if their bytes are."""
    usual: dict[str, object] = {"features": [Count("n")], "privacy": Privacy(rho=0.3)}
    left, right = _view(**usual | one), _view(**usual | other)
    left_bytes, right_bytes = view_to_bytes.__wrapped__(left), view_to_bytes.__wrapped__(right)
    assert (left == right) == (left_bytes == right_bytes)
    assert hash(left) == hash(right) or left != right
    assert (view_to_bytes(left), view_to_bytes(right)) == (left_bytes, right_bytes)


def test_the_bytes_and_the_hash_are_made_once() -> None:
    assert view_to_bytes(_view()) is view_to_bytes(_view())
    assert definition_hash(_view()) is definition_hash(_view())


def test_bytes_that_are_not_canonical_are_refused() -> None:
    data = view_to_bytes(_view())
    for wrong in (b"\xff", data + b"\x9a\x01\x00", data + data):
        with pytest.raises(ViewMalformed):
            view_from_bytes(wrong)
