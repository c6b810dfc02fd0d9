"""On-demand views: features that a read computes from stored features and the inputs of the request.

    @on_demand(outputs=["risk"])
    def late_risk(
        late: Annotated[np.ndarray, Feature("dest_delay:late_7d")], hour: Annotated[np.ndarray, Input("int64")]
    ) -> np.ndarray:
        return late * np.where(hour >= 18, 1.3, 1.0)

The function is called with whole batches, one array for each argument. It must compute each row from that row alone; then
joins and reads give the same bits. A row with a null stored feature is null and has that feature's status. A row with a null
input is null (NOT_FOUND). A row for which the function returns NaN is null, too (UNDEFINED).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import BadReference, OnDemandFailed, OnDemandInvalid

from .decoded import Bytes, Floats, Status, value_is_there
from .entities import ColumnType
from .keys import arrow_type
from .references import REFERENCE

Array: TypeAlias = npt.NDArray[Any]
InputValues: TypeAlias = tuple[Array, npt.NDArray[np.bool_]]
"""The values of an input, and which of them are not null."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_EMPTY: Final[Mapping[ColumnType, Any]] = {"float64": np.nan, "int64": 0, "string": "", "bool": False}


@dataclass(frozen=True)
class Feature:
    """Annotates an argument that is a stored feature, `view:feature`: float64[N], or float64[N, cells]; null is NaN."""

    ref: str


@dataclass(frozen=True)
class Input:
    """Annotates an argument that is an input of the request or a column of the labels: [N], of int64, float64, bool or text."""

    kind: ColumnType


@dataclass(frozen=True, eq=False)
class OnDemandView:
    """A declared on-demand view; `@on_demand` makes it.

    Attributes:
        outputs: names of its features, each float64; their references are `name:output`.
        features: the reference of a stored feature for each argument that is one.
        inputs: the kind of each other argument, which is the request's column of the same name.
        function: takes the arguments as arrays and returns float64[N], or a mapping of it by output.
    """

    name: str
    outputs: tuple[str, ...]
    features: Mapping[str, str]
    inputs: Mapping[str, ColumnType]
    function: Callable[..., Any]

    def evaluate(
        self, stored: Mapping[str, tuple[Floats, Bytes]], given: Mapping[str, InputValues], count: int
    ) -> Computed:
        """The outputs of a batch.

        Args:
            stored: values (float64[N] or [N, cells]) and statuses (uint8[N]) by reference.
            given: values by input, from `input_array`.

        Raises:
            OnDemandFailed: the function failed, or its result does not match its declaration.
        """
        arguments: dict[str, Array] = {}
        status = np.zeros(count, np.uint8)
        for argument, ref in self.features.items():
            values, codes = stored[ref]
            is_there = value_is_there(codes)
            arguments[argument] = np.where(is_there[:, None] if values.ndim == 2 else is_there, values, np.nan)
            status = np.where(value_is_there(status) & ~is_there, codes, status)
        for argument in self.inputs:
            values, known = given[argument]
            arguments[argument] = values
            status = np.where(value_is_there(status) & ~known, np.uint8(Status.NOT_FOUND), status)
        return Computed(self._called(arguments, count), status)

    def _called(self, arguments: Mapping[str, Array], count: int) -> dict[str, Floats]:
        try:
            with np.errstate(all="ignore"):
                result = self.function(**arguments)
        except Exception as error:
            raise OnDemandFailed(self.name, f"{type(error).__name__}: {error}") from error
        by_name = result if isinstance(result, Mapping) else {self.outputs[0]: result}
        if set(by_name) != set(self.outputs):
            raise OnDemandFailed(
                self.name,
                f"it returned the outputs {', '.join(map(str, by_name)) or 'none'}, but declares {', '.join(self.outputs)}",
            )
        return {name: self._column(name, by_name[name], count) for name in self.outputs}

    def _column(self, name: str, values: Any, count: int) -> Floats:
        try:
            column = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise OnDemandFailed(self.name, f"output {name!r} is not an array of numbers ({error})") from None
        if column.shape != (count,):
            raise OnDemandFailed(
                self.name, f"output {name!r} has the shape {column.shape}; it must have ({count},), one number a row"
            )
        return column


@dataclass(frozen=True, eq=False)
class Computed:
    """The outputs of a batch.

    Attributes:
        base: uint8[N], the status that the arguments of a row give to all of its outputs.
    """

    values: Mapping[str, Floats]
    base: Bytes

    def output(self, name: str) -> tuple[Floats, Bytes]:
        """float64[N], NaN where it is null, and uint8[N] of `Status`."""
        values = self.values[name]
        undefined = value_is_there(self.base) & np.isnan(values)
        status = np.where(undefined, np.uint8(Status.UNDEFINED), self.base)
        return np.where(value_is_there(status), values, np.nan), status


