"""The modes of all files that commands leave, under the weakest umask and the usual one. `tests.file_modes` has the rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.times import DAY_US, wall_clock
from covey.cli import call
from deployment.collecting import collecting
from deployment.coordinator.job import Job
from deployment.coordinator.planning import PlanRequest, make_plan
from deployment.local.roles import _files
from deployment.local.unfinished_collection import Unfinished
from deployment.project.folders import KEYS
from featurestore.define.views_file import load_views
from federation.plan import plan_to_bytes
from simulations.experiments import folder as lab
from tests.covey.conftest import VIEWS, make_events
from tests.file_modes import assert_modes, assert_wholly_private

CALLERS_OWN = (r"events\.parquet", r"labels\.parquet", r"out-\w+\.parquet", r"plan\.bin")
"""Files that the caller put there, or named as an output."""


@pytest.fixture(scope="module", params=[0o000, 0o022], ids=oct)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A project in which every role has worked, and the umask of all its commands."""
    project = tmp_path_factory.mktemp("modes") / "p"
    before = os.umask(request.param)
    try:
        _covey("init", project, "--site", "x", "--site", "y", "--budget", "2")
        (project / "views.py").write_text(VIEWS)
        pq.write_table(make_events(), project / "events.parquet")
        columns = ("--client-column", "who", "--time-column", "at")
        _covey(
            "run",
            project / "views.py",
            "--events",
            project / "events.parquet",
            *columns,
            "--store",
            project,
            "--in-process",
            "--budget",
            "1",
        )
        _covey("consumers", "add", "trainer", "--store", project)
        labels = pa.table({"shop": ["a"], "when": make_events()["at"][-1:]})
        pq.write_table(labels, project / "labels.parquet")
        _covey(
            "join", project / "labels.parquet", "-f", "visits:visits", "--time", "when", "--store", project,
            "--out", project / "out-join.parquet",
        )  # fmt: skip
        _covey("history", "visits", "--store", project, "--out", project / "out-history.parquet")
        _covey("ledger", "show", "--project", project)
        _roles(project)
        yield project, request.param
    finally:
        os.umask(before)


def _covey(*arguments: Any) -> None:
    assert call([str(argument) for argument in arguments]) == 0


def _roles(project: Path) -> None:
    """Create what running roles keep, and a plan that a coordinator still holds."""
    for role in ("leader", "helper", "keyholder"):
        files = _files(project, None, role)  # type: ignore[arg-type]
        files.live.draw(bytes(16), bytes(32), 0)
        files.close()
    from deployment.project.site_folders import configure_site

    configure_site(project, "x", str(project / "events.parquet"), "who", "at", allow_noise_off=False)
    wanted = PlanRequest(load_views(project / "views.py"), (18_000 * DAY_US, 18_001 * DAY_US))
    plan = make_plan(project, wanted, wall_clock)
    assert plan is not None
    unfinished = Unfinished(project)
    with collecting(project):
        job = Job(plan_to_bytes(plan), project / KEYS, "127.0.0.1:1", "127.0.0.1:2", project, 2, 1.0, Path(), Path())
        kept = unfinished.begin(job)
        with kept.alone():
            kept.fail("no leader")


def test_every_file_of_a_project_is_private_or_meant_for_many_readers(made: tuple[Path, int]) -> None:
    project, umask = made
    found = assert_modes(project, umask, also=CALLERS_OWN)
    assert {
        "keys/leader.key", "keys/site-x.pub", "ledgers/operator.db", "ledgers/operator.db.head", "consumers.json",
        "roles/leader/state.db", "roles/leader/live/" + "00" * 16, "roles/coordinator/unfinished/job.json",
        "roles/coordinator/unfinished/result.failed", "sites/x.toml", "store/registry.db", "covey.toml",
    } <= found  # fmt: skip


def test_keys_of_one_role_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        _covey("keys", "init", "leader", "--project", tmp_path / "mine")
    finally:
        os.umask(before)
    assert assert_modes(tmp_path / "mine", 0) == {
        "", "keys", "keys/leader.key", "keys/leader.pub", "keys/trust", "keys/trust/leader.crt",
        "keys/tls", "keys/tls/ca.crt", "keys/tls/ca.key", "keys/tls/leader.crt", "keys/tls/leader.key",
    }  # fmt: skip


def test_the_folder_of_a_lab_run_is_private_for_it_holds_the_truth(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        part = lab.begin(tmp_path / "lab-runs" / "run", ())
        assert_wholly_private(part)
        lab.finish(tmp_path / "lab-runs" / "run")
    finally:
        os.umask(before)
    assert_wholly_private(tmp_path / "lab-runs" / "run")
