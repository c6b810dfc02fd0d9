"""`--finish mpc` at the command line."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.covey.conftest import VIEWS

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def arguments(project: Path, run_arguments: list[str]) -> list[str]:
    """`covey run --finish mpc` over the daily view alone, with a limit."""
    daily = VIEWS.split("everywhere =")[0].replace("min_clients=5)", "min_clients=5, suppress_below=18)")
    assert "suppress_below" in daily
    (project / "views.py").write_text(daily)
    return [*run_arguments, "--finish", "mpc"]


@pytest.mark.skipif(importlib.util.find_spec("crypten") is None, reason="CrypTen is not installed (see docs/mpc.md)")
def test_a_run_is_shown_as_it_was(covey: Covey, project: Path, arguments: list[str]) -> None:
    code, out, err = covey(*arguments, "--in-process", "--json")
    assert code == 0, err
    assert json.loads(out)["views"][0]["opened"] == 3
    _, listed, _ = covey("release", "list", "--store", project / "store", "--json")
    first = json.loads(listed)[0]["release_id"]
    _, shown, _ = covey("release", "show", first, "--store", project / "store")
    assert "mpc: cells below suppress_below were compared under MPC (experimental) and never opened" in shown
    _, as_json, _ = covey("release", "show", first, "--store", project / "store", "--json")
    assert json.loads(as_json)["manifest"]["finish"] == "mpc"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            ["--protection", "he"],
            "error: finish 'mpc' requires protection 'shares': the aggregators compute with shares",
        ),
        (["--noise", "off"], "error: finish 'mpc' requires noise 'full': only noised shares may enter MPC"),
        (["--in-process", "--finish", "he"], "Invalid value for '--finish': 'he' is not one of 'open', 'mpc'"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    covey: Covey, project: Path, arguments: list[str], changes: list[str], why: str
) -> None:
    code, out, err = covey(*(word for word in arguments if word != "--in-process"), *changes)
    assert (code, out) == (2, "")
    assert why in " ".join(err.split())
    assert not (project / "store").exists()


def test_the_help_says_that_it_is_experimental(covey: Covey) -> None:
    _, out, _ = covey("run", "--help")
    assert "mpc (experimental)" in " ".join(out.replace("│", " ").split())
