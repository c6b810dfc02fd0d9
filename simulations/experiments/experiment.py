"""Prepare one experiment from a configuration, check it before anything runs, and run it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from base.times import DAY_US
from deployment.errors import RunRefused, UsageError
from featurestore.define.definitions import FeatureView
from federation.errors import TermsImpossible
from federation.terms import Finish, Noise, Participation, Protection, ReportPer, RequestedTerms, Validity, parse_term
from simulations.fleets.arrivals import Arrivals, FromFile, Generated
from simulations.fleets.block import Columns, Source
from simulations.fleets.event_file import EventFile
from simulations.fleets.population import Population
from simulations.fleets.spec import Fleet
from simulations.levels.collect import Collected, Collection, collect, require_possible
from simulations.measuring import peak_bytes
from simulations.shards.run import FleetTerms
from simulations.shards.workers import Inline, LocalProcesses, Workers

from .config import Resolved
from .plain import attack_as_dict, plain
from .ray_workers import RayWorkers
from .schema import (
    AttackSetting,
    FileFleet,
    FlightsFleet,
    GeneratedArrivals,
    GeneratedFleet,
    LabConfig,
    LieSetting,
    TraceArrivals,
    settings,
)
from .views import views_of

if TYPE_CHECKING:
    from simulations.attacks.attack import Setting
    from simulations.attacks.lies.lie import Lie

VALUES: Final = "values.parquet"
_MIB: Final = 2**20
_EMPTY: Final[dict[str, Any]] = {
    "views": {},
    "tally": {},
    "steps_cpu_s": {},
    "wall_s": 0.0,
    "peak_mb": 0.0,
    "bytes_per_client": None,
    "error": {},
}
"""The parts of a summary, empty. An attack leaves most of them empty."""

Progress = Callable[[str, int, int], None]
"""Called with (step, done, total)."""


@dataclass(frozen=True)
class AttackRun:
    """An attack and its setting."""

    name: str
    setting: Setting


@dataclass(frozen=True)
class Experiment:
    """A collection, an attack that runs with its defence on and off, or a lie in a collection."""

    resolved: Resolved
    what: Collection | AttackRun | Lie

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """The views of the collection; none for an attack."""
        collection = collection_of(self.what)
        return () if collection is None else collection.terms.views


@dataclass(frozen=True)
class RunResult:
    """The result of a run, as in run.json.

    Attributes:
        summary: figures of the collection; for a lie, of the collection in which every client is honest.
        attack: {on, off}: the results with the defence on and off; None without an attack.
        lie: its effect on each view; None without a lie.
    """

    summary: dict[str, Any]
    attack: dict[str, Any] | None = None
    lie: dict[str, Any] | None = None


def collection_of(what: Collection | AttackRun | Lie) -> Collection | None:
    """Return the collection of an experiment, with honest clients; None for an attack."""
    match what:
        case Collection():
            return what
        case AttackRun():
            return None
    return what.collection


def prepare(resolved: Resolved, scratch: Path) -> Experiment:
    """Make the experiment that a configuration describes.

    Args:
        scratch: a folder for the events of `fleet=flights`.

    Raises:
        UsageError, RunRefused, FleetImpossible, TraceInvalid, SettingRefused, and the errors of files of views or events.
    """
    config = resolved.config
    if isinstance(config.attack, AttackSetting):
        _require_of_attack(resolved.overrides)
        return Experiment(resolved, _attacking(config.attack))
    for name in ("k", "seed"):
        value, low = getattr(config, name), {"k": 1, "seed": 0}[name]
        if value is not None and value < low:
            raise UsageError(f"{name}={value}: it must be at least {low}")
    if not 0 < config.deadline_s < math.inf:
        raise UsageError(f"deadline_s={config.deadline_s}: it must be above 0 and finite")
    if isinstance(config.attack, LieSetting):
        return Experiment(resolved, _lie(config.attack, config, scratch))
    collection = _collection(config, views_of(config.view), scratch)
    require_possible(collection)
    return Experiment(resolved, collection)


def run(experiment: Experiment, folder: Path, workers: Workers, progress: Progress) -> RunResult:
    """Run an experiment and write its values and stores into an empty folder."""
    match experiment.what:
        case Collection() as collection:
            from simulations.reports.values import write_values

            collected = collect(collection, folder, workers, progress)
            errors = write_values(collected, experiment.views, folder / VALUES)
            return RunResult(_summary(collection, collected, errors))
        case AttackRun() as attacking:
            return _attack(attacking, progress)
    return _run_lie(experiment.what, folder, workers, progress)


def workers_of(experiment: Experiment, count: int | None) -> Workers:
    """Choose the workers for shards: Ray if it is configured, otherwise processes; a fleet of one block needs no processes."""
    ray = experiment.resolved.ray
    collection = collection_of(experiment.what)
    if collection is None:
        return Inline()
    if ray is not None:
        return RayWorkers(count, ray.address)
    return Inline() if collection.source.blocks == 1 or count == 1 else LocalProcesses(count)


def _collection(config: LabConfig, views: tuple[FeatureView, ...], scratch: Path) -> Collection:
    try:
        requested = RequestedTerms(
            parse_term(Protection, config.protection),
            parse_term(Validity, config.validity),
            parse_term(Finish, config.finish),
            parse_term(ReportPer, config.report_per),
            parse_term(Participation, config.participation),
            Noise.NONE if config.noise == "off" else Noise.FULL,
        )
    except TermsImpossible as error:
        raise RunRefused(str(error)) from None
    in_memory = config.level == "memory"
    return Collection(
        FleetTerms(views, requested.of_sites(()), config.k, config.deadline_s, config.seed),
        _source(config, views, scratch),
        _arrivals(config),
        level=cast(Literal["memory", "processes", "flower"], config.level),
        noise=requested.noise,
        noise_seed=config.seed if in_memory else None,  # services draw their own seed
    )


def _source(config: LabConfig, views: tuple[FeatureView, ...], scratch: Path) -> Source:
    match config.fleet:
        case GeneratedFleet() as generated:
            return Population(Fleet(**asdict(generated)), views)
        case FileFleet(path=path, client_column=client, time_column=at, site_column=site, site_clients=most):
            return EventFile(Path(path), views, Columns(client, at, site), most)
        case FlightsFleet(first_day=first_day, days=days, site_clients=most):
            return _flights(first_day, days, most, views, scratch)
    raise TypeError(f"{config.fleet!r} is no fleet")


def _flights(
    first_day: int, days: int, site_clients: int | None, views: tuple[FeatureView, ...], scratch: Path
) -> Source:
    """Write some days of the flights into a file of events."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, load_flights

    path = scratch / f"flights-{first_day}-{days}.parquet"
    if not path.exists():
        table = load_flights()
        day = pc.divide(table[TIME_COLUMN].cast(pa.int64()), DAY_US)
        inside = pc.and_(pc.greater_equal(day, first_day), pc.less(day, first_day + days))
        chosen = table.filter(inside)
        if not chosen.num_rows:
            raise UsageError(
                f"fleet.first_day={first_day} fleet.days={days}: there are no flights on those days. Day 15706 is 2013-01-01"
            )
        pq.write_table(chosen, path)
    return EventFile(path, views, Columns(CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN), site_clients)