def on_demand(*, outputs: Sequence[str], name: str | None = None) -> Callable[[Callable[..., Any]], OnDemandView]:
    """Declare an on-demand view; see the module's docstring.

    Args:
        outputs: names of the features that it computes. A function with one output may return the array alone.
        name: the view's name; default: the function's.

    Raises:
        OnDemandInvalid: an argument has no `Feature` or `Input`, or a name is invalid.
    """

    def declare(function: Callable[..., Any]) -> OnDemandView:
        return _declared(name or function.__name__, tuple(outputs), function)

    return declare


def _declared(name: str, outputs: tuple[str, ...], function: Callable[..., Any]) -> OnDemandView:
    for one in (name, *outputs):
        if not _NAME.fullmatch(one):
            raise OnDemandInvalid(
                name,
                f"{one!r} is not a valid name: use lower-case letters, digits and underscores, and start with a letter",
            )
    if not outputs or len(set(outputs)) < len(outputs):
        raise OnDemandInvalid(name, f"outputs must be one or more distinct names, got {list(outputs)}")
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:
        raise OnDemandInvalid(name, f"its annotations cannot be read ({error})") from error
    features: dict[str, str] = {}
    inputs: dict[str, ColumnType] = {}
    for argument in inspect.signature(function).parameters:
        match _mark(hints.get(argument)):
            case Feature(ref) if REFERENCE.fullmatch(ref):
                features[argument] = ref
            case Feature(ref):
                raise OnDemandInvalid(name, f"argument {argument!r}: {ref!r} is not a feature reference (view:feature)")
            case Input(kind) if kind in _EMPTY:
                inputs[argument] = kind
            case Input(kind):
                raise OnDemandInvalid(
                    name, f"argument {argument!r}: an Input must be {', '.join(_EMPTY)}, not {kind!r}"
                )
            case _:
                raise OnDemandInvalid(
                    name,
                    f'argument {argument!r} needs Annotated[…, Feature("view:feature")] or Annotated[…, Input(kind)]',
                )
    return OnDemandView(name, outputs, features, inputs, function)


def _mark(hint: Any) -> Any:
    return get_args(hint)[1] if get_origin(hint) is Annotated else None


def input_array(name: str, kind: ColumnType, values: Any) -> InputValues:
    """An input of a batch as the arrays that a function gets.

    Args:
        values: a list, or an Arrow array.

    Raises:
        BadReference: the values have another type.
    """
    declared = arrow_type(kind)
    try:
        column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
        if kind == "float64" and pa.types.is_integer(column.type):
            column = column.cast(declared, safe=False)
        elif pa.types.is_null(column.type) or _same_kind(column.type, kind):
            column = column.cast(declared)
        else:
            raise BadReference(f"input {name!r} is {kind}, but the given column holds {column.type}")
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise BadReference(f"input {name!r} is {kind}: {str(error).splitlines()[0]}") from None
    known = np.asarray(column.is_valid())
    filled = pc.fill_null(column, pa.scalar(_EMPTY[kind], declared))
    array = np.asarray(filled.to_pylist(), dtype=np.str_) if kind == "string" else np.asarray(filled)
    return array, known


def _same_kind(given: pa.DataType, kind: ColumnType) -> bool:
    if pa.types.is_dictionary(given):
        given = given.value_type
    match kind:
        case "float64":
            return bool(pa.types.is_floating(given))
        case "int64":
            return bool(pa.types.is_integer(given))
        case "string":
            return any(
                is_text(given) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
            )
        case "bool":
            return bool(pa.types.is_boolean(given))


OnDemand: TypeAlias = Mapping[str, OnDemandView]
"""On-demand views by name."""

NO_ON_DEMAND: Final[OnDemand] = MappingProxyType({})


def on_demand_by_name(views: Iterable[OnDemandView], stored: Container[str]) -> OnDemand:
    """On-demand views by name. Raises OnDemandInvalid: two have one name, or one has the name of a stored view."""
    by_name: dict[str, OnDemandView] = {}
    for view in views:
        if view.name in stored:
            raise OnDemandInvalid(view.name, "the store has a feature view of this name; choose another one")
        if by_name.setdefault(view.name, view) is not view:
            raise OnDemandInvalid(view.name, "two on-demand views have this name; rename one of them")
    return MappingProxyType(by_name)
