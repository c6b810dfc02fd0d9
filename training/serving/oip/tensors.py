"""The protocol's tensors: a datatype, a shape, and the elements row by row, from bytes or from JSON."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from types import NoneType
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from featurestore.errors import BadRequest, RequestTooLarge
from featurestore.read.messages import MAX_ROWS

SHOWN: Final = 60
"""How many characters of a client's text an error repeats."""

MAX_TENSORS: Final = 1_000
"""The most inputs of a request, and the most outputs that it names."""

Elements: TypeAlias = npt.NDArray[Any] | list[str]

_LENGTH: Final = struct.Struct("<I")
_BF16_SHIFT: Final = 16
_DIMENSIONS: Final = 2


@dataclass(frozen=True)
class Datatype:
    """A type of elements.

    Attributes:
        kind: what stores them in memory and in bytes; None: BYTES, whose elements have their lengths before them.
        contents: the field of gRPC's contents that has them; None: they are sent as raw contents only.
    """

    name: str
    kind: npt.DTypeLike | None
    contents: str | None


BYTES: Final = Datatype("BYTES", None, "bytes_contents")
BF16: Final = Datatype("BF16", "<u2", None)
FP32: Final = Datatype("FP32", "<f4", "fp32_contents")
FP64: Final = Datatype("FP64", "<f8", "fp64_contents")
BOOL: Final = Datatype("BOOL", "?", "bool_contents")
INT64: Final = Datatype("INT64", "<i8", "int64_contents")
_DATATYPES: Final = {
    one.name: one
    for one in (
        *(BYTES, BOOL, FP64, FP32, BF16, INT64),
        Datatype("FP16", "<f2", None),
        Datatype("INT8", "<i1", "int_contents"),
        Datatype("INT16", "<i2", "int_contents"),
        Datatype("INT32", "<i4", "int_contents"),
        Datatype("UINT8", "<u1", "uint_contents"),
        Datatype("UINT16", "<u2", "uint_contents"),
        Datatype("UINT32", "<u4", "uint_contents"),
        Datatype("UINT64", "<u8", "uint64_contents"),
    )
}
DATATYPE_NAMES: Final = tuple(sorted(_DATATYPES))


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a client, whose elements are as many as its shape says.

    Attributes:
        shape: of one or two dimensions; the first one is rows.
        elements: row by row: strings of BYTES, else an array. BF16 is float32 here.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    elements: Elements


