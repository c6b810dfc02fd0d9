"""`python -m benchmarks.console`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.console import load_figures
from benchmarks.console_pages import Load

from .conftest import CHROMIUM


def test_figures_are_medians_of_the_turns() -> None:
    loads = [Load(paint_ms=ms, shown_ms=2 * ms, transferred=3_000, requests=4) for ms in (30.0, 10.0, 20.0)]
    assert load_figures("feast_", loads) == {
        "feast_fcp_ms": 20.0,
        "feast_view_ms": 40.0,
        "feast_transferred_kb": 3.0,
        "feast_requests": 4,
    }


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")
def test_the_page_is_measured_alone_once() -> None:
    words = [sys.executable, "-m", "benchmarks.console", "--quick"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300).stdout
    found = json.loads(said.splitlines()[-1])
    assert found["assets_kb"] <= 1_500
    assert found["assets_gzip_kb"] <= 450
    assert 0 < found["fcp_ms"] <= found["view_ms"]
    assert found["draw_ms"] > 0
