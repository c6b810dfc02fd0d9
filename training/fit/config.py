"""The file that `covey train` reads: labels, features, split and model. Every key is known, or refused with what was meant."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self, cast

from deployment.errors import TrainConfigInvalid
from featurestore.registry.models import require_name

Kind = Literal["linear", "mlp"]
KINDS: Final[tuple[Kind, ...]] = ("linear", "mlp")
Task = Literal["binary", "regression"]
TASKS: Final[tuple[Task, ...]] = ("binary", "regression")

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("name", "store", "labels", "features", "split", "model", "collect"),
    "labels": ("file", "time", "target", "outcome_time", "rename", "constants", "columns", "max_missing"),
    "features": ("refs", "service", "views", "mask", "se"),
    "split": ("valid_from", "test_from"),
    "model": ("kind", "task", "hidden", "epochs", "batch_size", "learning_rate", "weight_decay", "seed", "reference"),
    "collect": ("views", "events", "client_column", "time_column", "site_column", "budget", "in_process"),
}


@dataclass(frozen=True)
class LabelsConfig:
    """`[labels]`: see `FeatureDataset` for all but `file`."""

    file: Path
    time: str
    target: str
    outcome_time: str | None
    rename: Mapping[str, str]
    constants: Mapping[str, str | int | bool | float]
    columns: tuple[str, ...]
    max_missing: float


@dataclass(frozen=True)
class FeaturesConfig:
    """`[features]`: references, or the name of a service.

    Attributes:
        views: a file whose on-demand views are asked for, too.
        mask, se: whether the model is told where a value is missing, and each value's standard error.
    """

    refs: tuple[str, ...]
    service: str | None
    views: Path | None
    mask: bool
    se: bool


@dataclass(frozen=True)
class SplitConfig:
    """`[split]`: training rows are before `valid_from`, those until `test_from` choose the epoch, the rest is the test."""

    valid_from: datetime
    test_from: datetime


@dataclass(frozen=True)
class ModelConfig:
    """`[model]`.

    Attributes:
        kind: `linear` is a logistic regression where the target is binary.
        task: None: binary if every training label is 0 or 1.
        reference: whether a histogram gradient boosting is trained beside it, for its metrics only.
    """

    kind: Kind = "mlp"
    task: Task | None = None
    hidden: tuple[int, ...] = (32, 16)
    epochs: int = 10
    batch_size: int = 4096
    learning_rate: float = 0.003
    weight_decay: float = 0.0
    seed: int = 0
    reference: bool = False


@dataclass(frozen=True)
class CollectConfig:
    """`[collect]`: what to collect first where there is no store yet, as `covey run` does."""

    views: Path
    events: Path
    client_column: str
    time_column: str
    site_column: str | None
    budget: str
    in_process: bool


@dataclass(frozen=True)
class TrainConfig:
    """One file; its relative paths are those from its own folder.

    Attributes:
        name: of the model, in the registry.
        text: the file.
    """

    name: str
    store: Path
    labels: LabelsConfig
    features: FeaturesConfig
    split: SplitConfig
    model: ModelConfig
    collect: CollectConfig | None
    text: str = field(repr=False)

    @classmethod
    def load(cls, path: Path, store: Path | None = None) -> Self:
        """Read a file; `store` counts instead of the one that it names.

        Raises:
            TrainConfigInvalid: names the section, the key and the mend. ModelInvalid: the model's name.
        """
        try:
            text = path.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except OSError as error:
            raise TrainConfigInvalid(str(path), f"it cannot be read ({error.strerror})") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TrainConfigInvalid(str(path), f"it is not TOML: {error}") from None
        root = _Section(path, "", content)
        require_name(root.text("name"))
        named = root.path("store", None)
        return cls(
            root.text("name"),
            store or named or root.fail("store", 'write store = "DIR", or give --store DIR'),
            _labels(root.section("labels")),
            _features(root.section("features")),
            _split(root.section("split")),
            _model(root.section("model", needed=False)),
            _collect(root.section("collect")) if "collect" in content else None,
            text,
        )


def _labels(given: _Section) -> LabelsConfig:
    rename = given.table("rename")
    if any(type(value) is not str for value in rename.values()):
        given.fail("rename", 'write rename = {join_key = "column of the labels"}')
    constants = given.table("constants")
    if any(type(value) not in (str, int, bool, float) for value in constants.values()):
        given.fail("constants", "values are texts, numbers or booleans")
    return LabelsConfig(
        given.path("file"),
        given.text("time"),
        given.text("target"),
        given.text("outcome_time", None),
        rename,
        constants,
        given.texts("columns"),
        given.number("max_missing", 0.5, least=0.0, most=1.0),
    )


def _features(given: _Section) -> FeaturesConfig:
    refs, service = given.texts("refs"), given.text("service", None)
    if bool(refs) == (service is not None):
        given.fail("refs", 'write refs = ["view:feature", …] or service = "name", one of them')
    return FeaturesConfig(
        refs, service, given.path("views", None), given.flag("mask", default=True), given.flag("se", default=False)
    )


def _split(given: _Section) -> SplitConfig:
    split = SplitConfig(given.moment("valid_from"), given.moment("test_from"))
    if not split.valid_from < split.test_from:
        given.fail("test_from", "it comes after valid_from: the model is chosen before it is tested")
    return split


def _model(given: _Section) -> ModelConfig:
    usual = ModelConfig()
    hidden = given.values.get("hidden", list(usual.hidden))
    if (
        not isinstance(hidden, list)
        or not all(type(one) is int and 1 <= one <= 4096 for one in hidden)
        or len(hidden) > 8
    ):
        given.fail("hidden", "write a list of up to 8 layer sizes, such as [32, 16]")
    return ModelConfig(
        cast("Kind", given.word("kind", usual.kind, KINDS)),
        cast("Task | None", given.word("task", None, TASKS)),
        tuple(hidden),
        given.whole("epochs", usual.epochs),
        given.whole("batch_size", usual.batch_size),
        given.number("learning_rate", usual.learning_rate, least=1e-9, most=10.0),
        given.number("weight_decay", usual.weight_decay, least=0.0, most=10.0),
        given.whole("seed", usual.seed, least=0),
        given.flag("reference", default=usual.reference),
    )


def _collect(given: _Section) -> CollectConfig:
    return CollectConfig(
        given.path("views"),
        given.path("events"),
        given.text("client_column"),
        given.text("time_column"),
        given.text("site_column", None),
        str(given.number("budget", 0.1, least=1e-6, most=1e6)),
        given.flag("in_process", default=False),
    )


_NEEDED: Final = object()


class _Section:
    """One section; each method takes one key, checked."""

    def __init__(self, path: Path, name: str, values: Mapping[str, Any]) -> None:
        self._path, self._name, self.values = path, name, values
        for key in values:
            if key not in KEYS[name]:
                close = difflib.get_close_matches(key, KEYS[name], 1) or difflib.get_close_matches(
                    key, [one for keys in KEYS.values() for one in keys], 1
                )
                meant = f"; did you mean {_where(close[0], name)}?" if close else "."
                self.fail(key, f"unknown key{meant} Known are {', '.join(KEYS[name])}")

    def fail(self, key: str, message: str) -> Any:
        """Raise TrainConfigInvalid."""
        where = f"[{self._name}] {key[:80]}" if self._name else key[:80]
        raise TrainConfigInvalid(str(self._path), f"{where}: {message}")

    def section(self, name: str, *, needed: bool = True) -> _Section:
        """A section below this one."""
        value = self.values.get(name, _NEEDED if needed else {})
        if not isinstance(value, dict):
            self.fail(name, f"write a section [{name}]")
        return _Section(self._path, name, cast("dict[str, Any]", value))

    def text(self, key: str, default: Any = _NEEDED) -> Any:
        """A text that is not empty."""
        return self._typed(key, default, str, '"…"')

    def path(self, key: str, default: Any = _NEEDED) -> Any:
        """A path, from the folder of the file."""
        text = self.text(key, default)
        return default if text is default else self._path.absolute().parent / text

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        return bool(self._typed(key, default, bool, "true|false"))

    def whole(self, key: str, default: int, least: int = 1) -> int:
        """A whole number."""
        value: int = self._typed(key, default, int, "N")
        if not least <= value < 2**31:
            self.fail(key, f"it is a whole number from {least} on, not {value}")
        return value

    def number(self, key: str, default: float, *, least: float, most: float) -> float:
        """A number within bounds."""
        value: float = self._typed(key, default, (int, float), "NUMBER")
        if not least <= value <= most:
            self.fail(key, f"it is from {least:g} to {most:g}, not {value}")
        return float(value)

    def word(self, key: str, default: str | None, words: Sequence[str]) -> str | None:
        """One of some words."""
        value: str | None = self.text(key, default)
        if value != default and value not in words:
            self.fail(key, f"it is {' or '.join(words)}, not {str(value)[:80]!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; default: none."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(type(one) is str for one in value):
            self.fail(key, f'write {key} = ["…", …]')
        return tuple(cast("list[str]", value))

    def table(self, key: str) -> dict[str, Any]:
        """A table; default: an empty one."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"write {key} = {{name = …}}")
        return cast("dict[str, Any]", value)

    def moment(self, key: str) -> datetime:
        """A date, or a date and time; without a zone it is UTC."""
        value = self.values.get(key)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        self.fail(key, f"write a date, such as {key} = 2013-09-01")
        raise AssertionError

    def _typed(self, key: str, default: Any, kind: type | tuple[type, ...], form: str) -> Any:
        value = self.values.get(key, default)
        if value is default and default is not _NEEDED:
            return default
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) and value != ""
        if not fits:
            self.fail(key, f"write {key} = {form}")
        return value


def _where(key: str, section: str) -> str:
    """A key, with the section that it belongs to where that is another one."""
    if key in KEYS[section]:
        return key
    return next(f"[{name}] {key}" if name else key for name, keys in KEYS.items() if key in keys)
