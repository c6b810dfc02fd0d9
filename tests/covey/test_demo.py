from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until

_COVEY = ("-m", "covey")
_OF_SOME_MONTHS = """
import sys
import pyarrow as pa
import pyarrow.compute as pc
from covey import demo
from covey.cli import call

load = demo.load_flights

def of_some_months():
    flights = load()
    month = pc.month(flights["sched_dep"].cast(pa.timestamp("us")))
    return flights.filter(pc.is_in(month, pa.array([8, 12])))

demo.load_flights = of_some_months
sys.exit(call(sys.argv[1:]))
"""
"""The demo with one month to train on and one to test on: all of its steps in a fraction of the time."""


def _start(tmp_path: Path, *program: str) -> subprocess.Popen[str]:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, *program, "demo", "--out", str(tmp_path / "demo.png")],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "program",
    [pytest.param(("-c", _OF_SOME_MONTHS), id="some months"),
     pytest.param(_COVEY, id="the year", marks=pytest.mark.long)],
)  # fmt: skip
def test_the_demo_shows_values_models_and_price_and_leaves_only_its_picture(
    tmp_path: Path, program: tuple[str, ...]
) -> None:
    process = _start(tmp_path, *program)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    for text in (
        "dest_delay:arr_delay_mean_28d",
        "drowned",
        "over HTTP: UA 0.",
        "schedule only",
        "of the gain kept",
        "all three views",
        "2.97",
        "22.26",
        "Try next",
    ):
        assert text in out
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.png", "scratch"]
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("moment", "number"), [("covey-demo-*", signal.SIGINT), ("covey-demo-*/**/registry.db", signal.SIGTERM)]
)
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, moment: str, number: int) -> None:
    """It is interrupted when it has made its folder, and while it fills the store there."""
    process = _start(tmp_path, *_COVEY)
    wait_until(lambda: any((tmp_path / "scratch").glob(moment)) or process.poll() is not None)
    process.send_signal(number)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not (tmp_path / "demo.png").exists()
