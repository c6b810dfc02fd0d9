"""Starting and stopping a supervisor, whose roles die at once: one deployment at a time, whatever happens to its files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from base.locks import lock_file
from base.logs import LogFormat
from base.ports import free_port
from base.private_files import private_folder
from deployment.errors import AlreadyUp, NotUp
from deployment.local.supervision import control
from deployment.local.supervision.control import prepared, start_detached, take_down
from deployment.local.supervision.deployment import Deployment, log_folder, up_folder
from deployment.local.supervision.identity import ProcessIdentity
from deployment.local.supervision.state_file import DeploymentState, RoleCondition, RoleStatus, read_state
from deployment.local.supervision.supervise import only_supervisor, processes_of
from deployment.printing.supervision import up_to_json
from tests.deployment.test_up import ended
from tests.waiting import wait_until

# the supervisor outlives whoever has started it
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment of a folder that is no project: its SuperLink dies at each start."""
    addresses = {role: f"127.0.0.1:{free_port()}" for role in ("superlink", "server")}
    with ended(tmp_path):
        yield Deployment(tmp_path.resolve(), addresses, (), None, None)


def start(deployment: Deployment) -> ProcessIdentity:
    with prepared(deployment) as ready:
        return start_detached(ready, LogFormat.TEXT)


@pytest.mark.parametrize(
    ("address", "url"),
    [("127.0.0.1:6566", "http://127.0.0.1:6566"), ("features.example:6566", "https://features.example:6566")],
)
def test_a_server_off_the_loopback_is_named_with_tls(address: str, url: str) -> None:
    server = RoleStatus("server", RoleCondition.READY, 0, 0, address, None, 1, None, None, None, is_failing=False)
    state = DeploymentState(ProcessIdentity(1, "x"), 0, (server,))
    assert up_to_json(state)["served_at"] == url


def restarts_of_superlink(project: Path) -> int:
    state = read_state(project)
    one = None if state is None else state.role("superlink")
    return 0 if one is None else one.restarts


def test_no_second_deployment_starts_between_the_check_of_the_first_and_its_supervisor(deployment: Deployment) -> None:
    second = replace(deployment, sites=("1",))
    with prepared(deployment) as ready:
        with pytest.raises(AlreadyUp), prepared(second):
            pass
        supervisor = start_detached(ready, LogFormat.TEXT)
    with pytest.raises(AlreadyUp, match=f"supervised by process {supervisor.pid}"):
        start(second)
    assert Deployment.load(deployment.project) == deployment
    assert take_down(deployment.project).roles == ("superlink", "server")
    with only_supervisor(deployment.project):  # its roles do not hold the lock
        assert not supervisor.runs


def test_a_supervisor_goes_on_when_its_logs_are_deleted(deployment: Deployment) -> None:
    supervisor = start(deployment)
    shutil.rmtree(log_folder(deployment.project))
    wait_until(lambda: restarts_of_superlink(deployment.project) or not supervisor.runs)
    assert supervisor.runs


def test_a_stop_that_meets_a_newer_deployment_ends_none_of_its_processes(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = deployment.project
    start(deployment)
    first = read_state(project)
    assert first is not None
    take_down(project)
    with prepared(deployment):
        role = processes_of(project).start("role", SLEEPER)
        monkeypatch.setattr(control, "read_state", lambda _: first)
        assert take_down(project).roles == ("superlink", "server")
        assert ProcessIdentity.of(role) is not None


def test_a_stop_waits_for_a_deployment_that_is_being_prepared(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []

    def nothing_yet(project: Path) -> DeploymentState | None:
        looked.append(project)
        if len(looked) == 4:
            lock.release()
        return None

    lock = lock_file(private_folder(up_folder(deployment.project)) / "lock", private=True, wait=False)
    monkeypatch.setattr(control, "read_state", nothing_yet)
    with pytest.raises(NotUp):
        take_down(deployment.project)
    assert len(looked) >= 4


def test_projects_do_not_share_a_mark_neither_at_the_same_path_nor_as_copies(tmp_path: Path) -> None:
    one, copy = tmp_path / "one", tmp_path / "copy"
    processes = processes_of(one)
    try:
        processes.start("role", SLEEPER)
        wait_until(processes.marked)
        assert len(processes_of(one).marked()) == 1
        shutil.copytree(one, copy)
        assert processes_of(copy).marked() == []
        (up_folder(one) / "mark").unlink()  # as in another container, whose project has the same path
        assert processes_of(one).marked() == []
    finally:
        processes.stop()
