"""The configuration of `covey train`: labels, features, split and model. An unknown key is an error with a suggestion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self, assert_never

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from base.config import ConfigModel, FilePath, Flag, Real, Text, Texts, checked
from base.errors import ConfigInvalid
from base.toml import parse_toml, toml_text
from featurestore.define.release import Clock
from featurestore.online.settings import directory_of
from featurestore.registry.models import require_name
from training.task import Task

from .deploy_sections import PromoteConfig, ServeConfig

KindName = Literal["linear", "mlp", "monotone"]
Constant = str | int | bool | float


def _constant(value: object) -> Constant:
    if isinstance(value, Decimal):
        return float(value)
    if not isinstance(value, str | int):
        raise ValueError("the values are texts, numbers or booleans")
    return value


def _column_name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('write rename = {join_key = "column of the labels"}')
    return value


def _moment(value: object) -> datetime:
    """A date, or a date and time; without a zone it is UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ValueError(f"write a date such as 2013-09-01, not {str(value)[:80]!r}")


def _layer_sizes(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if len(sizes) > 8 or not all(1 <= size <= 4096 for size in sizes):
        raise ValueError("write a list of up to 8 layer sizes from 1 to 4096, such as [32, 16]")
    return sizes


def _budget(value: object) -> str:
    """Parse a budget as `covey.run` takes it, which also checks that it is a multiple of a millionth."""
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise ValueError(f"write budget = NUMBER, not {str(value)[:80]!r}")
    if not Decimal("1e-6") <= value <= Decimal("1e6"):
        raise ValueError(f"the budget is from 1e-06 to 1e+06, not {value}")
    return str(float(value))


_Moment = Annotated[datetime, PlainValidator(_moment), Field(examples=["2013-09-01"])]
_Count = Annotated[int, Field(ge=1, lt=2**31, examples=["N"])]


@dataclass(frozen=True)
class NeuralNetwork:
    """A network of standardised values, without hidden layers a linear model; `epochs` times over the training rows."""

    hidden: tuple[int, ...]
    epochs: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Monotone:
    """Boosted trees whose prediction only rises, or only falls, with these features. Both empty: it rises with every rate."""

    rising: tuple[str, ...]
    falling: tuple[str, ...]


Learner = NeuralNetwork | Monotone


class LabelsConfig(ConfigModel):
    """`[labels]`: see `FeatureDataset` for all keys except `file`."""

    file: FilePath
    time: Text
    target: Text
    outcome_time: Text | None = None
    rename: Annotated[
        dict[str, Annotated[str, PlainValidator(_column_name)]], Field(examples=['{join_key = "column of the labels"}'])
    ] = Field(default_factory=dict)
    constants: Annotated[dict[str, Annotated[Constant, PlainValidator(_constant)]], Field(examples=["{name = …}"])] = (
        Field(default_factory=dict)
    )
    columns: Texts = ()
    clock: Clock | None = None
    max_missing: Annotated[Real, Field(ge=0.0, le=1.0)] = 0.5


class FeaturesConfig(ConfigModel):
    """`[features]`: references, or the name of a service.

    Attributes:
        views: a file with on-demand views.
        mask, se: whether masks and standard errors are inputs of the model.
    """

    refs: Texts = ()
    service: Text | None = None
    views: FilePath | None = None
    mask: Flag = True
    se: Flag = False

    @model_validator(mode="after")
    def _refs_or_service(self) -> Self:
        if bool(self.refs) == (self.service is not None):
            raise ValueError('write refs = ["view:feature", …] or service = "name", one of them')
        return self


class SplitConfig(ConfigModel):
    """`[split]`: training rows end at `valid_from`; rows until `test_from` choose the epoch; the rest is the test."""

    valid_from: _Moment
    test_from: _Moment

    @field_validator("test_from")
    @classmethod
    def _after_valid_from(cls, test_from: datetime, info: ValidationInfo) -> datetime:
        if "valid_from" in info.data and not info.data["valid_from"] < test_from:
            raise ValueError("it must be after valid_from, because the model is chosen before the test")
        return test_from


class ModelConfig(ConfigModel):
    """`[model]`. Read `learner`, which holds the keys of its kind only.

    Attributes:
        kind: `linear` is a logistic regression for a binary target; `monotone` are boosted trees with directions.
        task: None: binary if every training label is 0 or 1.
        reference: whether to train a histogram gradient boosting too, for its metrics only.
        rising, falling: features with which the prediction of `monotone` only rises, or only falls; see `Monotone`.
    """

    kind: KindName = "mlp"
    task: Task | None = None
    hidden: Annotated[tuple[int, ...], Strict(False), AfterValidator(_layer_sizes), Field(examples=["[32, 16]"])] = (
        32,
        16,
    )
    epochs: _Count = 10
    batch_size: _Count = 4096
    learning_rate: Annotated[Real, Field(ge=1e-9, le=10.0)] = 0.003
    weight_decay: Annotated[Real, Field(ge=0.0, le=10.0)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**31, examples=["N"])] = 0
    reference: Flag = False
    rising: Texts = ()
    falling: Texts = ()

    @model_validator(mode="after")
    def _keys_of_the_kind(self) -> Self:
        networks = {"hidden", "epochs", "learning_rate", "weight_decay"}
        others: dict[KindName, set[str]] = {
            "linear": {"rising", "falling"},
            "mlp": {"rising", "falling"},
            "monotone": networks,
        }
        foreign = sorted(others[self.kind] & self.model_fields_set)
        if foreign:
            owner = 'kind "monotone"' if foreign[0] in others["mlp"] else 'the kinds "linear" and "mlp"'
            raise ValueError(f"{foreign[0]} is a key of {owner}; remove it, or change kind = {self.kind!r}")
        both = sorted({*self.rising} & {*self.falling})
        if both:
            raise ValueError(f"{both[0]!r} is both in rising and in falling; write it in one of them")
        return self

    @property
    def learner(self) -> Learner:
        """Return the kind with its own settings."""
        match self.kind:
            case "linear":
                return NeuralNetwork((), self.epochs, self.learning_rate, self.weight_decay)
            case "mlp":
                return NeuralNetwork(self.hidden, self.epochs, self.learning_rate, self.weight_decay)
            case "monotone":
                return Monotone(self.rising, self.falling)
            case _:
                assert_never(self.kind)


