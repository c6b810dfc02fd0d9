"""The settings of a generated fleet. The same settings and seed always give the same events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from simulations.errors import FleetImpossible

MAX_CLIENTS: Final = 10**8
MAX_DAYS: Final = 366


@dataclass(frozen=True)
class Fleet:
    """The settings of a generated fleet; all are public.

    Attributes:
        clients: enrolled clients of all sites, at any time.
        clients_per_site: average clients of a site; 1 is a fleet of phones.
        site_tail: σ of the log-normal sizes of sites; 0: equal sizes.
        events_per_day: average events of a client and day.
        activity_tail: σ of the log-normal activity of clients; 0: equal activity.
        regions: number of regions; each site lies in one. A region shifts the busy hours and the popular join keys.
        diurnal: influence of the hour, from 0 (none) to 1 (no events at night).
        key_tail: exponent of the popularity of join keys, 1/rank^exponent.
        churn: share of the clients that new ones replace each day.
        clock_skew_s: σ of the clock error of a client, in seconds.
        offline: share of the client-days without a recorded event.
        nulls: share of the values that are missing.
        first_day: first day, in UTC days since the epoch.
        days: number of days.
        seed: seed of the events.
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
        """Return the number of sites."""
        return max(1, round(self.clients / self.clients_per_site))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise FleetImpossible(f"a fleet with {name} {value:,}: it must be from {low:,} to {high:,}")
