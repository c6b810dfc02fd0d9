"""Writing a graph into the text of a views file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from deployment.view_source import value_lists
from deployment.view_source.graph import Code, Graph, Literal, Node
from deployment.view_source.parameters import is_default
from deployment.view_source.render import Rendered, render
from deployment.view_source.source import parse
from deployment.view_source.types import LINKS, part_types
from tests.examples import examples

from .graphs import graphs, hostile_graphs

TEXT = '''"""Two views."""

from covey import Bounds, Count, Entity, FeatureView, Mean, Privacy

# The bounds of all views.
BOUNDS = Bounds(max_cells=3)  # of one day

# Detached.

# Its first view.
first = FeatureView(
    "first",
    entity=Entity("dest", domain=["ATL", "BOS"]),  # public
    pane="1d",
    features=[
        # how many
        Count("n"),  # events
        # how late
        Mean("delay", clip=(-60, 180)),  # minutes
    ],
    bounds=BOUNDS,
    privacy=Privacy(rho=0.1, min_clients=50),  # cheap
)

second = FeatureView("second", entity=Entity("a", value="x"), features=[Count("m")], pane="1h", bounds=BOUNDS, privacy=Privacy(0.2))
'''


def _edit(text: str, *nodes: Node, without: tuple[str, ...] = ()) -> Rendered:
    changed = {node.id: node for node in nodes}
    kept = [changed.pop(node.id, node) for node in parse(text).graph if node.id not in without]
    return render(text, Graph((*kept, *changed.values())))


def _node(node_id: str, text: str = TEXT) -> Node:
    return parse(text).graph[node_id]


def _set(node_id: str, field: str, value: object, text: str = TEXT) -> str:
    rendered = _edit(text, _node(node_id, text).with_field(field, Literal(value)))
    assert rendered.problems == ()
    return rendered.text


@given(graphs())
@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
def test_any_graph_is_the_same_after_it_is_written_and_read(graph: Graph) -> None:
    assert_written_and_read(graph)


def assert_written_and_read(graph: Graph) -> None:
    rendered = render("", graph)
    assert rendered.problems == ()
    found = parse(rendered.text).graph
    for node in graph:
        _assert_same(node, found[rendered.ids[node.id]], rendered)
    again = render(rendered.text, found)
    assert (again.text, again.problems) == (rendered.text, ())


def _assert_same(node: Node, found: Node, rendered: Rendered) -> None:
    kind = part_types()[node.type]
    assert (node.kind, node.type) == (found.kind, found.type)
    assert node.name in ("", found.name)
    assert {k: v for k, v in node.fields.items() if not is_default(kind, k, v)} == {
        k: v for k, v in found.fields.items() if not is_default(kind, k, v) and k not in ("function", "arguments")
    }
    if node.kind == "view":
        wanted = {name: tuple(rendered.ids[one] for one in ids) for name, ids in node.links.items() if ids}
        assert wanted == {name: ids for name, ids in found.links.items() if ids and name in LINKS}


def test_a_changed_value_changes_alone() -> None:
    assert _set("first.privacy", "rho", 0.2) == TEXT.replace("rho=0.1", "rho=0.2")
    assert _set("second.privacy", "rho", 0.3) == TEXT.replace("Privacy(0.2)", "Privacy(0.3)")
    assert _set("BOUNDS", "max_cells", 5) == TEXT.replace("max_cells=3", "max_cells=5")
    assert _set("first.features.1", "clip", [0, 100]) == TEXT.replace("(-60, 180)", "(0, 100)")
    assert _set("first.entity", "domain", ["ATL", "BOS", "LAX"]) == TEXT.replace('"BOS"]', '"BOS", "LAX"]')


def test_a_new_field_stands_where_people_write_it() -> None:
    assert _set("first", "windows", ["7d"]) == TEXT.replace('pane="1d",\n', 'pane="1d",\n    windows=["7d"],\n')
    assert _set("first", "owner", "me") == TEXT.replace("# cheap\n", '# cheap\n    owner="me",\n')
    assert _set("second.privacy", "min_clients", 9) == TEXT.replace("Privacy(0.2)", "Privacy(0.2, min_clients=9)")


def test_a_default_that_is_not_written_stays_unwritten() -> None:
    assert _set("first.privacy", "delta", 1e-6) == TEXT
    assert _set("first", "windows", []) == TEXT
    assert _set("first", "tags", {}) == TEXT


def test_a_removed_field_goes_with_its_line() -> None:
    text = TEXT.replace('pane="1d",\n', 'pane="1d",\n    # long ones\n    windows=["7d"],  # a week\n')
    assert _edit(text, _node("first", text).with_field("windows", None)).text == TEXT
    rendered = _edit(TEXT, _node("first.privacy").with_field("min_clients", None))
    assert rendered.text == TEXT.replace(", min_clients=50", "")


def test_arguments_after_a_removed_one_get_their_names() -> None:
    text = "from covey import Entity\ne = Entity('a', ['x'], 'b')\n"
    rendered = _edit(text, _node("e", text).with_field("domain", None))
    assert rendered.text == "from covey import Entity\ne = Entity('a', column='b')\n"


def test_features_move_with_their_comments() -> None:
    rendered = _edit(TEXT, _node("first").with_link("features", ("first.features.1", "first.features.0")))
    count, mean = TEXT.index("        # how many"), TEXT.index("        # how late")
    end = TEXT.index("    ],")
    assert rendered.text == TEXT[:count] + TEXT[mean:end] + TEXT[count:mean] + TEXT[end:]
    assert rendered.ids["first.features.1"] == "first.features.0"


def test_a_comment_that_moves_to_the_first_place_stays_a_comment() -> None:
    text = "from covey import *\nv = FeatureView('v', features=[Count('a'),  # one\n    # two\n    Count('b')])\n"
    rendered = _edit(text, _node("v", text).with_link("features", ("v.features.1", "v.features.0")))
    assert rendered.problems == ()
    assert rendered.text == (
        "from covey import *\nv = FeatureView('v', features=[\n    # two\n    Count('b'),\n    Count('a')  # one\n])\n"
    )


def test_a_feature_goes_with_its_comments() -> None:
    rendered = _edit(TEXT, _node("first").with_link("features", ("first.features.1",)), without=("first.features.0",))
    count, mean = TEXT.index("        # how many"), TEXT.index("        # how late")
    assert rendered.text == TEXT[:count] + TEXT[mean:]
    assert rendered.problems == ()


def test_a_new_feature_follows_the_style_of_its_list() -> None:
    rate = Node("new-1", "feature", "Rate", "", {"name": Literal("late"), "where": Literal("delay >= 15")})
    features = _node("first").links["features"]
    rendered = _edit(TEXT, rate, _node("first").with_link("features", (*features, "new-1")))
    expected = TEXT.replace("# minutes\n", '# minutes\n        Rate("late", where="delay >= 15"),\n')
    assert rendered.text == expected.replace("Mean, Privacy", "Mean, Privacy, Rate")
    rendered = _edit(
        TEXT,
        replace(rate, type="Mean", fields={"column": Literal("d")}),
        _node("second").with_link("features", ("new-1", "second.features.0")),
    )
    assert rendered.text == TEXT.replace('Count("m")', 'Mean("d"), Count("m")')


def test_the_last_feature_of_a_list_goes() -> None:
    rendered = _edit(TEXT, _node("second").with_link("features", ()), without=("second.features.0",))
    assert rendered.text == TEXT.replace('[Count("m")]', "[]")


def test_a_line_that_gets_too_long_is_broken() -> None:
    means = [Node(f"new-{i}", "feature", "Mean", "", {"column": Literal(f"column_{i}")}) for i in range(5)]
    text = (
        "from covey import Count, FeatureView, Mean\nv = FeatureView(\n    'v',\n    features=[Count('m')],  # few\n)\n"
    )
    features = ("v.features.0", *(one.id for one in means))
    rendered = _edit(text, *means, _node("v", text).with_link("features", features))
    assert rendered.problems == ()
    rows = "".join(f'        Mean("column_{i}"),\n' for i in range(5))
    assert rendered.text == text.replace("[Count('m')]", f"[\n        Count('m'),\n{rows}    ]")


def test_a_new_view_follows_the_last_one() -> None:
    view = Node(
        "new-1",
        "view",
        "FeatureView",
        "",
        {"name": Literal("third"), "pane": Literal("1d"), "windows": Literal(["7d"])},
        {"entity": ("new-2",), "features": ("new-3",), "bounds": ("BOUNDS",), "privacy": ("new-4",)},
    )
    parts = [
        Node("new-2", "entity", "Entity", "", {"keys": Literal("dest"), "domain": Literal(["A"])}),
        Node("new-3", "feature", "Histogram", "", {"column": Literal("d"), "edges": Literal([0, 1.5])}),
        Node("new-4", "privacy", "Privacy", "", {"rho": Literal(0.1)}),
    ]
    rendered = _edit(TEXT, view, *parts)
    assert rendered.problems == ()
    assert rendered.text == TEXT.replace("FeatureView, Mean", "FeatureView, Histogram, Mean") + (
        "\nthird = FeatureView(\n"
        '    "third",\n'
        '    entity=Entity("dest", domain=["A"]),\n'
        '    pane="1d",\n'
        '    windows=["7d"],\n'
        '    features=[Histogram("d", edges=[0, 1.5])],\n'
        "    bounds=BOUNDS,\n"
        "    privacy=Privacy(rho=0.1),\n"
        ")\n"
    )
    assert rendered.ids["new-3"] == "third.features.0"


def test_a_deleted_view_goes_with_its_own_comments() -> None:
    gone = tuple(node.id for node in parse(TEXT).graph if node.id.startswith("first"))
    rendered = _edit(TEXT, without=gone)
    start, end = TEXT.index("# Its first view."), TEXT.index("second = ")
    assert rendered.text == TEXT[:start] + TEXT[end:]
    assert rendered.problems == ()


def test_a_shared_part_changes_for_all_and_one_view_can_leave_it() -> None:
    assert _set("BOUNDS", "max_events_per_cell", 2).count("max_events_per_cell=2") == 1
    own = Node("new-1", "bounds", "Bounds", "", {"max_cells": Literal(9)})
    rendered = _edit(TEXT, own, _node("second").with_link("bounds", ("new-1",)))
    assert rendered.text == TEXT.replace('"1h", bounds=BOUNDS', '"1h", bounds=Bounds(max_cells=9)')


def test_a_part_that_a_second_view_uses_gets_a_name() -> None:
    rendered = _edit(TEXT, _node("second").with_link("privacy", ("first.privacy",)), without=("second.privacy",))
    assert rendered.problems == ()
    expected = TEXT.replace("privacy=Privacy(rho=0.1, min_clients=50)", "privacy=PRIVACY").replace(
        "privacy=Privacy(0.2)", "privacy=PRIVACY"
    )
    assert rendered.text == expected.replace(
        "# Its first view.\n", "PRIVACY = Privacy(rho=0.1, min_clients=50)\n\n# Its first view.\n"
    )
    assert rendered.ids["first.privacy"] == "PRIVACY"


def test_a_part_moves_above_the_view_that_begins_to_use_it() -> None:
    text = TEXT + "\nSMALL = Bounds(max_cells=1)  # one\n"
    rendered = _edit(text, _node("first", text).with_link("bounds", ("SMALL",)))
    assert rendered.problems == ()
    expected = TEXT.replace("    bounds=BOUNDS,\n", "    bounds=SMALL,\n")
    assert rendered.text == expected.replace(
        "# Its first view.\n", "SMALL = Bounds(max_cells=1)  # one\n\n# Its first view.\n"
    )


def test_a_part_is_renamed_where_it_is_used() -> None:
    rendered = _edit(TEXT, replace(_node("BOUNDS"), name="LIMITS"))
    assert rendered.problems == ()
    assert rendered.text == TEXT.replace("BOUNDS", "LIMITS")
    used = TEXT + "print(BOUNDS)\n"
    rendered = _edit(used, replace(_node("BOUNDS", used), name="LIMITS"))
    assert rendered.text == used
    assert [(one.node, "other code" in one.message) for one in rendered.problems] == [("BOUNDS", True)]


@pytest.mark.parametrize("name", ["first", "import", "1", "FeatureView"])
def test_a_part_is_not_renamed_to_what_is_no_name_or_is_used_already(name: str) -> None:
    rendered = _edit(TEXT, replace(_node("BOUNDS"), name=name))
    assert rendered.text == TEXT
    assert [(one.node, one.field, "choose another one" in one.message) for one in rendered.problems] == [
        ("BOUNDS", "", True)
    ]


ALONE = """from covey import *

