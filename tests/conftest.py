"""What all tests share: profiles, options, and how `make test` spreads the tests over its workers.

A file is one unit of work, so a worker makes its module's fixtures once; files that share an `xdist_group` are one unit
together. Workers take the units in the order of collection, which puts the longest first: a unit that starts last and
takes long keeps everybody waiting.

`--seeds N`: how many seeds each seeded simulation runs (a test with a `simulation_seed` argument); few by default.
`--full`: the privacy audit with five times the draws and more views, which takes minutes, and tests that are marked `long`.
`--print`: `pytest -k messages --print` prints every message that a user can see.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import settings

settings.register_profile("covey", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("covey")

LONGEST_FIRST: Final = (
    "fleet",
    "superlink",
    "tests/aggregator/test_crashes.py",
    "mpc",
    "feast",
)
"""Units, as `make test` prints their tests among its slowest."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=2, metavar="N", help="seeds of each seeded simulation (default 2)")
    parser.addoption(
        "--full",
        action="store_true",
        help="the privacy audit with more draws and views, 10^5 mutated messages, and long tests (minutes)",
    )
    parser.addoption(
        "--print", action="store_true", help="with `-k messages`: print every message of the product by file"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: a unit that starts processes and waits for them leaves a core idle now and then."""
    return (os.cpu_count() or 1) + 1


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("xdist_group") is None:
        item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _unit(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return str(marker.args[0])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        ranks = {unit: rank for rank, unit in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: ranks.get(_unit(item), len(ranks)))
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="a long test: --full runs it"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "simulation_seed" in metafunc.fixturenames:
        metafunc.parametrize("simulation_seed", range(metafunc.config.getoption("--seeds")))
