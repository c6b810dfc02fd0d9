"""One collection of a simulated fleet, at one of three levels of realism behind one interface.

    memory      every site and both aggregators' shards are functions: all cryptography, no network, any number of clients
    processes   leader and helper are services of their own, sites submit to them over gRPC; no Flower
    flower      the same through a real SuperLink and its SuperNodes, as `covey run` does

With noise off they agree in every value. Each leaves two stores: `store`, what was released, and `truth`, the plain sums of the
same panes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from aggregator.opendp_noise import OpenDPNoise
from crypto.noise import SeededNoise
from featurestore.times import DAY_US
from federation.plan import Finish, Protection
from simulations.fleets.arrivals import Arrivals
from simulations.fleets.block import Source
from simulations.in_process import NoisePair
from simulations.shards.run import Terms, publish, publish_truth, run_fleet
from simulations.shards.work import Tally
from simulations.shards.workers import Workers

Level = Literal["memory", "processes", "flower"]
LEVELS: Final[tuple[Level, ...]] = ("memory", "processes", "flower")
STORE, TRUTH = "store", "truth"

Progress = Callable[[str, int, int], None]
"""(step, done, total)."""


@dataclass(frozen=True)
class Collection:
    """What a lab run collects, and how.

    Attributes:
        noise: on, or off.
        noise_seed: the releases are the same at each run, and marked as seeded; None: OpenDP's noise, as of real aggregators.
    """

    terms: Terms
    source: Source
    arrivals: Arrivals
    level: Level = "memory"
    protection: Protection = "shares"
    finish: Finish = "open"
    noise: Literal["on", "off"] = "on"
    noise_seed: int | None = 0

    @property
    def now(self) -> int:
        """The simulation's own moment of publication, µs since the epoch: two days after the last."""
        return (self.source.days[1] + 2) * DAY_US

    @property
    def noise_name(self) -> str:
        """As it stands in a manifest."""
        pair = self.noise_pair()
        return "none" if pair is None else f"{pair.leader.name}, {pair.helper.name}"

    def noise_pair(self) -> NoisePair | None:
        """Fresh sources of the two aggregators."""
        if self.noise == "off":
            return None
        if self.noise_seed is None:
            return NoisePair(OpenDPNoise(), OpenDPNoise())
        return NoisePair(SeededNoise(self.noise_seed, "leader"), SeededNoise(self.noise_seed, "helper"))


@dataclass(frozen=True, eq=False)
class Collected:
    """What a collection has left behind.

    Attributes:
        directory: holds the stores `store` and `truth`.
        opened, void: panes, by view.
        seconds: CPU seconds by step; empty where other processes did the work.
        wall_s: of the collection, without publication.
        peak_bytes: the most memory, of all processes; 0 where it is not known.
    """

    directory: Path
    opened: dict[str, int]
    void: dict[str, int]
    tally: Tally
    seconds: dict[str, float] = field(repr=False)
    wall_s: float
    peak_bytes: int


def collect(
    collection: Collection, directory: Path, workers: Workers, progress: Progress = lambda *_: None
) -> Collected:
    """Collect, and write both stores into `directory`, which must be empty or new."""
    return _in_memory(collection, directory, workers, progress)


def _in_memory(collection: Collection, directory: Path, workers: Workers, progress: Progress) -> Collected:
    run = run_fleet(
        collection.terms,
        collection.source,
        collection.arrivals,
        noise=collection.noise_pair(),
        workers=workers,
        progress=progress,
    )
    progress("publish", 0, 2)
    publish(run, directory / STORE, collection.now, collection.noise_name)
    progress("publish", 1, 2)
    publish_truth(run, directory / TRUTH, collection.now)
    progress("publish", 2, 2)
    names = [planned.view.name for planned in run.plan.views]
    opened = {name: len(one.sums) for name, one in zip(names, run.opened, strict=True)}
    void = {name: len(one.outcomes) - len(one.sums) for name, one in zip(names, run.opened, strict=True)}
    return Collected(directory, opened, void, run.tally, run.seconds, run.wall_s, run.peak_bytes)
