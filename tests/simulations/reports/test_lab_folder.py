"""Runs of a folder of the laboratory that this test has written, whole, damaged and hostile."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from simulations.errors import ReportMissing
from simulations.reports import lab_folder
from simulations.reports.lab_folder import read_lab_folder, read_report

PAGE = b"<!doctype html><title>a report</title>"


def a_run(folder: Path, *, report: bool = True, **fields: Any) -> None:
    folder.mkdir(parents=True)
    record = {
        "config": {"fleet": {"clients": 200, "note": None}, "noise": "on"},
        "status": "done",
        "error": None,
        "started_at": "2026-01-01T00:00:00+00:00",
        "seconds": 1,
        "summary": {"views": {"delays": {"opened": 2, "void": 1}}, "bytes_per_client": 5},
    }
    (folder / "run.json").write_text(json.dumps(record | fields))
    if report:
        (folder / "report.html").write_bytes(PAGE)


def a_sweep(folder: Path, runs: int) -> None:
    folder.mkdir(parents=True)
    planned = [{"number": at, "folder": f"runs/{at:03}"} for at in range(1, runs + 1)]
    (folder / "sweep.json").write_text(json.dumps({"name": "noise", "runs": planned}))
    (folder / "report.html").write_bytes(PAGE)
    for one in planned:
        a_run(folder / str(one["folder"]))


def test_runs_sweeps_and_sets_are_found_at_any_depth(tmp_path: Path) -> None:
    a_run(tmp_path / "one")
    a_sweep(tmp_path / "deep" / "sweep", 2)
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "report.json").write_text(json.dumps({"report": "paper", "experiments": [{}, {}]}))
    (tmp_path / "paper" / "report.html").write_bytes(PAGE)
    found = read_lab_folder(tmp_path)
    assert [(one.folder, one.sweep) for one in found.runs] == [
        ("deep/sweep/runs/001", "deep/sweep"),
        ("deep/sweep/runs/002", "deep/sweep"),
        ("one", None),
    ]
    assert [(one.folder, one.kind, one.name, one.runs) for one in found.reports] == [
        ("deep/sweep", "sweep", "noise", 2),
        ("paper", "set", "paper", 2),
    ]
    assert (found.damaged, found.left_out) == ((), False)


def test_a_run_has_its_settings_and_results_by_name(tmp_path: Path) -> None:
    a_run(tmp_path / "one", report=False)
    (run,) = read_lab_folder(tmp_path).runs
    assert run.settings == {"fleet.clients": "200", "fleet.note": "none", "noise": "on"}
    assert run.results == {"bytes a client": 5.0, "delays opened": 2.0, "delays void": 1.0}
    assert (run.status, run.error, run.seconds, run.has_report) == ("done", None, 1.0, False)


def test_a_folder_that_is_a_run_itself_is_shown(tmp_path: Path) -> None:
    a_run(tmp_path / "lab")
    (run,) = read_lab_folder(tmp_path / "lab").runs
    assert run.folder == "."
    assert read_report(tmp_path / "lab", ".") == PAGE


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_lab_folder(tmp_path / "gone").runs == ()


def test_an_unfinished_run_and_the_stores_of_a_run_are_no_runs(tmp_path: Path) -> None:
    a_run(tmp_path / "one.part")
    a_run(tmp_path / "two" / "store")
    assert read_lab_folder(tmp_path).runs == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"summary": {"error": {"v": {"f": {"rmse": 1' + b"0" * 400 + b', "mean_abs_truth": 1}}}}}',
    ],
)
def test_a_damaged_record_is_named_and_the_others_are_shown(tmp_path: Path, content: bytes) -> None:
    a_run(tmp_path / "whole")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_bytes(content)
    found = read_lab_folder(tmp_path)
    assert [one.folder for one in found.runs] == ["whole"]
    assert [one.folder for one in found.damaged] == ["damaged"]


def test_a_record_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path / "one", note="x" * 2_000)
    monkeypatch.setattr(lab_folder, "MAX_RECORD_BYTES", 1_000)
    (damaged,) = read_lab_folder(tmp_path).damaged
    assert "more than 1,000 bytes" in damaged.why


def test_texts_are_bounded_and_numbers_are_finite(tmp_path: Path) -> None:
    endless = {"views": {"v\ud800": {"opened": float("inf"), "void": 1}}, "bytes_per_client": float("nan")}
    a_run(tmp_path / "one", config={"x" * 1_000: "y" * 100_000}, summary=endless, status=3, seconds="long", error=[])
    (run,) = read_lab_folder(tmp_path).runs
    ((name, value),) = run.settings.items()
    assert (len(name), len(value)) == (300, 300)
    assert run.results == {"v? void": 1.0}
    assert (run.status, run.seconds, run.error) == ("not recorded", None, None)


def test_no_more_runs_than_the_bound_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(4):
        a_run(tmp_path / f"run-{at}")
    monkeypatch.setattr(lab_folder, "MAX_RUNS", 2)
    found = read_lab_folder(tmp_path)
    assert (len(found.runs), found.left_out) == (2, True)


def test_no_more_text_of_all_runs_than_the_bound_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(4):
        a_run(tmp_path / f"run-{at}", config={"x" * 250: "y" * 250, "z" * 250: "y" * 250})
    assert not read_lab_folder(tmp_path).left_out
    monkeypatch.setattr(lab_folder, "MAX_HELD_BYTES", 5_000)
    found = read_lab_folder(tmp_path)
    assert ([one.folder for one in found.runs], found.left_out) == (["run-0", "run-1"], True)


def test_many_short_settings_count_with_what_each_text_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path / "run", config={f"s{at}": 1 for at in range(100)})
    monkeypatch.setattr(lab_folder, "MAX_HELD_BYTES", 5_000)
    found = read_lab_folder(tmp_path)
    assert (found.runs, found.left_out) == ((), True)


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    a_run(tmp_path / "elsewhere" / "run")
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "linked").symlink_to(tmp_path / "elsewhere")
    (lab / "file").mkdir()
    (lab / "file" / "run.json").symlink_to(tmp_path / "elsewhere" / "run" / "run.json")
    (lab / "pipe").mkdir()
    os.mkfifo(lab / "pipe" / "run.json")
    assert read_lab_folder(lab).runs == ()


@pytest.mark.parametrize(
    "folder",
    ["..", "../outside", "run/../../outside", "/etc", "", "run\0", "x" * 5_000, "linked", "run/linked", "pipe", "gone"],
)
def test_a_report_outside_of_the_folder_is_not_read(tmp_path: Path, folder: str) -> None:
    lab, outside = tmp_path / "lab", tmp_path / "outside"
    a_run(lab / "run")
    a_run(outside)
    (lab / "linked").symlink_to(outside)
    (lab / "run" / "linked").mkdir()
    (lab / "run" / "linked" / "report.html").symlink_to(outside / "report.html")
    (lab / "pipe").mkdir()
    os.mkfifo(lab / "pipe" / "report.html")
    with pytest.raises(ReportMissing):
        read_report(lab, folder)
    assert read_report(lab, "run") == PAGE


def test_an_absolute_name_of_a_folder_within_is_refused_too(tmp_path: Path) -> None:
    a_run(tmp_path / "run")
    with pytest.raises(ReportMissing):
        read_report(tmp_path, str(tmp_path / "run"))


def test_a_report_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path / "run")
    monkeypatch.setattr(lab_folder, "MAX_REPORT_BYTES", 10)
    with pytest.raises(ReportMissing, match="at most 10 bytes"):
        read_report(tmp_path, "run")


def test_the_folder_itself_may_be_behind_a_link(tmp_path: Path) -> None:
    a_run(tmp_path / "lab" / "run")
    (tmp_path / "link").symlink_to(tmp_path / "lab")
    assert read_report(tmp_path / "link", "run") == PAGE
    assert [one.folder for one in read_lab_folder(tmp_path / "link").runs] == ["run"]
