"""How a generated fleet is described. The same description and seed give the same events, however they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from simulations.errors import FleetImpossible

MAX_CLIENTS: Final = 10**8
MAX_DAYS: Final = 366


@dataclass(frozen=True)
class Fleet:
    """A generated fleet; all of it is public.

    Attributes:
        clients: enrolled at any time, over all sites.
        clients_per_site: on average; 1 is a fleet of phones.
        site_tail: σ of the log-normal sizes of sites; 0: all alike.
        events_per_day: of a client, on average.
        activity_tail: σ of the log-normal activity of clients; 0: all alike.
        regions: each site lies in one; a region shifts the hours of its day, and which join keys are popular.
        diurnal: how much the hour matters, from 0 (not at all) to 1 (nothing happens at night).
        key_tail: exponent of the popularity of join keys, 1/rank^exponent.
        churn: the part of the clients that is replaced by new ones each day.
        clock_skew_s: σ of a client's clock error, seconds.
        offline: the part of the client-days on which a device records nothing.
        nulls: the part of the values that are missing.
        first_day: UTC day since the epoch.
        days: how many.
        seed: of the events.
    """

    clients: int
    clients_per_site: float = 500.0
    site_tail: float = 1.0
    events_per_day: float = 1.3
    activity_tail: float = 1.0
    regions: int = 8
    diurnal: float = 0.8
    key_tail: float = 1.0
    churn: float = 0.0
    clock_skew_s: float = 0.0
    offline: float = 0.0
    nulls: float = 0.02
    first_day: int = 20_454
    days: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        _within("clients", self.clients, 1, MAX_CLIENTS)
        _within("clients_per_site", self.clients_per_site, 1, self.clients)
        _within("site_tail", self.site_tail, 0, 4)
        _within("events_per_day", self.events_per_day, 0, 10_000)
        _within("activity_tail", self.activity_tail, 0, 4)
        _within("regions", self.regions, 1, 24)
        for part in ("diurnal", "churn", "offline", "nulls"):
            _within(part, getattr(self, part), 0, 1)
        _within("key_tail", self.key_tail, 0, 10)
        _within("clock_skew_s", self.clock_skew_s, 0, 86_400)
        _within("first_day", self.first_day, 0, 40_000)
        _within("days", self.days, 1, MAX_DAYS)
        _within("seed", self.seed, 0, 2**63 - 1)

    @property
    def sites(self) -> int:
        """How many there are."""
        return max(1, round(self.clients / self.clients_per_site))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise FleetImpossible(f"a fleet with {name} {value:,}: it must be from {low:,} to {high:,}")
