"""`covey lab run`: folders, sweeps, failures, and interrupted runs."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("hydra", reason="hydra-core is not installed")

from covey.cli.lab_tables import _number
from featurestore.store import Store
from simulations.experiments import experiment as experiments
from simulations.experiments import running
from tests.covey.conftest import VIEWS as MANY_FEATURES

Covey = Callable[..., tuple[int, str, str]]
SITES = 3
VIEWS = """
from covey import *

visits = FeatureView(
    "visits",
    entity=Entity("shop", domain=["a", "b", "c"]),
    pane="1d",
    features=[ClientCount("people"), Count("visits")],
    bounds=Bounds(max_cells=2, max_events_per_cell=2),
    privacy=Privacy(rho=0.5, min_clients=5),
)
"""
"""Two features, so that the report of a run has few pictures."""


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A fleet of sixty clients and a view of three shops."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "views.py").write_text(VIEWS)
    return ["fleet.clients=60", "fleet.clients_per_site=20", "view=views.py:visits"]


@pytest.fixture
def small(drawn: list[str], without_pictures: None) -> list[str]:
    """The same fleet, whose reports have no pictures."""
    return drawn


def trace(path: Path, sites: int) -> str:
    """Arrivals of the first sites; the trace does not name the others."""
    path.write_text("site,at_s,lost\n" + "".join(f"s{at:07d},1,0\n" for at in range(sites)))
    return str(path)


def run_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def truth(folder: Path) -> pa.Table:
    with Store.open(folder / "truth") as store:
        return store.history("visits")


def test_a_run_leaves_values_stores_and_a_report(covey: Covey, drawn: list[str], tmp_path: Path) -> None:
    code, out, err = covey("lab", "run", *drawn, "--out", "it")
    assert code == 0, err
    assert (tmp_path / "it" / "report.html").read_text().count("<path") > 10
    assert "people" in out
    folder = tmp_path / "it"
    assert {one.name for one in folder.iterdir()} == {"run.json", "values.parquet", "store", "truth", "report.html"}
    run = run_json(folder)
    assert (run["status"], run["error"], run["attack"]) == ("done", None, None)
    assert run["config"]["view"]["path"] == str(tmp_path / "views.py")
    assert run["versions"]["python"]
    view = run["summary"]["views"]["visits"]
    assert (view["opened"], view["void"], view["clients"]) == (1, 0, 60)
    assert 0 < view["reports"] <= 60
    assert run["summary"]["error"]["visits"]["people"]["values"] == 3
    values = pq.read_table(folder / "values.parquet")
    assert {"view", "key", "pane_end", "feature", "value", "se", "truth", "error", "status"} <= set(values.column_names)
    with Store.open(folder / "store") as store:
        assert store.history("visits").num_rows == 3


def test_the_default_folder_says_when_and_what(covey: Covey, small: list[str], tmp_path: Path) -> None:
    code, out, err = covey("lab", "run", *small, "--json")
    assert code == 0, err
    folder = Path(json.loads(out)["folder"])
    assert folder.parent == Path("lab-runs")
    assert folder.name.endswith("_visits")
    assert json.loads(out)["summary"] == run_json(tmp_path / folder)["summary"]
    assert str(folder) in err


def test_runs_of_one_sweep_see_the_same_events_and_another_seed_of_noise(
    covey: Covey, small: list[str], tmp_path: Path
) -> None:
    code, out, err = covey("lab", "run", "-m", *small, "view.rho=0.1,0.5", "seed=0,1", "--out", "s", "--json")
    assert code == 0, err
    runs = json.loads(out)["runs"]
    assert [run["swept"] for run in runs] == [
        {"view.rho": rho, "seed": seed} for rho in ("0.1", "0.5") for seed in ("0", "1")
    ]
    folders = [tmp_path / "s" / "runs" / f"{at:03d}" for at in (1, 2, 3, 4)]
    exact = [truth(folder).select(["shop", "people", "visits"]) for folder in folders]
    assert all(one.equals(exact[0]) for one in exact)
    errors = [run["summary"]["error"]["visits"]["visits"]["mean_abs_error"] for run in runs]
    others = [run["summary"]["error"]["visits"]["people"]["mean_abs_error"] for run in runs]
    assert len(set(zip(errors, others, strict=True))) == 4
    table = pq.read_table(tmp_path / "s" / "results.parquet")
    assert table["view.rho"].to_pylist() == [0.1, 0.1, 0.5, 0.5]
    assert table["summary.error.visits.visits.mean_abs_error"].to_pylist() == errors
    assert (tmp_path / "s" / "report.html").is_file()


def test_the_table_of_a_sweep_has_the_varied_settings_and_the_errors_and_names_once_what_does_not_vary(
    covey: Covey, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "views.py").write_text(MANY_FEATURES)
    code, out, err = covey("lab", "run", "-m", *small, "view.rho=0.1,0.5", "--out", "s", "--csv")
    assert code == 0, err
    first, second = csv.DictReader(io.StringIO(out))
    assert [first["view.rho"], second["view.rho"]] == ["0.1", "0.5"]
    assert float(first["visits relative error"]) > float(second["visits relative error"]) > 0
    assert {"fleet.clients", "status", "panes"}.isdisjoint(first)
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = covey("lab", "run", "--resume", "s")
    title, *head, line, one, two, caption = out.splitlines()
    assert title == "sweep: 2 run(s), status done, panes 1"
    assert " ".join(head).split().count("error") > 1
    assert set(line) == {"─"}
    assert max(map(len, out.splitlines())) <= 80
    assert [one.split()[:2], two.split()[:2]] == [["1", "0.1"], ["2", "0.5"]]
    assert f" {_number(float(first['visits relative error']))} " in one
    assert caption.endswith("more measures in results.parquet")


def test_a_run_that_fails_stops_no_other_and_resume_repeats_it_alone(
    covey: Covey, small: list[str], tmp_path: Path
) -> None:
    path = trace(tmp_path / "trace.csv", SITES)
    sweep = ["-m", *small, "arrivals=trace", f"arrivals.path={path}", "fleet.clients=60,120,40", "--out", "s"]
    code, _, err = covey("lab", "run", *sweep)
    assert code == 1
    assert "run 2 failed" in err
    assert "does not name site 's0000003'" in err
    assert [run_json(tmp_path / "s" / "runs" / name)["status"] for name in ("001", "002", "003")] == [
        *("done", "failed", "done")
    ]
    table = pq.read_table(tmp_path / "s" / "results.parquet")
    assert table["status"].to_pylist() == ["done", "failed", "done"]
    assert [run["status"] for run in json.loads((tmp_path / "s" / "sweep.json").read_text())["runs"]] == [
        *("done", "failed", "done")
    ]
    trace(tmp_path / "trace.csv", 2 * SITES)
    before = (tmp_path / "s" / "runs" / "001" / "run.json").read_bytes()
    code, _, err = covey("lab", "run", "--resume", "s")
    assert code == 0, err
    assert run_json(tmp_path / "s" / "runs" / "002")["status"] == "done"
    assert (tmp_path / "s" / "runs" / "001" / "run.json").read_bytes() == before


def test_an_impossible_run_of_a_sweep_is_named_before_the_first(covey: Covey, small: list[str], tmp_path: Path) -> None:
    code, _, err = covey("lab", "run", "-m", *small, "view.k=10,61", "--out", "s")
    assert code == 2
    assert "run 2 of 2 (view.k=61)" in err
    assert "the fleet has 60" in err
    assert not (tmp_path / "s").exists()


def test_a_single_run_that_fails_says_why_and_can_be_repeated(covey: Covey, small: list[str], tmp_path: Path) -> None:
    path = trace(tmp_path / "trace.csv", 1)
    code, _, err = covey("lab", "run", *small, "arrivals=trace", f"arrivals.path={path}", "--out", "it")
    assert code == 2
    assert "does not name site" in err
    assert run_json(tmp_path / "it")["status"] == "failed"
    trace(tmp_path / "trace.csv", SITES)
    assert covey("lab", "run", "--resume", "it")[0] == 0
    assert run_json(tmp_path / "it")["status"] == "done"


def test_a_sweep_file_and_a_folder_that_is_taken(covey: Covey, small: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nruns:\n  - overrides: [noise=off]\n  - overrides: ['view.rho=0.2']\n"
    )
    code, out, err = covey("lab", "run", "--sweep", "mine.yaml", *small, "--json")
    assert code == 0, err
    assert [run["swept"] for run in json.loads(out)["runs"]] == [{"noise": "off"}, {"view.rho": "0.2"}]
    folder = json.loads(out)["folder"]
    assert folder.endswith("_mine")
    code, _, err = covey("lab", "run", *small, "--out", folder)
    assert code == 2
    assert f"--resume {folder}" in err


def test_a_folder_in_a_file_is_refused_before_anything_runs(covey: Covey, small: list[str], tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    code, _, err = covey("lab", "run", *small, "--out", "notes/run/one")
    assert (code, "notes is a file" in err) == (2, True)


def test_several_values_without_a_sweep_and_a_resume_with_settings_are_refused(covey: Covey, small: list[str]) -> None:
    code, _, err = covey("lab", "run", *small, "seed=1,2")
    assert (code, "add -m for a sweep" in err) == (2, True)
    code, _, err = covey("lab", "run", "--resume", "it", "k=3")
    assert (code, "only --workers may be given" in err) == (2, True)
    code, _, err = covey("lab", "run", "--resume", "it")
    assert (code, "nothing to resume" in err) == (5, True)


@pytest.mark.parametrize("text", ["", "[]", '{"name": "s", "runs": [{}]}', '{"name": "s", "runs": [{"number": "x"}]}'])
def test_a_damaged_sweep_is_named(covey: Covey, tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    code, _, err = covey("lab", "run", "--resume", tmp_path)
    assert code == 2
    assert "sweep.json is damaged" in err


def test_where_nothing_is_released_the_exit_code_says_so(covey: Covey, small: list[str]) -> None:
    code, _, err = covey("lab", "run", *small, "arrivals.before=1")
    assert code == 3
    assert "nothing was released" in err


def test_a_full_disk_ends_the_sweep_in_one_line_and_keeps_what_is_there(
    covey: Covey, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect = experiments.collect
    started: list[Path] = []

    def full(collection: Any, directory: Path, *others: Any) -> Any:
        started.append(directory)
        if len(started) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return collect(collection, directory, *others)

    monkeypatch.setattr(experiments, "collect", full)
    code, _, err = covey("lab", "run", "-m", *small, "seed=0,1,2", "--out", "s")
    assert code == 1
    assert err.strip().splitlines()[-1].startswith("error: the disk is full")
    assert {one.name for one in (tmp_path / "s" / "runs").iterdir()} == {"001", "002.part"}
    code, _, err = covey("lab", "run", "--resume", "s")
    assert code == 0, err
    assert {one.name for one in (tmp_path / "s" / "runs").iterdir()} == {"001", "002", "003"}
    assert len(started) == 4


def test_a_report_that_cannot_be_made_fails_its_run_and_keeps_the_values(
    covey: Covey, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = running.write_run_report

    def unwritable(folder: Path) -> None:
        if folder.name.startswith("001"):
            raise KeyError("no such plot")
        write(folder)

    monkeypatch.setattr(running, "write_run_report", unwritable)
    code, _, err = covey("lab", "run", "-m", *small, "seed=0,1", "--out", "s")
    assert code == 1
    assert "run 1 failed: defect: KeyError: 'no such plot'" in err
    first, second = (tmp_path / "s" / "runs" / name for name in ("001", "002"))
    assert (run_json(first)["status"], run_json(second)["status"]) == ("failed", "done")
    assert (first / "values.parquet").is_file()


_INTERRUPTED = """
import os, signal
from covey.cli import main
from simulations.experiments import running

