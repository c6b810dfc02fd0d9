"""Train a model from a configuration: join, split by time, train, test, export, register."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, assert_never

import numpy as np
import torch

from base.times import DAY_US, utc_text, wall_clock
from deployment.errors import CodeUntrusted, TrainingRefused
from featurestore.define.views_file import load_declared
from featurestore.join.labels import open_labels
from featurestore.online.settings import store_path
from featurestore.publish.publish import Publisher
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from training.data.dataset import FeatureDataset
from training.errors import StoreBusy
from training.lineage import FORMAT, file_hash, pinned, views_of
from training.serving.kinds.model_kind import Exported, ModelKind
from training.serving.kinds.model_kind import Monotone as MonotoneKind
from training.serving.kinds.trees import Trees
from training.serving.output_drift import OutputShares
from training.task import Task

from .boosting import fit_monotone
from .config import CollectConfig, FeaturesConfig, Learner, Monotone, NeuralNetwork, TrainConfig
from .directions import directions_of
from .epochs import FittedModel, exported, fit, predictions
from .metrics import Measured, measure
from .model import Baseline
from .picture import drawn
from .reference import boosted
from .report import TrainReport, calibration, make_report

if TYPE_CHECKING:
    from deployment.run import RunReport

Progress = Callable[[str, str, int, int], None]
"""Called with (name, step, done, total)."""

_TRIES: Final = 5


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A registered model and its report.

    Attributes:
        example: the join keys, inputs and plain columns of the last label, as `covey predict` takes them.
    """

    model: RegisteredModel
    report: TrainReport
    example: dict[str, Any]


@dataclass(frozen=True, eq=False)
class ModelFiles:
    """A trained and tested model that is not registered.

    Attributes:
        files: content by file name, with the lineage and the report.
        lineage: see `training.lineage`.
        example: as in `TrainedModel`.
    """

    name: str
    files: dict[str, bytes]
    lineage: dict[str, Any]
    report: TrainReport
    example: dict[str, Any]


def train(config: TrainConfig, progress: Progress = lambda *_: None, *, trust: bool = False) -> TrainedModel:
    """Train, test and register the model of a configuration.

    Args:
        trust: run the Python files that the configuration names.

    Raises:
        CodeUntrusted: the configuration names Python files, but `trust` is off.
        TrainingRefused: all targets are equal. LabelsRefused, TooMuchMissing, NoLabels: the labels or a part of them
            are unusable. UnknownView, UnknownFeature, StoreNotFound. StoreInUse: another process is writing into the store.
    """
    if not trust:
        require_no_code(config)
    if config.collect is not None and not (store_path(config.store) / "registry.db").is_file():
        collect_events(config, config.collect, progress)
    made = fit_and_test(config, progress)
    with Publisher(config.store, wall_clock) as publisher:
        model = publisher.register_model(made.name, made.files, json.dumps(made.lineage))
    return TrainedModel(model, made.report, made.example)


def fit_and_test(config: TrainConfig, progress: Progress) -> ModelFiles:
    """Train and test the model of a configuration. Call it after `require_no_code`, unless the configuration is trusted.

    Raises:
        TrainingRefused and others, as `train`.
    """
    views_file = config.features.views
    on_demand = () if views_file is None else load_declared(views_file, need_views=False).on_demand
    with Store.open(config.store, on_demand=on_demand) as store:
        refs = pinned(store, requested(store, config.features))
        dataset, views, labels_hash = _joined(store, config, refs)
        example = _last_label(config, store.key_types(refs))
        directions = _directions(config.model.learner, dataset, store)
    kind, made, report, outputs = _trained(config, dataset, directions, progress)
    lineage = {
        "format": FORMAT,
        "model": config.name,
        "made_at": utc_text(wall_clock()),
        "covey": version("covey"),
        "torch": torch.__version__.partition("+")[0],
        "kind": kind.NAME,
        "seed": config.model.seed,
        "task": report.task,
        "labels": {"file": config.labels.file.name, "sha256": labels_hash, "rows": dataset.rows},
        "service": config.features.service,
        "features": refs,
        "columns": list(config.labels.columns),
        "names": list(dataset.feature_names),
        "directions": dict(zip(dataset.feature_names, directions, strict=True)),
        "constants": dict(config.labels.constants),
        "views": views,
        "views_file_sha256": None if views_file is None else file_hash(views_file),
        "outputs": outputs.to_json(),
        "config": config.text,
    }
    files = {
        kind.FILE: made,
        "lineage.json": _json(lineage),
        "report.json": _json(report.to_dict()),
        "report.txt": f"{report}\n".encode(),
    }
    picture = drawn(report)
    if picture is not None:
        files["report.png"] = picture
    return ModelFiles(config.name, files, lineage, report, example)


