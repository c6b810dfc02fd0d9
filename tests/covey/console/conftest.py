"""A console that tests share: `console_world` is what it shows, `console_server` the process. Tests leave both as they are.

A test that changes something takes `own_world`, a copy, and starts a process of its own with `serving_console`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import ConsoleServer, serving_console
from .world import World, make_world


@pytest.fixture(scope="session")
def console_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project with flights, models and runs of the lab, made once."""
    for needed in ("fastapi", "libcst", "hydra"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    return make_world(tmp_path_factory.mktemp("console"))


@pytest.fixture(scope="session")
def console_server(console_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleServer]:
    """A console on that project, which tests read only."""
    with serving_console(console_world, tmp_path_factory.mktemp("console-log") / "log") as server:
        yield server


@pytest.fixture
def own_world(console_world: World, tmp_path: Path) -> World:
    """A copy that the test may change."""
    return console_world.copied(tmp_path / "world")