MEAN = Mean("delay", clip=(-60, 180))
LIMITS = Bounds(
    max_cells=3,
)
v = FeatureView(
    "v",
    entity=Entity("a", value="x"),
    features=[
        MEAN,  # minutes
        Count("n"),
    ],
    pane="1d",
    bounds=LIMITS,  # of a day
    privacy=Privacy(0.1),
)
"""


def test_a_part_that_loses_its_name_stands_inside_its_only_view() -> None:
    mean = 'Mean("delay", clip=(-60, 180))'
    rendered = _edit(ALONE, replace(_node("MEAN", ALONE), name=""))
    assert rendered.problems == ()
    assert rendered.text == ALONE.replace(f"MEAN = {mean}\n", "").replace("MEAN,", f"{mean},")
    assert rendered.ids["MEAN"] == "v.features.0"
    limits = "Bounds(\n    max_cells=4,\n)"
    rendered = _edit(ALONE, replace(_node("LIMITS", ALONE), name="").with_field("max_cells", Literal(4)))
    assert rendered.problems == ()
    assert rendered.text == ALONE.replace("LIMITS = Bounds(\n    max_cells=3,\n)\n", "").replace(
        "=LIMITS", f"={limits}"
    )
    assert rendered.ids["LIMITS"] == "v.bounds"


@pytest.mark.parametrize(
    ("text", "node", "why"),
    [
        (TEXT, "BOUNDS", "2 views use BOUNDS"),
        (ALONE.replace("(-60, 180))", "(-60, 180))  # in minutes"), "MEAN", "MEAN has a comment"),
        (ALONE.replace("LIMITS = ", "# Of all.\nLIMITS = "), "LIMITS", "LIMITS has a comment"),
        (ALONE + "print(MEAN)\n", "MEAN", "other code of the file uses the name MEAN"),
        (ALONE.replace("(-60, 180)", "CLIP"), "MEAN", "MEAN uses other names"),
        (ALONE.replace("        MEAN,  # minutes\n", ""), "MEAN", "no views use MEAN"),
    ],
)
def test_a_part_that_has_to_keep_its_name_says_why(text: str, node: str, why: str) -> None:
    rendered = _edit(text, replace(_node(node, text), name=""))
    assert [(one.node, one.field) for one in rendered.problems] == [(node, "")]
    assert why in rendered.problems[0].message
    assert rendered.text == text


def test_a_new_argument_leaves_lines_alone_whose_commas_have_no_space() -> None:
    tight = """from covey import *

