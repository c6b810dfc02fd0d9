"""The first step: collect the panes that have ended and are not in the store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from deployment.collecting import run_folder
from edge_client.sources.files.paths import event_files
from featurestore.online.settings import store_path
from training.fit.config import CollectConfig, TrainConfig
from training.fit.train import collect_events
from training.lineage import file_hash

from .step import Inputs, Made, Progress, digest

COLLECT: Final = "collect"


@dataclass(frozen=True)
class CollectStep:
    """Run the collection of `[collect]`, or resume one that was cut off."""

    config: TrainConfig
    collect: CollectConfig
    name = COLLECT

    def inputs(self) -> Inputs:
        """Events, views, and the settings of the collection. Raises EventFilesAway and others: the files cannot be read."""
        collect = self.collect
        events = [(path.name, file_hash(path)) for path in event_files(collect.events)]
        settings = collect.model_dump(exclude={"views", "events"})
        return {"events": digest(events), "views": file_hash(collect.views), "[collect]": digest(settings)}

    def lost(self, output: str) -> str | None:
        """Whether the store is gone, or a collection was cut off."""
        if not (store_path(self.config.store) / "registry.db").is_file():
            return f"there is no store in {self.config.store}"
        return "a collection was cut off" if os.path.lexists(run_folder(self.config.store)) else None

    def run(self, progress: Progress) -> Made:
        """Collect. Raises what `covey run` raises."""
        if os.path.lexists(run_folder(self.config.store)):
            from deployment.run import resume

            resume(self.config.store, progress)
        report = collect_events(self.config, self.collect, progress)
        return Made(f"{report.opened}", f"{report.opened:,} panes opened, {report.already_open:,} were open already")
