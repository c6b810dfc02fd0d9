"""The requests and answers of the place of models. Times are µs since the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import FailFast, Field

from covey.console.commands import command
from deployment.inspect.models import ModelVersion, reported_metrics
from deployment.printing.output import printable
from featurestore.errors import NothingToRollBack, StoreCorrupt
from featurestore.registry.serving_versions import Newest, Weights
from training.serving.statistics.remote_statistics import Served

from .form import Body, Form
from .numbers import finite

_MOST_TEXT: Final = 200
"""Characters of a text of a lineage, which may come from somebody else."""
_MOST_NAMES: Final = 1_000

Word = Annotated[str, Field(max_length=40)]
Stamp = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Share(Form):
    """The share of the requests that a version answers, between 0 and 1."""

    version: int
    share: float


class Metric(Form):
    """A metric on the rows of a test. `of`: whose it is, `model` or what the model is compared with."""

    of: str
    name: str
    value: float | None
    low: float | None
    high: float | None


class Labels(Form):
    """The training data's labels."""

    file: str
    sha256: str
    rows: int | None


class VersionOfModel(Form):
    """A version of a model.

    `damaged` says why its test cannot be read. `deletable`: it is not in force.
    """

    version: int
    registered_at: int
    share: float
    deletable: bool
    kind: str
    task: str
    seed: str
    service: str
    features: tuple[str, ...]
    columns: tuple[str, ...]
    views: tuple[str, ...]
    labels: Labels | None
    files: dict[str, str]
    metrics: tuple[Metric, ...]
    damaged: str | None


class PromotionOfModel(Form):
    """A promotion or a rollback."""

    at: int
    serving: str
    rollback: bool


class Model(Form):
    """A name with its versions, the newest first.

    `newest`: a registration takes over by itself. `stamp` changes with each promotion, registration and deletion.
    `before`: what a rollback brings back; None: nothing. `serve_command` starts a server of this model.
    """

    name: str
    stamp: str
    newest: bool
    in_force: tuple[Share, ...]
    before: tuple[Share, ...] | None
    versions: tuple[VersionOfModel, ...]
    promotions: tuple[PromotionOfModel, ...]
    serve_command: str


class Models(Form):
    """All models. `serving`: the URL of a running server of models; None: the console does not know one.

    `train_command` trains a model.
    """

    models: tuple[Model, ...]
    serving: str | None
    train_command: str


class Bucket(Form):
    """Times above `from_ms`, and up to `to_ms`; None: without an upper end."""

    from_ms: float
    to_ms: float | None


class StageLatency(Form):
    """The times of one stage. `p50`, `p95`: the buckets of the server's histogram that half and 95 % of them end in."""

    stage: str
    count: int
    mean_ms: float
    p50: Bucket
    p95: Bucket


class ServedVersion(Form):
    """What a version has done since its server began. Times are means in ms; None: there was no request.

    `stages`: empty where the server gives no histograms.
    """

    model: str
    version: int
    requests: int
    refused_or_failed: int
    rows: int
    batches: int
    batch_rows: float | None
    queue_ms: float | None
    read_ms: float | None
    infer_ms: float | None
    stages: tuple[StageLatency, ...]

    @classmethod
    def of(cls, one: Served) -> Self:
        """The same as a form."""
        return cls(**asdict(one), batch_rows=one.batch_rows)


class ServingStatistics(Form):
    """The statistics of the server of models; `url` None: the console does not know one. `problem`: why they are not known."""

    url: str | None
    versions: tuple[ServedVersion, ...]
    problem: str | None


class SeenRequest(Body):
    """`seen`: the stamp of the model that the user saw. `confirmed`: the user has seen the preview, and agrees."""

    seen: Stamp
    confirmed: bool = False


class PromotionRequest(SeenRequest):
    """`versions`: `newest`, `v2`, or `v1=0.9` and `v2=0.1`."""

    versions: Annotated[tuple[Word, ...], Field(min_length=1, max_length=100), FailFast()]


class ServingChange(Form):
    """Which versions answer requests before and after a change, and the command that makes it."""

    before: tuple[Share, ...]
    after: tuple[Share, ...]
    command: str


class Deletion(Form):
    """The versions that a deletion takes away, as `name@v1`, and the command that does it."""

    versions: tuple[str, ...]
    command: str


def shares_of(weights: Weights) -> tuple[Share, ...]:
    """The shares of versions."""
    return tuple(Share(version=version, share=share) for version, share in weights.shares)


def model_of(versions: Sequence[ModelVersion], directory: Path) -> Model:
    """A name from all of its versions, in the store of a directory."""
    history = versions[0].history
    try:
        before = shares_of(history.in_force_before())
    except NothingToRollBack:
        before = None
    return Model(
        name=history.model,
        stamp=history.stamp,
        newest=isinstance(history.serving, Newest),
        in_force=shares_of(history.in_force),
        before=before,
        versions=tuple(sorted(map(_version, versions), key=lambda one: -one.version)),
        promotions=tuple(
            PromotionOfModel(at=one.at, serving=str(one.serving), rollback=one.is_rollback)
            for one in reversed(history.promotions)
        ),
        serve_command=command("covey", "serve", "--models", history.model, "--store", str(directory)),
    )


def _version(one: ModelVersion) -> VersionOfModel:
    lineage, damaged = one.model.lineage, None
    try:
        metrics = tuple(
            Metric(
                of=printable(of)[:_MOST_TEXT],
                name=printable(name)[:_MOST_TEXT],
                value=finite(metric.value),
                low=finite(metric.low),
                high=finite(metric.high),
            )
            for of, found in reported_metrics(one.model).items()
            for name, metric in found.items()
        )
    except StoreCorrupt as error:
        metrics, damaged = (), str(error)
    return VersionOfModel(
        version=one.model.version,
        registered_at=one.model.registered_at,
        share=one.share,
        deletable=not one.share,
        kind=_text(lineage.get("kind")),
        task=_text(lineage.get("task")),
        seed=_text(lineage.get("seed")),
        service=_text(lineage.get("service")),
        features=_texts(lineage.get("features")),
        columns=_texts(lineage.get("columns")),
        views=_views(lineage.get("views")),
        labels=_labels(lineage.get("labels")),
        files=dict(one.model.files),
        metrics=metrics[:_MOST_NAMES],
        damaged=damaged,
    )


def _text(value: object) -> str:
    """A value of a lineage in one line; empty: there is none."""
    return "" if value is None else printable(str(value))[:_MOST_TEXT]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, value[:_MOST_NAMES])) if isinstance(value, list) else ()


def _views(value: object) -> tuple[str, ...]:
    found = [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
    return tuple(_text(f"{one.get('name')}@v{one.get('version')}") for one in found[:_MOST_NAMES])


def _labels(value: Any) -> Labels | None:
    if not isinstance(value, Mapping):
        return None
    rows = value.get("rows")
    is_count = type(rows) is int and 0 <= rows < 2**53
    return Labels(file=_text(value.get("file")), sha256=_text(value.get("sha256")), rows=rows if is_count else None)
