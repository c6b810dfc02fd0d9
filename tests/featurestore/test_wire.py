from __future__ import annotations

from collections.abc import Mapping

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


def test_bytes_that_are_not_canonical_are_refused() -> None:
    data = view_to_bytes(_view())
    for wrong in (b"\xff", data + b"\x9a\x01\x00", data + data):
        with pytest.raises(ViewMalformed):
            view_from_bytes(wrong)
