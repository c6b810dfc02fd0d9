"""The routes of Lab: runs in one table, and reports as pages without rights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("libcst")

from covey.cli.lab_tables import _of_collection
from tests.covey.console.asking import API, Api, console_of
from tests.covey.console.world import World
from tests.simulations.reports.test_figures import printed

HOSTILE = "<script>parent.document.title = 1</script>"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Two runs that differ in one setting, and a damaged one."""
    folder = tmp_path / "lab"
    for name, noise in (("on", "on"), ("off", "off")):
        (folder / name).mkdir(parents=True)
        record = {"config": {"noise": noise, "seed": 0, HOSTILE: HOSTILE}, "status": HOSTILE, "summary": None}
        (folder / name / "run.json").write_text(json.dumps(record))
    (folder / "on" / "report.html").write_text(HOSTILE)
    (folder / "damaged").mkdir()
    (folder / "damaged" / "run.json").write_text("{")
    return folder


@pytest.fixture
def api(tmp_path: Path, lab: Path) -> Iterator[Api]:
    with console_of(tmp_path / "store", lab=lab) as console:
        yield Api(console, role="reader")


def test_what_all_runs_have_in_common_is_said_once(api: Api, lab: Path) -> None:
    found = api.get("/lab/runs")
    assert found["folder"] == str(lab)
    assert found["common"] == {"seed": "0", HOSTILE: HOSTILE}
    assert [(one["folder"], one["settings"], one["has_report"]) for one in found["runs"]] == [
        ("off", {"noise": "off"}, False),
        ("on", {"noise": "on"}, True),
    ]
    assert [one["folder"] for one in found["damaged"]] == ["damaged"]


def test_the_settings_of_a_single_run_are_its_own(tmp_path: Path, lab: Path) -> None:
    with console_of(tmp_path / "store", lab=lab / "on") as console:
        found = Api(console).get("/lab/runs")
    assert found["common"] == {}
    assert found["runs"][0]["settings"]["seed"] == "0"


def test_a_report_is_a_sandboxed_page_without_scripts(api: Api) -> None:
    answer = api.client.get(f"{API}/lab/report", params={"folder": "on"})
    assert (answer.status_code, answer.text) == (200, HOSTILE)
    policy = dict(one.partition(" ")[::2] for one in answer.headers["content-security-policy"].split("; "))
    assert policy["sandbox"] == ""  # no origin, no scripts, no forms, no top navigation
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert policy["frame-ancestors"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("folder", ["off", "gone", "..", "../lab/on", "/etc", "on\0", "on/report.html"])
def test_other_files_are_not_found(api: Api, folder: str) -> None:
    status, problem = api.ask("GET", "/lab/report", params={"folder": folder})
    assert (status, problem["code"]) == (404, "REPORT_MISSING")


def test_without_a_folder_the_command_that_makes_runs_is_shown(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        api = Api(console)
        found = api.get("/lab/runs")
        assert (found["folder"], found["runs"]) == (None, [])
        assert found["command"].startswith("covey lab run ")
        assert api.ask("GET", "/lab/report", params={"folder": "on"})[0] == 404


def test_a_run_shows_every_number_that_the_command_printed_of_it(console_world: World) -> None:
    with console_of(console_world.project, lab=console_world.lab) as console:
        runs = Api(console, role="reader").get("/lab/runs")["runs"]
    assert len(runs) == 2
    for one in runs:
        record = json.loads((console_world.lab / one["folder"] / "run.json").read_text())
        numbers = printed(_of_collection(record))
        assert len(numbers) > 20
        assert numbers <= set(one["results"].values())
        assert one["seconds"] == record["seconds"]
