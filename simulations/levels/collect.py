"""One collection of a simulated fleet, at one of three levels of realism behind one interface.

    memory      every site and both aggregators' shards are functions: all cryptography, no network, any number of clients
    processes   leader and helper are services of their own, sites submit to them over gRPC; no Flower
    flower      the same through Flower's simulation runtime, as `covey run` does

With noise off they agree in every value. Each leaves two stores: `store`, what was released, and `truth`, the plain sums of the
same panes. Where the aggregators are processes their noise is their own: from their live secrets, which no seed reaches.
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
        workers: of level memory under `shares`; the others have processes of their own.

    Raises:
        See `require_possible`; nothing has run or been written then. WorkerDied, EncryptionFailed, MpcFailed. At the other
            levels CollectionFailed and ProcessFailed, with the log that says why.
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
