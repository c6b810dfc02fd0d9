"""The second step: train and test a model. Its files wait beside the record until they are registered."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from base.atomic_files import created_folder, replace_file
from base.times import to_us
from featurestore.define.release import Clock
from featurestore.define.views_file import load_declared
from featurestore.define.wire import definition_hash
from featurestore.join.labels import label_times, open_labels
from featurestore.online.settings import store_path
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from featurestore.store_files import writing
from training.errors import ColumnMissing
from training.fit.config import TrainConfig
from training.fit.train import fit_and_test, requested
from training.lineage import file_hash, name_of, pinned, stored_refs
from training.serving.kinds.archive import MAX_BYTES

from .record import bundle_folder
from .step import Inputs, Made, Progress, digest

TRAIN: Final = "train"
_BATCH_BYTES: Final = 2**24


@dataclass(frozen=True)
class TrainStep:
    """Train and test the model of a configuration. Its output is the digest of the model's files."""

    config: TrainConfig
    name = TRAIN

    def inputs(self) -> Inputs:
        """Labels, settings, the definitions and releases that the labels can see, and versions of programs.

        Raises:
            StoreNotFound, UnknownView, UnknownFeature. BadReference, ColumnMissing: the labels cannot be read.
        """
        config = self.config
        rows, last = _rows_and_last_time(config)
        on_demand = (
            () if config.features.views is None else load_declared(config.features.views, need_views=False).on_demand
        )
        with Store.open(config.store, on_demand=on_demand) as store:
            refs = pinned(store, requested(store, config.features))
            views = {name: _seen(store, name, last, config.labels.clock) for name in _views(store, refs)}
        sections = {
            "[labels]": config.labels.model_dump(exclude={"file"}),
            "[features]": config.features.model_dump(exclude={"views"}),
            "[split]": config.split.model_dump(),
            "[model]": config.model.model_dump(),
        }
        own = {} if config.features.views is None else {"on-demand views": file_hash(config.features.views)}
        return {
            "labels": file_hash(config.labels.file),
            "rows of the labels": f"{rows:,}",
            **{name: digest(values) for name, values in sections.items()},
            "features": digest([refs, {name: one.definition for name, one in views.items()}]),
            "releases": digest({name: one.releases for name, one in views.items()}),
            **own,
            "covey": version("covey"),
            "torch": version("torch").partition("+")[0],
        }

    def lost(self, output: str) -> str | None:
        """Whether the files are neither registered nor waiting."""
        if waiting_files(self.config.store, self.config.name, output) is not None:
            return None
        if find_registered(self.config.store, self.config.name, output) is not None:
            return None
        return "the trained model was deleted"

    def run(self, progress: Progress) -> Made:
        """Train. Raises what `covey train` raises."""
        made = fit_and_test(self.config, progress)
        path = waiting_folder(self.config.store, self.config.name)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for old in (path, *path.parent.glob(f".{path.name}-*")):  # also those of a run that was killed
                shutil.rmtree(old, ignore_errors=True)
            with created_folder(path) as fresh:
                for name, content in made.files.items():
                    replace_file(fresh / name, content, private=False)
        metrics = ", ".join(f"{name} {value}" for name, value in made.report.metrics["model"].items())
        said = f"{made.report.rows['train']:,} rows trained, {made.report.rows['test']:,} tested: {metrics}"
        return Made(files_digest({name: hashlib.sha256(data).hexdigest() for name, data in made.files.items()}), said)


def waiting_folder(directory: Path, name: str) -> Path:
    """The folder of a trained model that is not registered yet."""
    return bundle_folder(store_path(directory)) / f"{name}.trained"


def waiting_files(directory: Path, name: str, output: str) -> dict[str, bytes] | None:
    """The files of a trained model that is not registered yet; None: there are none with this digest."""
    folder = waiting_folder(directory, name)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    if not all(path.is_file() and path.stat().st_size <= MAX_BYTES for path in paths):
        return None
    files = {path.name: path.read_bytes() for path in paths}
    found = files_digest({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    return files if found == output else None


def find_registered(directory: Path, name: str, output: str) -> RegisteredModel | None:
    """The registered version with these files."""
    with Store.open(directory) as store:
        return next((one for one in store.models() if one.name == name and files_digest(one.files) == output), None)


def files_digest(files: Mapping[str, str]) -> str:
    """The digest of a model's files, from the hex SHA-256 of each by its name."""
    return digest(dict(files))


def _views(store: Store, refs: Sequence[str]) -> list[str]:
    """The stored views of references, also through on-demand views."""
    return list(dict.fromkeys(name_of(ref) for ref in stored_refs(store, refs)))


@dataclass(frozen=True)
class _SeenView:
    """A view as labels can see it: the hash of its definition, and the id and state of each release."""

    definition: str
    releases: list[tuple[str, str]]


def _seen(store: Store, name: str, last: int, clock: Clock | None) -> _SeenView:
    """The releases until the last label. A retraction counts from when it was made, as in a join."""
    table = store.releases(name)
    columns = ("release_id", "state", "clock", "released_at", "retracted_at")
    ids, states, clocks, released, retracted = (table[column].to_pylist() for column in columns)
    releases = [
        (ident, state if state != "retracted" or to_us(gone) <= last else "opened")
        for ident, state, of, at, gone in zip(ids, states, clocks, released, retracted, strict=True)
        if to_us(at) <= last and clock in (None, of)
    ]
    return _SeenView(definition_hash(store.view(name)).hex(), releases)


def _rows_and_last_time(config: TrainConfig) -> tuple[int, int]:
    """The number of labels, and the time of the last one in µs; 0 if none has a time."""
    time = config.labels.time
    given = open_labels(config.labels.file, {})
    if given.schema.names.count(time) != 1:
        raise ColumnMissing(time, "time", given.schema.names)
    rows = last = 0
    for batch in given.batches(_BATCH_BYTES):
        times, known = label_times(batch.column(time), time)
        rows += batch.num_rows
        last = max(last, int(np.max(times[known], initial=0)))
    return rows, last
