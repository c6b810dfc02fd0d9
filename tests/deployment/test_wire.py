"""Runs through real processes: leader and helper, the coordinator, and sites in Ray; one fleet for each test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from deployment.collecting import run_folder
from deployment.local.processes import MARK
from edge_client.compute import days_with_events
from edge_client.events import make_events
from featurestore.store import Store
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, flight_views, load_flights
from tests.file_modes import assert_modes, umask_now
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle
from tests.waiting import wait_until

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")

OWN = "COVEY_TEST_PID"  # marks the processes of this worker


def start(arguments: list[str], directory: Path) -> subprocess.Popen[str]:
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), OWN: str(os.getpid())}
    command = [sys.executable, "-m", "covey", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def marked() -> set[int]:
    """Living processes of the runs that this test process started. They inherit its mark."""
    found = set()
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if MARK in environment and environment.get(OWN) == str(os.getpid()):
                found.add(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.long  # tests of resumed runs always run, and compare with a run in one process, which equals the oracle
def test_a_month_of_flights_through_real_processes_equals_the_oracle(tmp_path: Path) -> None:
    flights = load_flights()
    area, carrier, _ = flight_views(flights)
    start_us = 1_370_044_800 * 10**6  # June 2013
    inside = pc.and_(
        pc.greater_equal(flights["sched_dep"].cast("int64"), start_us),
        pc.less(flights["sched_dep"].cast("int64"), start_us + 30 * 86_400 * 10**6),
    )
    table = flights.filter(inside)
    pq.write_table(table, tmp_path / "june.parquet")
    (tmp_path / "views.py").write_text(
        "from simulations.datasets.flights import area_delay, carrier_delay\n"
        f"area, carrier = area_delay(), carrier_delay({[key[0] for key in carrier.entity.domain]!r})\n"
    )
    process = start(
        ["run", str(tmp_path / "views.py"), "--events", str(tmp_path / "june.parquet"), "--client-column", CLIENT_COLUMN,
         "--time-column", TIME_COLUMN, "--site-column", SITE_COLUMN, "--store", str(tmp_path / "store"), "--noise", "off", "--json"],
        tmp_path,
    )  # fmt: skip
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert set(report["answers"].values()) == {"OK"}
    assert all(view["reports"] is None for view in report["views"])  # the number of active clients is not published
    with Store.open(tmp_path / "store") as store:
        for view in (area, carrier):
            expected = oracle(
                view,
                table,
                client_column=CLIENT_COLUMN,
                time_column=TIME_COLUMN,
                site_column=SITE_COLUMN,
                days=days_with_events(view, make_events(table, CLIENT_COLUMN, TIME_COLUMN)).tolist(),
                min_clients=view.privacy.min_clients,
            )
            assert_equal_to_oracle(store.history(view.name), expected, view.entity.keys)
            releases = store.releases(view.name)
            assert set(releases["trust"].to_pylist()) == {"one-honest-noiser"}
            assert all(len(signature) == 128 for signature in releases["signature"].to_pylist())  # voids too
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.long  # proofs over the wire: the tests of lies always run them, and equal the oracle
def test_two_days_of_flights_with_proofs_through_real_processes_equal_the_oracle(tmp_path: Path) -> None:
    flights = load_flights()
    area, _, _ = flight_views(flights)
    start_us = 1_370_044_800 * 10**6  # June 2013
    when = flights["sched_dep"].cast("int64")
    table = flights.filter(pc.and_(pc.greater_equal(when, start_us), pc.less(when, start_us + 2 * 86_400 * 10**6)))
    pq.write_table(table, tmp_path / "days.parquet")
    (tmp_path / "views.py").write_text("from simulations.datasets.flights import area_delay\narea = area_delay()\n")
    process = start(
        ["run", str(tmp_path / "views.py"), "--events", str(tmp_path / "days.parquet"), "--client-column", CLIENT_COLUMN,
         "--time-column", TIME_COLUMN, "--sites", "2", "--store", str(tmp_path / "store"), "--noise", "off",
         "--validity", "prio3", "--json"],
        tmp_path,
    )  # fmt: skip
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert set(report["answers"].values()) == {"OK"}
    assert [view["rejected"] for view in report["views"]] == [0]
    with Store.open(tmp_path / "store") as store:
        expected = oracle(
            area,
            table,
            client_column=CLIENT_COLUMN,
            time_column=TIME_COLUMN,
            site_column=None,
            days=days_with_events(area, make_events(table, CLIENT_COLUMN, TIME_COLUMN)).tolist(),
            min_clients=area.privacy.min_clients,
        )
        assert_equal_to_oracle(store.history(area.name), expected, area.entity.keys)
        assert set(store.releases(area.name)["validity"].to_pylist()) == {"prio3"}


@pytest.mark.parametrize(("started", "number"), [("start helper", signal.SIGINT), ("raylet", signal.SIGTERM)])
def test_an_interrupted_run_leaves_no_process_no_file_and_a_store_that_opens(
    project: Path, run_arguments: list[str], started: str, number: int
) -> None:
    before = marked()
    arguments = [word for word in run_arguments if word not in ("--in-process", "--site-column", "site")]
    process = start([*arguments, "--sites", "3"], project)
    wait_until(
        lambda: process.poll() is not None or any(started in " ".join(one.info["cmdline"]) for one in _processes()), 240
    )
    assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 130, err
    assert marked() - before == set()
    assert list((project / "scratch").iterdir()) == []
    with Store.open(project / "store") as store:
        assert {view.name for view in store.views()} == {"visits", "everywhere"}


@pytest.mark.long  # test_up.py always kills these roles, and the test below loses its helper and goes on
def test_a_killed_leader_helper_and_coordinator_cost_time_and_nothing_else(
    project: Path, run_arguments: list[str]
) -> None:
    """kill −9 of each role once, at different moments of one collection. The published values stay exact."""
    arguments = [word for word in run_arguments if word != "--in-process"]
    process = start([*arguments, "--noise", "off", "--min-clients", "2"], project)
    killed: list[str] = []
    end = time.monotonic() + 200
    for name, words, delay in (
        ("helper", ("start", "helper"), 0.0),
        ("leader", ("start", "leader"), 3.0),
        ("coordinator", ("deployment.local.simulated_fleet",), 2.0),
    ):
        while time.monotonic() < end and process.poll() is None:
            found = [p for p in _processes() if all(word in " ".join(p.info["cmdline"]) for word in words)]
            if found:
                time.sleep(delay)
                for victim in found:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        victim.kill()
                killed.append(name)
                break
            time.sleep(0.05)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert killed == ["helper", "leader", "coordinator"]
    assert_modes(project / "store", umask_now())
    assert not run_folder(project / "store").exists()
    assert_equal_to_a_run_in_one_process(project)


def assert_equal_to_a_run_in_one_process(project: Path) -> None:
    """Compare every pane of the store's history, except its publication time."""
    from deployment.run import run
    from featurestore.define.views_file import load_views

    views = load_views(project / "views.py")
    run(views, project / "events.parquet", **settings(project / "other"), in_process=True)
    with Store.open(project / "store") as one, Store.open(project / "other") as two:
        for view in ("visits", "everywhere"):
            assert (
                one.history(view).drop(["published_at"]).to_pylist()
                == two.history(view).drop(["published_at"]).to_pylist()
            )


