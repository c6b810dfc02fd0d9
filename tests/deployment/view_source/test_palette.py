"""What a graph can have."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from deployment.view_source.palette import FieldType, NodeType, palette
from featurestore.define import feature
from featurestore.define.kinds import Count


def _type(name: str) -> NodeType:
    return next(one for one in palette().types if one.type == name)


def _field(type_: str, name: str) -> FieldType:
    return next(one for one in _type(type_).fields if one.name == name)


@pytest.fixture(autouse=True)
def _only_our_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kinds that other tests of the process have registered."""
    for spelling, kind in list(feature.KINDS.items()):
        if not kind.__module__.startswith("featurestore."):
            monkeypatch.delitem(feature.KINDS, spelling)


def test_every_class_of_a_views_file_is_a_type() -> None:
    assert [one.type for one in palette().types] == [
        "FeatureView", "Entity", "ClientCount", "Count", "Histogram", "Mean", "Rate", "Filtered", "Bounds", "Privacy",
        "on_demand", "FeatureService", "",
    ]  # fmt: skip


def test_fields_are_those_of_the_class() -> None:
    assert _field("Mean", "clip") == FieldType(
        "clip",
        "interval",
        True,
        None,
        "(low, high), the interval that every value is limited to. It is required, because it bounds what one client adds.",
    )
    assert (_field("FeatureView", "pane").editor, _field("FeatureView", "pane").choices[-1]) == ("choice", "1d")
    assert _field("FeatureView", "windows").default == []
    assert {one.name for one in _type("FeatureView").fields}.isdisjoint({"entity", "features", "bounds", "privacy"})
    assert [one.name for one in _type("on_demand").fields] == ["outputs", "name", "arguments", "function"]
    assert (_field("Entity", "column").editor, _field("Mean", "column").editor) == ("columns", "column")
    assert (_field("Bounds", "max_cells").editor, _field("Privacy", "rho").editor) == ("integer", "number")
    assert (_field("Count", "weight").editor, _field("Count", "derive").editor) == ("number", "boolean")


def test_every_field_has_help() -> None:
    without = [(one.type, field.name) for one in palette().types for field in one.fields if not field.help]
    assert without == []
    assert all(one.help for one in palette().types)


def test_a_registered_kind_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Visits(Count):
        """The number of visits."""

    monkeypatch.setitem(feature.KINDS, "visits", Visits)
    assert _type("Visits").help == "The number of visits."
    assert replace(_field("Visits", "name"), help="") == FieldType("name", "text", True, None, "")
