"""A coordinator whose run the SuperLink has ended goes on in a new run, a few times."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from aggregator.errors import RunLost, SuperLinkUnusable
from deployment.coordinator.grid import SOCKET, _is_alive, _runtime, short_path
from deployment.coordinator.lost_runs import BACK_SECONDS, MOST_NEW_RUNS, RETRY_SECONDS, outlive_runs
from deployment.local.processes import Processes
from featurestore.define.views_file import load_views
from featurestore.store import Store
from tests.covey.conftest import make_events
from tests.deployment.deployed import words
from tests.deployment.two_sites import SITES, Deployment, change, states
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle
from tests.waiting import wait_until

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
DAY = date(2020, 5, 1)
LOST, AWAY = RunLost("it answers 401"), SuperLinkUnusable("no SuperLink listens")


class Runs:
    """Runs that end in turn as they are told, on a clock of their own; the last way to end repeats."""

    def __init__(self, *ends: Exception | str) -> None:
        self.ends, self.begun, self.now = list(ends), 0, 0.0

    def act(self) -> str:
        end = self.ends[min(self.begun, len(self.ends) - 1)]
        self.begun += 1
        if isinstance(end, Exception):
            raise end
        return end

    def outlive(self) -> str:
        def sleep(seconds: float) -> None:
            self.now += seconds

        return outlive_runs(self.act, lambda: self.now, sleep)


def test_a_lost_run_is_repeated_and_each_new_one_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs(LOST, AWAY, AWAY, LOST, "the result")
    assert runs.outlive() == "the result"
    assert runs.begun == 5
    assert [one.getMessage() for one in caplog.records] == [
        "the SuperLink has ended this run, because it restarted or received no heartbeat for a minute (it answers 401); the "
        "collection goes on in a new run"
    ] * 2


def test_a_superlink_that_ends_every_run_is_an_error_in_the_end() -> None:
    runs = Runs(LOST)
    with pytest.raises(RunLost):
        runs.outlive()
    assert runs.begun == 1 + MOST_NEW_RUNS


def test_a_superlink_may_be_away_for_a_while_after_it_lost_a_run_but_not_before_the_first_one() -> None:
    first, later = Runs(AWAY), Runs(LOST, AWAY)
    for runs in (first, later):
        with pytest.raises(SuperLinkUnusable, match="no SuperLink listens"):
            runs.outlive()
    assert first.begun == 1
    assert BACK_SECONDS < later.now <= BACK_SECONDS + 2 * RETRY_SECONDS


def test_other_errors_are_not_repeated() -> None:
    runs = Runs(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        runs.outlive()
    assert runs.begun == 1


def test_a_heartbeat_that_gets_no_answer_fails_soon_enough_for_the_next_one(tmp_path: Path) -> None:
    with short_path(tmp_path) as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(folder / SOCKET))
        silent.listen()
        begin = time.monotonic()
        with _runtime(folder / SOCKET, "token", 0.2) as client:
            assert not _is_alive(client)
        assert time.monotonic() - begin < 5


@pytest.mark.long
def test_a_machine_that_stood_still_for_more_than_a_minute_collects_exactly_and_charges_once(
    covey: Covey, project: Path
) -> None:
    assert covey("init", project, "--budget", "1")[0] == 0
    change(project / "policy.toml", "min_k = 50", "min_k = 2")
    for name in ("policy.toml", "covey.toml"):
        change(project / name, "allow_noise_off = false", "allow_noise_off = true")
    table = make_events(count=900)
    for site, name in SITES.items():
        pq.write_table(table.filter(pc.equal(table["site"], name)), project / f"events-{site}.parquet")
    with Processes(project / "logs") as processes:
        deployment = Deployment(covey, project, processes)
        deployment.start(*SITES)
        deployment.wait_until_registered()
        processes.start("coordinator", words(*deployment.collecting(DAY)))
        wait_until((project / "roles" / "coordinator" / "unfinished" / "announced.json").is_file)
        everybody = [process.pid for process in processes.marked()]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(65)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: processes.exit_status("coordinator") is not None, 180)
        said = processes.said("coordinator")
        assert processes.exit_status("coordinator") == 0, said
    result = json.loads(said.splitlines()[-1])
    assert states(result) == dict.fromkeys(SITES, ("answered", "OK"))
    assert said.count("the collection goes on in a new run") == 1, said
    first = (DAY - date(1970, 1, 1)).days
    with Store.open(project) as store:
        for view in load_views(project / "views.py"):
            expected = oracle(
                view, table, client_column="who", time_column="at", site_column="site", days=[first],
                min_clients=view.privacy.min_clients,
            )  # fmt: skip
            assert_equal_to_oracle(store.history(view.name), expected, view.entity.keys)
    ledgers = json.loads(covey("ledger", "show", *deployment.at, "--json")[1])["ledgers"]
    spent = [{day["day"]: day["micro_rho"] for day in ledger["days"]} for ledger in ledgers]
    assert spent == [{str(DAY): {"everywhere": 500_000, "visits": 500_000}}] * len(ledgers)
