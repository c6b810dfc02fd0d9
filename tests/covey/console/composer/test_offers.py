"""The composer offers the columns of the console's events and of the project's sites, and no value."""

from __future__ import annotations

from pathlib import Path

from covey.console.console import EventSource
from tests.covey.conftest import write_project
from tests.covey.console.asking import Api, console_of
from tests.planted import CLIENT


def test_the_events_of_the_console_are_a_source_with_columns_and_without_rows(tmp_path: Path) -> None:
    write_project(tmp_path)
    source = EventSource(str(tmp_path / "events.parquet"), "who", "at", "site")
    with console_of(tmp_path, source=source) as console:
        answer = Api(console, "reader").client.get("/console/api/composer/sources")
    found = answer.json()
    assert found["collects"] == "events"
    (events,) = found["sources"]
    assert (events["name"], events["client"], events["time"], events["site"]) == ("events.parquet", "who", "at", "site")
    assert {one["name"]: one["type"] for one in events["columns"]} == {
        "who": "text",
        "site": "text",
        "at": "time",
        "shop": "text",
        "spent": "number",
        "note": "text",
    }
    assert CLIENT not in answer.text


def test_a_console_without_events_offers_none_and_a_missing_file_says_why(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        assert Api(console).get("/composer/sources") == {"sources": [], "collects": ""}
    with console_of(tmp_path, source=EventSource(str(tmp_path / "gone.parquet"), "who", "at")) as console:
        (events,) = Api(console).get("/composer/sources")["sources"]
    assert events["columns"] == []
    assert "gone.parquet" in events["why_not"]


def test_the_sites_of_a_project_are_sources_with_their_declared_columns(tmp_path: Path) -> None:
    folder = tmp_path / "sites"
    folder.mkdir()
    (tmp_path / "a.csv").write_text("who,n,when\nann,1,2020-05-01\n")
    (folder / "A.toml").write_text(
        'site = "A"\nclients = 5\nkeys = "../keys"\nledger = "../ledgers/site-A.db"\npolicy = "../policy.toml"\n'
        '[source]\nurl = "../a.csv"\nclient = "who"\ntime = "at"\n'
        '[source.columns]\namount = { from = "n", type = "number" }\nat = { from = "when", type = "time" }\n'
    )
    (folder / "B.toml").write_text("not toml")
    with console_of(tmp_path) as console:
        a, b = Api(console).get("/composer/sources")["sources"]
    assert (a["id"], a["why_not"]) == ("site-A", "")
    assert {one["name"]: one["type"] for one in a["columns"]} == {"amount": "number", "at": "time", "who": "other"}
    assert b["columns"] == []
    assert "B.toml" in b["why_not"]
