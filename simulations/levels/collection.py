"""What a lab run collects, and what a collection leaves behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from base.times import DAY_US
from crypto.noise import SeededNoise
from deployment.errors import RunRefused
from deployment.in_process.run import NoisePair
from deployment.request import declared, require_convertible
from deployment.request import require_possible as require_terms
from federation.terms import Finish, Noise
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import Arrivals
from simulations.fleets.block import Source
from simulations.fleets.event_file import EventFile
from simulations.shards.run import FleetTerms, declared_sites, enrolled_of, plan_of
from simulations.shards.work import Tally

Level = Literal["memory", "processes", "flower"]
LEVELS: Final[tuple[Level, ...]] = ("memory", "processes", "flower")
STORE, TRUTH = "store", "truth"

Progress = Callable[[str, int, int], None]
"""(step, done, total)."""


@dataclass(frozen=True)
class Collection:
    """What a lab run collects, and how.

    Attributes:
        noise_seed: the releases are the same at each run, and marked as seeded; None: noise of fresh secrets, as of real ones.
            Of aggregators that are processes nobody can choose it: with noise on, the other levels take None only.
        lying: the site whose clients lie; None: every client is honest. Under `shares`, with a report a client.
    """

    terms: FleetTerms
    source: Source
    arrivals: Arrivals
    level: Level = "memory"
    noise: Noise = Noise.FULL
    noise_seed: int | None = 0
    lying: LyingSite | None = None

    @property
    def now(self) -> int:
        """The simulation's own moment of publication, µs since the epoch: two days after the last."""
        return (self.source.days[1] + 2) * DAY_US

    @property
    def noise_name(self) -> str:
        """As it stands in a manifest."""
        pair = self.noise_pair()
        return "none" if pair is None else pair.name

    @property
    def noisy(self) -> bool:
        """Whether the aggregators add noise."""
        return self.noise is not Noise.NONE

    def noise_pair(self) -> NoisePair | None:
        """Fresh sources of the two aggregators."""
        if not self.noisy:
            return None
        if self.noise_seed is None:
            return NoisePair.fresh(os.urandom)
        return NoisePair(SeededNoise(self.noise_seed, "leader"), SeededNoise(self.noise_seed, "helper"))


@dataclass(frozen=True, eq=False)
class Collected:
    """What a collection has left behind.

    Attributes:
        directory: holds the stores `store` and `truth`.
        opened, void: panes, by view.
        seconds: CPU seconds by step; empty where other processes did the work.
        wall_s: of the collection, without publication at level memory.
        peak_bytes: the most memory, of all processes; 0 where it is not known.
    """

    directory: Path
    opened: dict[str, int]
    void: dict[str, int]
    tally: Tally
    seconds: dict[str, float] = field(repr=False)
    wall_s: float
    peak_bytes: int


def require_possible(collection: Collection) -> None:
    """Refuse by name what cannot be collected, before anything runs.

    Raises:
        RunRefused: options that do not fit together, a k that no pane can reach, or, where aggregators are processes, a
            noise seed, or days that are not over by the wall clock. ExtraMissing, CrypTenMissing: what is not installed.
    """
    terms, source = collection.terms, collection.source
    if isinstance(source, EventFile):
        declared(source.site_clients, terms.terms.participation, "fleet.site_clients=N")
    if collection.level != "memory":
        _require_real(collection)
    require_terms(terms.views, terms.terms, collection.noise, declared_sites(terms.terms, source))
    plan, _ = plan_of(terms, source, noisy=collection.noisy)
    if terms.terms.finish is Finish.MPC:
        require_convertible(plan.views, sum(enrolled_of(source)))


def _require_real(collection: Collection) -> None:
    if collection.noisy and collection.noise_seed is not None:
        raise RunRefused(
            f"level {collection.level}: aggregators that are processes draw their own noise, and no seed reaches them; "
            "leave the seed out, or take level memory, or noise off"
        )
    last = collection.source.days[1]
    today = time.time_ns() // 1_000 // DAY_US
    if last > today:
        raise RunRefused(
            f"level {collection.level}: aggregators that are processes go by the clock, and the fleet's last day is over in "
            f"{last - today} day(s): let its days be earlier"
        )