def _arrivals(config: LabConfig) -> Arrivals:
    match config.arrivals:
        case GeneratedArrivals() as generated:
            return Generated(**asdict(generated))
        case TraceArrivals(path=path):
            return FromFile(Path(path))
    raise TypeError(f"{config.arrivals!r} are no arrivals")


def _require_of_attack(overrides: tuple[str, ...]) -> None:
    """Check that only settings are set that affect an attack. Raises UsageError."""
    for text in overrides:
        name = text.partition("=")[0]
        if name != "seed" and re.split(r"[./]", name)[0] not in ("attack", "hydra"):
            own = ", ".join(f"attack.{one.name}" for one in settings(AttackSetting))
            raise UsageError(
                f"{text} does not change an attack. An attack has the settings {own}. "
                "In a sweep, put attacks into a block of their own"
            )


def _lie(asked: LieSetting, config: LabConfig, scratch: Path) -> Lie:
    """Make a lie in the collection that the other settings describe. Raises UsageError: they exclude a lie."""
    from simulations.attacks.lies.lie import Lie, applicable_views

    if asked.liars < 1:
        raise UsageError(f"attack.liars={asked.liars}: it must be at least 1")
    for name, needed, why in (
        ("protection", "shares", "liars send additive shares"),
        ("report_per", "client", "each liar sends a report of its own"),
        ("validity", "none", "the run collects without proofs and with them"),
    ):
        if (value := getattr(config, name)) != needed:
            raise UsageError(f"attack={asked.name} requires {name}={needed}, not {value}: {why}. Remove {name}={value}")
    views, skipped = applicable_views(asked.name, views_of(config.view))
    collection = _collection(config, views, scratch)
    require_possible(collection)
    return Lie(asked.name, asked.liars, collection, skipped)


