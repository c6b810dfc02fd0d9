"""A collection of a lab run, and its result."""

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
"""Called with (step, done, total)."""


@dataclass(frozen=True)
class Collection:
    """A collection of a lab run: terms, fleet, arrivals, level.

    Attributes:
        noise_seed: seed of the noise; releases repeat and are marked as seeded. None: the noise comes from new secrets, as in
            a deployment. Aggregators that are processes accept no seed, so the other levels need None if noise is on.
        lying: the site whose clients lie; None: every client is honest. It needs `shares` and a report a client.
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
        """Return the virtual time of publication, µs since the epoch: two days after the last day."""
        return (self.source.days[1] + 2) * DAY_US

    @property
    def noise_name(self) -> str:
        """Return the name of the noise as in a manifest."""
        pair = self.noise_pair()
        return "none" if pair is None else pair.name

    @property
    def noisy(self) -> bool:
        """Return whether the aggregators add noise."""
        return self.noise is not Noise.NONE

    def noise_pair(self) -> NoisePair | None:
        """Make new noise sources of the two aggregators."""
        if not self.noisy:
            return None
        if self.noise_seed is None:
            return NoisePair.fresh(os.urandom)
        return NoisePair(SeededNoise(self.noise_seed, "leader"), SeededNoise(self.noise_seed, "helper"))


@dataclass(frozen=True, eq=False)
class Collected:
    """The result of a collection.

    Attributes:
        directory: holds the stores `store` and `truth`.
        opened, void: number of panes, by view.
        seconds: CPU seconds by step; empty if other processes did the work.
        wall_s: wall seconds of the collection; at level memory without publication.
        peak_bytes: the most memory of all processes; 0 if unknown.
    """

    directory: Path
    opened: dict[str, int]
    void: dict[str, int]
    tally: Tally
    seconds: dict[str, float] = field(repr=False)
    wall_s: float
    peak_bytes: int


def require_possible(collection: Collection) -> None:
    """Check that a collection is possible, before anything runs.

    Raises:
        RunRefused: settings exclude each other, or no pane can reach k. If aggregators are processes: there is a noise seed,
            or the days are not over. ExtraMissing, CrypTenMissing: a library is not installed.
    """
    terms, source = collection.terms, collection.source
    if isinstance(source, EventFile):
        declared(source.site_clients, terms.terms.participation, "fleet.site_clients")
    if collection.level != "memory":
        _require_real(collection)
    require_terms(terms.views, terms.terms, collection.noise, declared_sites(terms.terms, source))
    plan, _ = plan_of(terms, source, noisy=collection.noisy)
    if terms.terms.finish is Finish.MPC:
        require_convertible(plan.views, sum(enrolled_of(source)))


def _require_real(collection: Collection) -> None:
    if collection.noisy and collection.noise_seed is not None:
        raise RunRefused(
            f"level={collection.level} accepts no noise seed: aggregators that are processes draw their own noise. "
            "Leave the seed out, or use level=memory or noise=off"
        )
    last = collection.source.days[1]
    today = time.time_ns() // 1_000 // DAY_US
    if last > today:
        raise RunRefused(
            f"level={collection.level} uses the real clock, and the fleet's last day is over in {last - today} day(s). "
            "Set fleet.first_day to an earlier day"
        )