class CollectConfig(ConfigModel):
    """`[collect]`: the collection to run first if there is no store, as `covey run` does."""

    views: FilePath
    events: FilePath
    client_column: Text
    time_column: Text
    site_column: Text | None = None
    budget: Annotated[str, PlainValidator(_budget), Field(examples=["0.1"])] = "0.1"
    in_process: Flag = False


class TrainConfig(ConfigModel):
    """A configuration file; relative paths start at its folder.

    Attributes:
        name: name of the model in the registry.
    """

    name: Text
    store: Annotated[FilePath, Field(examples=['"DIR", or name the store when the model is trained'])]
    labels: LabelsConfig
    features: FeaturesConfig
    split: SplitConfig
    model: ModelConfig = ModelConfig()
    collect: CollectConfig | None = None
    promote: PromoteConfig | None = None
    serve: ServeConfig | None = None

    @field_validator("model")
    @classmethod
    def _trees_take_values_only(cls, model: ModelConfig, info: ValidationInfo) -> ModelConfig:
        features = info.data.get("features")
        if model.kind == "monotone" and features is not None and features.se:
            raise ValueError('kind "monotone" takes no standard errors; remove se = true under [features]')
        return model

    _text: str = PrivateAttr("")

    @property
    def text(self) -> str:
        """Return the text of the file, for the lineage of the model."""
        return self._text

    @classmethod
    def load(cls, path: Path, store: Path | None = None) -> Self:
        """Read a file; `store` replaces the store that it names.

        Raises:
            ConfigInvalid: the error names the section, the key and the mend. ModelInvalid: the name of the model is invalid.
        """
        try:
            text = toml_text(path)
        except FileNotFoundError:
            raise ConfigInvalid(str(path), "the file cannot be read (there is no such file)") from None
        entries = parse_toml(text, path)
        if store is not None:
            entries["store"] = str(store)
        config = checked(cls, entries, path)
        require_name(config.name)
        config = config.model_copy(update={"store": directory_of(config.store if store is None else store)})
        config._text = text
        return config
