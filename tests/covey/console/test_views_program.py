"""A trusted views file is executed in a process of its own: with a deadline, and again when what it has read has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from covey.console import evaluation
from covey.console.evaluation import views_of
from covey.console.text_pool import TextSettings
from covey.console.views_program import Execution, execute, stamp_of
from deployment.view_source.graph import Problem

TEXT = """\
import sys
from covey import FeatureService
from names import name
from pathlib import Path

print("noise on stdout")
for one in [name, Path(__file__).with_name("more.txt").read_text()]:
    globals()[one] = FeatureService(one, ["visits:count"])
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "names.py").write_text("name = 'first'\n")
    (tmp_path / "more.txt").write_text("second")
    path = tmp_path / "views.py"
    path.write_text(TEXT)
    return path


def test_an_execution_knows_its_declarations_and_what_it_has_read(file: Path) -> None:
    found = execute(file)
    declared = found.declared
    assert not isinstance(declared, Problem), declared
    assert [one.name for one in declared.services] == ["first", "second"]
    assert {Path(name).name for name, *_ in found.files} == {"views.py", "names.py", "more.txt"}
    assert found.is_current
    assert not (file.parent / "__pycache__").exists()
    (file.parent / "names.py").write_text("name = 'other'  # longer\n")
    assert not found.is_current


def test_a_file_that_does_not_end_is_a_problem(file: Path) -> None:
    file.write_text("while True: pass\n")
    found = execute(file, 0.5)
    assert "runs for more than 0.5 s" in found.problem
    assert found.is_current


def test_a_file_that_ends_its_process_is_a_problem(file: Path) -> None:
    file.write_text("import os\nos._exit(0)\n")
    assert "ends the process that executes it" in execute(file).problem


def test_a_file_runs_again_once_something_that_it_has_read_has_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = list[Path]()

    def counted(path: Path) -> Execution:
        runs.append(path)
        return Execution(problem=f"run {len(runs)}", files=(stamp_of(path), stamp_of(path.parent / "names.py")))

    monkeypatch.setattr(evaluation, "execute", counted)
    settings = TextSettings(file.parent, file, True)

    def problem() -> str:
        return views_of(settings, file.read_text()).problems[-1].message

    assert [problem(), problem()] == ["run 1", "run 1"]
    (file.parent / "names.py").write_text("name = 'longer'\n")
    assert [problem(), problem()] == ["run 2", "run 2"]
    file.write_text(TEXT + "#\n")
    assert [problem(), problem()] == ["run 3", "run 3"]
    (file.parent / "names.py").unlink()
    assert problem() == "run 4"


def test_a_module_that_was_missing_is_found_when_it_comes(file: Path) -> None:
    (file.parent / "names.py").unlink()
    found = execute(file)
    assert "No module named 'names'" in found.problem
    assert found.is_current
    (file.parent / "names.py").write_text("name = 'first'\n")
    os.utime(file.parent, ns=(1, 1))  # whatever the resolution of the disk's clock is
    assert not found.is_current
