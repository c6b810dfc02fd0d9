"""`covey up`: an operator's two commands, its roles killed while they collect, and what a supervisor that died leaves."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from base.errors import DONE, FAILURE, NOT_FOUND, USAGE
from base.ports import free_port
from deployment.local.supervision.deployment import up_folder
from deployment.local.supervision.identity import ProcessIdentity
from deployment.local.supervision.state_file import DeploymentState, read_state
from deployment.local.supervision.supervise import processes_of
from deployment.project.project import Project
from featurestore.define.views_file import load_views
from featurestore.store import Store
from tests.covey.conftest import make_events, write_project
from tests.deployment.deployed import words
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle
from tests.waiting import wait_until

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "up.md").read_text(encoding="utf-8")
TWO_COMMANDS, READ, AFTER = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
ROLES = ("leader", "helper", "superlink", "server")


def take_free_ports(project: Path) -> None:
    """Other tests may use the default ports now."""
    lines = ["", "[network]", *(f'{role} = "127.0.0.1:{free_port()}"' for role in ROLES)]
    with (project / "covey.toml").open("a") as file:
        file.write("\n".join(lines) + "\n")


@contextmanager
def ended(project: Path) -> Iterator[None]:
    """No process is left, whatever a test does."""
    try:
        yield
    finally:
        state = read_state(project)
        if state is not None:
            os.kill(state.supervisor.pid, signal.SIGTERM)
            wait_until(lambda: not state.supervisor.runs)
        processes_of(project).stop()


def write_visits(path: Path) -> dict[str, int]:
    """Events of 90 customers on three days; returns the number of visitors of each shop on the last day."""
    shops, visitors = random.Random(1), dict[str, set[str]]()
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "at", "shop", "spent"])
        for day in (1, 2, 3):
            visitors.clear()
            for customer in range(90):
                shop = shops.choice(["north", "south", "west"])
                rows.writerow([f"c{customer}", f"2026-05-{day:02d}T{shops.randrange(24):02d}:30:00Z", shop, 50])
                visitors.setdefault(shop, set()).add(f"c{customer}")
    return {shop: len(found) for shop, found in visitors.items()}


def test_the_two_commands_of_a_newcomer_lead_from_an_empty_folder_to_a_served_release(
    covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visitors = write_visits(tmp_path / "visits.csv")
    init, up = (shlex.split(line)[1:] for line in TWO_COMMANDS.splitlines())
    shop = tmp_path / "shop"
    assert covey(*init)[0] == DONE
    take_free_ports(shop)
    with ended(shop):
        typed = subprocess.run(words(*up), capture_output=True, text=True, check=False)
        out, err = typed.stdout, typed.stderr
        assert typed.returncode == DONE, err + logs(shop)
        for role in ("helper", "leader", "superlink", "site-1", "server"):
            assert re.search(rf"{role} +│ ready", out), out
        assert re.search(r"backfill +│ done", out), out
        state = read_state(shop)
        assert state is not None
        server = state.role("server")
        assert server is not None
        assert f"served at http://{server.address}" in err
        request = shlex.split(READ)[-1]
        for name, exact in visitors.items():
            body = json.loads(request.replace("north", name))
            body["features"].append("shop_visits:visitors__se")
            answer = httpx.post(f"http://{server.address}/get-online-features", json=body, timeout=60).json()
            value, se = (one["values"][0] for one in answer["results"][1:])
            assert 0 < se < 30
            assert abs(value - exact) < 6 * se, (name, value, exact, se)

        status, read_log, down = (shlex.split(line)[1:] for line in AFTER.splitlines())
        assert covey(*status)[0] == DONE
        shown = json.loads(covey(*status, "--json")[1])["deployment"]
        assert shown["supervisor"] == state.supervisor.pid
        assert {name: one["state"] for name, one in shown["roles"].items()} == {
            **dict.fromkeys(("helper", "leader", "superlink", "site-1", "server"), "ready"),
            "backfill": "ended",
            "coordinator": shown["roles"]["coordinator"]["state"],  # it may wait for the site's answer about yesterday
        }
        assert shown["roles"]["coordinator"]["state"] in ("running", "ready")
        documented = re.findall(r"^\| `roles\.NAME\.(\w+)` \|", PAGE, flags=re.M)
        assert {tuple(one) for one in shown["roles"].values()} == {tuple(documented)}
        code, out, _ = covey(*read_log)
        assert (code, "listens on" in out) == (DONE, True)
        code, _, err = covey("logs", "nobody", "--project", "shop")
        assert (code, "it has: backfill, coordinator, helper, leader, server, site-1, superlink, up" in err) == (
            NOT_FOUND,
            True,
        )

        code, _, err = covey("up", "--project", "shop")
        assert (code, f"is up already, supervised by process {state.supervisor.pid}" in err) == (USAGE, True)
        pids = [one.pid for one in state.roles if one.pid]
        code, _, err = covey(*down)
        assert (code, "stopped: helper, leader, superlink" in err) == (DONE, True)
        assert [pid for pid in (*pids, state.supervisor.pid) if ProcessIdentity.of(pid) is not None] == []
        code, _, err = covey(*down)
        assert (code, "no deployment of shop is up" in err) == (NOT_FOUND, True)
        assert json.loads(covey(*status, "--json")[1])["deployment"] is None


def logs(project: Path) -> str:
    return "".join(f"\n== {one.name}\n{one.read_text()}" for one in (up_folder(project) / "logs").glob("*.log"))


@pytest.fixture
def two_sites(covey: Covey, tmp_path: Path) -> tuple[Path, list[str]]:
    """A project of two sites with their events, and `covey up` of it without noise."""
    project = write_project(tmp_path)
    assert covey("init", project, "--budget", "1", "--sites", 2)[0] == DONE
    take_free_ports(project)
    for file, before, after in (
        ("covey.toml", "allow_noise_off = false", "allow_noise_off = true"),
        ("policy.toml", "allow_noise_off = false", "allow_noise_off = true"),
        ("policy.toml", "min_k = 50", "min_k = 2"),
    ):
        text = (project / file).read_text()
        assert before in text, text
        (project / file).write_text(text.replace(before, after))
    table, arguments = make_events(), ["up", f"--project={project}", "--noise", "off", "--no-collect"]
    for site, name in (("1", "x"), ("2", "y")):
        pq.write_table(
            table.filter([value == name for value in table["site"].to_pylist()]), project / f"events-{site}.parquet"
        )
        arguments += ["--events", f"{site}={project / f'events-{site}.parquet'}"]
    return project, [*arguments, "--client-column", "who", "--time-column", "at"]


def test_roles_that_are_killed_at_random_moments_of_a_collection_change_no_value_and_open_nothing_twice(
    covey: Covey, two_sites: tuple[Path, list[str]], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Five kills in each round, whose number is their seed: 100 in all with `--full`."""
    made, up = two_sites
    for number in range(20 if pytestconfig.getoption("--full") else 1):
        project = tmp_path / f"round-{number}"
        shutil.copytree(made, project, ignore=shutil.ignore_patterns("round-*"))
        command = words(*(word.replace(f"--project={made}", f"--project={project}") for word in up))
        days = ["--from", "2020-05-01", "--to", "2020-05-04"]
        with ended(project):
            with subprocess.Popen(
                [*command, *days], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as running:
                killed = kill_roles(project, running, random.Random(number))
                output = running.communicate(timeout=600)[0]
            assert running.returncode == DONE, output + logs(project)
            state = read_state(project)
            assert state is not None
            assert {name: restarts_of(state, name) for name in killed} == dict.fromkeys(killed, 1), logs(project)
            assert covey("down", "--project", project)[0] == DONE
        assert len(killed) == 5, killed
        require_exact(covey, project)


def restarts_of(state: DeploymentState, name: str) -> int:
    """How often a role was started again; a backfill that met the death of another role, as well: at least once."""
    one = state.role(name)
    assert one is not None
    return min(one.restarts, 1) if name == "backfill" else one.restarts


@pytest.mark.long
def test_a_collection_goes_on_after_a_stop_in_its_middle_and_after_its_supervisor_was_killed(
    covey: Covey, two_sites: tuple[Path, list[str]]
) -> None:
    project, up = two_sites
    at = ["--project", str(project)]
    plan = project / "roles" / "coordinator" / "unfinished"
    days = ["--from", "2020-05-01", "--to", "2020-05-04"]
    with ended(project):
        with subprocess.Popen(words(*up, *days), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as first:
            wait_until(lambda: plan.exists() or first.poll() is not None)
            code, _, err = covey("down", *at)
            assert (code, "its plan is kept, and `covey up" in err) == (DONE, True), err
            assert "the supervisor has ended" in first.communicate(timeout=180)[0]
        assert plan.exists()
        (up_folder(project) / "state.json").write_text(
            '{"supervisor": {"pid": 1'
        )  # a power cut in an editor of the file
        again = words("up", "--no-collect", *at)
        with subprocess.Popen(again, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as second:
            wait_until(lambda: collecting(project) is not None or second.poll() is not None)
            state = read_state(project)
            assert state is not None
            os.kill(state.supervisor.pid, signal.SIGKILL)
            assert "the supervisor has ended" in second.communicate(timeout=180)[0]
        leader = state.role("leader")
        assert leader is not None
        assert leader.pid is not None
        assert ProcessIdentity.of(leader.pid) is not None
        assert json.loads(covey("status", *at, "--json")[1])["deployment"] is None
        third = subprocess.run(again, capture_output=True, text=True, check=False)
        assert (third.returncode, "of an earlier deployment whose supervisor was killed" in third.stderr) == (
            DONE,
            True,
        )
        assert ProcessIdentity.of(leader.pid) is None
        assert not plan.exists()
        assert covey("down", *at)[0] == DONE
        assert processes_of(project).marked() == []
    require_exact(covey, project)


def test_what_cannot_be_started_is_named_before_a_process_starts(
    covey: Covey, two_sites: tuple[Path, list[str]], tmp_path: Path
) -> None:
    project, up = two_sites
    at = ["--project", str(project)]
    for arguments, why in (
        (
            ["up", *at, "--events", "x.csv", "--client-column", "c", "--time-column", "t"],
            "so each needs its own events",
        ),
        (["up", *at, "--events", "1=x.csv"], "--events needs --client-column and --time-column"),
        (["up", *at, "--backfill"], "nothing can be collected. Name them; see --events"),
        (["up", "--project", str(tmp_path / "none")], "makes a project"),
    ):
        code, _, err = covey(*arguments)
        assert (code in (USAGE, NOT_FOUND), why in err) == (True, True), err
    host, port = Project.load(project).network.address("leader").split(":")
    with socket.create_server((host, int(port))):
        code, _, err = covey(*up)
        assert (code, f"the address {host}:{port} of the leader is in use by process {os.getpid()} (" in err) == (
            USAGE,
            True,
        )
    assert read_state(project) is None


@pytest.mark.long
def test_a_role_that_keeps_dying_at_the_start_is_named_with_its_mend_and_nothing_is_left(
    covey: Covey, two_sites: tuple[Path, list[str]]
) -> None:
    project, up = two_sites
    (project / "keys" / "helper.key").rename(project / "keys" / "elsewhere")
    with ended(project):
        failed = subprocess.run(words(*up), capture_output=True, text=True, check=False)
        said = failed.stderr.splitlines()[-1]
        assert failed.returncode == FAILURE, failed.stderr
        assert "the helper does not start: ended with status 5" in said, said
        assert "helper.key" in said
        assert "The other roles are stopped again" in said
        assert read_state(project) is None
        assert processes_of(project).marked() == []


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 4 MiB under a folder, and a file that fills it once it is written."""
    folder.mkdir(mode=0o700, parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "covey-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield folder / "filler"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


@pytest.mark.long
def test_a_full_disk_under_the_helper_is_named_and_loses_nothing(
    covey: Covey, two_sites: tuple[Path, list[str]]
) -> None:
    project, up = two_sites
    command = words(*up, "--from", "2020-05-01", "--to", "2020-05-04")

    def reasons() -> list[str]:
        state = read_state(project)
        return [] if state is None else [f"{one.why} {one.waits_for}" for one in state.roles]

    with small_disk(project / "roles" / "helper") as filler, ended(project):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
            wait_until(lambda: collecting(project) is not None or running.poll() is not None)
            fill(filler)
            wait_until(lambda: any("NO_SPACE_LEFT" in one for one in reasons()) or running.poll() is not None)
            assert running.poll() is None, running.communicate()[0] + logs(project)
            filler.unlink()
            output = running.communicate(timeout=600)[0]
        assert running.returncode == DONE, output + logs(project)
        assert "the disk of this service is full" in output, output
        require_exact(covey, project)
        assert covey("down", "--project", project)[0] == DONE


def require_exact(covey: Covey, project: Path) -> None:
    """The releases have the values of the oracle, each pane is opened once, and each day is charged once."""
    table = make_events()
    first = datetime(2020, 5, 1, tzinfo=UTC).toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
    with Store.open(project) as store:
        for view in load_views(project / "views.py"):
            releases = store.releases(view.name)
            assert len(set(releases["release_id"].to_pylist())) == releases.num_rows
            expected = oracle(
                view,
                table,
                client_column="who",
                time_column="at",
                site_column="site",
                days=range(first, first + 3),
                min_clients=view.privacy.min_clients,
            )
            assert_equal_to_oracle(store.history(view.name), expected, view.entity.keys)
    code, out, err = covey("ledger", "show", "--project", project, "--json")
    assert code == DONE, err
    for ledger in json.loads(out)["ledgers"]:
        charged = {day["day"]: day["micro_rho"] for day in ledger["days"]}
        assert charged == {f"2020-05-0{day}": {"everywhere": 500_000, "visits": 500_000} for day in (1, 2, 3)}, ledger
        assert ledger["plans"]["unfinished"] == 0
    verified = json.loads(covey("release", "verify", "--all", "--project", project, "--json")[1])
    assert {one["state"] for one in verified["releases"]} == {"verified"}


def kill_roles(project: Path, running: subprocess.Popen[str], chance: random.Random) -> list[str]:
    """Kill each role once, at a random moment of the collection; returns the names of the killed ones."""
    names, killed = ["leader", "helper", "superlink", "site-1", "backfill"], []
    chance.shuffle(names)
    wait_until(lambda: collecting(project) is not None or running.poll() is not None)
    for name in names:
        time.sleep(chance.uniform(0.0, 2.0))
        while running.poll() is None:
            state = collecting(project)
            one = None if state is None else state.role(name)
            if one is not None and one.pid is not None and ProcessIdentity.of(one.pid) is not None:
                os.kill(one.pid, signal.SIGKILL)
                killed.append(name)
                break
            time.sleep(0.01)
    return killed


def collecting(project: Path) -> DeploymentState | None:
    """The state, while the backfill is not over."""
    state = read_state(project)
    backfill = None if state is None else state.role("backfill")
    return state if backfill is not None and backfill.state not in ("waiting", "ended") else None
