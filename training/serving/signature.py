"""What a registered model takes and gives, as its lineage says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, get_args

from featurestore.errors import StoreCorrupt
from featurestore.registry.models import RegisteredModel

Role: TypeAlias = Literal["values", "mask", "se"]
"""What an input of a foreign model gets: `x`, `mask` or `se` of `training.serving.arrays.Arrays`."""
InputType: TypeAlias = Literal["float32", "float64", "bool"]
Missing: TypeAlias = Literal["nan", "zero"]
"""How a missing value is written into the values of a foreign model."""


@dataclass(frozen=True)
class ForeignInput:
    """An input of a foreign model: [B, F] of its type."""

    name: str
    role: Role
    dtype: InputType


@dataclass(frozen=True)
class ForeignOutput:
    """The output of a foreign model that is the prediction.

    Attributes:
        column: of an output [B, C]; None: the output is [B] or [B, 1].
    """

    name: str
    column: int | None


@dataclass(frozen=True)
class ForeignCall:
    """How a foreign model is called."""

    inputs: tuple[ForeignInput, ...]
    missing: Missing
    output: ForeignOutput

    def to_json(self) -> dict[str, Any]:
        """Return what a lineage has under `call`."""
        return {
            "inputs": [{"name": one.name, "role": one.role, "dtype": one.dtype} for one in self.inputs],
            "missing": self.missing,
            "output": {"name": self.output.name, "column": self.output.column},
        }

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read `call` of a lineage. Raises ValueError, KeyError, TypeError: it is none."""
        inputs = tuple(
            ForeignInput(
                _text(one["name"]), _one_of(one["role"], get_args(Role)), _one_of(one["dtype"], get_args(InputType))
            )
            for one in given["inputs"]
        )
        column = given["output"]["column"]
        if not (column is None or (type(column) is int and column >= 0)):
            raise ValueError(f"column {column!r:.40}")
        output = ForeignOutput(_text(given["output"]["name"]), column)
        return cls(inputs, _one_of(given["missing"], get_args(Missing)), output)


@dataclass(frozen=True)
class ModelSignature:
    """The inputs of a model.

    Attributes:
        features: references, with the version of each view; those of on-demand views have none.
        columns: plain columns, which a request brings.
        constants: values of join keys that no request brings.
        names: F names, in the order of the model's inputs: features (each cell of a histogram), then plain columns.
        call: how a foreign model is called; None: Covey runs the model itself.
    """

    features: tuple[str, ...]
    columns: tuple[str, ...]
    constants: Mapping[str, Any]
    names: tuple[str, ...]
    call: ForeignCall | None

    @classmethod
    def of(cls, model: RegisteredModel) -> Self:
        """Read a model's lineage. Raises StoreCorrupt: it has no signature."""
        lineage = model.lineage
        try:
            features, columns, names = (tuple(map(_text, lineage[key])) for key in ("features", "columns", "names"))
            call = None if lineage.get("call") is None else ForeignCall.of(lineage["call"])
            return cls(features, columns, dict(lineage["constants"]), names, call)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreCorrupt(
                f"the lineage of model {model} does not say what it takes ({type(error).__name__}: {error}); "
                "register it again"
            ) from None


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r:.40} is no text")
    return given


def _one_of(given: Any, choices: tuple[Any, ...]) -> Any:
    if given not in choices:
        raise ValueError(f"{given!r:.40} is none of {', '.join(choices)}")
    return given