v = FeatureView("v",entity=Entity("a",value="x"),pane="1d",features=[Count("n"),Count("m")],
  bounds=Bounds(max_cells=1),privacy=Privacy(rho=0.1))
"""
    last = tight.splitlines()[-1]
    added = _edit(tight, _node("v", tight).with_field("ttl", Literal("2d")))
    assert added.problems == ()
    assert added.text == tight.replace(last, last[:-1] + ', ttl="2d")')


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("def helper():\n    return MEAN\n", "helper"),
        ("print(MEAN)\n", "print"),
        ("MEAN = 3\nprint(MEAN)\n", None),
        ("print(MEANS, x.MEAN)\n", None),
        ("print(dict(MEAN=1), 'MEAN')  # MEAN\n", None),
    ],
)
def test_a_part_that_is_taken_out_while_code_uses_it_is_a_problem_of_the_file(rest: str, line: str | None) -> None:
    text = ALONE + rest
    view = _node("v", text)
    others = tuple(one for one in view.links["features"] if one != "MEAN")
    rendered = _edit(text, view.with_link("features", others), without=("MEAN",))
    assert "MEAN = Mean" not in rendered.text
    found = [one for one in rendered.problems if "is taken out" in one.message]
    assert [one.node for one in found] == ([] if line is None else [""])
    lines = rendered.text.splitlines()
    assert all("MEAN" in lines[one.line - 1] for one in found)


@pytest.mark.parametrize(
    ("imports", "spelling"),
    [
        ("import covey\n", "covey.Mean("),
        ("import covey as c\n", "c.Mean("),
        ("from covey import *\n", "Mean("),
        ("from covey import FeatureView as V, Mean as M\n", "M("),
        ("from covey import (\n    Count,\n    FeatureView,\n)\n", "Mean("),
        ("import covey\nfrom covey import FeatureView\n", "covey.Mean("),
    ],
)
def test_a_new_part_is_spelled_as_the_file_spells_others(imports: str, spelling: str) -> None:
    view = (
        "c.FeatureView"
        if " as c" in imports
        else "V"
        if " as V" in imports
        else "FeatureView"
        if "FeatureView" in imports or "*" in imports
        else "covey.FeatureView"
    )
    text = f"{imports}v = {view}('v', features=[])\n"
    mean = Node("new-1", "feature", "Mean", "", {"column": Literal("d")})
    rendered = _edit(text, mean, _node("v", text).with_link("features", ("new-1",)))
    assert rendered.problems == ()
    assert f'features=[{spelling}"d")]' in rendered.text
    assert rendered.text.startswith(imports.replace("    FeatureView,\n", "    FeatureView,\n    Mean,\n"))


def test_a_text_with_windows_line_ends_keeps_them() -> None:
    text = TEXT.replace("\n", "\r\n")
    mean = Node("new-1", "feature", "Rate", "", {"name": Literal("r"), "where": Literal("x")})
    rendered = _edit(
        text,
        mean,
        _node("first", text).with_link("features", ("first.features.0", "new-1")),
        without=("first.features.1",),
    )
    assert rendered.text.count("\n") == rendered.text.count("\r\n")
    domain = _edit(text, _node("first.entity", text).with_field("domain", Literal([f"airport {i}" for i in range(20)])))
    assert domain.text.count("\n") == domain.text.count("\r\n") > text.count("\n") + 20
    code = _edit(text, _node("first.entity", text).with_field("domain", Code("(\n    A +\n    B\n)")))
    assert (code.text.count("\n"), code.problems) == (code.text.count("\r\n"), ())
    view = Node("new-1", "view", "FeatureView", "", {"name": Literal("v")}, {})
    assert _edit(text, view).text.count("\n") == _edit(text, view).text.count("\r\n")


@pytest.mark.parametrize(
    "code",
    [
        "1), Count(2",
        "1  # note",
        "",
        "x = 1",
        "a; b",
        "a\nb",
        "(" * 300,
        "*a",
        "yield",
        "a := 1",
        "'\ud800'",
        "1,",
        "\\",
    ],
)
def test_code_that_is_no_expression_is_a_problem_and_changes_nothing(code: str) -> None:
    rendered = _edit(TEXT, _node("first.entity").with_field("domain", Code(code)))
    assert rendered.text == TEXT
    assert [(one.node, one.field) for one in rendered.problems] == [("first.entity", "domain")]
    new = _edit(TEXT, _node("first").with_field("ttl", Code(code)))
    assert (new.text, [one.field for one in new.problems]) == (TEXT, ["ttl"])


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]], {"a": [object()]}]
)
def test_a_value_that_cannot_be_written_is_a_problem_and_changes_nothing(value: object) -> None:
    for node in (_node("first").with_field("pane", Literal(value)), _node("first").with_field("ttl", Literal(value))):
        rendered = _edit(TEXT, node)
        assert rendered.text == TEXT
        assert [one.node for one in rendered.problems] == ["first"]


def test_a_value_that_the_written_file_does_not_say_as_it_was_wanted_is_a_problem() -> None:
    rendered = _edit(TEXT, _node("first").with_field("ttl", Literal(2**53 + 1)))
    assert [(one.node, one.field, one.message) for one in rendered.problems] == [
        ("first", "ttl", "the file cannot say ttl as it is here")
    ]


@given(hostile_graphs())
@settings(max_examples=examples(400), suppress_health_check=[HealthCheck.too_slow])
def test_no_graph_makes_it_fail_or_write_what_is_no_python(nodes: Graph) -> None:
    ids = {node.id for node in nodes}
    rendered = render(TEXT, Graph((*(one for one in parse(TEXT).graph if one.id not in ids), *nodes)))
    parse(rendered.text)
    rendered = render(TEXT, nodes)
    parse(rendered.text)


@pytest.mark.parametrize(
    "node",
    [
        Node("new-1", "feature", "Nothing", "", {}),
        Node("new-1", "view", "Entity", "", {}),
        Node("new-1", "bounds", "Bounds", "", {"max_cells": Literal(1)}),
        Node("BOUNDS", "bounds", "Bounds", "BOUNDS", {}),
    ],
)
def test_a_node_that_the_file_cannot_have_is_a_problem(node: Node) -> None:
    rendered = render(TEXT, Graph((*parse(TEXT).graph, node)))
    assert rendered.text == TEXT
    assert [one.node for one in rendered.problems] == [node.id]


def test_a_node_keeps_its_kind() -> None:
    rendered = _edit(TEXT, Node("first", "code"))
    assert rendered.text == TEXT
    assert [one.message for one in rendered.problems] == [
        "this node of kind view cannot become one of kind code; add a new one"
    ]


def test_a_link_to_what_is_no_fitting_part_is_a_problem() -> None:
    rendered = _edit(TEXT, _node("first").with_link("bounds", ("gone",)))
    assert [(one.node, one.field) for one in rendered.problems] == [("first", "bounds")]


ON_DEMAND = """from typing import Annotated
import numpy as np
from covey import Feature, Input, on_demand

