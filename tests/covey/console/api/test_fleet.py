"""The routes of Fleet: its state, its events while a store changes, coverage, and drift."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("libcst")

from covey.console.api.fleet import live
from covey.console.api.fleet.live import FleetEvents
from covey.console.api.fleet.pane_forms import MOST_PANES, panes_form
from covey.console.api.fleet.parts import NAMES, FleetParts, read_parts
from covey.console.api.fleet.role_forms import roles_form
from covey.console.live import Event
from deployment.coordinator.answer_log import AnswerLog
from deployment.drift import checks
from deployment.inspect.fleet import Fleet
from deployment.local.supervision.identity import ProcessIdentity
from deployment.local.supervision.state_file import DeploymentState, RoleCondition, RoleStatus
from deployment.project.project import Project
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.covey.console.asking import API, Api, console_of, running_console
from tests.covey.console.world import World
from tests.featurestore.making import DAY, a_release, a_view, a_void, fill
from tests.fixtures.kept import VERSIONS, unpacked

HOSTILE = '<img src=x onerror="alert(1)">'
VIEW = a_view(pane="1d", windows=["2d"], description=HOSTILE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two sites, of which one has refused a plan."""
    unpacked(VERSIONS[-1], "project", tmp_path)
    sites = {
        "1": {"code": "OK", "batches": 2, "refused": {}},
        "2": {"code": "VIEW_NOT_ALLOWED", "batches": 0, "refused": {}},
        HOSTILE: {"code": "NODE_FAILED", "batches": 0, "refused": {}},
    }
    AnswerLog(tmp_path).add({"views": {"visits": {}}, "announced": True, "sites": sites}, 77)
    return tmp_path


@pytest.fixture
def api(project: Path) -> Iterator[Api]:
    with console_of(project) as console:
        yield Api(console, role="reader")


class TestTheState:
    def test_a_project_shows_its_sites_with_their_refusals(self, api: Api, project: Path) -> None:
        found = api.get("/fleet")
        assert found["project"] == Project.load(project).name
        assert found["collect_command"] == f"covey collect --project {project} --once"
        by_name = {one["site"]: one for one in found["sites"]["sites"]}
        assert [*by_name] == sorted(["1", "2", HOSTILE])
        assert by_name["1"]["answers"] == {"answered": 1}
        (refusal,) = by_name["2"]["refusals"]
        assert (refusal["code"], refusal["count"], refusal["last"]) == ("VIEW_NOT_ALLOWED", 1, 77)
        assert refusal["sentence"] == "The policy does not allow a view of this name."
        assert "policy.toml" in refusal["mend"]
        assert by_name["1"]["ledger"] == "whole"
        assert by_name[HOSTILE]["max_clients"] is None

    def test_a_store_without_a_project_says_so_and_shows_its_panes(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 3)
        with console_of(tmp_path) as console:
            found = Api(console).get("/fleet")
        assert (found["project"], found["sites"]["sites"], found["roles"]["since"]) == (None, [], None)
        (panes,) = found["panes"]["views"]
        assert (panes["opened"], panes["void"], panes["next"]) == (3, 0, [])
        assert [one["pane_start"] for one in found["arrivals"]["panes"]] == [2 * DAY, DAY, 0]

    def test_a_part_that_cannot_be_read_does_not_hide_the_others(self, api: Api, project: Path) -> None:
        folder = project / "roles" / "coordinator" / "unfinished"
        folder.mkdir(mode=0o700)
        (folder / "job.json").write_text("{")
        found = api.get("/fleet")
        assert "job.json is not a coordinator's job file" in found["plan"]["problem"]
        assert found["sites"]["problem"] is None
        assert len(found["sites"]["sites"]) == 3
        shutil.rmtree(folder)
        (project / "roles" / "coordinator" / "schedule.db").write_bytes(b"broken" * 1_000)
        found = api.get("/fleet")
        assert (found["plan"]["plan"], found["plan"]["problem"]) == (None, None)
        assert found["panes"]["problem"]

    def test_the_plan_that_ended_last_is_named_with_its_answers(self, api: Api, project: Path) -> None:
        answers = {"answered": 1, "refused": 1, "lost": 1}
        assert api.get("/fleet")["plan"]["last"] == {
            "at": 77,
            "views": ["visits"],
            "announced": True,
            "answers": answers,
        }
        refused = {"code": "DAY_BUDGET_SPENT", "batches": 0, "refused": {}}
        AnswerLog(project).add({"views": {"visits": {}}, "announced": False, "sites": {"1": refused}}, 78)
        last = api.get("/fleet")["plan"]["last"]
        assert (last["at"], last["announced"], last["answers"]) == (78, False, {"refused": 1})

    def test_a_task_that_has_ended_well_is_done_and_has_no_reason(self) -> None:
        supervisor = ProcessIdentity(1, "now")
        ended = RoleStatus("backfill", RoleCondition.ENDED, 1, 2, None, None, None, None, "an old line", 0, False)
        failed = replace(ended, code=6)
        part = roles_form(DeploymentState(supervisor, 1, (ended, failed)), "p")
        assert [(one.state, one.why) for one in part.roles] == [("done", None), ("ended", "an old line")]

    def test_exhausted_panes_come_with_the_command_that_voids_one(self, project: Path) -> None:
        with console_of(project) as console:
            fleet = Fleet(project, console.store, console.clock)
            one = fleet.panes()[0]
        many = replace(one, counts=replace(one.counts, exhausted=np.arange(500, dtype=np.int64) * DAY))
        shown = panes_form(many, "p")
        assert (shown.exhausted, len(shown.exhausted_panes)) == (500, MOST_PANES)
        assert shown.void_command is not None
        assert shown.void_command.endswith("1970-01-01T00:00:00Z --reason WHY --project p")


