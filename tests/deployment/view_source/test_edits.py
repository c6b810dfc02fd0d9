"""Generated edits of the views files of the repository: each changes only the lines that it is about."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from deployment.view_source.graph import Code, Graph, Literal, Node
from deployment.view_source.palette import FieldType, palette
from deployment.view_source.render import render
from deployment.view_source.source import parse
from deployment.view_source.types import iterate_owners

from .view_files import view_files

Edit = tuple[Graph, tuple[int, int]]
"""A new graph, and the lines of the old text that may change."""

COMMENTED = """# A header.

import covey as c

from covey import Bounds, Count, Entity, Mean, Privacy  # what is used

KEYS = ["a", "b"]  # public

# Shared by both.
BOUNDS = Bounds(3)

# First.
one = c.FeatureView(  # the first one
    # its name
    "one",
    entity=Entity(
        # the key
        "dest",  # a column
        domain=KEYS,
    ),  # end of the entity
    pane="1d",  # a day
    # long ones
    windows=[
        "7d",  # a week
        "28d",
    ],
    features=[
        # how many
        Count("n"),  # events
        Mean("delay", clip=(-60, 180)),  # minutes
        # how many others
        Count("m"), Count("k")  # on one line
        # the end of the list
    ],
    bounds=BOUNDS, privacy=Privacy(0.1
      , min_clients=50),  # odd
    tags={"team": "ops"},  # people
    # the end of the view
)
# Second.
two = c.FeatureView("two", entity=Entity("a", value="x"), features=(Count("m"),), pane="1h", bounds=BOUNDS, privacy=Privacy(0.2))
three = c.FeatureView(
    "three", entity=Entity("a", value="x"), features=[Count("m"), Mean("d", clip=(0, 1)),
              Mean("e", clip=(0, 1))],
    pane="1h", bounds=BOUNDS, privacy=Privacy(0.2)
)
"""


@pytest.mark.parametrize("count", [150, pytest.param(1_000, marks=pytest.mark.long)])
def test_an_edit_touches_only_its_lines(count: int) -> None:
    rng = random.Random(count)
    texts = [*view_files().values(), *[COMMENTED] * 12]
    done = 0
    while done < count:
        text = rng.choice(texts)
        text = text.replace("\n", "\r\n") if rng.random() < 0.1 else text
        edit = rng.choice(EDITS)(parse(text).graph, rng)
        if edit is not None:
            _check(text, *edit)
            done += 1


def _check(text: str, graph: Graph, lines: tuple[int, int]) -> None:
    rendered = render(text, graph)
    assert rendered.problems == ()
    old, new = text.splitlines(keepends=True), rendered.text.splitlines(keepends=True)
    first, last = lines
    assert new[: first - 1] == old[: first - 1]
    assert new[len(new) - (len(old) - last) :] == old[last:]
    before = parse(text).graph
    kept = [node for node in graph if node.id in before.by_id and node == before[node.id] and node.kind != "code"]
    found = parse(rendered.text).graph
    for node in kept:
        assert found[rendered.ids[node.id]].fields == node.fields


def _replaced(graph: Graph, *nodes: Node, without: tuple[str, ...] = ()) -> Graph:
    changed = {node.id: node for node in nodes}
    kept = [changed.pop(node.id, node) for node in graph if node.id not in without]
    return Graph((*kept, *changed.values()))


def _choice(graph: Graph, rng: random.Random, *kinds: str) -> Node | None:
    nodes = [node for node in graph if node.kind in kinds]
    return rng.choice(nodes) if nodes else None


def _field_types(node: Node) -> list[FieldType]:
    return [*next(one for one in palette().types if one.type == node.type).fields]


def _value(rng: random.Random) -> Literal | Code:
    values = [1, 2.5, "x", 'it\'s "x"', True, None, ["7d", "9d"], ["7d", "28d", "1d"], [1, [2, 3]], {"a": "b"}]
    return Code("f(x)") if rng.random() < 0.1 else Literal(rng.choice(values))


def _change_field(graph: Graph, rng: random.Random) -> Edit | None:
    node = _choice(graph, rng, "view", "entity", "feature", "bounds", "privacy", "service")
    names = [name for name in node.fields if not name.startswith("*")] if node else []
    if node is None or not names:
        return None
    return _replaced(graph, node.with_field(rng.choice(names), _value(rng))), node.lines


def _remove_field(graph: Graph, rng: random.Random) -> Edit | None:
    node = _choice(graph, rng, "view", "entity", "feature", "bounds", "privacy", "service")
    if node is None or not node.fields:
        return None
    return _replaced(graph, node.with_field(rng.choice([*node.fields]), None)), node.lines


def _add_field(graph: Graph, rng: random.Random) -> Edit | None:
    node = _choice(graph, rng, "view", "entity", "feature", "bounds", "privacy")
    missing = [one.name for one in _field_types(node) if one.name not in node.fields] if node else []
    if node is None or not missing:
        return None
    return _replaced(graph, node.with_field(rng.choice(missing), _value(rng))), node.lines


def _reorder_features(graph: Graph, rng: random.Random) -> Edit | None:
    view = _choice(graph, rng, "view")
    if view is None or not view.links.get("features"):
        return None
    features = [*view.links["features"]]
    rng.shuffle(features)
    return _replaced(graph, view.with_link("features", tuple(features))), view.lines


def _remove_feature(graph: Graph, rng: random.Random) -> Edit | None:
    view = _choice(graph, rng, "view")
    if view is None or not view.links.get("features"):
        return None
    gone = rng.choice(view.links["features"])
    left = tuple(one for one in view.links["features"] if one != gone)
    return _replaced(graph, view.with_link("features", left), without=() if graph[gone].name else (gone,)), view.lines


def _add_feature(graph: Graph, rng: random.Random) -> Edit | None:
    view = _choice(graph, rng, "view")
    like = [node for node in graph if node.kind == "feature"]
    if view is None or "features" not in view.links or not like:
        return None
    new = replace(rng.choice(like), id="new-1", name="", lines=(0, 0))
    features = [*view.links["features"]]
    features.insert(rng.randint(0, len(features)), "new-1")
    return _replaced(graph, new, view.with_link("features", tuple(features))), view.lines


def _remove_view(graph: Graph, rng: random.Random) -> Edit | None:
    view = _choice(graph, rng, "view")
    if view is None:
        return None
    own = {linked for owner, linked in iterate_owners(graph) if owner == view.id and not graph[linked].name}
    first, last = view.lines
    return _replaced(graph, without=(view.id, *own)), (max(1, first - 2), last + 2)


def _own_bounds(graph: Graph, rng: random.Random) -> Edit | None:
    view, like = _choice(graph, rng, "view"), _choice(graph, rng, "bounds")
    if view is None or like is None or "bounds" not in view.links:
        return None
    old = view.links["bounds"][0]
    new = Node("new-1", "bounds", "Bounds", "", {"max_cells": Literal(7)})
    without = () if graph[old].name else (old,)
    return _replaced(graph, new, view.with_link("bounds", ("new-1",)), without=without), view.lines


EDITS: list[Callable[[Graph, random.Random], Edit | None]] = [
    _change_field, _change_field, _remove_field, _add_field, _add_field, _reorder_features, _remove_feature, _add_feature,
    _remove_view, _own_bounds,
]  # fmt: skip
