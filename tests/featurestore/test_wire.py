from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given

from featurestore.definitions import Bounds, FeatureView, Privacy
from featurestore.entities import Entity
from featurestore.errors import ViewMalformed
from featurestore.features import ClientCount, Count, Histogram, Mean, Rate
from featurestore.wire import definition_hash, view_from_bytes, view_to_bytes
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
        {"bounds": Bounds(2, 2)},
        {"tags": {"a": "1"}},
    ],
)
def test_anything_in_the_definition_changes_its_hash(change: dict[str, object]) -> None:
    assert definition_hash(_view(**change)) != definition_hash(_view())


def test_the_order_of_domain_and_tags_does_not_change_the_hash() -> None:
    same = _view(entity=Entity(["a", "b"], domain=[("y", -2), ("x", 1)], column=["A", "B"]), tags={"a": "1", "b": "2"})
    assert definition_hash(same) == definition_hash(_view())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"privacy": Privacy(rho=0.29)}, {"privacy": Privacy(rho=Fraction(0.29))}),
        ({"privacy": Privacy(rho=0.3)}, {"privacy": Privacy(rho=Fraction(3, 10))}),
        ({"min_coverage": 0.0}, {"min_coverage": -0.0}),
        ({"features": [Mean("x", clip=(0.0, 2))]}, {"features": [Mean("x", clip=(-0.0, 2.0))]}),
        ({"features": [Histogram("x", edges=[0, 1])]}, {"features": [Histogram("x", edges=[-0.0, 1.0])]}),
        ({"features": [Count("n", weight=0.5)]}, {"features": [Count("n", weight=Fraction(1, 2))]}),
        ({"entity": Entity("a", domain=[0, 1])}, {"entity": Entity("a", domain=[False, True])}),
    ],
)
def test_equal_views_share_their_bytes_and_others_never_do(one: dict[str, object], other: dict[str, object]) -> None:
    """The bytes are cached by the view, so that equality must tell what the bytes tell."""
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
