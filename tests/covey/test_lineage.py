"""`covey lineage`: the graph, one part of it, and the events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deployment.lineage.collector import Received, collecting
from tests.deployment.lineage.stores import make_store

Covey = Callable[..., tuple[int, str, str]]
ON_DEMAND = """
from typing import Annotated

import numpy as np

from covey import Feature, on_demand


@on_demand(outputs=["risk"])
def risk(late: Annotated[np.ndarray, Feature("delays:late_3h")]) -> np.ndarray:
    return 2 * late
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    make_store(tmp_path)
    return tmp_path


def test_each_part_is_a_line_with_what_it_is_made_from(covey: Covey, store: Path) -> None:
    code, out, _ = covey("lineage", "--store", store, "--plain")
    assert code == 0
    lines = {line.split()[1]: line for line in out.splitlines()}
    assert "events of the sites" in lines["delays@v1"]
    assert "vector, delays@v1: 3 opened" in lines["late@v1"]
    assert "problem: the lineage of model odd@v1" in lines["odd@v1"]


def test_one_part_is_shown_alone(covey: Covey, store: Path) -> None:
    code, out, _ = covey("lineage", "late", "--store", store, "--json")
    assert code == 0
    assert "odd@v1" not in out
    assert "late@v1" in {node["name"] for node in json.loads(out)["nodes"]}
    code, _, err = covey("lineage", "nothing", "--store", store)
    assert (code, "vector" in err) == (5, True)


def test_on_demand_views_of_a_file_are_shown_as_well(covey: Covey, store: Path) -> None:
    views = store / "views.py"
    views.write_text(ON_DEMAND)
    assert "on_demand:risk" not in covey("lineage", "--store", store, "--json")[1]
    code, out, _ = covey("lineage", "risk", "--store", store, "--views", views, "--json")
    assert code == 0
    assert {"source": "releases:delays@v1", "target": "on_demand:risk", "what": ["late_3h"]} in json.loads(out)["edges"]


def test_events_are_printed_one_a_line(covey: Covey, store: Path) -> None:
    code, out, _ = covey("lineage", "--store", store, "--events", "--namespace", "team/a")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, len(events)) == (0, 7)
    assert {event["job"]["namespace"] for event in events} == {"team/a"}


def test_events_are_sent_with_the_key_of_the_environment(
    covey: Covey, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "a-key")
    received = Received()
    with collecting(received) as url:
        code, out, err = covey("lineage", "--store", store, "--openlineage", url)
    assert (code, out) == (0, "")
    assert "7 event(s) sent" in err
    assert {one["Authorization"] for one in received.headers} == {"Bearer a-key"}


@pytest.mark.parametrize(
    "words",
    [
        ("late", "--events"),
        ("--events", "--json"),
        ("--events", "--openlineage", "http://127.0.0.1:1"),
        ("--openlineage", "file:///x"),
        ("--events", "--namespace", "a b"),
    ],
)
def test_what_does_not_fit_together_is_a_usage_error(covey: Covey, store: Path, words: tuple[str, ...]) -> None:
    assert covey("lineage", "--store", store, *words)[0] == 2