class TestCoverageAndDrift:
    def test_coverage_is_a_matrix_of_panes_and_sites(self, api: Api) -> None:
        found = api.get("/fleet/coverage", view="visits")
        assert (found["sites"], found["panes"]) == (["1", "2"], 2)
        assert [one["sites"] for one in found["shown"]] == [["counted", "counted"]] * 2

    @pytest.mark.parametrize(
        ("params", "status", "code"),
        [
            ({"view": "gone"}, 404, "UNKNOWN_VIEW"),
            ({"view": HOSTILE}, 404, "UNKNOWN_VIEW"),
            ({"view": "visits", "panes": 401}, 422, "REQUEST_INVALID"),
            ({}, 422, "REQUEST_INVALID"),
        ],
    )
    def test_a_coverage_that_cannot_be_is_refused(
        self, api: Api, params: dict[str, Any], status: int, code: str
    ) -> None:
        found, problem = api.ask("GET", "/fleet/coverage", params=params)
        assert (found, problem["code"]) == (status, code)

    def test_drift_is_checked_again_only_after_a_publication(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        view = a_view(pane="1d", windows=["2d"])
        fill(tmp_path, view, 30)
        check, checked = checks.check_version, list[str]()
        monkeypatch.setattr(checks, "check_version", lambda *of: (checked.append(of[1]), check(*of))[1])
        with console_of(tmp_path) as console:
            api = Api(console)
            first = api.get("/fleet/drift")
            assert api.get("/fleet/drift") == first
            assert checked == ["delays"]
            with Publisher(tmp_path, lambda: 200 * DAY) as publisher:
                publisher.publish([a_release(view, 30 * DAY, 1_000_000)])
            second = api.get("/fleet/drift")
        assert checked == ["delays"] * 2
        (report,) = second["views"]
        assert report["why"] is None
        assert report["newest"] == [30 * DAY]
        assert second["command"].startswith("covey monitor --last 1 --store ")

    def test_a_view_with_a_short_past_says_what_is_missing(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 3)
        with console_of(tmp_path) as console:
            (report,) = Api(console).get("/fleet/drift")["views"]
        assert "3 of its panes have values" in report["why"]
        assert not report["drifts"]


def events_of(directory: Path, store: Store, tick: Callable[[], float]) -> FleetEvents:
    fleet = Fleet(directory, store, lambda: 9 * DAY)
    return FleetEvents(lambda: read_parts(fleet, str(directory)), lambda: 1_000, tick)


class TestEvents:
    """The clock of `FleetEvents` is advanced by the test; a stream's own sleep is none."""

    @pytest.fixture
    def seconds(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The monotonic clock, which each sleep of a stream moves by an interval."""
        now = [0.0]
        sleep = asyncio.sleep

        async def moved(seconds: float) -> None:
            now[0] += seconds
            await sleep(0)

        monkeypatch.setattr(live.asyncio, "sleep", moved)
        return now

    def test_a_stream_gets_every_part_and_then_what_a_publication_changes(
        self, tmp_path: Path, seconds: list[float]
    ) -> None:
        fill(tmp_path, VIEW, 2)
        with Store.open(tmp_path) as store:
            events = events_of(tmp_path, store, lambda: seconds[0])

            async def follow() -> tuple[list[Event], list[Event]]:
                stream: Any = events.follow(None)
                first = [await _next(stream) for _ in NAMES]
                with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
                    publisher.publish([a_release(VIEW, 2 * DAY), a_void(VIEW, 3 * DAY, HOSTILE)])
                second = [await _next(stream) for _ in range(2)]
                await stream.aclose()
                return first, second

            first, second = asyncio.run(follow())
        assert [one.name for one in first] == [*NAMES]
        assert [one.number for one in first] == sorted({one.number for one in first})
        assert [one.name for one in second] == ["panes", "arrivals"]  # and no other part
        assert min(one.number for one in second) > first[-1].number
        data = json.loads(json.dumps(second[0].data))
        assert (data["views"][0]["opened"], data["views"][0]["void"]) == (3, 1)

    def test_a_page_that_resumes_gets_what_has_changed_since(self, tmp_path: Path, seconds: list[float]) -> None:
        fill(tmp_path, VIEW, 2)
        with Store.open(tmp_path) as store:
            events = events_of(tmp_path, store, lambda: seconds[0])
            last = events.newest()[-1].number
            with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
                publisher.publish([a_release(VIEW, 2 * DAY)])
            seconds[0] += 5

            async def resumed(seen: int) -> list[str]:
                stream: Any = events.follow(seen)
                found = [(await _next(stream)).name for _ in range(2)]
                await stream.aclose()
                return found

            assert asyncio.run(resumed(last)) == ["panes", "arrivals"]
            assert asyncio.run(resumed(5)) == ["sites", "plan"]  # of a console before: everything

    def test_an_idle_stream_sends_a_heartbeat(self, tmp_path: Path, seconds: list[float]) -> None:
        with Publisher(tmp_path, lambda: 0):
            pass
        with Store.open(tmp_path) as store:
            events = events_of(tmp_path, store, lambda: seconds[0])

            async def idle() -> list[Event | None]:
                stream: Any = events.follow(None)
                found = [await anext(stream) for _ in range(len(NAMES) + 1)]
                await stream.aclose()
                return found

            assert asyncio.run(idle())[-1] is None
        assert seconds[0] >= 15

    def test_all_streams_together_read_once_an_interval(self, seconds: list[float]) -> None:
        reads = list[float]()

        def read() -> FleetParts:
            reads.append(seconds[0])
            return EMPTY

        events = FleetEvents(read, lambda: 0, lambda: seconds[0])
        for _ in range(5):
            events.newest()
        seconds[0] = 0.9
        events.newest()
        assert reads == [0]
        seconds[0] = 1.0
        events.newest()
        assert reads == [0, 1.0]


EMPTY = FleetParts.model_validate({name: {} for name in NAMES})


async def _next(stream: AsyncIterator[Event | None]) -> Event:
    while True:
        event = await anext(stream)
        if event is not None:
            return event


@pytest.mark.long
def test_a_page_follows_a_store_that_changes_and_resumes_after_the_console_was_started_again(own_world: World) -> None:
    def publish(day: int) -> None:
        with Publisher(own_world.project, lambda: 2**51) as publisher, Store.open(own_world.project) as store:
            view = store.view("shops")
            publisher.publish([a_release(view, day * DAY)])

    @contextmanager
    def followed(last: int | None) -> Iterator[Iterator[tuple[int, str, Any]]]:
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        with (
            running_console(own_world.project) as running,
            running.client() as client,
            client.stream("GET", f"{API}/fleet/events", headers=headers) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _events(answer.iter_lines())

    with followed(None) as events:
        assert [name for _, name, _ in (next(events) for _ in NAMES)] == [*NAMES]
        publish(16_500)
        last, name, data = next(events)
        assert (name, data["views"][-2]["view"]) == ("panes", "shops")
    publish(16_501)
    with followed(last) as events:
        again = {name: data for _, name, data in (next(events) for _ in NAMES)}
    assert again["arrivals"]["panes"][0]["pane_start"] == 16_501 * DAY


def _events(lines: Iterator[str]) -> Iterator[tuple[int, str, Any]]:
    """(id, name, data) of each event of a stream."""
    fields: dict[str, str] = {}
    for line in lines:
        if line == "" and "data" in fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
        elif not line.startswith(":") and line:
            name, _, value = line.partition(": ")
            fields[name] = value
