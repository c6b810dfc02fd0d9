"""Runs of the console in child processes: their events, their end, and who may run at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from base.errors import INTERRUPTED
from covey.console import run_registry
from covey.console.live import Event, EventLog
from covey.console.run_registry import CHILD, KEPT, Run, RunRegistry
from covey.console.run_request import RunRequest, encoded
from covey.errors import RunUnderWay, UnknownRun
from featurestore.define.views_file import load_views
from featurestore.define.wire import definition_hash
from featurestore.store import Store
from tests.covey.conftest import write_project
from tests.waiting import wait_until

LONG = 180.0
IN_BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
"""As a shell starts a program in the background of a script."""
SLEEPER = IN_BACKGROUND + "import sys, time; sys.stdin.readline(); print('%s', flush=True); time.sleep(600)"
HALTS = """
import sys, time
from covey.console import run

class Halting(run.Lines):
    def progress(self, view, step, done, total):
        super().progress(view, step, done, total)
        if step == "publish" and done == total:
            time.sleep(600)

run.Lines = Halting
sys.exit(run.main())
"""
"""A run that goes no further than the first view that it has published."""
PROGRESS = '{"event": "progress", "data": {"view": "v", "step": "compute", "done": 1, "total": 2}}'


def request_of(folder: Path, budget: str = "1", **changes: Any) -> RunRequest:
    made: dict[str, Any] = {
        "views": encoded(load_views(folder / "views.py")),
        "events": str(folder / "events.parquet"),
        "client_column": "who",
        "time_column": "at",
        "site_column": "site",
        "store": str(folder / "store"),
        "start": None,
        "end": None,
        "noise": "on",
        "budget": budget,
    }
    return RunRequest(**made | changes)


def registry(*child: str) -> RunRegistry:
    return RunRegistry(lambda: 7, os.urandom, child or CHILD)


@pytest.fixture
def asleep(tmp_path: Path) -> Iterator[tuple[RunRegistry, Run]]:
    """A run that has reported progress, and goes on."""
    runs = registry(sys.executable, "-c", SLEEPER % PROGRESS)
    run = runs.start(request_of(write_project(tmp_path)), ("v",), "covey run")
    wait_until(lambda: run.snapshot().progress)
    yield runs, run
    run.cancel()
    assert run.wait(LONG)


def names(run: Run) -> list[str]:
    return [event.name for event in run.log.after(0)]


def test_views_travel_as_data_and_arrive_as_they_were(tmp_path: Path) -> None:
    request = request_of(write_project(tmp_path))
    arrived = RunRequest.model_validate_json(request.model_dump_json()).declared()
    assert list(map(definition_hash, arrived)) == list(map(definition_hash, load_views(tmp_path / "views.py")))


def test_a_run_publishes_its_releases_and_reports_each_step(tmp_path: Path) -> None:
    runs = registry()
    run = runs.start(request_of(write_project(tmp_path)), ("visits", "everywhere"), "covey run …")
    assert run.wait(LONG)
    found = run.snapshot()
    assert found.status == "done", found.failure
    assert found.result is not None
    opened = {view["view"]: view["opened"] for view in found.result["views"]}
    assert opened.keys() == {"visits", "everywhere"}
    assert {(step["view"], step["step"]) for step in found.progress} >= {("visits", "compute"), ("visits", "publish")}
    assert all(step["done"] == step["total"] for step in found.progress)
    assert names(run)[-1] == "done"
    with Store.open(tmp_path / "store") as store:
        assert {view.name for view in store.views()} == opened.keys()
        assert store.history("visits").num_rows > 0


def test_a_second_run_is_refused_by_name_while_the_first_goes_on(asleep: tuple[RunRegistry, Run]) -> None:
    runs, run = asleep
    with pytest.raises(RunUnderWay, match="a run of v is under way") as refused:
        runs.start(RunRequest.model_construct(), ("w",), "covey run")
    assert refused.value.run == run.id
    assert runs.all() == (run,)


def test_a_cancelled_run_ends_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_registry, "GRACE_S", 600.0)  # it is not killed
    runs = registry(sys.executable, "-c", SLEEPER % PROGRESS)
    run = runs.start(request_of(write_project(tmp_path)), ("v",), "covey run")
    wait_until(lambda: run.snapshot().progress)
    run.cancel()
    assert run.wait(LONG)
    assert (run.snapshot().status, names(run)) == ("cancelled", ["progress", "cancelled"])
    runs.start(request_of(tmp_path), ("w",), "covey run").cancel()


def test_a_run_that_is_killed_in_the_middle_has_failed_and_a_repeated_one_finishes(tmp_path: Path) -> None:
    run = registry(sys.executable, "-c", HALTS).start(
        request_of(write_project(tmp_path)), ("visits", "everywhere"), "covey run"
    )
    wait_until(lambda: any(step["step"] == "publish" and step["done"] for step in run.snapshot().progress))
    run._process.send_signal(signal.SIGKILL)
    assert run.wait(LONG)
    found = run.snapshot()
    assert found.failure is not None
    assert (found.status, found.failure["code"]) == ("failed", "RUN_DIED")
    assert "signal 9" in found.failure["detail"]
    again = registry().start(request_of(tmp_path), ("visits", "everywhere"), "covey run")
    assert again.wait(LONG)
    done = again.snapshot().result
    assert done is not None, again.snapshot().failure
    assert {view["view"]: view["already_open"] > 0 for view in done["views"]} == {"visits": True, "everywhere": False}


def test_who_waits_for_the_end_of_a_run_finds_its_last_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, found = EventLog.append, list[Future[list[str]]]()
    run = registry(sys.executable, "-c", SLEEPER % PROGRESS).start(
        request_of(write_project(tmp_path)), ("v",), "covey run"
    )

    def waiting() -> list[str]:
        assert run.wait(LONG)
        return names(run)

    with ThreadPoolExecutor(1) as threads:

        def slowly(log: EventLog, name: str, data: object) -> Event:
            if name == "cancelled":
                found.append(threads.submit(waiting))
                with suppress(TimeoutError):  # it waits until the event is there
                    found[0].result(0.3)
            return append(log, name, data)

        monkeypatch.setattr(EventLog, "append", slowly)
        wait_until(lambda: run.snapshot().progress)
        run.cancel()
        assert run.wait(LONG)
        assert found[0].result(LONG) == ["progress", "cancelled"]


@pytest.mark.parametrize("line", ["no json", '{"event": "other", "data": {}}', "x" * 3_000_000])
def test_a_child_that_writes_anything_else_is_ended(tmp_path: Path, line: str) -> None:
    script = (
        "import sys, time; sys.stdin.readline(); print(sys.argv[1] * int(sys.argv[2]), flush=True); time.sleep(600)"
    )
    text, times = ("x", "3000000") if len(line) > 1_000 else (line, "1")
    run = registry(sys.executable, "-c", script, text, times).start(
        request_of(write_project(tmp_path)), ("v",), "covey run"
    )
    assert run.wait(LONG)
    assert run.snapshot().status == "failed"


def test_a_child_is_interrupted_when_its_console_ends(tmp_path: Path) -> None:
    """stdin is the lifeline: a console that is killed cannot say anything else."""
    script = (
        f"{IN_BACKGROUND}import sys, time; from covey.console import run; run.collect = lambda *_: time.sleep(600); "
        "sys.exit(run.main())"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(request_of(write_project(tmp_path)).model_dump_json().encode() + b"\n")
        child.stdin.close()
        assert child.wait(LONG) == INTERRUPTED


def test_the_registry_forgets_the_oldest_ended_runs_and_knows_no_others(tmp_path: Path) -> None:
    runs = registry(sys.executable, "-c", "import sys; sys.stdin.readline()")
    request = request_of(write_project(tmp_path))
    made = []
    for number in range(KEPT + 2):
        run = runs.start(request, (f"v{number}",), "covey run")
        assert run.wait(LONG)
        made.append(run)
    assert runs.all() == tuple(reversed(made[2:]))
    assert runs.get(made[-1].id) is made[-1]
    with pytest.raises(UnknownRun):
        runs.get(made[0].id)