@on_demand(outputs=["risk"])  # one
def late(a: Annotated[np.ndarray, Feature("v:n")], b: Annotated[np.ndarray, Input("int64")]) -> np.ndarray:
    # double it
    return a * 2


x = 1
"""


def test_a_function_is_edited_as_text_and_its_references_as_fields() -> None:
    node = _node("late", ON_DEMAND)
    assert _set("late", "outputs", ["risk", "more"], ON_DEMAND) == ON_DEMAND.replace('"risk"]', '"risk", "more"]')
    assert _set("late", "name", "other", ON_DEMAND) == ON_DEMAND.replace('"risk"])', '"risk"], name="other")')
    function = node.fields["function"]
    assert isinstance(function, Code)
    edited = _edit(ON_DEMAND, node.with_field("function", Code(function.text.replace("* 2", "* 3"))))
    assert (edited.text, edited.problems) == (ON_DEMAND.replace("* 2", "* 3"), ())
    arguments = [{"name": "a", "feature": "w:m"}, {"name": "b", "input": "int64"}]
    assert _set("late", "arguments", arguments, ON_DEMAND) == ON_DEMAND.replace("v:n", "w:m")
    renamed = _edit(ON_DEMAND, replace(node, name="later"))
    assert (renamed.text, renamed.problems) == (ON_DEMAND.replace("def late(", "def later("), ())
    refused = _edit(ON_DEMAND, node.with_field("function", Code("x = 1")))
    assert (refused.text, [one.field for one in refused.problems]) == (ON_DEMAND, ["function"])


@pytest.mark.parametrize("decorated", [True, False])
def test_a_new_function_may_be_given_with_its_decorator(decorated: bool) -> None:
    function = 'def value(x: Annotated[np.ndarray, Input("float64")]) -> np.ndarray:\n    return x'
    fields = (
        {"function": Code(f'@on_demand(outputs=["value"])\n{function}')}
        if decorated
        else {"function": Code(function), "outputs": Literal(["value"])}
    )
    rendered = render("", Graph((Node("new-1", "on_demand", "on_demand", "", fields),)))
    assert rendered.problems == ()
    assert rendered.text == (
        "from typing import Annotated\n\nimport numpy as np\nfrom covey import Input, on_demand\n\n"
        f'@on_demand(outputs=["value"])\n{function}\n'
    )
    assert rendered.ids == {"new-1": "value"}


def test_code_is_edited_as_text() -> None:
    text = "X = 1  # one\n\nfrom covey import Bounds\n\nb = Bounds(X)\n"
    edited = _edit(text, _node("code-0", text).with_field("text", Code("X = 2")))
    assert (edited.text, edited.problems) == (text.replace("1  # one", "2"), ())
    assert _edit(text, _node("code-0", text).with_field("text", Code("X = ("))).text == text
    assert _edit(text, without=("code-0",)).text == text.partition("\n\n")[2]
    new = _edit(text, Node("new-1", "code", fields={"text": Code("Y = 2\n")}))
    assert (new.text, new.ids["new-1"]) == (text + "\nY = 2\n", "code-2")


@pytest.mark.parametrize("most_pairs", [0, 1_000_000])
@pytest.mark.parametrize("new", ["ABCDE", "ABxyDE", "ABDE", "ABCxDE", "DE", "AB", "", "xAByzDEw", "ABCDEABCDE", "ABAB"])
def test_elements_before_and_after_an_edit_keep_their_comments(
    new: str, most_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_lists, "_MOST_PAIRS", most_pairs)
    text = "from covey import Entity\ne = Entity(\n    'a',\n    domain=[\n"
    text += "".join(f"        {key!r},  # {key}\n" for key in "ABCDE") + "    ],\n)\n"
    edited = _edit(text, _node("e", text).with_field("domain", Literal([*new])))
    assert parse(edited.text).graph["e"].fields["domain"] == Literal([*new])
    for key in "AB" if new.startswith("AB") else "DE" if new.endswith("DE") else "":
        assert f"        {key!r},  # {key}\n" in edited.text


def test_a_file_of_join_keys_brings_its_import_once() -> None:
    domain = Code('Path(__file__).with_name("dests.csv")')
    graph = parse(TEXT).graph
    entity = graph["first.entity"]
    changed = Graph(tuple(node.with_field("domain", domain) if node == entity else node for node in graph))
    written = render(TEXT, changed).text
    assert written.count("from pathlib import Path\n") == 1
    again = parse(written).graph
    assert render(written, again).text == written
    other = Code('Path(__file__).with_name("other.csv")')
    moved = Graph(tuple(node.with_field("domain", other) if node.id == entity.id else node for node in again))
    assert render(written, moved).text == written.replace("dests.csv", "other.csv")
