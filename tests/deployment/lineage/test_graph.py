"""The graph from the source to the models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.errors import ItemMissing
from deployment.lineage.graph import MOST_PLANS, LineageGraph, Node, lineage_of
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, a_view

from .stores import make_store


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LineageGraph]:
    directory = tmp_path_factory.mktemp("lineage")
    with Store.open(directory, on_demand=make_store(directory)) as store:
        yield lineage_of(store, "flights.parquet")


def facts(graph: LineageGraph, node: str) -> dict[str, str]:
    return {fact.name: fact.value for one in graph.nodes if one.id == node for fact in one.facts}


def test_every_kind_of_part_is_there_in_the_order_of_the_data(graph: LineageGraph) -> None:
    assert [node.kind for node in graph.nodes] == [
        "source", "view", "plan", "plan", "release", "on_demand", "service", "model", "model",
    ]  # fmt: skip
    assert graph.nodes[0].name == "flights.parquet"


def test_edges_follow_the_way_of_the_data(graph: LineageGraph) -> None:
    plan, other = f"plan:{'00' * 32}", f"plan:{'01' * 32}"
    assert {(edge.source, edge.target) for edge in graph.edges} == {
        ("source", "view:delays@v1"),
        ("view:delays@v1", plan),
        ("view:delays@v1", other),
        (plan, "releases:delays@v1"),
        (other, "releases:delays@v1"),
        ("releases:delays@v1", "on_demand:risk"),
        ("releases:delays@v1", "service:vector"),
        ("service:vector", "model:late@v1"),
        ("releases:delays@v1", "model:late@v1"),
    }
    (read,) = (edge.what for edge in graph.edges if edge.source == "source")
    assert read == ("dest", "delay")


def test_releases_are_counted_and_a_model_knows_which_of_its_own_are_retracted(graph: LineageGraph) -> None:
    counted = facts(graph, "releases:delays@v1")
    assert (counted["opened"], counted["void"], counted["retracted"]) == ("3", "1", "1")
    model = facts(graph, "model:late@v1")
    assert (model["releases seen"], model["of them retracted since"]) == ("3", "1")


def test_a_model_whose_lineage_cannot_be_read_is_a_node_with_a_problem(graph: LineageGraph) -> None:
    (odd,) = (node for node in graph.nodes if node.id == "model:odd@v1")
    assert odd.problem is not None
    assert "which views it reads" in odd.problem
    assert not any("model:odd@v1" in (edge.source, edge.target) for edge in graph.edges)


def test_older_plans_are_one_node(tmp_path: Path) -> None:
    make_store(tmp_path, plans=MOST_PLANS + 5)
    with Store.open(tmp_path) as store:
        graph = lineage_of(store)
    plans = [node for node in graph.nodes if node.kind == "plan"]
    assert len(plans) == MOST_PLANS + 1
    assert "5 earlier plans" in {node.name for node in plans}
    (opened,) = (edge.what for edge in graph.edges if edge.source == "plans:delays@v1")
    assert opened == ("6 opened",)  # two of the first plan, and four single ones


def test_the_way_of_one_part_leaves_out_what_it_has_nothing_to_do_with(graph: LineageGraph) -> None:
    ids = {node.id for node in graph.around("on_demand:risk").nodes}
    assert {"source", "view:delays@v1", "releases:delays@v1", "on_demand:risk"} < ids
    assert not any(one.startswith(("service", "model")) for one in ids)


def test_the_way_of_a_view_leads_to_all_that_was_made_from_it(graph: LineageGraph) -> None:
    kinds = {node.kind for node in graph.around("view:delays@v1").nodes}
    assert kinds == {"source", "view", "plan", "release", "on_demand", "service", "model"}


def test_a_part_is_found_by_its_name_with_or_without_version(graph: LineageGraph) -> None:
    assert graph.find("delays").id == graph.find("delays@v1").id == "view:delays@v1"
    assert graph.find("late").id == "model:late@v1"
    with pytest.raises(ItemMissing, match="vector"):
        graph.find("nothing")


def test_a_name_without_a_version_is_the_newest_one() -> None:
    versions = tuple(Node(f"view:delays@v{number}", "view", f"delays@v{number}") for number in (1, 2))
    assert LineageGraph(versions, ()).find("delays") is versions[1]


def test_a_view_without_releases_has_an_empty_node(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register(a_view())
    with Store.open(tmp_path) as store:
        names = [node.name for node in lineage_of(store).nodes if node.kind == "release"]
    assert names == ["delays@v1: no release"]
