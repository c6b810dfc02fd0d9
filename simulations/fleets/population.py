"""The generator: it draws the sites, clients and events of a block from the settings of a fleet only.

    fleet ──sizes of its sites──► blocks ──► clients of each block ──► their events, day by day

Each block, day and column has its own random stream. So blocks can be made in any order and on any machine, and another view
does not change the client, time and place of events. The values are chosen for all views.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import DAY_US
from edge_client.events import column_types
from featurestore.define.definitions import FeatureView
from federation.plan import FromEvents
from simulations.errors import FleetImpossible

from .block import BLOCK_CLIENTS, CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, Columns, SiteBlock
from .spec import Fleet
from .values import HOUR_EFFECT, KEY_EFFECT, GeneratedColumn, columns_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MINUTES: Final = 1_440
BUSIEST_HOUR: Final = 17
GENERATIONS: Final = 1_000
"""A client id is (its place) · (this) + (the number of clients that had the place before)."""


@dataclass(frozen=True)
class Population:
    """A generated fleet with values for the collected views.

    Raises:
        FleetImpossible: a view reads the column of clients, sites or times.
    """

    fleet: Fleet
    views: tuple[FeatureView, ...]

    def __post_init__(self) -> None:
        for view in self.views:
            own = {*([] if view.entity.constant else view.entity.columns), *column_types(view)}
            if taken := own & {CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN}:
                raise FleetImpossible(
                    f"view {view.name!r} reads the column {min(taken)!r}, which a generated fleet reserves. "
                    "Name another column, or use a file of events (fleet=file)"
                )

    @property
    def clients(self) -> int:
        """Return the number of clients that are enrolled at any time."""
        return self.fleet.clients

    @property
    def from_events(self) -> tuple[FromEvents, ...]:
        """Return nothing, because the settings determine the whole plan."""
        return ()

    @property
    def days(self) -> tuple[int, int]:
        """Return [from, to), UTC days since the epoch."""
        return self.fleet.first_day, self.fleet.first_day + self.fleet.days

    @property
    def blocks(self) -> int:
        """Return the number of blocks."""
        return len(_block_starts(self.fleet)) - 1

    def block(self, index: int) -> SiteBlock:
        """Make one block."""
        first, last = _block_starts(self.fleet)[index : index + 2]
        sizes = _site_sizes(self.fleet)[first:last]
        names = tuple(f"s{number:07d}" for number in range(first, last))
        who = _Clients.draw(self.fleet, index, sizes)
        table = pa.concat_tables([self._day(index, who, day, names) for day in range(self.fleet.days)])
        return SiteBlock(names, sizes + who.joined(len(sizes)), table, Columns())

    def _day(self, index: int, who: _Clients, day: int, names: tuple[str, ...]) -> pa.Table:
        """Draw the events of a block's clients on one day, in order of client."""
        fleet, rng = self.fleet, _rng(self.fleet, index, "day", day)
        counts = rng.poisson(np.where(rng.random(who.count) < fleet.offline, 0.0, who.activity))
        client = np.repeat(np.arange(who.count), counts)
        hour = np.searchsorted(_day_profile(fleet.diurnal), rng.random(len(client))) / 60
        local_s = hour * 3600 + rng.random(len(client)) * 60
        shift_s = who.region[client] * (86_400 / fleet.regions)
        seconds = (local_s - shift_s) % 86_400 + who.skew_s[client]
        time = (fleet.first_day + day) * DAY_US + (seconds * 1e6).astype(np.int64)
        effect = HOUR_EFFECT * np.cos(2 * np.pi * (hour - BUSIEST_HOUR) / 24)
        columns: dict[str, pa.Array] = {
            SITE_COLUMN: pa.DictionaryArray.from_arrays(pa.array(who.site[client].astype(np.int32)), pa.array(names)),
            CLIENT_COLUMN: pa.array((who.first + client) * GENERATIONS + who.generation[day][client]),
        }
        for name in {TIME_COLUMN, *(view.time for view in self.views if view.time)}:
            columns[name] = pa.array(time, pa.timestamp("us", tz="UTC"))
        for view in self.views:
            effect = effect + self._keys(columns, view, who.region[client], _rng(fleet, index, _key_stream(view), day))
        for column in columns_of(self.views):
            if column.name not in columns:  # otherwise a predicate reads a join key
                columns[column.name] = self._values(column, effect, index, day)
        return pa.table(columns)

    def _keys(self, columns: dict[str, pa.Array], view: FeatureView, region: Ints, rng: np.random.Generator) -> Floats:
        """Draw the join keys of a view, unless another view did. Return how far each key moves the values of its event."""
        entity = view.entity
        if entity.constant or all(column in columns for column in entity.columns):
            return np.zeros(len(region))
        number = len(entity.domain)
        rank = np.searchsorted(_popularity(number, self.fleet.key_tail), rng.random(len(region)))
        key = (rank + region * max(1, number // self.fleet.regions)) % number
        for part, column in enumerate(entity.columns):
            if column not in columns:
                domain = pa.array([row[part] for row in entity.domain])
                columns[column] = domain.take(pa.array(key))
        moved: Floats = KEY_EFFECT * np.cos(key.astype(np.float64))
        return moved

    def _values(self, column: GeneratedColumn, effect: Floats, index: int, day: int) -> pa.Array:
        return column.draw(_rng(self.fleet, index, f"column {column.name}", day), effect, self.fleet.nulls)


@dataclass(frozen=True, eq=False)
class _Clients:
    """The clients of a block, in order of their places.

    Attributes:
        first: number of the first place of the block in the fleet.
        site: int64[n], index of the site in the block.
        region: int64[n]. activity: float64[n], events a day. skew_s: float64[n].
        generation: int64[days, n], number of earlier clients of the place.
    """

    first: int
    site: Ints
    region: Ints
    activity: Floats
    skew_s: Floats
    generation: Ints

    @property
    def count(self) -> int:
        """Return the number of places."""
        return len(self.site)

    def joined(self, sites: int) -> Ints:
        """Return int64[sites]: the clients that joined after the first day."""
        return np.bincount(self.site, weights=self.generation[-1], minlength=sites).astype(np.int64)

    @classmethod
    def draw(cls, fleet: Fleet, index: int, sizes: Ints) -> _Clients:
        """Draw the clients of a block with these sizes of sites."""
        rng, count = _rng(fleet, index, "clients", 0), int(sizes.sum())
        site = np.repeat(np.arange(len(sizes)), sizes)
        region = rng.integers(0, fleet.regions, len(sizes))[site]
        tail = fleet.activity_tail
        activity = fleet.events_per_day * np.exp(tail * rng.standard_normal(count) - tail**2 / 2)
        skew_s = fleet.clock_skew_s * rng.standard_normal(count)
        generation = np.zeros((fleet.days, count), np.int64)
        for day in range(1, fleet.days):
            left = _rng(fleet, index, "churn", day).random(count) < fleet.churn
            generation[day] = generation[day - 1] + left
        first = int(_site_sizes(fleet)[: _block_starts(fleet)[index]].sum())
        return cls(first, site, region, activity, skew_s, generation)


def _rng(fleet: Fleet, index: int, stream: str, day: int) -> np.random.Generator:
    """Make an independent random stream for each (seed, block, quantity, day)."""
    label = hashlib.sha256(stream.encode()).digest()[:8]
    words = (index, day, int.from_bytes(label[:4], "big"), int.from_bytes(label[4:], "big"))
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(fleet.seed, spawn_key=words)))


