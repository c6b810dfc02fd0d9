"""A client-day's budget is spent by one role of an operator and then requested again by another role.

The attacker holds the coordinator's key and may start any role of the operator. Services are real processes, and so are runs at once.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from base.metrics import Meters
from base.ports import free_port
from base.times import DAY_US, wall_clock
from covey.cli import call
from deployment.coordinator.job import Job
from deployment.coordinator.job_run import aggregators_of, run_job
from deployment.coordinator.planning import PlanRequest, make_plan
from deployment.local.processes import Processes
from featurestore.define.views_file import load_views
from federation.plan import plan_to_bytes
from federation.terms import Protection, RequestedTerms
from tests.covey.conftest import make_events

Covey = Callable[..., tuple[int, str, str]]
DAY = 18_383  # 2020-05-01
VIEW = """
from covey import *

{name} = FeatureView(
    "{name}",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1d",
    features=[Count("n")],
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho={rho}, min_clients=5),
)
"""


def words(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "covey", *map(str, arguments)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose client-days may cost 0.1, and two views that cost 0.06 each."""
    assert call(["init", str(tmp_path / "p"), "--sites", "2", "--budget", "0.1"]) == 0
    pq.write_table(make_events(), tmp_path / "p" / "events.parquet")
    for name in ("first", "second"):
        (tmp_path / "p" / f"{name}.py").write_text(VIEW.format(name=name, rho=0.06))
    return tmp_path / "p"


@pytest.fixture
def processes(project: Path) -> Iterator[Processes]:
    with Processes(project / "logs") as running:
        yield running


def run_words(project: Path, view: str) -> list[object]:
    """A `covey run` in one process over the first day."""
    return [
        "run", project / f"{view}.py", "--events", project / "events.parquet", "--client-column", "who", "--time-column",
        "at", "--site-column", "site", "--store", project, "--in-process", "--from", "2020-05-01", "--to", "2020-05-02",
    ]  # fmt: skip


def start(processes: Processes, project: Path, role: str, *more: object) -> str:
    """Start a service. Returns its address once it listens."""
    port = free_port()
    processes.start(role, words("start", role, "--project", project, "--port", port, *more))
    processes.wait_for_port(role, port, 180)
    return f"127.0.0.1:{port}"


def collect(project: Path, view: str, leader: str, second: str, protection: Protection = Protection.SHARES) -> Any:
    """Collect a plan for the first day as `covey start coordinator` does, with no site that answers. Returns the result."""
    wanted = PlanRequest(
        load_views(project / f"{view}.py"), (DAY * DAY_US, (DAY + 1) * DAY_US), RequestedTerms(protection)
    )
    plan = make_plan(project, wanted, wall_clock)
    assert plan is not None
    folder = project / f"job-{view}"
    folder.mkdir()
    paths = folder / "result.json", folder / "progress"
    job = Job(plan_to_bytes(plan), project / "keys", leader, second, project, 0, 1.0, *paths)
    with aggregators_of(job) as aggregators:
        run_job(job, aggregators, lambda *_: (), wall_clock, Meters())
    return json.loads(job.result.read_text())


def spent(covey: Covey, project: Path) -> list[tuple[str, int, int]]:
    """(ledger, spent, left) of each charged day, from `covey ledger show`."""
    code, out, err = covey("ledger", "show", "--project", project, "--json")
    assert code == 0, err
    ledgers = json.loads(out)["ledgers"]
    return [(one["ledger"], day["spent_micro_rho"], day["left_micro_rho"]) for one in ledgers for day in one["days"]]


def test_a_day_that_a_run_in_one_process_has_spent_is_not_spent_again_by_the_services(
    covey: Covey, project: Path, processes: Processes
) -> None:
    code, _, err = covey(*run_words(project, "first"))
    assert code == 0, err
    helper = start(processes, project, "helper")
    leader = start(processes, project, "leader", "--helper", helper)
    result = collect(project, "second", leader, helper)
    charged = spent(covey, project)
    assert result["budget_spent"] == {"second": [DAY * 86_400 * 10**6]}, charged
    assert charged == [("operator", 60_000, 40_000)]
    code, out, _ = covey("ledger", "show", "--project", project)
    assert code == 0
    assert "in-process" in out
    assert "DAY_BUDGET_SPENT: second, 2020-05-01 (helper)" in out


def test_a_day_that_the_services_have_spent_is_not_spent_again_by_a_run_in_one_process_with_a_larger_budget(
    covey: Covey, project: Path, processes: Processes
) -> None:
    """The budget in covey.toml holds, whatever --budget says."""
    helper = start(processes, project, "helper")
    leader = start(processes, project, "leader", "--helper", helper)
    assert collect(project, "second", leader, helper)["budget_spent"] == {}
    code, _, err = covey(*run_words(project, "first"), "--budget", "1")
    charged = spent(covey, project)
    assert code == 4, (err, charged)
    assert "`budget = 0.12` in covey.toml" in err
    assert charged == [("operator", 60_000, 40_000)]


def test_a_day_that_the_helper_has_spent_is_not_spent_again_by_the_key_holder_of_its_operator(
    covey: Covey, project: Path, processes: Processes
) -> None:
    """The leader belongs to another operator and forgets: it begins each plan with its keys and no other file."""
    pytest.importorskip("tenseal")
    helper, holder = start(processes, project, "helper"), start(processes, project, "keyholder")
    peers = "--helper", helper, "--keyholder", holder
    forgetful = [project / "leader-1", project / "leader-2"]
    for folder in forgetful:
        folder.mkdir()
        shutil.copy(project / "covey.toml", folder)
        shutil.copytree(project / "keys", folder / "keys")
    with Processes(project / "logs-1") as first:
        leader = start(first, forgetful[0], "leader", *peers)
        assert collect(project, "first", leader, helper)["budget_spent"] == {}
    leader = start(processes, forgetful[1], "leader", *peers)
    result = collect(project, "second", leader, holder, "he")
    charged = spent(covey, project)
    assert result["budget_spent"] == {"second": [DAY * 86_400 * 10**6]}, charged
    assert charged == [("operator", 60_000, 40_000)]


def test_two_runs_in_one_process_at_once_spend_a_day_once(covey: Covey, project: Path) -> None:
    running = [
        subprocess.Popen(words(*run_words(project, view)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for view in ("first", "second")
    ]
    said = [one.communicate(timeout=120)[1] for one in running]
    codes = sorted(one.returncode for one in running)
    assert codes in ([0, 1], [0, 4]), said  # the other run finds the store in use or the day spent
    assert spent(covey, project) == [("operator", 60_000, 40_000)]
