"""`python -m benchmarks.serving`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.load_wrk import NOT_HERE, PROGRAM, Load
from benchmarks.serving import Found, figures_of
from benchmarks.serving_store import MODEL, UNBATCHED


def _found(**ms: float) -> Found:
    found = Found()
    for name, one in ms.items():
        found.times[name] = [one / 1e3] * 100
    for number, name in enumerate((MODEL, UNBATCHED, *ms), 1):
        found.loads[name] = Load(requests=number * 1_000, seconds=1.0)
    return found


def test_the_figures_are_ratios_to_ours() -> None:
    own = _found(predict=0.5, read=0.1, quiet=0.4, flooded=0.44)
    peers = {
        "litserve": _found(covey=1.0, litserve=2.0),
        "monolith, feast sqlite": _found(**{"covey": 1.0, "monolith, feast sqlite": 4.0}),
        "monolith, feast redis": _found(**{"covey": 1.0, "monolith, feast redis": 5.0}),
    }
    found = figures_of(own, peers)
    assert (found["p50_over_fetch_ms"], found["isolation_p50"], found["batching_gain"]) == (0.4, 1.1, 0.5)
    assert (found["throughput_vs_litserve"], found["vs_monolith"]) == (0.75, 4.0)
    assert figures_of(own, {})["vs_monolith"] is None


@pytest.mark.long
@pytest.mark.skipif(PROGRAM is None, reason=NOT_HERE)
def test_our_server_is_measured_alone_for_seconds() -> None:
    words = [sys.executable, "-m", "benchmarks.serving", "--quick"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300).stdout
    found = json.loads(said.splitlines()[-1])
    assert found["rps"] > 0
    assert found["p50_ms"] > found["p50_ms_read"] > 0