def requested(store: Store, features: FeaturesConfig) -> tuple[str, ...]:
    """The references of a configuration, or those of its service. Raises UnknownFeatureService."""
    return features.refs if features.service is None else tuple(store.service(features.service).refs)


def _directions(learner: Learner, dataset: FeatureDataset, store: Store) -> tuple[int, ...]:
    match learner:
        case NeuralNetwork():
            return (0,) * len(dataset.feature_names)
        case Monotone():
            named = dict.fromkeys(name.partition(":")[0] for name in dataset.feature_names if ":" in name)
            views = [store.view(name) for name in named if name not in store.on_demand]
            return directions_of(learner, dataset.feature_names, views)
        case _:
            assert_never(learner)


def _trained(
    config: TrainConfig, dataset: FeatureDataset, directions: Sequence[int], progress: Progress
) -> tuple[ModelKind, bytes, TrainReport, OutputShares]:
    """Train and test; return the kind of the exported model, the content of its file, the report, and the test predictions."""
    model, split = config.model, config.split
    learn = dataset.between(None, split.valid_from, shuffle=True)
    valid, test = dataset.between(split.valid_from, split.test_from), dataset.between(split.test_from, None)
    task = model.task or _task(learn)
    _require_target(task, {"training": learn, "test": test})
    wants = config.features

    def fit_progress(done: int, total: int) -> None:
        progress(config.name, "fit", done, total)

    fitted: FittedModel[Baseline] | FittedModel[Trees]
    kind: ModelKind
    match learner := model.learner:
        case NeuralNetwork():
            network = fit(
                learn, valid, learner, task, seed=model.seed, mask=wants.mask, se=wants.se, progress=fit_progress
            )
            fitted, kind, made = network, Exported(), exported(network.model, len(dataset.feature_names))
        case Monotone():
            trees = fit_monotone(learn, valid, directions, task, model.seed, fit_progress)
            fitted, kind, made = trees, MonotoneKind(), trees.model.to_bytes()
        case _:
            assert_never(learner)
    y, predicted, time = predictions(fitted.model, test)
    usual = np.full(len(y), _mean(learn))
    tested = {"model": predicted, "constant": usual}
    if model.reference:
        tested["reference"] = boosted(learn, test, task, model.seed)
    measured: dict[str, dict[str, Measured]] = {}
    for done, (what, values) in enumerate(tested.items(), 1):
        measured[what] = measure(y, values, time, task, model.seed)
        progress(config.name, "measure", done, len(tested))
    report = make_report(
        config,
        task=task,
        features=tuple(dataset.feature_names),
        rows={"train": learn.rows, "valid": valid.rows, "test": test.rows},
        days=len(np.unique(time // DAY_US)),
        metrics=measured,
        losses=fitted.losses,
        chosen=fitted.chosen,
        calibration=calibration(y, predicted),
        missing=dataset.report.to_dict(),
        missing_text=str(dataset.report),
    )
    return kind, made, report, OutputShares.of_test(predicted)


def _joined(store: Store, config: TrainConfig, refs: Sequence[str]) -> tuple[FeatureDataset, list[dict[str, Any]], str]:
    """Join. Return the dataset, the releases that its labels could see, and the labels' hash; both are unchanged."""
    labels = config.labels
    for _ in range(_TRIES):
        before = views_of(store, refs), _hash_of(labels.file)
        dataset = FeatureDataset(
            store,
            labels=labels.file,
            features=refs,
            time=labels.time,
            target=labels.target,
            rename=labels.rename,
            constants=labels.constants,
            columns=labels.columns,
            outcome_time=labels.outcome_time,
            batch_size=config.model.batch_size,
            seed=config.model.seed,
            max_missing=labels.max_missing,
            clock=labels.clock,
        )
        if (views_of(store, refs), _hash_of(labels.file)) == before:
            last = max(int(batch["meta"]["time"].max()) for batch in dataset)
            return dataset, views_of(store, refs, last, labels.clock), before[1]
    raise StoreBusy(_TRIES)


def _hash_of(labels: Path) -> str:
    """Return the hash of the labels' file; "" without a file, which the dataset reports."""
    return file_hash(labels) if labels.is_file() else ""


def require_no_code(config: TrainConfig) -> None:
    """Raise CodeUntrusted if a configuration names Python files, because it may come with an untrusted store."""
    collect = None if config.collect is None else config.collect.views
    for key, named in (("[features] views", config.features.views), ("[collect] views", collect)):
        if named is not None:
            raise CodeUntrusted(config.name, key, str(named))


def collect_events(config: TrainConfig, collect: CollectConfig, progress: Progress) -> RunReport:
    """Collect the panes that have ended and are not in the store yet, and register the services. It runs the views' code."""
    from deployment.run import run

    declared = load_declared(collect.views, need_views=True)
    report = run(
        declared.views,
        collect.events,
        store=config.store,
        client_column=collect.client_column,
        time_column=collect.time_column,
        site_column=collect.site_column,
        budget=collect.budget,
        in_process=collect.in_process,
        progress=progress,
    )
    with Publisher(config.store, wall_clock) as publisher:
        publisher.register_services(declared.services, declared.on_demand)
    return report


def _last_label(config: TrainConfig, types: Any) -> dict[str, Any]:
    """Return the last row of the labels: join keys and inputs under the store's names, and plain columns."""
    labels = config.labels
    columns = {name: labels.rename.get(name, name) for name in types if name not in labels.constants}
    opened = open_labels(labels.file, {column: types[name] for name, column in columns.items()})
    row: dict[str, Any] = {}
    for batch in opened.batches(2**24):
        if batch.num_rows:
            row = {name: batch.column(column)[-1].as_py() for name, column in columns.items()}
            row |= {name: batch.column(name)[-1].as_py() for name in labels.columns}
    return row


def _task(part: FeatureDataset) -> Task:
    """Return binary if every target is 0 or 1, otherwise regression."""
    binary = all(bool(((batch["y"] == 0) | (batch["y"] == 1)).all()) for batch in part)
    return "binary" if binary else "regression"


def _mean(part: FeatureDataset) -> float:
    return sum(float(batch["y"].double().sum()) for batch in part) / part.rows


def _require_target(task: Task, parts: dict[str, FeatureDataset]) -> None:
    for name, part in parts.items():
        values: set[float] = set()
        for batch in part:
            values |= set(np.unique(batch["y"].numpy()[batch["weight"].numpy() > 0])[:3].tolist())
        if task == "binary" and values - {0.0, 1.0}:
            raise TrainingRefused(
                f'the {name} rows\' target is not only 0 and 1; write task = "regression" under [model]'
            )
        if len(values) == 1:
            raise TrainingRefused(
                f"every {name} row has the target {values.pop():g}, so there is nothing to learn or to measure"
            )


def _json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()
