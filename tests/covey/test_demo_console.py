"""`covey demo --console`: the demo's store, its flights and its views in the console."""

from __future__ import annotations

from pathlib import Path

from covey.demo.project_files import EVENTS, VIEWS, views_text, write_project_files
from deployment.view_source.evaluate import evaluate
from deployment.view_source.source import parse
from featurestore.define.views_file import load_declared
from simulations.datasets.flights import flight_views, load_flights
from tests.covey.console.asking import API, running
from tests.featurestore.making import fill
from tests.featurestore.server.odd_bodies import VIEW


def test_the_written_views_are_those_of_the_demo(tmp_path: Path) -> None:
    write_project_files(tmp_path)
    ours = sorted(flight_views(load_flights()), key=lambda one: one.name)
    assert sorted(load_declared(tmp_path / VIEWS, need_views=True).views, key=lambda one: one.name) == ours
    evaluated = evaluate(parse((tmp_path / VIEWS).read_text()))
    assert sorted(evaluated.declared.views, key=lambda one: one.name) == ours
    assert evaluated.not_evaluated == ()


def test_an_edited_views_file_stays(tmp_path: Path) -> None:
    (tmp_path / VIEWS).write_text("# mine\n")
    write_project_files(tmp_path)
    assert (tmp_path / VIEWS).read_text() == "# mine\n"
    assert (tmp_path / EVENTS).is_file()


def test_the_file_is_formatted_for_people() -> None:
    text = views_text(["AA", "UA"], ["ATL"] * 100)
    assert max(map(len, text.splitlines())) <= 120


def test_a_store_from_before_is_shown_at_once(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    with (
        running("demo", "--console", "--store", str(tmp_path), "--port", "0", "--no-open") as shown,
        shown.client() as client,
    ):
        about = client.get(f"{API}/about").json()
        assert (about["role"], about["has_views"], about["has_source"]) == ("operator", True, True)
        columns = client.get(f"{API}/composer/sources").json()
    assert "arr_delay" in str(columns)
