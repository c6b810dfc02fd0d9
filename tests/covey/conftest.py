from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.planted import CLIENT, FRACTION, NOTE

VIEWS = """
from covey import *

visits = FeatureView(
    "visits",
    entity=Entity("shop", domain=["a", "b", "c,d=e"]),
    pane="1d",
    windows=["2d"],
    features=[ClientCount("people"), Count("visits"), Mean("spent", clip=(0, 100), resolution=1),
              Rate("big", where="spent >= 50"), Histogram("spent", edges=[10, 50])],
    bounds=Bounds(max_cells=2, max_events_per_cell=2),
    privacy=Privacy(rho=0.5, min_clients=5),
    release_delay="30m",
)
everywhere = FeatureView(
    "everywhere",
    entity=Entity("city", value="X"),
    pane="1h",
    features=[Count("all")],
    bounds=Bounds(max_cells=4),
    privacy=Privacy(rho=0.5, min_clients=2),
)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with views.py and events.parquet: 40 clients of 2 sites, 3 days, some odd rows."""
    return write_project(tmp_path)


def write_project(directory: Path) -> Path:
    (directory / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), directory / "events.parquet")
    return directory


def make_events(seed: int = 0, count: int = 600) -> pa.Table:
    rng = np.random.default_rng(seed)
    day = datetime(2020, 5, 1, tzinfo=UTC)
    times = [day + timedelta(seconds=int(s)) for s in np.sort(rng.integers(0, 3 * 86_400, count))]
    shops = rng.choice(["a", "b", "c,d=e", "elsewhere"], count, p=[0.5, 0.3, 0.15, 0.05]).tolist()
    return pa.table(
        {
            "who": [None if i % 97 == 0 else f"{CLIENT}-p{rng.integers(40)}" for i in range(count)],
            "site": rng.choice(["x", "y"], count).tolist(),
            "at": pa.array(times, pa.timestamp("us", "UTC")),
            "shop": [None if i % 89 == 0 else shop for i, shop in enumerate(shops)],
            "spent": [float("nan") if i % 50 == 0 else _spent(int(rng.integers(0, 130))) for i in range(count)],
            "note": [f"{NOTE}-{i}" for i in range(count)],
        }
    )


def _spent(whole: int) -> float:
    """A value above the clip of the views has a planted fraction, which changes no feature."""
    return whole + FRACTION if whole > 100 else float(whole)


@pytest.fixture
def covey(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run one command line in this process: (exit code, stdout, stderr)."""
    from covey.cli import call

    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: Any) -> tuple[int, str, str]:
        capfd.readouterr()
        code = call([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def run_arguments(project: Path) -> list[str]:
    """`covey run` over the project, without --noise."""
    return run_of(project)


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The store of a run over the project with some options. It is made once: tests read a copy."""
    from covey.cli import call

    @cache
    def run(*options: str) -> Path:
        directory = write_project(tmp_path_factory.mktemp("collected"))
        assert call([*run_of(directory), *options]) == 0
        return directory / "store"

    return run


@pytest.fixture
def collect(collected: Callable[..., Path], project: Path) -> Callable[..., Path]:
    """As if `covey run` with some options had made the project's store: a copy of one that it made."""
    return lambda *options: shutil.copytree(collected(*options), project / "store")


def run_of(project: Path) -> list[str]:
    """`covey run` over a project, without --noise."""
    return [
        "run", str(project / "views.py"), "--events", str(project / "events.parquet"), "--client-column", "who",
        "--time-column", "at", "--site-column", "site", "--store", str(project / "store"), "--in-process", "--budget", "1",
    ]  # fmt: skip
