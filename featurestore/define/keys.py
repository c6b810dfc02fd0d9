"""Join keys: their places in a view's domain, for whole batches, and their order-preserving bytes in RocksDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import BadReference

from .entities import ColumnType, Entity, Key, KeyType, KeyValue

Column: TypeAlias = pa.Array | pa.ChunkedArray

_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_ARROW: Final[Mapping[ColumnType, pa.DataType]] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "float64": pa.float64(),
}


def arrow_type(kind: ColumnType) -> pa.DataType:
    """The Arrow type of a join key, or of an input."""
    return _ARROW[kind]


def domain_columns(entity: Entity) -> list[pa.Array]:
    """The domain as one Arrow array a key column, in the domain's order."""
    return [pa.array([key[i] for key in entity.domain], arrow_type(kind)) for i, kind in enumerate(entity.types)]


def domain_index(entity: Entity, columns: Sequence[Column]) -> npt.NDArray[np.int64]:
    """int64[N]: the place of each row's key in the sorted domain; −1 for null or a key outside the domain.

    Args:
        columns: one array a key column; narrower integers and large or dictionary-encoded strings are accepted, too.

    Raises:
        BadReference: a column has another type. The schema decides it, never a row.
    """
    index: npt.NDArray[np.int64] | None = None
    reached: npt.NDArray[np.int64] | None = None
    for name, kind, values, declared in zip(entity.keys, entity.types, columns, domain_columns(entity), strict=True):
        parts = pc.unique(declared).sort()
        own, given = _index_in(declared, parts), _index_in(key_column(name, kind, values), parts)
        if index is None or reached is None:
            index, reached = given, own
        else:  # (place of the parts before, place of this part) → place among the pairs of the domain
            pairs = np.unique(reached * len(parts) + own)
            index = _place(pairs, np.where((index < 0) | (given < 0), -1, index * len(parts) + given))
            reached = _place(pairs, reached * len(parts) + own)
    if index is None or reached is None:
        raise BadReference("the entity has no keys")
    order = np.empty(len(reached), dtype=np.int64)
    order[reached] = np.arange(len(reached))
    return np.where(index < 0, -1, order[index])


def _index_in(values: Column, parts: pa.Array) -> npt.NDArray[np.int64]:
    found = pc.fill_null(pc.index_in(values, value_set=parts, skip_nulls=True), -1)
    places: npt.NDArray[np.int64] = np.asarray(found).astype(np.int64)
    return places


def _place(pairs: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    at = np.minimum(np.searchsorted(pairs, codes), len(pairs) - 1)
    return np.where(pairs[at] == codes, at, -1)


def key_column(name: str, kind: KeyType, values: Column) -> Column:
    """A column of join keys in the key's own type. A number that does not fit into int64 becomes null.

    Raises:
        BadReference: the column has another type.
    """
    given = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    fits = {
        "string": any(is_text(given) for is_text in _TEXTS),
        "int64": pa.types.is_integer(given),
        "bool": pa.types.is_boolean(given),
    }[kind]
    if not fits and not pa.types.is_null(given):
        raise BadReference(f"join key {name!r} is {kind}, but the given column holds {given}; cast it to {kind}")
    if pa.types.is_uint64(given):  # a number that does not fit into int64 is outside every domain
        values = values.cast(pa.uint64())
        values = pc.if_else(pc.less_equal(values, pa.scalar(2**63 - 1, pa.uint64())), values, None)
    if pa.types.is_dictionary(values.type) and pa.types.is_string_view(
        given
    ):  # Polars makes them; Arrow cannot decode them
        values = values.cast(pa.dictionary(values.type.index_type, pa.string()))
    return values.cast(arrow_type(kind))


def encode_key(key: Key) -> bytes:
    """Bytes in the order of the keys. A string is escaped (00 → 00 FF) and ends in 00 00; an int64 is big-endian with its sign
    flipped."""
    return b"".join(_encode_part(part) for part in key)


def _encode_part(part: KeyValue) -> bytes:
    if isinstance(part, bool):
        return b"\x01" if part else b"\x00"
    if isinstance(part, int):
        return (part + 2**63).to_bytes(8, "big")
    return part.encode().replace(b"\x00", b"\x00\xff") + b"\x00\x00"
