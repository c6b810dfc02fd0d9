"""Collect from a simulated fleet, at one of three levels of realism.

    memory      sites and aggregators' shards are functions: all cryptography, no network, any number of clients
    processes   leader and helper are services, and sites submit over gRPC; no Flower
    flower      as `processes`, through Flower's simulation runtime, as `covey run` does

Without noise all levels give the same values. Each level writes two stores: `store` holds the releases, and `truth` the plain
sums of the same panes. Aggregators that are processes draw noise from their live secrets, so no seed determines it.
"""

from __future__ import annotations

from pathlib import Path

from simulations.shards.workers import Workers

from .collection import LEVELS, STORE, TRUTH, Collected, Collection, Level, Progress, require_possible

__all__ = ["LEVELS", "STORE", "TRUTH", "Collected", "Collection", "Level", "Progress", "collect", "require_possible"]


def collect(
    collection: Collection, directory: Path, workers: Workers, progress: Progress = lambda *_: None
) -> Collected:
    """Collect, and write both stores into `directory`, which must be empty or new.

    Args:
        workers: workers of level memory under `shares`; the other levels have their own processes.

    Raises:
        The errors of `require_possible`, before anything runs. WorkerDied, EncryptionFailed, MpcFailed. At the other levels
            CollectionFailed and ProcessFailed, with the log of the process.
    """
    require_possible(collection)
    match collection.level:
        case "memory":
            from .memory import collect_in_memory

            return collect_in_memory(collection, directory, workers, progress)
        case "processes":
            from .processes import collect_by_processes

            return collect_by_processes(collection, directory, progress)
        case "flower":
            from .flower import collect_by_flower

            return collect_by_flower(collection, directory, progress)
