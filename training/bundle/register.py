"""The third step: register the trained model. What is in force stays in force."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.times import wall_clock
from featurestore.errors import StoreCorrupt, UnknownModel
from featurestore.publish.model_versions import promote_unless_changed
from featurestore.publish.publish import Publisher
from featurestore.registry.serving_versions import Newest
from featurestore.store import Store

from .step import Inputs, Made, Progress
from .train_step import find_registered, waiting_files, waiting_folder

REGISTER: Final = "register"
LINEAGE: Final = "lineage.json"


@dataclass(frozen=True)
class RegisterStep:
    """Register a trained model. Its output is `name@v<n>`.

    Attributes:
        trained: the output of the training.
    """

    store: Path
    model: str
    trained: str
    name = REGISTER

    def inputs(self) -> Inputs:
        """What was trained."""
        return {"trained model": self.trained}

    def lost(self, output: str) -> str | None:
        """Whether the version was deleted."""
        found = find_registered(self.store, self.model, self.trained)
        return None if found is not None and str(found) == output else f"{output} was deleted"

    def run(self, progress: Progress) -> Made:
        """Register it, unless an earlier run did that before it was cut off. It waits for another writer of the store.

        A name whose newest version is served by itself is pinned to that version first: the promotion decides, not the
        registration.

        Raises:
            StoreCorrupt: the trained files are gone or damaged. StoreWriteFailed.
        """
        folder = waiting_folder(self.store, self.model)
        found = find_registered(self.store, self.model, self.trained)
        if found is None:
            files = waiting_files(self.store, self.model, self.trained)
            if files is None:
                raise StoreCorrupt(f"the trained files in {folder} are damaged; deploy again, which trains again")
            self._pin()
            with Publisher(self.store, wall_clock, wait=True) as publisher:
                found = publisher.register_model(self.model, files, json.dumps(json.loads(files[LINEAGE])))
        shutil.rmtree(folder, ignore_errors=True)
        return Made(str(found), f"{found}, in {found.folder.resolve()}")

    def _pin(self) -> None:
        with Store.open(self.store) as store, suppress(UnknownModel):
            while isinstance((history := store.model_history(self.model)).serving, Newest):
                if promote_unless_changed(self.store, self.model, history.in_force, history, wall_clock):
                    return
