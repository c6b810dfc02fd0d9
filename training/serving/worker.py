"""A worker of a server of models, and `python -m training.serving.worker`, as the supervisor starts it."""

from __future__ import annotations

import gc

from base.start_up import GC_THRESHOLD

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)

import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from featurestore.server.extension import Extension, Front
from featurestore.server.metrics import Counts
from featurestore.server.settings import ServerSettings, WorkerFiles
from featurestore.server.supervisor import WorkerProgram, serve_with_workers
from featurestore.server.worker import run_supervised, run_worker
from featurestore.store import Store
from training.serving.predict.route import PredictFront
from training.serving.statistics.counters import COUNT_BYTES, ModelCounters
from training.serving.versions.model_loader import ModelLoader

from .extension import ModelExtension
from .kinds.loading import Loading
from .oip.front import OpenInference
from .serving import Serving
from .settings import ServingSettings

_MODULE: Final = "training.serving.worker"


@dataclass(frozen=True)
class ModelsToServe:
    """What a worker needs to serve models.

    Attributes:
        names: of the models; None: all of the store.
        views: the file of on-demand views.
    """

    names: tuple[str, ...] | None
    loading: Loading
    settings: ServingSettings
    views: Path | None

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps(
            {
                "names": self.names,
                "loading": asdict(self.loading),
                "settings": self.settings.to_json(),
                "views": None if self.views is None else str(self.views),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        data = json.loads(text)
        names, views = data["names"], data["views"]
        return cls(
            None if names is None else tuple(names),
            Loading(**data["loading"]),
            ServingSettings.from_json(data["settings"]),
            None if views is None else Path(views),
        )


def run_models(
    settings: ServerSettings, models: ModelsToServe, listening: socket.socket, say: Callable[[str], None]
) -> None:
    """Serve features and models until SIGINT or SIGTERM, in this process or in `settings.workers` processes.

    Raises:
        WorkersFailing.
    """
    if settings.workers == 1:
        run_worker(settings, Counts(), listening, lambda store, _: extension_of(store, models, ModelCounters()))
    else:
        serve_with_workers(settings, listening, say, WorkerProgram(_MODULE, (models.to_json(),), COUNT_BYTES))


def extension_of(store: Store, models: ModelsToServe, counters: ModelCounters) -> Extension:
    """The models of a store, with every protocol."""
    _limit_torch(models.settings.torch_threads)
    loader = ModelLoader(store, models.settings, models.loading, models.views)
    serving = Serving(store, loader, models.settings, models.names, counters)
    return ModelExtension(serving, fronts_of(serving, store))


def _limit_torch(threads: int) -> None:
    """Have PyTorch use so many threads for a batch. OpenMP reads this when PyTorch is imported, for all compute threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def fronts_of(serving: Serving, store: Store) -> tuple[Front, ...]:
    """The protocols."""
    return PredictFront(serving, store), OpenInference(serving)


def main(settings: str, files: str, number: str, models: str) -> None:
    """Serve until SIGTERM, or until the supervisor has ended."""
    shared, own, wanted = (
        ServerSettings.from_json(settings),
        WorkerFiles.from_json(files),
        ModelsToServe.from_json(models),
    )
    counters = ModelCounters(shared.workers, int(number), own.more_counts)
    run_supervised(shared, own, int(number), lambda store, _: extension_of(store, wanted, counters))


if __name__ == "__main__":
    main(*sys.argv[1:])
