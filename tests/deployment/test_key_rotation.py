"""`covey keys rotate` and `covey keys accept`: in the middle of a collection of real processes, and on the files of operators."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from base import atomic_files
from base.ports import free_port
from deployment.local.processes import Processes
from deployment.project.project import Project
from edge_client.policy_file import load_policy
from featurestore.store import Store
from federation.keys import ROLES, load_keys
from federation.release_check import find_plan
from federation.signed_plan import verify_plan
from tests.covey.conftest import make_events, run_of
from tests.deployment.deployed import start_superlink, words
from tests.deployment.test_deployment import kill

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
ALL = (*ROLES, "site-1", "site-2")


def make(covey: Covey, project: Path) -> list[str]:
    """A project with the keys of all roles, of exact sums. Returns --project DIR."""
    assert covey("init", project, "--budget", "1")[0] == 0
    for name, changes in (
        ("policy.toml", {"min_k = 50": "min_k = 2", "allow_noise_off = false": "allow_noise_off = true"}),
        ("covey.toml", {"allow_noise_off = false": "allow_noise_off = true"}),
    ):
        text = (project / name).read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (project / name).write_text(text)
    return ["--project", str(project)]


def said(covey: Covey, *arguments: object) -> Any:
    code, out, err = covey(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_every_role_rotates_in_the_middle_of_a_collection_which_ends_exact(covey: Covey, project: Path) -> None:
    oracle = shutil.copytree(project, project.parent / f"{project.name}-oracle")
    code, _, err = covey(*run_of(oracle), "--noise", "off")
    assert code == 0, err
    at, table = make(covey, project), make_events()
    for site, name in (("1", "x"), ("2", "y")):
        own = table.filter([value == name for value in table["site"].to_pylist()])
        pq.write_table(own, project / f"events-{site}.parquet")
    before = {role: load_keys(project / "keys", role).sign.public for role in ALL}
    with Processes(project / "logs") as processes:
        ports = {name: free_port() for name in ("leader", "helper")}
        pids = start_services(project, processes, ports, "")
        link = start_superlink(project, processes)
        addresses = [word for name in ("leader", "helper") for word in (f"--{name}", f"127.0.0.1:{ports[name]}")]

        def start_site(site: str, name: str) -> int:
            events = ["--source", str(project / f"events-{site}.parquet"), "--client-column", "who"]
            columns = ["--time-column", "at", "--superlink", link]
            return processes.start(name, words("start", "site", site, *at, *events, *columns))

        sites = {f"site-{site}": start_site(site, f"site-{site}") for site in ("1", "2")}
        coordinator = ["start", "coordinator", *at, "--json"]
        collect = [*coordinator, str(project / "views.py"), *addresses, "--noise", "off", "--seconds", "60"]
        days = ["--from", "2020-05-01", "--to", "2020-05-03"]
        killed = processes.start("coordinator", words(*collect, *days))
        while not (project / "roles" / "coordinator" / "unfinished" / "announced.json").is_file():
            processes.require_running("coordinator")
            time.sleep(0.05)
        kill(processes, "coordinator", killed)
        for role in ALL:
            made = said(covey, "keys", "rotate", role, *at, "--hours", "0")
            assert made["new"]
            assert "covey.toml" in " ".join(made["changed"])
        for name, pid in (pids | sites).items():  # the one restart of each role
            os.kill(pid, signal.SIGTERM)
            while processes.exit_status(name) is None:
                time.sleep(0.05)
        for name in sites:
            start_site(name.removeprefix("site-"), f"{name}-again")
        start_services(project, processes, ports, "-again")
        code, out, err = covey(*coordinator, "--resume")
        assert code == 0, err
        assert json.loads(out)["views"]["visits"]["opened"] == 2
        code, out, err = covey(*collect, "--from", "2020-05-03", "--to", "2020-05-04")
        assert code == 0, err + (project / "logs" / "leader-again.log").read_text()
        assert json.loads(out)["views"]["visits"]["opened"] == 1
    with Store.open(project) as ours, Store.open(oracle / "store") as theirs:
        for view, values in (("visits", ["shop", "people", "visits", "spent_hist"]), ("everywhere", ["city", "all"])):
            found = [rows_of(store, view, [*values, "pane_end"]) for store in (ours, theirs)]
            assert found[0] == found[1]
            assert len(found[0]) == {"visits": 9, "everywhere": 72}[view]
        plans = plans_of(ours, Project.load(project))
    after = {role: load_keys(project / "keys", role).sign.public for role in ALL}
    named = [{"leader": p.wire.leader, "helper": p.wire.helper, "collector": p.wire.collector.sign} for p in plans]
    assert named == [{role: keys[role] for role in named[0]} for keys in (before, after)]
    verified = said(covey, "release", "verify", "--all", *at)
    assert {one["state"] for one in verified["releases"]} == {"verified"}
    gone = min(said(covey, "release", "list", "--view", "visits", *at), key=lambda row: row["pane_start"])["release_id"]
    assert covey("release", "retract", gone, "--reason", "a test", "--yes", *at)[0] == 0
    assert {one["state"] for one in said(covey, "release", "verify", gone, *at)["releases"]} == {"verified"}


def start_services(project: Path, processes: Processes, ports: dict[str, int], end: str) -> dict[str, int]:
    """Start helper and leader under names with this end. Returns their process ids."""
    at, peer = ["--project", str(project)], ["--helper", f"127.0.0.1:{ports['helper']}"]
    pids = {
        name: processes.start(f"{name}{end}", words("start", name, *at, "--port", str(ports[name]), *more))
        for name, more in (("helper", []), ("leader", peer))
    }
    for name, port in ports.items():
        processes.wait_for_port(f"{name}{end}", port, 180)
    return pids


def rows_of(store: Store, view: str, columns: list[str]) -> set[str]:
    """The values of every pane; a row whose windows were computed again counts once."""
    return {str(sorted(row.items())) for row in store.history(view).select(columns).to_pylist()}


def plans_of(store: Store, project: Project) -> list[Any]:
    """The plans of a store's releases, by their first pane."""
    evidence = list(store.all_evidence())
    hashes = set(store.releases("visits")["plan_hash"].to_pylist())
    signed = [find_plan(evidence, bytes.fromhex(one)) or b"" for one in hashes]
    keys = project.pinned("coordinator")
    plans = [
        keys.verified(lambda key, data=data: verify_plan(data, key), lambda plan: plan.deadline_us) for data in signed
    ]  # type: ignore[misc]
    return sorted(plans, key=lambda plan: int(plan.views[0].pane_starts[0]))


