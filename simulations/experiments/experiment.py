"""One experiment: what a configuration asks for, checked before anything runs; and the run itself."""

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
from federation.terms import Finish, Noise, Participation, Protection, ReportPer, RequestedTerms, Validity, word
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
"""A summary's parts: an attack leaves most of them as they are."""

Progress = Callable[[str, int, int], None]
"""(step, done, total)."""


@dataclass(frozen=True)
class Attacking:
    """An attack that was asked for."""

    name: str
    setting: Setting


@dataclass(frozen=True)
class Experiment:
    """What is run: a collection, an attack with its defence on and off, or a lie in a collection."""

    resolved: Resolved
    what: Collection | Attacking | Lie

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """Those that are collected; none of an attack."""
        collection = collection_of(self.what)
        return () if collection is None else collection.terms.views


@dataclass(frozen=True)
class RunResult:
    """What a run came to, as run.json has it.

    Attributes:
        summary: of a lie, that of the collection in which every client is honest.
        attack: {on, off}; None where no attack was run.
        lie: what it did to each view; None where none was told.
    """

    summary: dict[str, Any]
    attack: dict[str, Any] | None = None
    lie: dict[str, Any] | None = None


def collection_of(what: Collection | Attacking | Lie) -> Collection | None:
    """The collection that an experiment runs, with every client honest."""
    match what:
        case Collection():
            return what
        case Attacking():
            return None
    return what.collection


def prepare(resolved: Resolved, scratch: Path) -> Experiment:
    """Make what a configuration describes, and refuse what cannot be.

    Args:
        scratch: a folder for the events of `fleet=flights`.

    Raises:
        UsageError, RunRefused, FleetImpossible, TraceInvalid, SettingRefused, and what a file of views or events raises.
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
        raise UsageError(f"deadline_s={config.deadline_s}: it must be above 0, and finite")
    if isinstance(config.attack, LieSetting):
        return Experiment(resolved, _lie(config.attack, config, scratch))
    collection = _collection(config, views_of(config.view), scratch)
    require_possible(collection)
    return Experiment(resolved, collection)


def run(experiment: Experiment, folder: Path, workers: Workers, progress: Progress) -> RunResult:
    """Run it into an empty folder: values and stores."""
    match experiment.what:
        case Collection() as collection:
            from simulations.reports.values import write_values

            collected = collect(collection, folder, workers, progress)
            errors = write_values(collected, experiment.views, folder / VALUES)
            return RunResult(_summary(collection, collected, errors))
        case Attacking() as attacking:
            return _attack(attacking, progress)
    return _tell(experiment.what, folder, workers, progress)


def workers_of(experiment: Experiment, count: int | None) -> Workers:
    """Who does the shards: Ray where it is asked for; a fleet of one block needs no processes."""
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
            word(Protection, config.protection),
            word(Validity, config.validity),
            word(Finish, config.finish),
            word(ReportPer, config.report_per),
            word(Participation, config.participation),
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
        noise_seed=config.seed if in_memory else None,  # services draw their own
    )


def _source(config: LabConfig, views: tuple[FeatureView, ...], scratch: Path) -> Source:
    match config.fleet:
        case GeneratedFleet() as generated:
            return Population(Fleet(**asdict(generated)), views)
        case FileFleet(path=path, client_column=client, time_column=at, site_column=site, site_clients=most):
            return EventFile(Path(path), views, Columns(client, at, site), most)
        case FlightsFleet(first_day=first_day, days=days, site_clients=most):
            return _flights(first_day, days, most, views, scratch)
    raise TypeError(f"no fleet: {config.fleet!r}")


def _flights(
    first_day: int, days: int, site_clients: int | None, views: tuple[FeatureView, ...], scratch: Path
) -> Source:
    """Some days of the flights, as a file."""
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
                f"fleet.first_day={first_day} fleet.days={days}: no flight is of those days; 15706 is 2013-01-01"
            )
        pq.write_table(chosen, path)
    return EventFile(path, views, Columns(CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN), site_clients)


def _arrivals(config: LabConfig) -> Arrivals:
    match config.arrivals:
        case GeneratedArrivals() as generated:
            return Generated(**asdict(generated))
        case TraceArrivals(path=path):
            return FromFile(Path(path))
    raise TypeError(f"no arrivals: {config.arrivals!r}")


def _require_of_attack(overrides: tuple[str, ...]) -> None:
    """What is set is an attack's, or its seed, or where it runs. Raises UsageError."""
    for text in overrides:
        name = text.partition("=")[0]
        if name != "seed" and re.split(r"[./]", name)[0] not in ("attack", "hydra"):
            own = ", ".join(f"attack.{one.name}" for one in settings(AttackSetting))
            raise UsageError(
                f"{text} changes nothing of an attack, which has {own}; in a nested sweep each has a block of its own"
            )


def _lie(asked: LieSetting, config: LabConfig, scratch: Path) -> Lie:
    """A lie in the collection that the other settings describe. Raises UsageError: they leave no room for it."""
    from simulations.attacks.lies.lie import Lie, tellable

    if asked.liars < 1:
        raise UsageError(f"attack.liars={asked.liars}: it must be at least 1")
    for name, needed, why in (
        ("protection", "shares", "liars send additive shares"),
        ("report_per", "client", "each liar sends a report of its own"),
        ("validity", "none", "the run collects without proofs and with them"),
    ):
        if (value := getattr(config, name)) != needed:
            raise UsageError(f"{name}={value} does not go with attack={asked.name}: {why}. Leave {name} at {needed}")
    views, skipped = tellable(asked.name, views_of(config.view))
    collection = _collection(config, views, scratch)
    require_possible(collection)
    return Lie(asked.name, asked.liars, collection, skipped)


def _tell(lie: Lie, folder: Path, workers: Workers, progress: Progress) -> RunResult:
    """A lie, in the three collections that show what it does."""
    from simulations.attacks.lies.lie import tell
    from simulations.attacks.lies.text import as_dict

    result = tell(lie, folder, workers, progress)
    every = result.collections
    cost = {"wall_s": sum(one.wall_s for one in every), "peak_mb": max(one.peak_bytes for one in every) / _MIB}
    return RunResult(_summary(lie.collection, every[0], {}) | cost, lie=as_dict(result))


def _attacking(asked: AttackSetting) -> Attacking:
    from simulations.attacks.attack import Setting

    given = {one.name: getattr(asked, one.name) for one in fields(Setting)}
    return Attacking(asked.name, Setting(**given))


def _attack(attacking: Attacking, progress: Progress) -> RunResult:
    """Both directions of an attack."""
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
