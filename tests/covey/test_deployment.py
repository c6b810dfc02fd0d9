"""The README's deployment: SuperLink, leader, helper, two sites as real SuperNodes, server; then one collection."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from covey.processes import Processes, free_port, script
from covey.wire import flower_environment
from featurestore.store import Store
from tests.covey.conftest import make_events

pytest.importorskip("flwr")
pytestmark = pytest.mark.xdist_group("fleet")  # one fleet of processes at a time


def covey(*words: str) -> list[str]:
    return [sys.executable, "-m", "covey", *words]


def test_two_real_sites_two_aggregators_a_superlink_and_a_server(project: Path) -> None:
    subprocess.run(covey("keys", "init", "--project", str(project)), check=True, capture_output=True)
    toml = project / "covey.toml"
    toml.write_text(toml.read_text().replace("budget_micro_rho = 100000", "budget_micro_rho = 1000000"))
    table = make_events()
    for site, name in (("1", "x"), ("2", "y")):
        own = table.filter([value == name for value in table["site"].to_pylist()])
        pq.write_table(own, project / f"events-{site}.parquet")
    ports = {name: free_port() for name in ("superlink", "leader", "helper", "server")}
    link = f"127.0.0.1:{ports['superlink']}"
    at = ["--project", str(project)]
    with Processes(project / "logs") as processes:
        superlink = [script("flower-superlink"), "--insecure", "--disable-runtime-dependency-installation"]

        environment = {**flower_environment(), "FLWR_HOME": str(project / "superlink")}
        processes.start("superlink", [*superlink, "--port", str(ports["superlink"])], environment)
        processes.start("helper", covey("start", "helper", *at, "--port", str(ports["helper"])))
        peer = ["--helper", f"127.0.0.1:{ports['helper']}"]
        processes.start("leader", covey("start", "leader", *at, "--port", str(ports["leader"]), *peer))
        for name in ("superlink", "helper", "leader"):
            processes.wait_for_port(name, ports[name], 60)
        for site in ("1", "2"):
            events = [
                "--events",
                str(project / f"events-{site}.parquet"),
                "--client-column",
                "who",
                "--time-column",
                "at",
            ]
            processes.start(f"site-{site}", covey("start", "site", site, *at, "--superlink", link, *events))
        collect = covey(
            "start", "coordinator", str(project / "views.py"), *at, "--superlink", link, "--leader",
            f"127.0.0.1:{ports['leader']}", *peer, "--from", "2020-05-01", "--to", "2020-05-04", "--seconds", "120",
        )  # fmt: skip
        done = subprocess.run(collect, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr + "".join(p.read_text() for p in (project / "logs").glob("site*.log"))
        result = json.loads(done.stdout)
        assert result["answers"] == {"1": "OK", "2": "OK"}
        assert result["views"]["visits"]["opened"] == 3
        answers = []
        for attempt in ("server", "server-again"):
            pid = processes.start(attempt, covey("start", "server", *at, "--port", str(ports["server"])))
            processes.wait_for_port(attempt, ports["server"], 30)
            body = {"features": ["visits:visits"], "entities": {"shop": ["a"]}}
            url = f"http://127.0.0.1:{ports['server']}/get-online-features"
            answers.append(httpx.post(url, json=body).json())
            os.kill(pid, signal.SIGKILL)
            while processes.exit_status(attempt) is None:
                time.sleep(0.05)
        assert answers[0]["results"][1]["statuses"] == ["PRESENT"]
        assert answers[0] == answers[1]  # killed and started again: nothing lost
        again = subprocess.run(collect, capture_output=True, text=True, timeout=100)
        assert (again.returncode, json.loads(again.stdout)["views"]) == (3, {})  # every pane is open already
    with Store.open(project) as store:
        assert set(store.releases("visits")["trust"].to_pylist()) == {"one-honest-noiser"}
        assert store.history("visits").num_rows == 9


def test_the_readme_names_options_that_exist() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [\w ]+ \| `(covey start [^`]+)` \|$", readme, flags=re.M)
    assert len(rows) == 5
    for row in [*rows, "covey start coordinator views.py --project p --from 2013-01-01 --to 2013-01-08"]:
        assert row.split("--project")[0].strip() in readme
        words = shlex.split(row)
        done = subprocess.run(
            covey(*words[1:3], "--help"), capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
        )
        for option in (word for word in words if word.startswith("--")):
            assert option in done.stdout, (row, option)