# the files of other operators


@pytest.fixture
def other(covey: Covey, project: Path) -> Path:
    """Another operator's copy of a project, without its keys."""
    make(covey, project)
    copy = project.parent / f"{project.name}-other"
    copy.mkdir()
    for name in ("covey.toml", "policy.toml"):
        shutil.copy(project / name, copy)
    return copy


@pytest.mark.parametrize("role", ALL)
def test_another_operator_takes_the_new_keys_with_one_command(
    covey: Covey, project: Path, other: Path, role: str
) -> None:
    assert covey("keys", "rotate", role, "--project", project)[0] == 0
    public = project / "keys" / f"{role}.pub"
    code, _, err = covey("keys", "accept", public, "--project", other)
    assert code == 0, err
    assert (other / "covey.toml").read_text() == (project / "covey.toml").read_text()
    assert (other / "policy.toml").read_text() == (project / "policy.toml").read_text()
    assert Project.load(other) == Project.load(project)
    assert "# signs plans: every other party pins this key" in (other / "covey.toml").read_text()  # comments stay
    code, _, err = covey("keys", "accept", public, "--project", other)
    assert (code, "is pinned already; nothing was changed" in err) == (0, True)
    if role in ("coordinator", "leader", "helper"):
        policy = load_policy(other / "policy.toml")
        assert getattr(policy, role) == load_keys(project / "keys", role).sign.public
        assert policy.former.of(role) == Project.load(other).former.of(role)


def test_a_lost_key_needs_force_and_ends_now(covey: Covey, project: Path, other: Path) -> None:
    at = ["--project", str(project)]
    first = load_keys(project / "keys", "leader").sign.public
    assert covey("keys", "rotate", "leader", *at)[0] == 0
    public = project / "keys" / "leader.pub"
    assert covey("keys", "accept", public, "--project", other)[0] == 0
    lost = load_keys(project / "keys", "leader").sign.public
    assert covey("keys", "rotate", "leader", "--lost", *at)[0] == 0
    code, _, err = covey("keys", "accept", public, "--project", other)
    assert (code, "has not signed the new key" in err, "see --force" in err) == (4, True, True)
    before = (other / "covey.toml").read_text()
    code, _, err = covey("keys", "accept", public, "--project", other, "--force")
    assert (code, before != (other / "covey.toml").read_text()) == (0, True), err
    for folder in (project, other):
        pinned, now = Project.load(folder).pinned("leader"), time.time_ns() // 1_000 + 2 * 10**6
        assert pinned.at(now) == load_keys(project / "keys", "leader").sign.public
        assert pinned.all[1:] == (first, lost)  # releases until now still verify
        assert [pinned.is_lost(key) for key in pinned.all] == [False, False, True]
        assert load_policy(folder / "policy.toml").former.of("leader") == Project.load(folder).former.of("leader")
    assert load_keys(project / "keys", "leader").former == ()


def test_a_key_of_a_stranger_is_refused_and_changes_nothing(covey: Covey, project: Path, other: Path) -> None:
    stranger = project.parent / f"{project.name}-stranger"
    make(covey, stranger)
    assert covey("keys", "rotate", "helper", "--project", stranger)[0] == 0
    before = {path: path.read_bytes() for path in other.iterdir()}
    code, _, err = covey("keys", "accept", stranger / "keys" / "helper.pub", "--project", other)
    assert (code, "has not signed the new key" in err) == (4, True)
    assert {path: path.read_bytes() for path in other.iterdir()} == before


@pytest.mark.parametrize("write", range(5))
def test_a_crash_between_any_two_writes_leaves_a_usable_project(
    covey: Covey, project: Path, write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = make(covey, project)
    before, left = load_keys(project / "keys", "leader").sign.public, [write]

    class Crash(BaseException):
        pass

    def put(self: atomic_files.Replacement) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash
        self.fresh.replace(self.path)

    with monkeypatch.context() as patch:
        patch.setattr(atomic_files.Replacement, "put", put)
        with pytest.raises(Crash):
            covey("keys", "rotate", "leader", *at)
    keys, pinned = load_keys(project / "keys", "leader"), Project.load(project).pinned("leader")
    assert keys.at(0).sign.public == pinned.at(0) == before
    assert set(keys.pinned.all) & set(pinned.all)  # the role starts
    made = said(covey, "keys", "rotate", "leader", *at)
    assert made["new"] == (write == 0)
    keys, project_now = load_keys(project / "keys", "leader"), Project.load(project)
    assert [one.keys.sign.public for one in keys.former] == [before]
    assert project_now.pinned("leader") == keys.pinned
    policy = load_policy(project / "policy.toml")
    assert policy.former.pinned("leader", policy.leader) == keys.pinned
