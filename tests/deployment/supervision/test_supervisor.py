"""What a supervisor starts, and when: processes, clock and health are of the test."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from errno import EMFILE, ENOSPC
from pathlib import Path

import pytest

from base.errors import DONE, FAILURE, NotPrivate
from base.private_files import private_folder
from deployment.local.supervision.health import Monitors
from deployment.local.supervision.identity import ProcessIdentity
from deployment.local.supervision.lives import FAILING, BackingOff, Waiting
from deployment.local.supervision.roles import SupervisedRole
from deployment.local.supervision.state_file import StateWriter, read_state
from deployment.local.supervision.supervise import RepeatedStep
from deployment.local.supervision.supervisor import Supervisor, Surroundings


class Scripted:
    """Processes that run until the test ends them."""

    def __init__(self) -> None:
        self.started: list[tuple[str, tuple[str, ...]]] = []
        self.ended: dict[str, int] = {}
        self.waiting: dict[str, str] = {}
        self.now = 0.0
        self.is_full = False

    def start(self, name: str, command: Sequence[str]) -> int:
        if self.is_full:
            raise OSError(ENOSPC, "No space left on device")
        self.ended.pop(name, None)
        self.started.append((name, tuple(command)))
        return len(self.started)

    def exit_status(self, name: str) -> int | None:
        return self.ended.get(name)

    def last_line(self, name: str) -> str:
        return f"the last line of {name}"

    def supervisor(self, *roles: SupervisedRole) -> Supervisor:
        around = Surroundings(self, lambda name, _address, _pid: self.waiting.get(name), lambda: self.now)
        return Supervisor(roles, around)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.started]


def role(name: str, *needs: str, is_task: bool = False, needs_file: Path | None = None) -> SupervisedRole:
    return SupervisedRole(name, lambda: ("run", name), needs=needs, is_task=is_task, needs_file=needs_file)


def test_a_role_is_started_when_all_that_it_needs_works(tmp_path: Path) -> None:
    world = Scripted()
    world.waiting["link"] = "its port"
    store = tmp_path / "registry.db"
    supervisor = world.supervisor(role("link"), role("site", "link"), role("server", needs_file=store))
    for _ in range(3):
        supervisor.look()
    assert world.names == ["link"]
    assert supervisor.lives["site"].state == Waiting("link")
    assert supervisor.lives["server"].state == Waiting("the first release")
    del world.waiting["link"]
    store.touch()
    supervisor.look()
    assert world.names == ["link", "site", "server"]


def test_a_role_that_died_is_started_again_after_its_pause_with_a_new_command(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world, commands = Scripted(), iter([("begin",), ("--resume",)])
    supervisor = world.supervisor(SupervisedRole("coordinator", lambda: next(commands), is_task=True))
    supervisor.look()
    world.ended["coordinator"] = -9
    supervisor.look()
    world.now = 0.4
    supervisor.look()
    assert [command for _, command in world.started] == [("begin",)]
    world.now = 0.5
    supervisor.look()
    assert [command for _, command in world.started] == [("begin",), ("--resume",)]
    world.ended["coordinator"] = 0
    world.now = 99
    for _ in range(3):
        supervisor.look()
    assert len(world.started) == 2
    assert caplog.messages == [
        "coordinator starts as process 1, start 1",
        "coordinator killed by signal 9: the last line of coordinator; it is started again in 0.5 s",
        "coordinator starts as process 2, start 2",
        "coordinator has ended with status 0: the last line of coordinator",
    ]


def test_a_role_that_works_again_needs_no_restart_of_those_that_need_it() -> None:
    world = Scripted()
    supervisor = world.supervisor(role("link"), role("site", "link"))
    supervisor.look()
    supervisor.look()
    world.ended["link"] = 1
    for world.now in (1.0, 2.0, 3.0):
        supervisor.look()
    assert world.names == ["link", "site", "link"]


def test_a_full_disk_under_the_logs_is_named_and_the_start_is_tried_again() -> None:
    world = Scripted()
    world.is_full = True
    supervisor = world.supervisor(role("leader"))
    supervisor.look()
    assert supervisor.lives["leader"].state == BackingOff(0.5, "ended with status 1: disk full")
    world.is_full, world.now = False, 0.5
    supervisor.look()
    assert world.names == ["leader"]


def test_the_state_is_read_as_it_was_written_and_only_while_its_supervisor_runs(tmp_path: Path) -> None:
    world, folder = Scripted(), tmp_path / "roles" / "up"
    folder.mkdir(parents=True)
    assert read_state(tmp_path) is None
    supervisor = world.supervisor(role("link"), role("site", "link"))
    mine = ProcessIdentity.of(os.getpid())
    assert mine is not None
    writer = StateWriter(tmp_path, mine, 5, Monitors())
    supervisor.look()
    writer.write(supervisor, 10)
    world.ended["link"] = -9
    supervisor.look()
    writer.write(supervisor, 20)
    state = read_state(tmp_path)
    assert state is not None
    link, site = state.roles
    assert (link.state, link.since_us, link.why) == ("restarting", 20, "killed by signal 9: the last line of link")
    assert (site.state, site.since_us, site.waits_for) == ("waiting", 10, "link")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = ProcessIdentity.of(other.pid)
        assert theirs is not None
        StateWriter(tmp_path, theirs, 5, Monitors()).write(supervisor, 30)
        assert read_state(tmp_path) is not None
        other.kill()
        other.wait()
        assert read_state(tmp_path) is None
        StateWriter(tmp_path, ProcessIdentity(os.getpid(), "another boot/1"), 5, Monitors()).write(supervisor, 30)
        assert read_state(tmp_path) is None  # a pid that another process has now
    (folder / "state.json").write_text('{"supervisor": {"pid"')
    assert read_state(tmp_path) is None


def test_a_lost_file_or_another_users_log_is_named_and_the_next_roles_are_looked_after(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lost() -> tuple[str, ...]:
        raise NotPrivate("leader.log", "it is a link")

    world = Scripted()
    supervisor = world.supervisor(SupervisedRole("leader", lost), role("helper"))
    supervisor.look()
    assert isinstance(supervisor.lives["leader"].state, BackingOff)
    assert world.names == ["helper"]
    looking = RepeatedStep("look after the roles")
    for error in (EMFILE, EMFILE, ENOSPC, None, ENOSPC):
        looking.run(lambda error=error: fail(error))
    assert caplog.messages[1:] == [
        "cannot look after the roles: Too many open files",
        "cannot look after the roles: disk full",
        "cannot look after the roles: disk full",
    ]


def fail(number: int | None) -> None:
    if number is not None:
        raise OSError(number, os.strerror(number))


def test_the_status_of_a_role_that_keeps_dying_is_a_failure(
    covey: Callable[..., tuple[int, str, str]], project: Path
) -> None:
    assert covey("init", project)[0] == DONE
    world = Scripted()
    supervisor = world.supervisor(role("leader"))
    private_folder(project / "roles" / "up")
    mine = ProcessIdentity.of(os.getpid())
    assert mine is not None
    writer = StateWriter(project, mine, 5, Monitors())
    for deaths in range(FAILING + 1):
        writer.write(supervisor, 10)
        assert covey("status", "--project", project)[0] == (FAILURE if deaths == FAILING else DONE)
        world.now += 10
        supervisor.look()
        world.ended["leader"] = 1
        supervisor.look()
    assert json.loads(covey("status", "--project", project, "--json")[1])["deployment"]["roles"]["leader"]["failing"]
