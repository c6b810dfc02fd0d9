"""Runs the whole pipeline in one process, for tests: seeded, on a virtual clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from base.times import DAY_US, span_of
from crypto.noise import SeededNoise
from deployment.in_process.run import NoisePair, Surroundings, ViewReport, run_in_process
from deployment.request import CollectionRequest
from edge_client.events import make_events
from featurestore.define.definitions import FeatureView
from federation.ledger.state import Budget
from tests.federation.words import requested_in_words

LATER = 4_000 * 365 * DAY_US
"""A wall clock after every event of a test."""


def run_views(
    views: Sequence[FeatureView],
    table: pa.Table,
    directory: Path,
    *,
    client: str,
    time: str,
    site: str | None = None,
    noise_seed: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> tuple[ViewReport, ...]:
    """Run these views over a table of events; noise is off unless a seed is given.

    `days` is a range of UTC days, `between` one of times.
    Participation is `active` unless given. The oracle's k counts clients with events, and a fleet of sites with one client each would
    report `all` by default.
    """
    outside = {name: settings.pop(name) for name in ("protect", "progress", "dating") if name in settings}
    noise = (
        None if noise_seed is None else NoisePair(SeededNoise(noise_seed, "leader"), SeededNoise(noise_seed, "helper"))
    )
    words = {
        name: settings.pop(name) for name in ("protection", "validity", "finish", "report_per") if name in settings
    }
    words["participation"] = settings.pop("participation", "active")
    days = settings.pop("days", None)
    settings = settings if days is None else {**settings, "between": span_of(days)}
    budget, clock = settings.pop("budget", Budget(10**12)), settings.pop("clock", lambda: LATER)
    request = CollectionRequest.make(
        views, requested_in_words("off" if noise is None else "on", **words), budget, **settings
    )
    around = Surroundings(noise, np.random.default_rng(seed).bytes, clock, **outside)
    return run_in_process(request, make_events(table, client, time, site), directory, around)


def assert_equal_to_oracle(mine: pa.Table, theirs: pa.Table, keys: Sequence[str]) -> None:
    """Every column of the oracle's table, value for value, to the last bit; rows matched by key and pane."""
    order = [("pane_start", "ascending"), *((key, "ascending") for key in keys)]
    mine, theirs = mine.sort_by(order), theirs.sort_by(order)
    assert mine.num_rows == theirs.num_rows
    for name in theirs.column_names:
        got, expected = mine.column(name).to_pylist(), theirs.column(name).to_pylist()
        if got != expected:
            row = next(i for i, (a, b) in enumerate(zip(got, expected, strict=True)) if a != b)
            where = {column: mine.column(column)[row].as_py() for column in ("pane_start", *keys)}
            raise AssertionError(f"{name} at {where}: pipeline {got[row]!r}, oracle {expected[row]!r}")
