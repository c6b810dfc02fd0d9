"""Every kind of store that serves the newest rows: blocks in memory, RocksDB, and one real Valkey for each session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from .valkey import NOT_HERE, PROGRAM, Valkey

KINDS: Final = ("blocks", "rocksdb", "valkey")
_EACH, _SHARED = 0, 1
"""Databases: one for the stores of one test, which is emptied afterwards, and one for stores that several tests read."""


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A running server. The test is skipped if none is installed."""
    if PROGRAM is None:
        pytest.skip(NOT_HERE)
    server = Valkey()
    yield server
    server.stop()


def _configure(directory: Path, kind: str, request: pytest.FixtureRequest, number: int) -> Path:
    if kind == "rocksdb":
        (directory / "covey.toml").write_text("[online]\nblock_mib = 0\n")
    if kind == "valkey":
        server: Valkey = request.getfixturevalue("valkey")
        (directory / "covey.toml").write_text(server.toml(number, block_mib=0))
    return directory


@pytest.fixture(params=KINDS)
def store_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The directory of a store; the test runs once for each kind."""
    yield _configure(tmp_path, request.param, request, _EACH)
    if request.param == "valkey":
        with request.getfixturevalue("valkey").client(_EACH) as client:
            client.flushdb()


@pytest.fixture(scope="module", params=KINDS)
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes directories of stores of one kind, for module fixtures and for the examples of a property."""
    return lambda: _configure(tmp_path_factory.mktemp("store"), request.param, request, _SHARED)
