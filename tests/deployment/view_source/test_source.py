"""Reading a views file as a graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge
from deployment.view_source.graph import Code, Literal, Node
from deployment.view_source.source import parse

ROOT = Path(__file__).parents[3]


def _nodes(text: str) -> dict[str, Node]:
    return dict(parse(text).graph.by_id)


def test_a_view_is_a_node_with_its_parts() -> None:
    nodes = _nodes((ROOT / "examples" / "taxi_views.py").read_text())
    view = nodes["zone_demand"]
    assert (view.kind, view.type, view.name, view.lines) == ("view", "FeatureView", "zone_demand", (9, 18))
    assert view.fields["windows"] == Literal(["1h", "24h"])
    assert view.links["features"] == tuple(f"zone_demand.features.{i}" for i in range(3))
    mean = nodes["zone_demand.features.2"]
    assert (mean.type, mean.lines) == ("Mean", (14, 14))
    assert mean.fields == {"column": Literal("fare"), "clip": Literal([0, 100]), "resolution": Literal(0.5)}
    assert nodes["zone_demand.entity"].fields["domain"] == Code("ZONES")


@pytest.mark.parametrize(
    ("imports", "called"),
    [
        ("from covey import Bounds", "Bounds"),
        ("from covey import Bounds as B", "B"),
        ("import covey", "covey.Bounds"),
        ("import covey as c", "c.Bounds"),
        ("from covey import *", "Bounds"),
        ("from featurestore.define.privacy import Bounds", "Bounds"),
    ],
)
def test_a_class_is_known_by_its_import(imports: str, called: str) -> None:
    assert _nodes(f"{imports}\nb = {called}(3)\n")["b"].fields == {"max_cells": Literal(3)}


@pytest.mark.parametrize(
    "text",
    [
        "b = Bounds(3)\n",
        "from elsewhere import Bounds\nb = Bounds(3)\n",
        "from .covey import Bounds\nb = Bounds(3)\n",
        "from covey import Bounds\nBounds = print\nb = Bounds(3)\n",
        "from covey import Bounds\nfor Bounds in []:\n    pass\nb = Bounds(3)\n",
        "from covey import Bounds\nfrom elsewhere import *\nb = Bounds(3)\n",
        "from covey import Bounds\nb = c = Bounds(3)\n",
        "from covey import Bounds\nb = Bounds(3); c = 1\n",
        "from covey import Bounds\nb = Bounds(3, max_cells=4)\n",
        "from covey import Bounds\nb = Bounds(3, 4, 5)\n",
        "from covey import Bounds\nif True:\n    b = Bounds(3)\n",
    ],
)
def test_what_is_not_surely_a_part_stays_code(text: str) -> None:
    assert {node.kind for node in _nodes(text).values()} == {"code"}


def test_parts_with_a_name_are_shared() -> None:
    nodes = _nodes(
        "from covey import *\nB = Bounds(3)\nN = Count('n')\n"
        "v = FeatureView('v', bounds=B, features=[N, *MORE, Count('m')], privacy=P)\n"
    )
    assert nodes["v"].links == {"bounds": ("B",), "features": ("N", "v.features.1", "v.features.2")}
    assert nodes["v.features.1"] == Node("v.features.1", "code", fields={"text": Code("*MORE")}, lines=(4, 4))
    assert nodes["v"].fields["privacy"] == Code("P")


def test_an_on_demand_view_has_its_arguments_and_sources() -> None:
    nodes = _nodes(
        "from covey import *\nv = FeatureView('delays')\n\n\n@on_demand(outputs=['risk'])\ndef late(\n"
        "    a: Annotated[np.ndarray, Feature('delays:late_3h')], b: Annotated[X, Input('int64')], c: int\n):\n"
        "    return a\n\n\ns = FeatureService('s', ['late:risk', 'delays:n', 'gone:x'])\n"
    )
    assert nodes["late"].fields["arguments"] == Literal(
        [{"name": "a", "feature": "delays:late_3h"}, {"name": "b", "input": "int64"}, {"name": "c", "code": "int"}]
    )
    function = nodes["late"].fields["function"]
    assert isinstance(function, Code)
    assert function.text.startswith("def late(\n")
    assert nodes["late"].links == {"sources": ("v",)}
    assert nodes["s"].links == {"members": ("late", "v")}


def test_a_name_that_is_bound_twice_has_two_nodes() -> None:
    nodes = _nodes("from covey import Bounds\nb = Bounds(3)\nb = Bounds(4)\nb = Bounds(5)\n")
    assert [*nodes] == ["code-0", "b", "b~2", "b~3"]


@pytest.mark.parametrize(
    "value",
    ["2**3", "b'x'", "f'{x}'", "{1}", "{1: 2}", "9007199254740993", "1e999", "'\\ud800'", "[*X]", "1j", "-X", "{**X}"],
)
def test_a_value_that_json_does_not_have_is_code(value: str) -> None:
    assert _nodes(f"from covey import Bounds\nb = Bounds({value})\n")["b"].fields["max_cells"] == Code(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000", 1000),
        ("0x_10", 16),
        ("00", 0),
        ("-1.5e3", -1500.0),
        ("('a' \"b\"\n 'c')", "abc"),
        ("r'\\d'", "\\d"),
        ("'\\x41\\d'", "A\\d"),
        ("{'a': [1, (2.0, None, True)]}", {"a": [1, [2, None, True]]}),
    ],
)
def test_a_value_that_is_written_out_is_a_literal(text: str, value: object) -> None:
    assert _nodes(f"from covey import Bounds\nb = Bounds({text})\n")["b"].fields["max_cells"] == Literal(value)


def test_literals_are_equal_as_json_is() -> None:
    assert Literal(1) == Literal(1.0)
    assert Literal([1]) == Literal((1.0,))
    assert Literal(1) != Literal(True)
    assert Literal([0]) != Literal([False])
    assert Literal("1") != Literal(1)
    assert Literal(None) != Literal(False)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("x = 1\ny = (\n", 2, 5),
        ("x = 1\n  y = 2\n", 2, 0),
        ("x = '\ud800'\n", 1, 6),
        ("x = 1\nab\0", 2, 3),
        ("x = " + "(" * 10_000, 1, 0),
        ("x = " + "-" * 10_000 + "1", 1, 1),
        ("x = " + "1 + " * 10_000 + "1", 1, 1),
        ("x = " + "[" * 130 + "]" * 130, 1, 123),
        ("if a: pass\n" + "elif a: pass\n" * 500, 119, 0),
        ("x = " + "9" * 5_000, 1, 1),
    ],
)
def test_a_text_that_is_no_python_is_refused_with_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(ViewSourceInvalid) as refused:
        parse(text)
    assert (refused.value.line, refused.value.column if column else 0) == (line, column)


def test_a_text_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(ViewSourceTooLarge, match="has 1,000,001 bytes, but at most 1,000,000 are shown"):
        parse("#" * 1_000_001)
    with pytest.raises(ViewSourceTooLarge, match=r"has 100,\d+ expressions"):
        parse("x = [" + "1, " * 100_000 + "]")
    with pytest.raises(ViewSourceTooLarge, match="has 5,001 parts"):
        parse("from covey import Bounds\n" + "b = Bounds(3)\n" * 5_100)
