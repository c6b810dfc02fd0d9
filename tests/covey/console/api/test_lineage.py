"""The API of the lineage."""

from __future__ import annotations

from pathlib import Path

from covey.console.console import EventSource
from tests.covey.console.asking import Api, console_of
from tests.deployment.lineage.stores import make_store


def test_the_graph_has_the_source_of_the_console_and_its_commands(tmp_path: Path) -> None:
    make_store(tmp_path)
    source = EventSource("postgresql://user:word@host/flights?table=secret", "plane", "at")
    with console_of(tmp_path, source=source) as console:
        found = Api(console, "reader").get("/lineage")
    assert found["nodes"][0]["name"] == "flights"
    assert "word" not in str(found)
    assert found["command"] == f"covey lineage --store {tmp_path}"
    assert {edge["target"] for edge in found["edges"] if edge["source"] == "source"} == {"view:delays@v1"}


def test_one_part_is_shown_alone_and_an_unknown_one_is_not_found(tmp_path: Path) -> None:
    make_store(tmp_path)
    with console_of(tmp_path) as console:
        api = Api(console)
        assert "model:odd@v1" not in {node["id"] for node in api.get("/lineage", part="late")["nodes"]}
        assert api.ask("GET", "/lineage?part=nothing")[0] == 404


def test_a_store_without_views_has_a_source_only(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        assert [node["kind"] for node in Api(console).get("/lineage")["nodes"]] == ["source"]
