"""The API of the lineage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from covey.console.console import EventSource
from deployment.lineage.emission import PATH
from tests.covey.console.asking import API, Api, console_of, running_console, trusting
from tests.deployment.lineage.collector import Received, collecting
from tests.deployment.lineage.stores import make_store
from tests.waiting import wait_until


def test_the_graph_has_the_source_of_the_console_and_its_commands(tmp_path: Path) -> None:
    make_store(tmp_path)
    source = EventSource("postgresql://user:word@host/flights?table=secret", "plane", "at")
    with console_of(tmp_path, source=source) as console:
        found = Api(console, "reader").get("/lineage")
    assert found["nodes"][0]["name"] == "flights"
    assert "word" not in str(found)
    assert found["command"] == f"covey lineage --store {tmp_path}"
    assert {edge["target"] for edge in found["edges"] if edge["source"] == "source"} == {"view:delays@v1"}


def test_its_commands_name_the_file_whose_on_demand_views_are_trusted(tmp_path: Path) -> None:
    make_store(tmp_path)
    views = tmp_path / "views.py"
    with console_of(tmp_path, views_file=views) as console:
        assert "--views" not in Api(console).get("/lineage")["command"]
        found = Api(trusting(console)).get("/lineage")
    assert found["command"] == f"covey lineage --store {tmp_path} --views {views}"
    assert found["openlineage_command"] == f"{found['command']} --openlineage URL"


def test_one_part_is_shown_alone_and_an_unknown_one_is_not_found(tmp_path: Path) -> None:
    make_store(tmp_path)
    with console_of(tmp_path) as console:
        api = Api(console)
        assert "model:odd@v1" not in {node["id"] for node in api.get("/lineage", part="late")["nodes"]}
        assert api.ask("GET", "/lineage?part=nothing")[0] == 404


def test_a_store_without_views_has_a_source_only(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        assert [node["kind"] for node in Api(console).get("/lineage")["nodes"]] == ["source"]


def test_a_console_with_a_collector_sends_the_events_and_says_so(tmp_path: Path) -> None:
    make_store(tmp_path)
    received = Received()
    with collecting(received) as url, running_console(tmp_path, "--openlineage", url) as running:
        wait_until(lambda: len(received.bodies) == 7)
        with running.client() as client:
            wait_until(lambda: _emission(client)["sent"] == 7)
            assert _emission(client) == {"url": f"{url}{PATH}", "sent": 7, "problem": None}
    assert {body["job"]["namespace"] for body in received.bodies} == {f"covey://{tmp_path.name}"}


def test_a_collector_that_is_away_neither_stops_nor_delays_the_console(tmp_path: Path) -> None:
    make_store(tmp_path)
    with running_console(tmp_path, "--openlineage", "http://127.0.0.1:9") as running, running.client() as client:
        wait_until(lambda: _emission(client)["problem"] is not None)
        assert _emission(client)["sent"] == 0


def _emission(client: httpx.Client) -> Any:
    return client.get(f"{API}/lineage").json()["emission"]