@dataclass(frozen=True)
class Head:
    """What a request says of a tensor before its elements."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def of_bytes(self, data: bytes | memoryview) -> Tensor:
        """The tensor of raw bytes. Raises BadRequest: they are fewer or more than the shape needs, or are no such elements."""
        kind = self.datatype.kind
        if kind is None:
            return Tensor(self.name, self.datatype, self.shape, self._strings(data))
        need = self.size * np.dtype(kind).itemsize
        if len(data) != need:
            raise self._refused(f"{len(data):,} bytes; its shape {list(self.shape)} needs {need:,}")
        if self.datatype is BOOL and np.frombuffer(data, np.uint8).max(initial=0) > 1:
            raise self._refused("a byte of BOOL is 0 or 1")
        found = np.frombuffer(data, kind)
        if self.datatype is BF16:
            found = (found.astype(np.uint32) << _BF16_SHIFT).view(np.float32)
        return Tensor(self.name, self.datatype, self.shape, found)

    def of_json(self, data: Any) -> Tensor:
        """The tensor of a JSON list, flat or nested. Raises BadRequest: see `of_bytes`."""
        if not isinstance(data, list):
            raise self._refused("its `data` must be a list")
        flat = self._flat(data)
        if len(flat) != self.size:
            raise self.wrong_number(len(flat))
        return self.of_values(flat)

    def of_values(self, flat: Sequence[Any]) -> Tensor:
        """The tensor of as many values as the shape says. Raises BadRequest: a value is of another type, or does not fit.

        None is NaN, of datatypes that have it: JSON has no NaN.
        """
        kind, types = self.datatype.kind, set(map(type, flat))
        if kind is None:
            if types - {str}:
                raise self._refused("the elements of BYTES are strings")
            return Tensor(self.name, self.datatype, self.shape, list(flat))
        stored = np.dtype(np.float32 if self.datatype is BF16 else kind)
        allowed: set[type] = {bool} if stored.kind == "b" else {int} if stored.kind in "iu" else {int, float, NoneType}
        if types - allowed:
            names = sorted(one.__name__ for one in types - allowed)
            raise self._refused(f"its elements cannot be {', '.join(names)}")
        try:
            with np.errstate(over="ignore"):
                found = np.array(flat, stored)
        except OverflowError:
            raise self._refused(f"an element does not fit into {self.datatype.name}") from None
        return Tensor(self.name, self.datatype, self.shape, found)

    def _flat(self, data: list[Any]) -> list[Any]:
        """The elements of a list that is flat, or nested as the shape is."""
        if len(self.shape) < _DIMENSIONS or not data or not isinstance(data[0], list):
            return data
        if set(map(type, data)) != {list} or len(data) != self.shape[0] or set(map(len, data)) != {self.shape[1]}:
            raise self._refused(f"its `data` is nested, but not as its shape {list(self.shape)}")
        return list(chain.from_iterable(data))

    def _strings(self, data: bytes | memoryview) -> list[str]:
        """The strings of BYTES. Their number is bounded by the bytes that have arrived, whatever the shape says."""
        whole, at, found = memoryview(data), 0, []
        if self.size * _LENGTH.size > len(whole):
            raise self._refused(f"{len(whole):,} bytes are too few for {self.size:,} elements")
        for _ in range(self.size):
            if at + _LENGTH.size > len(whole):
                raise self._refused("an element ends after the data")
            (length,) = _LENGTH.unpack_from(whole, at)
            at += _LENGTH.size
            if length > len(whole) - at:
                raise self._refused("an element ends after the data")
            found.append(whole[at : at + length])
            at += length
        if at != len(whole):
            raise self._refused(f"{len(whole) - at:,} bytes follow its last element")
        return self.texts(found)

    def texts(self, data: Sequence[bytes | memoryview]) -> list[str]:
        """The texts of elements of BYTES. Raises BadRequest: one is not UTF-8."""
        try:
            return [str(one, "utf-8") for one in data]
        except UnicodeDecodeError:
            raise self._refused("the elements of BYTES must be UTF-8") from None

    def wrong_number(self, found: int) -> BadRequest:
        """The error of a tensor that has another number of elements than its shape says."""
        return self._refused(f"{found:,} elements; its shape {list(self.shape)} needs {self.size:,}")

    def _refused(self, why: str) -> BadRequest:
        return BadRequest(f"input {self.name[:SHOWN]!r} ({self.datatype.name}): {why}")


def head_of(name: Any, datatype: Any, shape: Any) -> Head:
    """The head of a tensor. Raises BadRequest, RequestTooLarge: its rows are too many, which is known before they are read."""
    if not isinstance(name, str) or not name:
        raise BadRequest("each of `inputs` needs a `name`, a string")
    found = _DATATYPES.get(datatype) if isinstance(datatype, str) else None
    if found is None:
        raise BadRequest(
            f"input {name[:SHOWN]!r}: datatype {str(datatype)[:SHOWN]!r} is unknown; it may be {', '.join(DATATYPE_NAMES)}"
        )
    if not isinstance(shape, list) or set(map(type, shape)) != {int} or min(shape) < 0:
        raise BadRequest(f"input {name[:SHOWN]!r}: `shape` must be a list of integers of 0 or more")
    if shape[0] > MAX_ROWS:
        raise RequestTooLarge(
            f"input {name[:SHOWN]!r}: {shape[0]:,} rows; at most {MAX_ROWS:,} in one request. Send them in parts"
        )
    if found is BYTES and len(shape) > 1 and shape[1] > 1:  # keys: each string is an object of its own
        raise BadRequest(f"input {name[:SHOWN]!r}: `shape` of BYTES must be [rows] or [rows, 1], not {shape}")
    if len(shape) > _DIMENSIONS:
        raise BadRequest(
            f"input {name[:SHOWN]!r}: `shape` has {len(shape)} dimensions; at most {_DIMENSIONS} are used here"
        )
    return Head(name, found, tuple(shape))


def bytes_of(elements: Elements) -> bytes:
    """The raw bytes of an output."""
    if isinstance(elements, list):
        texts = [one.encode() for one in elements]
        return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
    return elements.astype(elements.dtype.newbyteorder("<"), copy=False).tobytes()
