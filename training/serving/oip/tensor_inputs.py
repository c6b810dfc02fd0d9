"""What the tensors of a request give a model: rows by key, or features that the client brings.

Only datatypes and shapes are matched here. Names, values and numbers of rows are checked by the model's inputs, as for every
protocol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from featurestore.define.entities import ColumnType
from featurestore.errors import BadRequest
from training.serving.arrays import Arrays, Bools, Floats32
from training.serving.ask import Given, Keyed, Raw

from .tensors import BF16, BOOL, BYTES, FP32, FP64, INT64, Datatype, Tensor

X, MASK, SE = "x", "mask", "se"
RAW: Final = frozenset({X, MASK, SE})
"""The names of the tensors of a client that brings its features."""
DATATYPES: Final[Mapping[ColumnType, Datatype]] = {"string": BYTES, "int64": INT64, "bool": BOOL, "float64": FP64}
"""The datatype of each type of column."""
_MATRIX: Final = 2


def takes_raw(types: Mapping[str, ColumnType]) -> bool:
    """Whether a client may bring the features: no input of the model has the name of one of their tensors."""
    return not RAW & types.keys()


def inputs_of(tensors: Sequence[Tensor], types: Mapping[str, ColumnType]) -> tuple[Given, int]:
    """(what the tensors give, number of rows).

    Args:
        types: what a request by key gives.

    Raises:
        BadRequest.
    """
    by_name = {one.name: one for one in tensors}
    if len(by_name) != len(tensors):
        raise BadRequest("two of `inputs` have the same name")
    if not RAW & by_name.keys() or not takes_raw(types):
        return _keyed(by_name, types), tensors[0].shape[0] if tensors else 1
    if by_name.keys() - RAW:
        raise BadRequest(f"send keys and columns, or the raw features {X}, {MASK} and {SE}, not both")
    if X not in by_name:
        raise BadRequest(f"raw features need the input {X!r}")
    return _raw(by_name[X], by_name.get(MASK), by_name.get(SE)), by_name[X].shape[0]


def _keyed(by_name: Mapping[str, Tensor], types: Mapping[str, ColumnType]) -> Keyed:
    return Keyed({name: _column(tensor, types.get(name)) for name, tensor in by_name.items()})


def _column(tensor: Tensor, kind: ColumnType | None) -> list[Any]:
    """The values of a tensor of one column; kind None: the model does not have it, and says so.

    A number of another datatype is accepted if it converts exactly. NaN becomes null, which is a missing value: an on-demand view
    computes with NaN.
    """
    if len(tensor.shape) == _MATRIX and tensor.shape[1] != 1:
        raise BadRequest(f"input {tensor.name!r}: `shape` must be [rows] or [rows, 1], not {list(tensor.shape)}")
    elements = tensor.elements
    wanted = tensor.datatype if kind is None else DATATYPES[kind]
    if isinstance(elements, list) or wanted is BYTES:
        if tensor.datatype is not wanted:
            raise _other_type(tensor, wanted)
        return list(elements)
    made = elements if wanted is tensor.datatype else _exactly(tensor, elements, wanted)
    found: list[Any] = made.tolist()
    if made.dtype.kind == "f" and np.isnan(made).any():
        found = [None if math.isnan(one) else one for one in found]
    return found


def _exactly(tensor: Tensor, elements: npt.NDArray[Any], wanted: Datatype) -> npt.NDArray[Any]:
    """Numbers in the wanted datatype. Raises BadRequest: one is another number there."""
    if BOOL in (wanted, tensor.datatype):
        raise _other_type(tensor, wanted)
    with np.errstate(all="ignore"):
        made = elements.astype(wanted.kind)
        same = made.astype(elements.dtype) == elements
        match elements.dtype.kind, made.dtype.kind:
            case "f", "f":
                same |= np.isnan(elements)
            case (
                "f",
                _,
            ):  # beyond 2⁶³ each kind of processor converts in its own way: ARM saturates, and so does the way back
                same &= np.abs(elements) < 2.0**63
            case _, "f":
                same &= np.abs(made) < 2.0**63
            case _:
                same &= (made < 0) == (elements < 0)
    if not same.all():
        raise BadRequest(f"input {tensor.name!r}: a value of {tensor.datatype.name} is another number as {wanted.name}")
    return made


def _other_type(tensor: Tensor, wanted: Datatype) -> BadRequest:
    return BadRequest(f"input {tensor.name!r} must be {wanted.name}, not {tensor.datatype.name}")


def _raw(x: Tensor, mask: Tensor | None, se: Tensor | None) -> Raw:
    """Features; without a mask, NaN is where there is no value."""
    for other in (mask, se):
        if other is not None and other.shape != x.shape:
            raise BadRequest(
                f"input {other.name!r}: `shape` must be that of {X}, {list(x.shape)}, not {list(other.shape)}"
            )
    values = _floats(x)
    there = ~np.isnan(values) if mask is None else _bools(mask)
    nothing = np.float32(0)
    errors = np.zeros_like(values) if se is None else np.where(there, _floats(se), nothing)
    return Raw(
        Arrays(np.where(there, values, nothing).reshape(x.shape), there.reshape(x.shape), errors.reshape(x.shape))
    )


def _floats(tensor: Tensor) -> Floats32:
    elements = tensor.elements
    if isinstance(elements, list):
        raise _other_type(tensor, FP32)
    return elements if tensor.datatype in (FP32, BF16) else _exactly(tensor, elements, FP32)


def _bools(tensor: Tensor) -> Bools:
    elements = tensor.elements
    if isinstance(elements, list) or tensor.datatype is not BOOL:
        raise _other_type(tensor, BOOL)
    return elements
