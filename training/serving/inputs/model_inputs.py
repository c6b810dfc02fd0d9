"""The inputs of a model: what a request must give, checked once for the whole request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Self, assert_never

import numpy as np

from base.plain import is_text
from deployment.errors import ModelOutdated
from featurestore.define.entities import ColumnType
from featurestore.define.on_demand import OnDemand
from featurestore.errors import BadReference, RequestTooLarge
from featurestore.online.blocks import Snapshot
from featurestore.read.messages import MAX_ROWS
from featurestore.read.request import find_columns, inputs_of
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from training.errors import InputRefused
from training.serving.arrays import Arrays
from training.serving.ask import Given, Keyed, Raw
from training.serving.signature import ModelSignature

from .input_plan import InputPlan

_PYTHON_TYPES: Final[Mapping[ColumnType, frozenset[type]]] = {
    "string": frozenset((str, NoneType)),
    "int64": frozenset((int, NoneType)),
    "bool": frozenset((bool, NoneType)),
    "float64": frozenset((float, int, NoneType)),
}
_PLAIN_TYPES: Final = _PYTHON_TYPES["float64"] | {bool}
"""Labels may have a plain column of truth values."""
_LAST_FLOAT32: Final = float(np.finfo(np.float32).max)
_FEW: Final = 16
"""Up to so many values, a loop is faster than a call of numpy."""
_SHOWN: Final = 80


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """The inputs of one version of a model.

    Attributes:
        model: `name@v<n>`.
        types: what a request gives: join keys, inputs of on-demand views, and plain columns.
        constants: what all requests have, of those that features need.
        most_rows: the most rows of a request.
    """

    model: str
    signature: ModelSignature
    types: Mapping[str, ColumnType]
    constants: Mapping[str, Any]
    on_demand: OnDemand
    most_rows: int
    _computed: frozenset[str]
    """Inputs of on-demand views. They become Arrow arrays, which have limits that keys do not have."""

    @classmethod
    def of(cls, model: RegisteredModel, signature: ModelSignature, store: Store, most_rows: int = MAX_ROWS) -> Self:
        """The inputs of a model. A join key, or an input of an on-demand view, may be a plain column, too.

        Raises:
            UnknownView, UnknownFeature, BadReference: the store does not have its features. ModelOutdated: a plain column is a
                text now.
        """
        needed = store.key_types(signature.features)
        requested = find_columns(signature.features, store.blocks.require(), store.on_demand, full_names=True)
        given: dict[str, ColumnType] = {name: kind for name, kind in needed.items() if name not in signature.constants}
        for name in signature.columns:
            if given.setdefault(name, "float64") == "string":
                raise ModelOutdated(str(model), f"its plain column {name!r} is a text now")
        return cls(
            str(model),
            signature,
            given,
            {name: value for name, value in signature.constants.items() if name in needed},
            store.on_demand,
            most_rows,
            frozenset(inputs_of(requested)),
        )

    def plan(self, snapshot: Snapshot) -> InputPlan:
        """How the inputs are read in one epoch.

        Raises:
            UnknownView, UnknownVersion, UnknownFeature: the epoch does not have its features. ModelOutdated: they have another
                width.
        """
        return InputPlan(self.model, self.signature, self.constants, snapshot, self.on_demand)

    def require(self, given: Given) -> int:
        """Check the inputs of a request, and return its number of rows.

        Null is a value that is missing, as in training. NaN of a plain column is null, too.

        Raises:
            BadReference: an input is missing, unknown, or has another type. RequestTooLarge: too many rows.
            InputRefused: lists of different lengths, numbers beyond float32 or int64, arrays of another shape.
        """
        match given:
            case Keyed(entities):
                return self._require_lists(entities)
            case Raw(arrays):
                return self._require_arrays(arrays)
            case _:
                assert_never(given)

    def _require_lists(self, entities: Mapping[str, Sequence[Any]]) -> int:
        types = self.types
        if entities.keys() != types.keys():
            raise self._other_names(entities)
        if not types:
            return 1
        for name, values in entities.items():
            if not isinstance(values, list | tuple):
                raise BadReference(f"{name!r} takes a list of values, one a row")
        lengths = {len(values) for values in entities.values()}
        if len(lengths) > 1:
            listed = ", ".join(f"{name} has {len(values):,}" for name, values in entities.items())
            raise InputRefused(f"the lists of a request must have one length, one entry a row; {listed}")
        (rows,) = lengths
        self._require_rows(rows)
        for name, kind in types.items():
            self._require_values(name, kind, entities[name])
        return rows

    def _other_names(self, entities: Mapping[str, Any]) -> BadReference:
        takes = ", ".join(self.types) or "no input"
        for name in self.types:
            if name not in entities:
                return BadReference(f"model {self.model} needs {name!r}; it takes: {takes}")
        unknown = next(name for name in entities if name not in self.types)
        why = "is always the same for this model" if unknown in self.constants else "is no input of it"
        return BadReference(f"model {self.model}: {unknown[:_SHOWN]!r} {why}; it takes: {takes}")

    def _require_rows(self, rows: int) -> None:
        if not rows:
            raise InputRefused("the request has no row; give each input one value a row")
        if rows > self.most_rows:
            raise RequestTooLarge(
                f"{rows:,} rows; model {self.model} takes at most {self.most_rows:,} in one request. Send them in parts"
            )

    def _require_values(self, name: str, kind: ColumnType, values: Sequence[Any]) -> None:
        is_plain, is_computed = name in self.signature.columns, name in self._computed
        allowed = _PLAIN_TYPES if is_plain and kind == "float64" and not is_computed else _PYTHON_TYPES[kind]
        found = set(map(type, values))
        if not found <= allowed:
            wrong = ", ".join(sorted(one.__name__ for one in found - allowed))
            raise BadReference(f"{name!r} is {kind}, but the request holds {wrong}")
        if is_plain:
            _require_float32(name, values)
        if is_computed:
            _require_arrow(name, kind, values)

    def _require_arrays(self, arrays: Arrays) -> int:
        width, shape = len(self.signature.names), arrays.x.shape
        if len(shape) != 2 or shape[1] != width:
            raise InputRefused(f"model {self.model} takes rows of {width:,} features, but x has the shape {shape}")
        self._require_rows(shape[0])
        for name, array, kind in zip(Arrays._fields, arrays, (np.float32, np.bool_, np.float32), strict=True):
            if array.shape != shape or array.dtype != kind:
                raise InputRefused(f"{name} is {array.dtype} of the shape {array.shape}; x has the shape {shape}")
        if not np.isfinite(arrays.x[arrays.mask]).all():
            raise InputRefused("x has a value that is not finite; leave it out with mask")
        se = arrays.se[arrays.mask]
        if np.isinf(se).any() or (se < 0).any():
            raise InputRefused("se has a standard error that is negative or infinite; NaN is an unknown one")
        return int(shape[0])


def _require_float32(name: str, values: Sequence[Any]) -> None:
    if len(values) <= _FEW:
        fits = all(one is None or not abs(one) > _LAST_FLOAT32 for one in values)  # NaN is not greater either
    else:
        try:
            fits = not (np.abs(np.array(values, np.float64)) > _LAST_FLOAT32).any()
        except OverflowError:
            fits = False
    if not fits:
        raise InputRefused(f"{name!r} is infinite or beyond float32; write a smaller number, or null")


def _require_arrow(name: str, kind: ColumnType, values: Sequence[Any]) -> None:
    """Check an input of an on-demand view. A batch holds several requests, and must not fail because of one."""
    known = [one for one in values if one is not None] if None in values else values
    match kind:
        case "int64" if known and (min(known) < -(2**63) or max(known) >= 2**63):
            raise InputRefused(f"{name!r} is beyond int64")
        case "float64":
            try:
                np.array(values, np.float64)
            except OverflowError:
                raise InputRefused(f"{name!r} is beyond float64") from None
        case "string" if not all(map(is_text, known)):
            raise InputRefused(f"{name!r} is not valid Unicode")
        case _:
            pass