def _key_stream(view: FeatureView) -> str:
    return f"keys {','.join(view.entity.columns)}"


@lru_cache(maxsize=4)
def _site_sizes(fleet: Fleet) -> Ints:
    """Return int64[sites]: sizes of at least 1, with the sum `clients`."""
    sites = fleet.sites
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(fleet.seed, spawn_key=(2**32 - 1,))))
    weight = np.exp(fleet.site_tail * rng.standard_normal(sites)) if fleet.site_tail else np.ones(sites)
    ends = np.floor(np.cumsum(weight) / weight.sum() * (fleet.clients - sites) + 0.5).astype(np.int64)
    ends[-1] = fleet.clients - sites
    sizes: Ints = 1 + np.diff(ends, prepend=0)
    return sizes


@lru_cache(maxsize=4)
def _block_starts(fleet: Fleet) -> Ints:
    """Return int64[blocks + 1]: the first site of each block, and the number of sites."""
    sizes = _site_sizes(fleet)
    of_site = (np.cumsum(sizes) - sizes) // BLOCK_CLIENTS
    return np.append(np.flatnonzero(np.diff(of_site, prepend=-1)), len(sizes))


@lru_cache(maxsize=4)
def _day_profile(diurnal: float) -> Floats:
    """Return float64[1440]: the share of a local day's events until the end of each minute."""
    hour = np.arange(MINUTES) / 60
    return _rising(1 + diurnal * np.cos(2 * np.pi * (hour - BUSIEST_HOUR) / 24))


@lru_cache(maxsize=16)
def _popularity(keys: int, exponent: float) -> Floats:
    """Return float64[keys]: the share of the events at this rank or a more popular one."""
    return _rising(np.arange(1, keys + 1, dtype=np.float64) ** -exponent)


def _rising(weight: Floats) -> Floats:
    """Return cumulated weights that end at exactly 1, so that every uniform number below 1 finds an entry."""
    total: Floats = np.cumsum(weight)
    total /= total[-1]
    total[-1] = 1.0
    return total
