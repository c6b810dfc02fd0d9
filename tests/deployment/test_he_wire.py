"""`--protection he` through real processes: SuperLink and Ray, leader and key holder, the coordinator."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from base.ports import free_port
from deployment.collecting import run_folder
from deployment.errors import RunFailed
from deployment.local import processes_run as wire
from deployment.local.processes import Processes
from deployment.run import resume, run
from featurestore.define.views_file import load_views
from featurestore.store import Store
from tests.covey.conftest import VIEWS, make_events
from tests.deployment.deployed import start_superlink, words

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")
pytest.importorskip("tenseal", reason="the extra `he` is not installed")

Covey = Callable[..., tuple[int, str, str]]

DIES = """
import os, sys
from aggregator.he.key_holder import KeyHolder
KeyHolder.open_sums = lambda *_: os._exit(9)
from covey.cli import call
sys.exit(call(sys.argv[1:]))
"""


@pytest.fixture
def arguments(project: Path, run_arguments: list[str]) -> list[str]:
    """`covey run --protection he --noise off` over the daily view alone, in processes."""
    (project / "views.py").write_text(VIEWS.split("everywhere =")[0])
    return [*(word for word in run_arguments if word != "--in-process"), "--noise", "off", "--protection", "he"]


def history(store: Path) -> list[dict[str, Any]]:
    with Store.open(store) as opened:
        return opened.history("visits").drop(["published_at"]).to_pylist()


def in_one_process(project: Path) -> list[dict[str, Any]]:
    """The values that protection `shares` gives in this process."""
    run(
        load_views(project / "views.py"), project / "events.parquet", store=project / "other", client_column="who",
        time_column="at", site_column="site", budget=1, noise="off", in_process=True,
    )  # fmt: skip
    return history(project / "other")


def test_a_run_through_processes_equals_shares_in_one_and_is_verified(
    covey: Covey, project: Path, arguments: list[str]
) -> None:
    code, out, err = covey(*arguments, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert set(report["answers"].values()) == {"OK"}
    assert report["views"][0]["opened"] == 3
    check_releases(covey, project)


def check_releases(covey: Covey, project: Path) -> None:
    """The values equal those of shares. Every release is verified and states its protection. Nothing is left over."""
    assert history(project / "store") == in_one_process(project)
    code, out, _ = covey("release", "verify", "--all", "--store", project / "store", "--json")
    assert code == 0
    assert {one["state"] for one in json.loads(out)["releases"]} == {"verified"}
    _, listed, _ = covey("release", "list", "--store", project / "store", "--json")
    first = json.loads(listed)[0]["release_id"]
    _, shown, _ = covey("release", "show", first, "--store", project / "store", "--json")
    manifest = json.loads(shown)["manifest"]
    assert (manifest["protection"], manifest["k_checked_by"], manifest["trust"]) == ("he", "leader", "honest-leader")
    _, told, _ = covey("release", "show", first, "--store", project / "store")
    for text in (
        "honest-leader: without noise there is no privacy claim",
        "checked by the leader only",
        "key holder signed",
    ):
        assert text in told
    ledgers = sorted(file.name for file in (project / "store" / "ledgers").glob("*.db"))
    assert ledgers == ["operator.db"]
    assert not run_folder(project / "store").exists()


@pytest.mark.long  # tests of resumed runs with protection shares always run
@pytest.mark.parametrize("when", ["at its start", "when it is sent the sums"])
def test_a_key_holder_that_keeps_dying_ends_the_run_by_name_and_resume_completes_it(
    covey: Covey, project: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    real = wire._Fleet._command

    def dying(fleet: wire._Fleet, name: str) -> list[str]:
        command = real(fleet, name)
        if name != "keyholder":
            return command
        if when == "at its start":
            return [sys.executable, "-c", "raise SystemExit('no key holder today')"]
        return [sys.executable, "-c", DIES, *command[command.index("start") :]]

    with monkeypatch.context() as patched:
        patched.setattr(wire._Fleet, "_command", dying)
        patched.setattr(wire, "ATTEMPTS", 2)
        with pytest.raises(RunFailed, match="no key holder today" if when == "at its start" else "keyholder"):
            run(
                load_views(project / "views.py"), project / "events.parquet", store=project / "store",
                client_column="who", time_column="at", site_column="site", budget=1, noise="off", protection="he",
            )  # fmt: skip
    assert run_folder(project / "store").exists()
    report = resume(project / "store")
    assert set(report.answers.values()) == {"OK"}
    assert report.opened == 3
    check_releases(covey, project)


@pytest.mark.usefixtures("arguments")
def test_a_project_of_operators_collects_encrypted_reports(covey: Covey, project: Path) -> None:
    """The setup of docs/he.md: a key holder, a leader with its address, and two sites whose policies allow encryption."""

    assert covey("init", project, "--budget", "1")[0] == 0
    policy = project / "policy.toml"
    told = policy.read_text().replace("min_k = 50", "min_k = 2").replace('protection = "shares"', 'protection = "he"')
    policy.write_text(told)
    table = make_events()
    at, ports = ["--project", str(project)], {name: free_port() for name in ("leader", "keyholder")}
    where = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    with Processes(project / "logs") as processes:
        link = start_superlink(project, processes)
        processes.start("keyholder", words("start", "keyholder", *at, "--port", str(ports["keyholder"])))
        peer = ["--keyholder", where["keyholder"]]
        processes.start("leader", words("start", "leader", *at, "--port", str(ports["leader"]), *peer))
        for name, port in ports.items():
            processes.wait_for_port(name, port, 180)
        for site, name in (("1", "x"), ("2", "y")):
            own = project / f"events-{site}.parquet"
            pq.write_table(table.filter([value == name for value in table["site"].to_pylist()]), own)
            columns = ["--source", str(own), "--client-column", "who", "--time-column", "at"]
            processes.start(f"site-{site}", words("start", "site", site, *at, "--superlink", link, *columns))
        code, out, err = covey(
            "start", "coordinator", project / "views.py", *at, "--json", "--protection", "he", "--leader",
            where["leader"], *peer, "--from", "2020-05-01", "--to", "2020-05-04", "--seconds", "120",
        )  # fmt: skip
        assert code == 0, err + "".join(p.read_text() for p in (project / "logs").glob("*.log"))
    result = json.loads(out)
    assert {name: one["state"] for name, one in result["sites"].items()} == {"1": "answered", "2": "answered"}
    assert result["views"]["visits"]["opened"] == 3
    _, verified, _ = covey("release", "verify", "--all", *at, "--json")
    assert {one["state"] for one in json.loads(verified)["releases"]} == {"verified"}
    with Store.open(project) as store:
        assert set(store.releases("visits")["trust"].to_pylist()) == {"honest-leader"}
        assert set(store.releases("visits")["protection"].to_pylist()) == {"he"}