def settings(store: Path) -> dict[str, Any]:
    """Settings for `deployment.run.run` that equal `run_arguments` without noise."""
    columns = {"client_column": "who", "time_column": "at", "site_column": "site"}
    return {"store": store, **columns, "budget": 1, "noise": "off", "min_clients": 2}


def _processes() -> list[psutil.Process]:
    """The processes of a run, with their command lines."""
    mine = marked()
    return [p for p in psutil.process_iter(["pid", "cmdline"]) if p.pid in mine and p.info["cmdline"]]


def test_a_run_that_failed_keeps_what_was_accepted_and_resume_goes_on(
    project: Path, run_arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The helper never starts, so the collection fails by name. With the helper back, --resume completes it."""
    from deployment.errors import RunFailed
    from deployment.local import processes_run as wire
    from deployment.run import resume, run
    from featurestore.define.views_file import load_views

    real = wire._Fleet._command

    def no_helper(fleet: wire._Fleet, name: str) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('no helper today')"] if name == "helper" else real(fleet, name)

    given = settings(project / "store")
    views = load_views(project / "views.py")
    with monkeypatch.context() as patched:
        patched.setattr(wire._Fleet, "_command", no_helper)
        with pytest.raises(RunFailed, match="no helper today"):
            run(views, project / "events.parquet", **given)
    with pytest.raises(Exception, match=r"an unfinished `covey run` into .*; resume it"):
        run(views, project / "events.parquet", **given)
    report = resume(project / "store")
    assert set(report.answers.values()) == {"OK"}
    assert report.opened > 3
    assert not run_folder(project / "store").exists()
    assert_equal_to_a_run_in_one_process(project)


def test_resume_without_an_unfinished_collection_is_one_line(project: Path) -> None:
    done = start(["run", "--resume", "--store", str(project / "store")], project)
    _, err = done.communicate(timeout=180)
    assert done.returncode == 2
    assert "has no unfinished run" in err
