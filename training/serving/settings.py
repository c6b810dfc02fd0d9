"""The sections `[serving]` and `[serving.MODEL]` of a store's covey.toml: batches, queues, rates, shares and limits of models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, Strict

from base.config import ConfigModel, Real, Whole, checked
from base.errors import ConfigInvalid
from base.toml import toml_entries
from featurestore.online.settings import FILE, MAX_FILE_BYTES, SERVING

MAX_BATCH: Final = 2**16


@dataclass(frozen=True)
class ModelSettings:
    """How a model is served.

    Attributes:
        max_batch: the most rows of a batch. A request with more rows is a batch of its own.
        max_queue_delay_us: how long a request waits for others, µs.
        preferred: rows of batches that are computed at once, ascending.
        queue: how many rows may wait.
        rate: rows a second; None: no limit.
        share: the model's weight where models compete for compute threads.
        priority: models with a lower one come first.
        timeout_ms: how long a request waits that names no time itself.
        limit_ms: the most time for a batch of a model that runs in a process of its own.
    """

    max_batch: int = 64
    max_queue_delay_us: int = 100
    preferred: tuple[int, ...] = ()
    queue: int = 1_024
    rate: float | None = None
    share: float = 1.0
    priority: int = 0
    timeout_ms: float = 1_000.0
    limit_ms: float = 1_000.0


@dataclass(frozen=True)
class ServingSettings:
    """How the models of a store are served.

    Attributes:
        each: of models without a section of their own.
        models: of other models, by name.
        threads: how many batches are computed at a time in a process.
        torch_threads: PyTorch's threads within a batch.
    """

    each: ModelSettings = field(default_factory=ModelSettings)
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    threads: int = 1
    torch_threads: int = 1

    def of(self, model: str) -> ModelSettings:
        """The settings of a model."""
        return self.models.get(model, self.each)

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        data = json.loads(text)
        models = {name: _settings(one) for name, one in data["models"].items()}
        return cls(_settings(data["each"]), models, data["threads"], data["torch_threads"])


def _settings(data: dict[str, Any]) -> ModelSettings:
    return ModelSettings(**{**data, "preferred": tuple(data["preferred"])})


_Rows = Annotated[int, Field(ge=1, le=MAX_BATCH, examples=["ROWS"])]
_Sizes = Annotated[tuple[_Rows, ...], Strict(False), Field(max_length=16, examples=["[ROWS, …]"])]
_Positive = Annotated[Real, Field(gt=0, le=1e9)]


class _ModelSection(ConfigModel):
    """The fields of `ModelSettings`; None: as for all models."""

    max_batch: _Rows | None = None
    max_queue_delay_us: Annotated[int, Field(ge=0, le=10_000_000, examples=["MICROSECONDS"])] | None = None
    preferred: _Sizes | None = None
    queue: Annotated[int, Field(ge=1, le=2**24, examples=["ROWS"])] | None = None
    rate: _Positive | None = None
    share: Annotated[Real, Field(ge=1e-6, le=1e6)] | None = None
    priority: Annotated[int, Field(ge=0, le=1_000, examples=["N"])] | None = None
    timeout_ms: _Positive | None = None
    limit_ms: _Positive | None = None


class _Section(_ModelSection):
    """`[serving]`: defaults for all models, and threads."""

    threads: Annotated[Whole, Field(le=256)] = ServingSettings.threads
    torch_threads: Annotated[Whole, Field(le=256)] = ServingSettings.torch_threads


def load_serving(directory: Path) -> ServingSettings:
    """Read the covey.toml of the store's directory; without one, the defaults apply.

    Raises:
        ConfigInvalid: the file, or one of these sections, cannot be used.
    """
    path = directory / FILE
    try:
        section = toml_entries(path, MAX_FILE_BYTES).get(SERVING, {})
    except FileNotFoundError:
        return ServingSettings()
    if not isinstance(section, dict):
        raise ConfigInvalid(str(path), f"{SERVING}: write a section [{SERVING}]")
    own = {name: value for name, value in section.items() if not isinstance(value, dict)}
    common = checked(_Section, own, path, SERVING)
    each = _of(common, ModelSettings(), path, SERVING)
    models = {}
    for name, entries in section.items():
        if isinstance(entries, dict):
            where = f"{SERVING}.{name}"
            models[name] = _of(checked(_ModelSection, entries, path, where), each, path, where)
    return ServingSettings(each, models, common.threads, common.torch_threads)


def _of(section: _ModelSection, default: ModelSettings, path: Path, where: str) -> ModelSettings:
    given = {name: getattr(section, name) for name in ModelSettings.__dataclass_fields__}
    made = ModelSettings(**{**asdict(default), **{name: value for name, value in given.items() if value is not None}})
    too_large = [size for size in made.preferred if size > made.max_batch]
    if too_large:
        raise ConfigInvalid(
            str(path),
            f"[{where}] preferred: {too_large[0]:,} is above max_batch, {made.max_batch:,}; change one of them",
        )
    return made
