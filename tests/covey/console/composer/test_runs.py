"""Runs by the API: they are previewed, confirmed, refused by role, followed, cancelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from covey.console import live
from covey.console.console import EventSource
from featurestore.store import Store
from tests.covey.conftest import VIEWS, write_project
from tests.covey.console.asking import Api, console_of
from tests.waiting import wait_until

BODY = {"text": VIEWS, "views": ["visits"], "budget": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path)


def source_of(folder: Path) -> EventSource:
    return EventSource(str(folder / "events.parquet"), "who", "at", "site")


def ended(api: Api, run_id: str) -> Any:
    wait_until(lambda: api.get(f"/composer/runs/{run_id}")["status"] != "running")
    return api.get(f"/composer/runs/{run_id}")


def require_resumable(api: Api, run_id: str) -> None:
    """Return if a page that lost its stream gets the events after the last one that it has seen."""
    path = f"/console/api/composer/runs/{run_id}/events"
    whole = api.client.get(path).text
    events = [block.splitlines() for block in whole.split("\n\n") if block.startswith("id: ")]
    numbers = [int(event[0].removeprefix("id: ")) for event in events]
    assert numbers == list(range(1, len(events) + 1))
    assert events[0][1] == "event: progress"
    assert events[-1][1] == "event: done"
    assert json.loads(events[-1][2].removeprefix("data: "))["views"][0]["view"] == "visits"
    rest = api.client.get(path, headers={"Last-Event-ID": str(numbers[-2])}).text
    assert [line for line in rest.splitlines() if line.startswith("id: ")] == [f"id: {numbers[-1]}"]


def test_the_streams_of_runs_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 0)
    with console_of(folder, views_file=folder / "views.py", source=source_of(folder)) as console:
        api = Api(console)
        run = api.post("/composer/runs", BODY | {"confirmed": True})["id"]
        status, problem = api.ask("GET", f"/composer/runs/{run}/events")
        assert (status, problem["code"]) == (503, "TOO_MANY_STREAMS")
        api.ask("DELETE", f"/composer/runs/{run}")
        ended(api, run)


def test_a_run_is_previewed_confirmed_followed_and_published(folder: Path) -> None:
    with console_of(folder, views_file=folder / "views.py", source=source_of(folder)) as console:
        api = Api(console)
        preview = api.post("/composer/runs/preview", BODY)
        assert (preview["refusal"], preview["panes"], preview["days"]) == (None, 3, 3)
        assert preview["least_left"]["left_micro_rho"] == preview["budget_micro_rho"] == 1_000_000
        assert 0 < preview["day_micro_rho"] == preview["views"][0]["micro_rho"] <= 500_000
        assert preview["epsilon"][0]["days"] == 1
        assert preview["command"].startswith(f"covey run {folder / 'views.py'} --view visits --events ")
        status, problem = api.ask("POST", "/composer/runs", json=BODY)
        assert (status, problem["code"]) == (409, "NOT_CONFIRMED")
        run = api.post("/composer/runs", BODY | {"confirmed": True})
        assert run["views"] == ["visits"]
        found = ended(api, run["id"])
        assert found["status"] == "done", found["failure"]
        assert [(view["view"], view["opened"] + view["void"]) for view in found["result"]] == [("visits", 3)]
        assert api.get("/composer/runs")["runs"] == [found]
        require_resumable(api, run["id"])
        again = api.post("/composer/runs/preview", BODY)
        assert (again["panes"], again["views"][0]["already_open"]) == (0, 3)
    with Store.open(folder) as store:
        assert store.history("visits").num_rows == 9


def test_a_run_of_some_views_does_what_its_command_does_and_registers_the_services_that_the_store_can_serve(
    folder: Path,
) -> None:
    services = (
        'one = FeatureService("one", ["visits:big"])\nboth = FeatureService("both", ["visits:big", "everywhere:all"])\n'
    )
    body = BODY | {"text": VIEWS + services}
    with console_of(folder, views_file=folder / "views.py", source=source_of(folder)) as console:
        api = Api(console)
        assert "views.py --view visits --events" in api.post("/composer/runs/preview", body)["command"]
        every = api.post("/composer/runs/preview", body | {"views": ["everywhere", "visits"]})
        assert "--view" not in every["command"]
        run = api.post("/composer/runs", body | {"confirmed": True})
        assert "--view visits" in run["command"]
        assert ended(api, run["id"])["services"] == {"registered": ["one"], "waiting": ["both"]}
    with Store.open(folder) as store:
        assert [service.name for service in store.services()] == ["one"]


def test_a_refusal_is_shown_before_and_after_with_its_mend(folder: Path) -> None:
    body = BODY | {"budget": "0.001"}
    with console_of(folder, source=source_of(folder)) as console:
        api = Api(console)
        refusal = api.post("/composer/runs/preview", body)["refusal"]
        assert (refusal["code"], "costs rho" in refusal["detail"]) == ("DAY_BUDGET_SPENT", True)
        found = ended(api, api.post("/composer/runs", body | {"confirmed": True})["id"])
    assert (found["status"], found["failure"]["code"]) == ("failed", "OVER_BUDGET")
    assert "--budget" in found["failure"]["mend"]


def test_a_service_that_cannot_be_registered_is_refused_before_anything_is_charged(folder: Path) -> None:
    body = BODY | {"text": f'{VIEWS}\none = FeatureService("one", ["visits:bog"])\n'}
    with console_of(folder, source=source_of(folder)) as console:
        api = Api(console)
        assert api.post("/composer/runs/preview", body)["refusal"]["code"] == "SERVICE_INVALID"
        found = ended(api, api.post("/composer/runs", body | {"confirmed": True})["id"])
        assert (found["status"], found["failure"]["code"]) == ("failed", "SERVICE_INVALID")
        assert api.post("/composer/runs/preview", BODY)["panes"] == 3
        assert not (folder / "ledgers").exists()


def test_another_definition_of_a_collected_view_is_refused_with_the_command_that_takes_it_over(folder: Path) -> None:
    with console_of(folder, source=source_of(folder)) as console:
        api = Api(console)
        ended(api, api.post("/composer/runs", BODY | {"confirmed": True})["id"])
        changed = BODY | {"text": VIEWS.replace("Bounds(max_cells=2", "Bounds(max_cells=1")}
        refusal = api.post("/composer/runs/preview", changed)["refusal"]
    assert refusal["code"] == "VIEW_CHANGED"
    assert "covey apply" in refusal["mend"]


def test_only_an_operator_runs_and_only_where_there_are_events(folder: Path) -> None:
    with console_of(folder, source=source_of(folder)) as console:
        reader = Api(console, "reader")
        for path in ("/composer/runs", "/composer/runs/preview"):
            status, problem = reader.ask("POST", path, json=BODY)
            assert (status, problem["code"]) == (403, "ROLE_TOO_SMALL")
        assert reader.ask("DELETE", "/composer/runs/1")[1]["code"] == "ROLE_TOO_SMALL"
        assert Api(console).ask("GET", "/composer/runs/1")[1]["code"] == "UNKNOWN_RUN"
    with console_of(folder) as console:
        assert "without events" in Api(console).get("/composer/runs")["why_not"]
        status, problem = Api(console).ask("POST", "/composer/runs", json=BODY | {"confirmed": True})
        assert (status, problem["code"]) == (409, "NO_EVENTS")
        assert "--events" in problem["mend"]


def test_a_view_that_is_not_evaluated_is_refused_with_its_line(folder: Path) -> None:
    text = VIEWS + "\nv = make()\nw = FeatureView('w', pane=PANE, features=[])\n"
    with console_of(folder, source=source_of(folder)) as console:
        api = Api(console)
        refusal = api.post("/composer/runs/preview", BODY | {"text": text, "views": ["w"]})["refusal"]
        assert (refusal["code"], "line " in refusal["detail"]) == ("VIEWS_NOT_KNOWN", True)
        assert "--trust-views" in refusal["mend"]
        assert api.post("/composer/runs/preview", BODY | {"text": "x = ("})["refusal"]["code"] == "VIEW_SOURCE_INVALID"
        assert api.post("/composer/runs/preview", BODY | {"text": text})["problems"]
        status, problem = api.ask("POST", "/composer/runs", json=BODY | {"text": text, "views": [], "confirmed": True})
        assert (status, problem["code"]) == (422, "VIEWS_NOT_KNOWN")


@pytest.mark.parametrize(
    "change",
    [
        {"budget": "; rm -rf"},
        {"budget": "nan"},
        {"noise": "maybe"},
        {"start": "2020-05-02", "end": "2020-05-01"},
        {"start": "2020-05-02"},
        {"start": "yesterday", "end": "today"},
        {"views": ["<img src=x>"]},
        {"store": "/etc"},
        {"views": ["v"] * 2_000},
    ],
)
def test_odd_requests_are_refused_by_name(folder: Path, change: dict[str, Any]) -> None:
    with console_of(folder, source=source_of(folder)) as console:
        status, answer = Api(console).ask("POST", "/composer/runs/preview", json=BODY | change)
    assert status in (200, 422)
    assert status == 422 or answer["refusal"]
