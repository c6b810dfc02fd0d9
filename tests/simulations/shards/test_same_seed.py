"""The same seed gives the same stores, byte for byte, however the work is divided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from crypto.noise import SeededNoise
from deployment.in_process.run import NoisePair
from simulations.fleets.arrivals import Arrivals, Generated
from simulations.fleets.block import Source
from simulations.shards.run import FleetTerms, run_fleet
from simulations.shards.workers import Inline, LocalProcesses, Workers

from .small import SOURCE, TERMS, Cut, stores

T = TypeVar("T")
R = TypeVar("R")
ARRIVALS = Generated(median_s=30, before=0.1, after=0.1, seed=1)


@dataclass
class Backwards:
    """Does the last task first, and returns the results in that order."""

    count: int = 1

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        return map(function, reversed(list(tasks)))


def seeded(
    folder: Path,
    workers: Workers,
    *,
    source: Source = SOURCE,
    arrivals: Arrivals = ARRIVALS,
    terms: FleetTerms = TERMS,
    seed: int = 7,
) -> dict[str, bytes]:
    noise = NoisePair(SeededNoise(seed, "leader"), SeededNoise(seed, "helper"))
    run = run_fleet(terms, source, arrivals, noise=noise, workers=workers)
    return stores(run, folder, noise.leader.name)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return seeded(tmp_path_factory.mktemp("once"), Inline())


def test_a_repeat_gives_the_same_bytes(once: dict[str, bytes], tmp_path: Path) -> None:
    assert any(name.endswith(".parquet") for name in once)
    assert any(name.endswith("registry.db") for name in once)
    assert seeded(tmp_path, Inline()) == once


def test_processes_of_this_machine_give_the_same_bytes(once: dict[str, bytes], tmp_path: Path) -> None:
    assert seeded(tmp_path, LocalProcesses(2), source=Cut(SOURCE, 3)) == once


@pytest.mark.parametrize("blocks", [2, 7])
def test_neither_the_cut_into_blocks_nor_their_order_matters(
    once: dict[str, bytes], tmp_path: Path, blocks: int
) -> None:
    assert seeded(tmp_path, Backwards(), source=Cut(SOURCE, blocks)) == once


def test_the_order_of_arrival_does_not_matter(once: dict[str, bytes], tmp_path: Path) -> None:
    faster = Generated(median_s=5, tail=2, before=0.1, after=0.1, seed=1)  # the same sites answer in another order
    in_time = [arrivals.of(SOURCE.block(0).sites).in_time(600.0).tolist() for arrivals in (ARRIVALS, faster)]
    assert in_time[0] == in_time[1]
    assert seeded(tmp_path, Inline(), arrivals=faster) == once


@pytest.mark.parametrize("what", ["noise", "fleet", "fates", "parties"])
def test_another_seed_gives_another_store(once: dict[str, bytes], tmp_path: Path, what: str) -> None:
    match what:
        case "noise":
            other = seeded(tmp_path, Inline(), seed=8)
        case "fleet":
            other = seeded(tmp_path, Inline(), source=replace(SOURCE, fleet=replace(SOURCE.fleet, seed=4)))
        case "fates":
            other = seeded(tmp_path, Inline(), arrivals=replace(ARRIVALS, seed=2))
        case _:
            other = seeded(tmp_path, Inline(), terms=replace(TERMS, seed=1))
    assert other != once
