"""`--seeds N`: the number of seeds of each seeded simulation (a test with a `simulation_seed` argument); 2 by default.
`--full`: the privacy audit with five times the draws and more views, and tests that are marked `long`; this takes minutes.
`--print`: `pytest -k messages --print` prints every message that a user can see."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from base.start_up import GC_THRESHOLD

from .examples import FULL
from .planted import Search

settings.register_profile("full", deadline=None, derandomize=False, print_blob=True, max_examples=FULL)
settings.register_profile("covey", settings.get_profile("full"), max_examples=FULL // 4)
settings.load_profile("covey")

# A collection visits all modules of the product, which are never garbage: it takes some 100 ms, thousands of times.
gc.set_threshold(GC_THRESHOLD)
# The workers of pytest fill all cores: a thread of OpenMP that waits for another takes a core from another test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A simulated fleet has one worker of Ray on any machine: each worker takes five CPU seconds to start.
os.environ.setdefault("RAY_OVERRIDE_RESOURCES", '{"CPU": 1}')


_PLANTED: Final = Search()


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


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--full"):
        settings.load_profile("full")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: a unit that waits for its processes leaves a core idle now and then."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from .units import Units

    return Units(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from .units import rank_of

        items.sort(key=lambda item: rank_of(item.nodeid))
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="a long test: --full runs it"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Fail a test whose logs, spans or stderr have a planted value; before its folder is removed."""
    found: list[str] = []
    own = getattr(item, "funcargs", {}).get("tmp_path")
    if isinstance(own, Path):
        found += _PLANTED.in_folder(own)
    if nextitem is None or nextitem.path != item.path:
        found += _PLANTED.in_folder(item.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
    for _, kind, text in item._report_sections:
        if kind != "stdout":
            found += [f"its {kind} has {value[:80]!r}" for value in _PLANTED.in_text(text.encode())]
    yield
    if found:
        pytest.fail("a planted value is in a log or a span: " + "; ".join(found), pytrace=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "simulation_seed" in metafunc.fixturenames:
        metafunc.parametrize("simulation_seed", range(metafunc.config.getoption("--seeds")))