write = running.write_run_report

def interrupted(folder):
    if folder.name.startswith("003"):
        os.kill(os.getpid(), signal.SIGINT)
    write(folder)

running.write_run_report = interrupted
main()
"""
"""The command, which gets Ctrl-C at the end of its third run."""


def test_an_interrupted_sweep_keeps_whole_runs_and_resumes(covey: Covey, small: list[str], tmp_path: Path) -> None:
    interrupted = [sys.executable, "-c", _INTERRUPTED, "lab", "run", "-m", *small, "seed=range(0,5)", "--out", "s"]
    process = subprocess.run(interrupted, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    runs = tmp_path / "s" / "runs"
    assert process.returncode == 130, process.stderr
    assert "covey lab run --resume s" in process.stderr
    done = {one: (one / "run.json").read_bytes() for one in runs.iterdir() if not one.name.endswith(".part")}
    assert {one.name for one in done} == {"001", "002"}
    code, _, err = covey("lab", "run", "--resume", "s")
    assert code == 0, err
    assert {one.name for one in runs.iterdir()} == {f"{at:03d}" for at in range(1, 6)}
    assert all((one / "run.json").read_bytes() == before for one, before in done.items())
    assert pq.read_table(tmp_path / "s" / "results.parquet").num_rows == 5


def test_a_run_that_was_killed_is_repeated(covey: Covey, small: list[str], tmp_path: Path) -> None:
    assert covey("lab", "run", *small, "--out", "it")[0] == 0
    overrides = run_json(tmp_path / "it")["overrides"]
    (tmp_path / "it").rename(tmp_path / "it.part")
    (tmp_path / "it.part" / "plan.json").write_text(json.dumps({"overrides": overrides}))
    (tmp_path / "it.part" / "run.json").unlink()
    assert covey("lab", "run", "--resume", "it")[0] == 0
    assert run_json(tmp_path / "it")["status"] == "done"
    assert not (tmp_path / "it.part").exists()


def test_a_folder_is_resumed_from_inside(
    covey: Covey, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trace(tmp_path / "trace.csv", 1)
    assert covey("lab", "run", *small, "arrivals=trace", f"arrivals.path={path}", "--out", "it")[0] == 2
    trace(tmp_path / "trace.csv", SITES)
    monkeypatch.chdir(tmp_path / "it")
    code, _, err = covey("lab", "run", "--resume", ".")
    assert code == 0, err
    assert run_json(tmp_path / "it")["status"] == "done"
    assert not (tmp_path / "it.part").exists()
    monkeypatch.chdir(tmp_path)
    code, _, err = covey("lab", "run", *small, "--out", ".")
    assert (code, "--resume" in err) == (2, False)  # nothing can be resumed


def test_workers_change_nothing(covey: Covey, small: list[str], tmp_path: Path) -> None:
    fleet = [
        "fleet.clients=20000",
        "fleet.clients_per_site=1000",
        "fleet.site_tail=0",
        "fleet.events_per_day=0.02",
        small[-1],
    ]
    for count in (1, 2):
        assert covey("lab", "run", *fleet, "--workers", count, "--out", f"by{count}")[0] == 0
    one, two = ((tmp_path / f"by{count}" / "values.parquet").read_bytes() for count in (1, 2))
    assert one == two
    path = trace(tmp_path / "trace.csv", 3)
    code, _, err = covey("lab", "run", *fleet, "arrivals=trace", f"arrivals.path={path}", "--workers", 2)
    assert (code, "does not name site 's0000003'" in err) == (2, True)  # the error crosses from another process


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (400.0, "400"), (0.12345, "0.123"), (12345.6, "12,346"), (4.1667e17, "4.17e+17")]
)
def test_a_number_of_any_size_fits_a_column(value: float | None, text: str) -> None:
    assert _number(value) == text


def test_an_attack_runs_with_its_defence_on_and_off(covey: Covey, tmp_path: Path) -> None:
    code, out, err = covey("lab", "run", "attack=membership", "attack.trials=60", "--out", tmp_path / "it")
    assert code == 0, err
    assert "membership" in out
    assert {one.name for one in (tmp_path / "it").iterdir()} == {"run.json", "report.html"}
    attack = run_json(tmp_path / "it")["attack"]
    assert [attack[side]["defended"] for side in ("on", "off")] == [True, False]
    assert [attack[side]["succeeded"] for side in ("on", "off")] == [False, True]
    assert attack["on"]["effect"]["estimate"] < attack["off"]["effect"]["estimate"]
    code, _, err = covey("lab", "run", "attack=membership", "attack.clients=20")
    assert (code, "k is 50" in err) == (2, True)


def test_the_list_has_every_choice_and_setting(covey: Covey) -> None:
    code, out, _ = covey("lab", "list")
    assert code == 0
    assert all(
        word in out for word in ("fleet=CHOICE", "10m", "view.max_cells", "sybil-enrolled", "--sweep", "deadline_s")
    )
    code, out, _ = covey("lab", "list", "arrivals", "--json")
    kinds = json.loads(out)["arrivals"]["kinds"]
    assert kinds[0]["settings"]["arrivals.median_s"]["default"] == 30
    code, _, err = covey("lab", "list", "arivals")
    assert (code, "did you mean arrivals?" in err) == (5, True)
