"""Level memory: all parties are functions in one process."""

from __future__ import annotations

from pathlib import Path

from federation.terms import Encrypted, Shares
from simulations.shards.encrypted import run_encrypted_fleet
from simulations.shards.run import FleetRun, publish, publish_truth, run_fleet
from simulations.shards.workers import Workers

from .collection import STORE, TRUTH, Collected, Collection, Progress


def collect_in_memory(collection: Collection, directory: Path, workers: Workers, progress: Progress) -> Collected:
    """Collect as `collect` does."""
    run = _run(collection, workers, progress)
    progress("publish", 0, 2)
    publish(run, directory / STORE, collection.now, collection.noise_name)
    progress("publish", 1, 2)
    publish_truth(run, directory / TRUTH, collection.now)
    progress("publish", 2, 2)
    names = [planned.view.name for planned in run.plan.views]
    opened = {name: len(one.sums) for name, one in zip(names, run.opened, strict=True)}
    void = {name: len(one.outcomes) - len(one.sums) for name, one in zip(names, run.opened, strict=True)}
    return Collected(directory, opened, void, run.tally, run.seconds, run.wall_s, run.peak_bytes)


def _run(collection: Collection, workers: Workers, progress: Progress) -> FleetRun:
    what = collection.terms, collection.source, collection.arrivals
    noise = collection.noise_pair()
    match collection.terms.terms:
        case Shares():
            return run_fleet(*what, noise=noise, workers=workers, lying=collection.lying, progress=progress)
        case Encrypted():
            return run_encrypted_fleet(*what, noise=noise, progress=progress)
