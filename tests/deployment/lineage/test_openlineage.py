"""OpenLineage events: what the specification (2-0-2) requires of them, and what never goes into one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from deployment.errors import UsageError
from deployment.lineage.facets import column_lineage
from deployment.lineage.openlineage import Emitter, Event, events_of
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.services import FeatureService
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view

from .stores import PLANTED, VIEW, make_store

EMITTER: Final = Emitter("covey://shop", "1.2.3")
FACETS: Final = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["_producer", "_schemaURL"],
        "properties": {"_producer": {"format": "uri"}, "_schemaURL": {"format": "uri"}},
    },
}
NAMED: Final = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}, "facets": FACETS},
}
BASE: Final = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "job"],
    "properties": {
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {"type": "string", "format": "uri"},
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": FACETS},
        },
        "job": NAMED,
        "inputs": {"type": "array", "items": NAMED},
        "outputs": {"type": "array", "items": NAMED},
    },
}
"""What OpenLineage.json in version 2-0-2 requires of a RunEvent and of a JobEvent, in our own words."""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Event]]:
    directory = tmp_path_factory.mktemp("events")
    with Store.open(directory, on_demand=make_store(directory)) as store:
        yield list(events_of(store, EMITTER, 100 * DAY))


def of_job(events: list[Event], name: str) -> list[Event]:
    return [event for event in events if event["job"]["name"] == name]


def test_every_event_has_the_form_that_the_specification_requires(events: list[Event]) -> None:
    checker = Draft202012Validator(BASE, format_checker=FormatChecker())
    for event in events:
        checker.validate(event)
        is_run = "run" in event
        assert is_run == ("eventType" in event) == event["schemaURL"].endswith("/RunEvent")
        assert is_run or event["schemaURL"].endswith("/JobEvent")


def test_every_run_has_one_start_and_one_end(events: list[Event]) -> None:
    runs: dict[str, list[str]] = {}
    for event in events:
        if "run" in event:
            runs.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert len(runs) == 3  # two plans, one model
    assert set(map(tuple, runs.values())) == {("START", "COMPLETE")}


def test_a_plan_is_a_run_with_its_terms(events: list[Event]) -> None:
    first = of_job(events, "collect.delays")[1]
    terms = first["run"]["facets"]["covey_privacy"]
    assert (terms["planHash"], terms["openedPanes"], terms["voidPanes"], terms["retractedPanes"]) == (
        "00" * 32,
        2,
        1,
        1,
    )
    assert (terms["minClients"], terms["trust"], terms["microRho"]) == (2, "in-process", 500_000)
    assert first["run"]["facets"]["nominalTime"]["nominalEndTime"] == "1970-01-01T04:00:00Z"
    (source,), (view,) = first["inputs"], first["outputs"]
    assert (source["name"], view["name"], view["facets"]["version"]["datasetVersion"]) == (
        "source",
        "views.delays",
        "v1",
    )


def test_the_columns_of_each_feature_say_how_they_are_read() -> None:
    view = a_view(time="at", features=[Count("flights"), Rate("late", where="delay >= 15"), Mean("gain", clip=(0, 9))])
    lineage = column_lineage("urn:covey:1", view, "covey://shop", "source", is_masked=True)
    how = {
        name: [(one["field"], one["transformations"][0]["type"], one["transformations"][0]["subtype"]) for one in read]
        for name, read in (
            *((name, of["inputFields"]) for name, of in lineage["fields"].items()),
            ("all", lineage["dataset"]),
        )
    }
    assert how == {
        "flights": [],
        "late": [("delay", "INDIRECT", "CONDITIONAL")],
        "gain_mean": [("gain", "DIRECT", "AGGREGATION")],
        "all": [("at", "INDIRECT", "GROUP_BY"), ("dest", "INDIRECT", "GROUP_BY")],
    }


@pytest.mark.parametrize(("noise", "is_masked"), [("none", False), ("discrete-gaussian", True)])
def test_columns_are_masked_only_by_noise(tmp_path: Path, noise: str, is_masked: bool) -> None:
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register(VIEW)
        publisher.publish([a_release(VIEW, 0, noise=noise)])
    with Store.open(tmp_path) as store:
        lineage = next(iter(events_of(store, EMITTER, 0)))["outputs"][0]["facets"]["columnLineage"]
    read = [*lineage["fields"]["late"]["inputFields"], *lineage["dataset"]]
    assert [one["transformations"][0]["masking"] for one in read] == [is_masked] * 2


def test_a_service_and_a_model_name_what_they_read(events: list[Event]) -> None:
    (service,) = of_job(events, "serve.vector")
    assert [one["name"] for one in service["inputs"]] == ["views.delays"]
    trained = of_job(events, "train.late")
    assert [one["name"] for one in trained[1]["inputs"]] == ["views.delays", "services.vector"]
    assert of_job(events, "train.odd") == []


@pytest.mark.parametrize(
    ("refs", "versions"),
    [
        (["delays:flights"], ["v2"]),
        (["delays@v1:flights"], ["v1"]),
        (["delays@v1:flights", "delays:flights"], ["v1", "v2"]),
        (["risk:risk"], ["v2"]),  # by way of the on-demand view
    ],
)
def test_a_service_names_the_versions_that_it_reads(tmp_path: Path, refs: list[str], versions: list[str]) -> None:
    on_demand = make_store(tmp_path)
    with Publisher(tmp_path, lambda: 101 * DAY) as publisher:
        publisher.apply([replace(VIEW, windows=("3h", "6h"))])
        publisher.register_services([FeatureService("pinned", refs)], on_demand)
    with Store.open(tmp_path, on_demand=on_demand) as store:
        (service,) = of_job(list(events_of(store, EMITTER, 0)), "serve.pinned")
    assert [one["facets"]["version"]["datasetVersion"] for one in service["inputs"]] == versions


def test_no_event_has_a_key_a_value_a_file_or_a_text_of_a_definition(events: list[Event]) -> None:
    text = json.dumps(events)
    for private in (PLANTED, "ATL", "LAX", "labels", "ab" * 32):
        assert private not in text


def test_events_that_are_made_again_are_the_same(tmp_path: Path) -> None:
    make_store(tmp_path)
    with Store.open(tmp_path) as store:
        first, again = (list(events_of(store, EMITTER, 100 * DAY)) for _ in range(2))
        other = list(events_of(store, Emitter("covey://other", "1.2.3"), 100 * DAY))
    assert first == again
    assert {event["run"]["runId"] for event in first if "run" in event}.isdisjoint(
        event["run"]["runId"] for event in other if "run" in event
    )


def test_a_later_pane_of_a_plan_changes_its_run_only(tmp_path: Path) -> None:
    make_store(tmp_path)

    def runs() -> dict[tuple[str, str], Any]:
        with Store.open(tmp_path) as store:
            made = events_of(store, EMITTER, 0)
            return {(event["run"]["runId"], event["eventType"]): event for event in made if "run" in event}

    before = runs()
    with Publisher(tmp_path, lambda: 101 * DAY) as publisher:
        publisher.publish([a_release(VIEW, 9 * HOUR)])
    after = runs()
    assert before.keys() == after.keys()
    assert len([1 for key in before if before[key] != after[key]]) == 2


def test_the_namespace_is_of_the_folder_or_given(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    assert Emitter.of(folder, "1").namespace == "covey://shop"
    assert Emitter.of(folder, "1", "team/a").namespace == "team/a"
    for bad in ("a b", "<b>", "x" * 129):
        with pytest.raises(UsageError, match="namespace"):
            Emitter.of(folder, "1", bad)