def _run_lie(lie: Lie, folder: Path, workers: Workers, progress: Progress) -> RunResult:
    """Run a lie in three collections that show its effect."""
    from simulations.attacks.lies.lie import run_lie
    from simulations.attacks.lies.text import as_dict

    result = run_lie(lie, folder, workers, progress)
    every = result.collections
    cost = {"wall_s": sum(one.wall_s for one in every), "peak_mb": max(one.peak_bytes for one in every) / _MIB}
    return RunResult(_summary(lie.collection, every[0], {}) | cost, lie=as_dict(result))


def _attacking(asked: AttackSetting) -> AttackRun:
    from simulations.attacks.attack import Setting

    given = {one.name: getattr(asked, one.name) for one in fields(Setting)}
    return AttackRun(asked.name, Setting(**given))


def _attack(attacking: AttackRun, progress: Progress) -> RunResult:
    """Run an attack with its defence on and off."""
    from simulations.attacks.registry import ATTACKS

    attack, start, cpu = ATTACKS[attacking.name], time.perf_counter(), time.process_time()
    results = {}
    for side, defended in (("on", True), ("off", False)):

        def told(done: int, total: int, side: str = side) -> None:
            progress(f"defence {side}", done, total)

        results[side] = attack_as_dict(attack.run(attacking.setting, defended=defended, progress=told))
    summary = _EMPTY | {
        "steps_cpu_s": {"attack": time.process_time() - cpu},
        "wall_s": time.perf_counter() - start,
        "peak_mb": peak_bytes() / _MIB,
    }
    return RunResult(summary, results)


def _summary(collection: Collection, collected: Collected, errors: dict[str, Any]) -> dict[str, Any]:
    clients, tally = collection.source.clients, collected.tally
    views = {
        view.name: {
            "opened": collected.opened[view.name],
            "void": collected.void[view.name],
            "reports": tally.reports[at],
            "rejected": tally.rejected[at],
            "clients": clients,
        }
        for at, view in enumerate(collection.terms.views)
    }
    dropped = {f"{collection.terms.views[view].name}.{why}": count for (view, why), count in tally.dropped.items()}
    names = ("answered", "offline", "lost", "late", "batches", "bytes_sent", "events")
    return cast(
        dict[str, Any],
        plain(
            _EMPTY
            | {
                "views": views,
                "tally": {name: getattr(tally, name) for name in names} | {"dropped": dropped},
                "steps_cpu_s": collected.seconds,
                "wall_s": collected.wall_s,
                "peak_mb": collected.peak_bytes / _MIB,
                "bytes_per_client": tally.bytes_sent / clients,
                "error": errors,
            }
        ),
    )
