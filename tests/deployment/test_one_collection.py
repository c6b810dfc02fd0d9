"""One store has one collection at a time, whichever kind: a second one is refused by name before anything is charged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployment.collecting import plan_folder, run_folder
from federation.ledger.operator import LEDGERS, operator_state
from tests.ledgers import spent_of

Covey = Callable[..., tuple[int, str, str]]
DAYS = ("--from", "2020-05-01", "--to", "2020-05-04")
SLOW_RUN = """
import sys
from pathlib import Path
from featurestore.define.views_file import load_views
from tests.deployment.test_in_process import run

def wait(*_):
    if not waited:
        waited.append(1)
        print("at work", flush=True)
        sys.stdin.readline()

waited = []
run(load_views(Path(sys.argv[1]) / "views.py"), Path(sys.argv[1]), progress=wait)
"""


@pytest.fixture
def flights(covey: Covey, project: Path) -> Path:
    assert covey("init", project, "--budget", "1")[0] == 0
    return project


@contextmanager
def run_of_another_process(project: Path) -> Iterator[None]:
    """A run in one process is at work until the end of the block; then it collects and ends."""
    command = [sys.executable, "-c", SLOW_RUN, str(project)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=dict(os.environ), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        try:
            yield
        finally:
            process.communicate("\n", timeout=120)
    assert process.returncode == 0


def run_words(project: Path, *more: str) -> list[object]:
    return ["run", project / "views.py", "--events", project / "events.parquet", "--client-column", "who", "--time-column", "at",
            "--site-column", "site", "--store", project, "--budget", "1", *more]  # fmt: skip


def others(project: Path) -> dict[str, list[object]]:
    return {
        "in process": run_words(project, "--in-process"),
        "over processes": run_words(project),
        "coordinator": ["start", "coordinator", project / "views.py", *DAYS, "--project", project],
        "void": ["release", "void", "visits", "2020-05-01", "--reason", "x", "--yes", "--project", project],
        "rebuild": ["ledger", "rebuild", "--force", "--project", project],
    }


def test_while_one_process_collects_every_other_one_is_refused_and_charges_nothing(covey: Covey, flights: Path) -> None:
    with run_of_another_process(flights):
        for kind, words in others(flights).items():
            code, _, err = covey(*words)
            assert (kind, code, f"another run or coordinator collects into {flights}" in err) == (kind, 1, True), err
        state = operator_state(flights / LEDGERS)
        assert (state.charged_by, list(state.refused), state.rebuilt) == ({}, [], None)
    spent = spent_of(operator_state(flights / LEDGERS))
    assert set(spent.values()) == {1_000_000}
    code, _, err = covey(*run_words(flights, "--in-process"))
    assert code == 0, err
    assert spent_of(operator_state(flights / LEDGERS)) == spent


@pytest.mark.parametrize(
    ("left", "kinds"),
    [("plan", ("in process", "over processes", "void")), ("run", ("in process", "over processes", "coordinator"))],
)
def test_while_a_collection_waits_to_be_continued_no_other_kind_publishes_its_panes(
    covey: Covey, flights: Path, left: str, kinds: tuple[str, ...]
) -> None:
    """Otherwise the continued one would find its panes published already, with other content."""
    assert covey(*run_words(flights, "--in-process", "--from", "2020-05-02", "--to", "2020-05-03"))[0] == 0
    spent = spent_of(operator_state(flights / LEDGERS))
    folder = {"plan": plan_folder, "run": run_folder}[left](flights)
    folder.mkdir(parents=True)
    says = {"plan": "of a coordinator; resume it", "run": "unfinished `covey run`"}[left]
    for kind in kinds:
        code, _, err = covey(*others(flights)[kind])
        assert (kind, code, says in err, "resume it, or give it up" in err) == (kind, 2, True, True), err
    assert spent_of(operator_state(flights / LEDGERS)) == spent
