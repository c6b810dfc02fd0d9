"""Roles of this version and of the commit before work together, or refuse each other by name."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from tests.machines.machine import ROOT, Machine
from tests.machines.operators import Operators, edit
from tests.machines.test_collections import require_exact


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the commit before this one."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed, so there is no earlier version to run")
    made = subprocess.run(["git", "-C", ROOT, "archive", "HEAD^"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"the checkout has no commit before this one: {made.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@contextmanager
def running(deployed: Operators, role: str, source: Path) -> Iterator[None]:
    """The role runs from another tree, and afterwards from this one again."""
    _restart(deployed, role, source)
    try:
        yield
    finally:
        _restart(deployed, role, ROOT)


def _restart(deployed: Operators, role: str, source: Path) -> None:
    machine: Machine = deployed.sites["DL"] if role == "site" else getattr(deployed, role)
    ready = "registered as node" if role == "site" else "listens on"
    machine.stop(role)
    times, machine.source = machine.log(role).count(ready), source
    starts = {
        "leader": deployed.start_leader,
        "helper": deployed.start_helper,
        "site": lambda: deployed.start_site("DL"),
    }
    starts[role]()
    machine.wait_until_says(role, ready, times=times + 1)


def require_exact_or_named(deployed: Operators, exact: pa.Table) -> None:
    """A collection is exact. Otherwise a role refused by name, nothing was charged, and roles of one version collect the day."""
    first = deployed.next_days()
    done = deployed.collect(first)
    if done.code != 0:
        refused = [one["code"] for one in json.loads(done.out or '{"sites": {}}')["sites"].values()]
        assert "Install one version for all roles" in done.said or {"NOT_A_PLAN", "PLAN_INVALID"} & set(refused), (
            done.err
        )
        assert "nothing was charged" in done.said
        deployed.give_back()
        return
    require_exact(deployed, exact, done, first)


@pytest.mark.parametrize(
    "role", ["leader", *(pytest.param(role, marks=pytest.mark.long) for role in ("helper", "site"))]
)
def test_one_role_of_the_commit_before_and_all_others_of_this_one(
    deployed: Operators, exact: pa.Table, before: Path, role: str
) -> None:
    with running(deployed, role, before):
        require_exact_or_named(deployed, exact)


@pytest.mark.long
def test_an_aggregator_with_other_messages_is_refused_by_its_version(
    deployed: Operators, before: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(before, tmp_path / "other", ignore=shutil.ignore_patterns("tests", "docs", "benchmarks"))
    edit(other / "base" / "version.py", "PROTOCOL: Final = ", "PROTOCOL: Final = 1_000 + ")
    with running(deployed, "helper", other):
        done = deployed.collect(deployed.next_days())
        deployed.give_back()
    assert done.code == 4, done.err
    for text in (
        "the helper runs Covey",
        "(protocol 1001)",
        "Install one version for all roles",
        "nothing was charged",
    ):
        assert text in done.said, done.err
