"""The deployment of docs/operate.md: SuperLink, leader, helper, two sites and a server; then one collection."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from base.ports import free_port
from covey.cli import call
from deployment.local.processes import Processes
from featurestore.store import Store
from tests.covey.conftest import make_events
from tests.deployment.deployed import start_superlink, words
from tests.deployment.spans import check_one_trace
from tests.file_modes import assert_modes, umask_now

pytest.importorskip("flwr")


Covey = Callable[..., tuple[int, str, str]]


def start_services(project: Path, processes: Processes) -> dict[str, int]:
    """Start helper and leader. Returns their ports, and a free port for the server."""
    ports = {name: free_port() for name in ("leader", "helper", "server")}
    at = ["--project", str(project)]
    processes.start("helper", words("start", "helper", *at, "--port", str(ports["helper"])))
    peer = ["--helper", f"127.0.0.1:{ports['helper']}"]
    processes.start("leader", words("start", "leader", *at, "--port", str(ports["leader"]), *peer))
    for name in ("helper", "leader"):
        processes.wait_for_port(name, ports[name], 180)
    return ports


def kill(processes: Processes, name: str, pid: int) -> None:
    """Kill a process, and wait until it has ended: only then are its locks free."""
    os.kill(pid, signal.SIGKILL)
    while processes.exit_status(name) is None:
        time.sleep(0.05)


def test_two_real_sites_two_aggregators_a_superlink_and_a_server(
    covey: Covey, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = project / "logs" / "spans.jsonl"
    monkeypatch.setenv("COVEY_TRACES", f"file:{spans}")
    assert covey("init", project, "--budget", "1")[0] == 0
    policy = project / "policy.toml"
    policy.write_text(policy.read_text().replace("min_k = 50", "min_k = 2"))
    views = project / "views.py"
    views.write_text(views.read_text().replace("rho=0.5, min_clients=2", "rho=0.1, min_clients=2, noisers='shared'"))
    table = make_events()
    for site, name in (("1", "x"), ("2", "y")):
        own = table.filter([value == name for value in table["site"].to_pylist()])
        pq.write_table(own, project / f"events-{site}.parquet")
    at = ["--project", str(project)]
    with Processes(project / "logs") as processes:
        ports = start_services(project, processes)
        peer = ["--helper", f"127.0.0.1:{ports['helper']}"]
        coordinator = ["start", "coordinator", *at, "--json"]
        collect = (
            *coordinator, str(project / "views.py"), "--leader", f"127.0.0.1:{ports['leader']}",
            *peer, "--from", "2020-05-01", "--to", "2020-05-04", "--seconds", "120",
        )  # fmt: skip
        unfinished = project / "roles" / "coordinator" / "unfinished"
        code, _, err = covey(*collect)
        assert (code, "nothing was charged: start again" in err, unfinished.exists()) == (1, True, False), err
        assert f"`covey start superlink` of the project {project}" in err
        link = start_superlink(project, processes)
        for site in ("1", "2"):
            events = [
                "--source",
                str(project / f"events-{site}.parquet"),
                "--client-column",
                "who",
                "--time-column",
                "at",
            ]
            processes.start(f"site-{site}", words("start", "site", site, *at, "--superlink", link, *events))
        killed = processes.start("coordinator", words(*map(str, collect)))
        while not (unfinished / "announced.json").is_file():
            processes.require_running("coordinator")
            time.sleep(0.05)
        kill(processes, "coordinator", killed)
        kept = json.loads((unfinished / "job.json").read_text())["plan"]
        code, _, err = covey(*collect)
        assert (code, "an unfinished plan is in" in err) == (2, True), err
        assert json.loads((unfinished / "job.json").read_text())["plan"] == kept
        # without addresses: the kept plan has those of leader and helper
        code, out, err = covey(*coordinator, "--resume")
        assert code == 0, err + "".join(p.read_text() for p in (project / "logs").glob("site*.log"))
        assert not unfinished.exists()
        result = json.loads(out)
        assert {name: one["state"] for name, one in result["sites"].items()} == {"1": "answered", "2": "answered"}
        assert result["views"]["visits"]["opened"] == 3
        answers = []
        for attempt in ("server", "server-again"):
            pid = processes.start(attempt, words("start", "server", *at, "--port", str(ports["server"])))
            processes.wait_for_port(attempt, ports["server"], 180)
            body = {"features": ["visits:visits"], "entities": {"shop": ["a"]}}
            url = f"http://127.0.0.1:{ports['server']}/get-online-features"
            answers.append(httpx.post(url, json=body, timeout=60).json())
            kill(processes, attempt, pid)
        assert answers[0]["results"][1]["statuses"] == ["PRESENT"]
        assert answers[0] == answers[1]  # a restart after a kill loses nothing
        code, out, _ = covey(*collect)
        assert (code, json.loads(out)["views"]) == (0, {})  # every pane is open already
    assert_modes(project, umask_now(), also=(r"events(-\w+)?\.parquet",))
    with Store.open(project) as store:
        assert set(store.releases("visits")["trust"].to_pylist()) == {"one-honest-noiser"}
        assert set(store.releases("everywhere")["trust"].to_pylist()) == {"two-honest-noisers"}
        assert store.history("visits").num_rows == 9
        (plan,) = set(store.releases("visits")["plan_hash"].to_pylist())  # the kept draft, with its keys
    check_one_trace(spans, sites={"1", "2"}, plan=plan)
    check_signatures_and_charges(covey, at)


def test_aggregators_that_demand_proofs_refuse_a_plan_without_them_and_the_coordinator_tells_the_mend(
    covey: Covey, project: Path
) -> None:
    assert covey("init", project, "--budget", "1")[0] == 0
    toml, unfinished = project / "covey.toml", project / "roles" / "coordinator" / "unfinished"
    toml.write_text(toml.read_text().replace('validity = "any"', 'validity = "prio3"'))
    with Processes(project / "logs") as processes:
        ports = start_services(project, processes)  # aggregators answer before sites are asked, so no SuperLink runs
        code, _, err = covey(
            "start", "coordinator", str(project / "views.py"), "--project", str(project),
            *(word for name in ("leader", "helper") for word in (f"--{name}", f"127.0.0.1:{ports[name]}")),
            "--from", "2020-05-01", "--to", "2020-05-02",
        )  # fmt: skip
        assert code == 1
        said = " ".join(err.split())
        for text in ("(PROOFS_REQUIRED)", "collect with --validity prio3", "nothing was charged: start again"):
            assert text in said, said
        assert not unfinished.exists()
        assert "Traceback" not in said


def check_signatures_and_charges(covey: Covey, at: list[str]) -> None:
    """Every release, and a retraction, follows from what its parties signed. Three ledgers agree."""

    def said(*arguments: str) -> Any:
        code, out, err = covey(*arguments, *at, "--json")
        assert code == 0, err
        return json.loads(out)

    verified = said("release", "verify", "--all")
    assert verified["keys"] == "covey.toml's"
    assert {one["state"] for one in verified["releases"]} == {"verified"}
    gone = next(row["release_id"] for row in said("release", "list", "--view", "visits"))
    assert said("release", "retract", gone[:8], "--reason", "a test", "--yes")["state"] == "retracted"
    assert {one["state"] for one in said("release", "verify", gone)["releases"]} == {"verified"}
    ledgers = {one["ledger"]: one for one in said("ledger", "show")["ledgers"]}
    assert list(ledgers) == ["operator", "site-1", "site-2"]
    for one in ledgers.values():
        assert {day["day"]: day["micro_rho"] for day in one["days"]} == {
            f"2020-05-0{day}": {"everywhere": 200_000, "visits": 500_000}
            for day in (1, 2, 3)  # ρ = 0.1 of shared noise
        }
        assert one["plans"] == {"charged": 1, "unfinished": 0}
    roles = [day["roles"] for day in ledgers["operator"]["days"]]
    assert (
        roles == [{view: ["helper", "leader"] for view in ("everywhere", "visits")}] * 3
    )  # roles that open together pay once
    assert len(ledgers["operator"]["remembers"]) == 2  # each role remembers the other one's head


PAGES = (
    "README.md", "docs/README.md", "docs/quickstart.md", "docs/releases.md", "docs/operate.md", "docs/collecting.md",
    "docs/certificates.md", "docs/services.md", "docs/up.md", "docs/backup.md",
)  # fmt: skip


def test_the_pages_of_operators_name_commands_and_options_that_exist(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    pages = "\n".join((Path(__file__).resolve().parents[2] / page).read_text(encoding="utf-8") for page in PAGES)
    rows = re.findall(r"^\| [\w ]+ \| `(covey start [^`]+)` \|$", pages, flags=re.M)
    assert len(rows) == 5
    inline = [line for line in re.findall(r"`(covey [^`\n]+)`", pages) if line not in rows]
    blocks = re.findall(r"```sh\n(.*?)```", pages, flags=re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines() if line.strip().startswith("covey ")]
    assert len(lines) > 20
    assert len(inline) > 5
    groups = ("keys", "lab", "ledger", "release", "policy", "start", "store", "consumers")
    for line in [*rows, *inline, *lines]:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "start" and len(words) == 1:
            continue
        assert call([*words[: 2 if words[0] in groups else 1], "--help"]) == 0, line
        shown = capfd.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, (line, option)


@pytest.mark.parametrize("address", ["192.0.2.1:8000", "example.org:8000", "[2001:db8::1]:8000"])
def test_without_tls_a_site_goes_to_a_superlink_on_this_machine_only(covey: Covey, project: Path, address: str) -> None:
    covey("init", project)
    (project / "keys" / "trust" / "superlink.crt").unlink()
    site = "start", "site", "1", "--project", project, "--source", project / "events.parquet"
    columns = "--client-column", "who", "--time-column", "at"
    code, _, err = covey(*site, *columns, "--superlink", address, "--insecure")
    assert (code, "only to a SuperLink on this machine" in err) == (2, True)
    code, _, err = covey(*site, *columns, "--superlink", address)
    assert (code, "superlink.crt" in err, "covey keys trust" in err) == (5, True, True), err


def test_the_address_of_a_superlink_has_a_port(covey: Covey, project: Path) -> None:
    covey("init", project)
    code, _, err = covey(
        "start", "site", "1", "--project", project, "--source", project / "events.parquet",
        "--client-column", "who", "--time-column", "at", "--superlink", "8000",
    )  # fmt: skip
    assert (code, "'8000' is not an address; write HOST:PORT" in err) == (2, True), err
