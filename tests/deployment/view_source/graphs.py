"""Hypothesis strategies: any graph that a views file can have."""

from __future__ import annotations

import string
from typing import Any, Final

from hypothesis import strategies as st

from deployment.view_source.graph import Code, Field, Graph, Literal, Node
from deployment.view_source.palette import FieldType, NodeType, palette

PARTS: Final = ("entity", "bounds", "privacy")
_NAMES: Final = st.text(string.ascii_lowercase, min_size=3, max_size=6).map(lambda text: f"x_{text}")
_TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_NUMBERS: Final = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.just(-0.0), st.just(1e-300)
)
_JSON: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS), lambda inner: st.lists(inner, max_size=3), max_leaves=6
)
_CODE: Final = st.sampled_from(
    ["ZONES", "range(3)", "a.b", "f(x, *y)", "(\n  1 +\n  2\n)", "[x for x in y]", "lambda: 1", "{1, 2}"]
)


def fields_of(kind: NodeType) -> st.SearchStrategy[dict[str, Field]]:
    """Fields of a node: values of the fitting kind, odd ones, and code."""
    required = {one.name: _field(one) for one in kind.fields if one.required and one.name != "function"}
    optional = {one.name: _field(one) for one in kind.fields if not one.required and one.name != "arguments"}
    return st.fixed_dictionaries(required, optional=optional)


def _field(kind: FieldType) -> st.SearchStrategy[Field]:
    values: st.SearchStrategy[Any] = _JSON
    if kind.choices:
        values = st.sampled_from(kind.choices)
    elif kind.editor == "tags":
        values = st.dictionaries(_TEXTS, _TEXTS, max_size=3)
    elif kind.name == "name":
        values = _NAMES
    return st.one_of(values.map(Literal), values.map(Literal), _JSON.map(Literal), _CODE.map(Code))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph of new nodes: views with parts of their own or shared ones, on-demand views and services."""
    types = palette().types
    of_kind = {kind: [one for one in types if one.kind == kind] for kind in ("feature", *PARTS)}
    nodes: list[Node] = []
    names = iter(draw(st.lists(_NAMES, min_size=12, max_size=12, unique=True)))

    def new(kind: NodeType, name: str = "", **links: tuple[str, ...]) -> str:
        node_id = f"new-{len(nodes)}"
        nodes.append(Node(node_id, kind.kind, kind.type, name, draw(fields_of(kind)), links))
        return node_id

    shared = {
        kind: [new(draw(st.sampled_from(of_kind[kind])), next(names)) for _ in range(draw(st.integers(0, 1)))]
        for kind in of_kind
    }

    def part(kind: str) -> str:
        if shared[kind] and draw(st.booleans()):
            return shared[kind][0]
        return new(draw(st.sampled_from(of_kind[kind])))

    views = next(one for one in types if one.kind == "view")
    for _ in range(draw(st.integers(0, 2))):
        links = {kind: (part(kind),) for kind in PARTS}
        features = tuple(dict.fromkeys(part("feature") for _ in range(draw(st.integers(0, 4)))))
        new(views, next(names), features=features, **links)
    for kind in types:
        if kind.kind in ("service", "on_demand") and draw(st.booleans()):
            new(kind, next(names))
    return Graph(tuple(nodes))


_ODD: Final = st.sampled_from(
    [
        "",
        "a",
        "first",
        "BOUNDS",
        "first.bounds",
        "class",
        "a b",
        "*",
        "**",
        "**1",
        "a); import os",
        "\n",
        "\ud800",
        "name",
        "text",
        "features",
    ]
)
_ODD_JSON: Final = st.recursive(
    st.one_of(_ODD, st.floats(), st.booleans(), st.none(), st.integers()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_ODD, inner, max_size=2)),
    max_leaves=6,
)
_ODD_FIELDS: Final = st.one_of(_ODD_JSON.map(Literal), _ODD.map(Code), _CODE.map(Code))


@st.composite
def hostile_graphs(draw: st.DrawFn) -> Graph:
    """Nodes as no page sends them."""
    types = [(one.kind, one.type) for one in palette().types]
    names = [
        "entity",
        "bounds",
        "privacy",
        "features",
        "name",
        "arguments",
        "function",
        "outputs",
        "refs",
        "text",
        "column",
    ]
    nodes = []
    for _ in range(draw(st.integers(0, 4))):
        kind, type_ = draw(st.sampled_from(types))
        fields = draw(st.dictionaries(st.one_of(_ODD, st.sampled_from(names)), _ODD_FIELDS, max_size=4))
        ids = st.lists(st.one_of(_ODD, st.sampled_from(["new-0", "new-1"])), max_size=3).map(tuple)
        links = draw(st.dictionaries(st.sampled_from(names), ids, max_size=3))
        node_id = draw(st.one_of(_ODD, st.sampled_from(["new-0", "new-1"])))
        nodes.append(Node(node_id, kind, type_ if draw(st.integers(0, 9)) else "Mean", draw(_ODD), fields, links))
    return Graph(tuple(nodes))
