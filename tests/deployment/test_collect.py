"""`covey collect`: a day that ends is collected by itself, as the README says, over real processes with a clock that is moved."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from base.errors import DONE, NOT_FOUND, USAGE
from deployment.local.processes import Processes
from featurestore.store import Store
from tests.deployment.deployed import words
from tests.deployment.moved_clock import MovedClock
from tests.deployment.test_up import ended, logs, take_free_ports
from tests.deployment.two_sites import change
from tests.waiting import wait_until

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(EVERY_DAY,) = re.findall(r"^## Collect every day\n.*?```sh\n(.*?)```", README, flags=re.S | re.M)


def write_day(folder: Path, day: date) -> None:
    """The events of 90 customers on a day, in a file of its own, which is renamed when it is complete."""
    chance = random.Random(day.toordinal())
    with (folder / f".{day}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "at", "shop", "spent"])
        for customer in range(90):
            shop = chance.choice(["north", "south", "west"])
            rows.writerow([f"c{customer}", f"{day}T{chance.randrange(24):02d}:30:00Z", shop, 50])
    (folder / f".{day}.csv").rename(folder / f"{day}.csv")


def published(project: Path) -> dict[str, str]:
    """The state of each published day."""
    with Store.open(project) as store:
        releases = store.releases("shop_visits")
    days = [f"{start:%Y-%m-%d}" for start in releases["pane_start"].to_pylist()]
    return dict(zip(days, releases["state"].to_pylist(), strict=True))


def is_published(project: Path, day: date) -> bool:
    return str(day) in published(project)


def test_the_commands_of_the_readme_collect_every_day_by_themselves(
    covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clock, shop = MovedClock(tmp_path / "moved", monkeypatch), tmp_path / "shop"
    today = datetime.now(UTC).replace(
        hour=0, minute=10, second=0, microsecond=0
    )  # certificates know the real time only
    days = [(today + timedelta(days)).date() for days in (-2, -1, 0, 1, 2)]
    clock.move(today)
    (tmp_path / "visits").mkdir()
    for day in days[:2]:
        write_day(tmp_path / "visits", day)
    init, up, watch = (shlex.split(line)[1:] for line in EVERY_DAY.splitlines())
    assert covey(*init)[0] == DONE
    take_free_ports(shop)
    with ended(shop):
        typed = subprocess.run(words(*up), capture_output=True, text=True, check=False)
        assert typed.returncode == DONE, typed.stderr + logs(shop)
        assert published(shop) == dict.fromkeys(map(str, days[:2]), "opened")
        with subprocess.Popen(words(*watch, "--after", "0"), stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            lines = [watching.stdout.readline() for _ in days[:2]]
            for number, day in enumerate(days[2:], 1):
                write_day(tmp_path / "visits", day)
                clock.move(today + timedelta(number))
                wait_until(partial(is_published, shop, day))
                lines.append(watching.stdout.readline())  # a line names the version that is served when it is written
                if number == 1:  # while roles, coordinator and watch go on; from the next midnight on
                    change(shop / "views.py", "clip=(0, 200)", "clip=(0, 100)")
                    assert covey("apply", "shop/views.py", "--project", "shop", "--yes")[0] == DONE
            watching.terminate()
        for day, version, line in zip(days[3:], (1, 2), lines[3:], strict=True):
            pane = f"shop_visits@v{version}  pane {day}T00:00:00Z to {day + timedelta(1)}T00:00:00Z  opened, "
            assert re.search(rf"{pane}.*published 0:1\d:\d\d after its end", line), lines
        assert published(shop) == dict.fromkeys(map(str, days), "opened"), logs(shop)
        code, out, _ = covey("collect", "--dry-run", "--project", "shop", "--json")
        assert (code, json.loads(out)["views"]) == (
            DONE,
            {
                "shop_visits@v2": {
                    "due": [],
                    "later": [],
                    "exhausted": [],
                    "next_at": f"{days[-1] + timedelta(2)}T00:05:00Z",
                }
            },
        )
        said = (shop / "roles" / "up" / "logs" / "coordinator.log").read_text()
        assert f"coordinator: next: shop_visits at {days[-1] + timedelta(2)}T00:05:00Z, in 23:5" in said
        assert covey("down", "--project", "shop")[0] == DONE
    code, out, _ = covey("ledger", "show", "--project", "shop", "--json")
    for ledger in json.loads(out)["ledgers"]:
        assert [day["day"] for day in ledger["days"]] == list(map(str, days))
        assert len({json.dumps(day["micro_rho"]) for day in ledger["days"]}) == 1
        assert ledger["plans"]["unfinished"] == 0


def test_what_cannot_be_collected_is_named_with_its_mend(covey: Covey, project: Path) -> None:
    at = ("--project", project)
    assert covey("collect", *at)[0] == NOT_FOUND
    assert covey("init", project, "--budget", "1")[0] == DONE
    for arguments, code, says in (
        (("--once",), USAGE, "`covey apply VIEWS.py` registers views"),
        (("--dry-run",), USAGE, "no view is registered"),
        (("--once", "--yesterday"), USAGE, "--once and --yesterday exclude one another"),
        (("--from", "2020-05-01"), USAGE, "a start needs an end"),
        (("--resume",), USAGE, "there is no unfinished plan to resume"),
        (("visits", "--once"), NOT_FOUND, "no view 'visits' in this store"),
    ):
        found, _, err = covey("collect", *arguments, *at)
        assert (found, says in err) == (code, True), (arguments, err)


def test_a_second_coordinator_waits_takes_over_when_the_first_is_killed_and_ends_by_sigterm(
    covey: Covey, project: Path, tmp_path: Path
) -> None:
    assert covey("init", project, "--budget", "1")[0] == DONE
    with Processes(tmp_path / "logs") as processes:
        command = words("collect", "--project", str(project))
        first = processes.start("first", command)
        wait_until(lambda: "`covey apply VIEWS.py` registers views" in processes.log("first").read_text())
        second = processes.start("second", command)
        wait_until(
            lambda: (
                f"another coordinator of this project runs: process {first} on" in processes.log("second").read_text()
            )
        )
        assert "registers views" not in processes.log("second").read_text()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: "registers views" in processes.log("second").read_text())
        os.kill(second, signal.SIGTERM)
        wait_until(lambda: processes.exit_status("second") is not None)
        assert processes.exit_status("second") == DONE
        assert "stopped; the next start catches up" in processes.last_line("second")
