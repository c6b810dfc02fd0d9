"""Convert joined columns to matrices for training: x, standard errors and mask, one row a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .training_labels import numbers, plain_name

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MatrixColumns:
    """A feature, and the columns of x that it fills.

    Attributes:
        name: name as requested.
        column: column of the join.
        first, width: columns of x; a histogram has one a cell.
        has_se: whether the join has `__se` and `__status` of it; a plain feature is exact and has neither.
    """

    name: str
    column: str
    first: int
    width: int
    has_se: bool


@dataclass(frozen=True)
class MatrixLayout:
    """The columns of x: the requested features in their order, then the plain features."""

    sources: tuple[MatrixColumns, ...]

    @classmethod
    def of(cls, joined: pa.Schema, refs: Sequence[str], plain: Sequence[str]) -> Self:
        """Make the layout of a join with full names."""
        sources: list[MatrixColumns] = []
        columns = [_full_name(ref) for ref in refs] + [plain_name(i) for i in range(len(plain))]
        for i, (name, column) in enumerate(zip([*refs, *plain], columns, strict=True)):
            kind = joined.field(column).type
            width = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
            first = sources[-1].first + sources[-1].width if sources else 0
            sources.append(MatrixColumns(name, column, first, width, i < len(refs)))
        return cls(tuple(sources))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns of x: the reference, or `reference[cell]`."""
        return tuple(
            one.name if one.width == 1 else f"{one.name}[{cell}]" for one in self.sources for cell in range(one.width)
        )


def _full_name(ref: str) -> str:
    view, _, feature = ref.partition(":")
    return f"{view}__{feature}"


def matrices(batch: pa.RecordBatch, layout: MatrixLayout) -> tuple[Floats, Floats, Bools]:
    """Return (x, se, mask) of a joined batch, [N, F] each; x and se are 0 where the mask is not set.

    The se of a plain feature is 0; the se of an on-demand feature is unknown and NaN.
    """
    shape = (batch.num_rows, len(layout.names))
    x, se, mask = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.empty(shape, np.bool_)
    for one in layout.sources:
        column, place = batch.column(one.column), slice(one.first, one.first + one.width)
        is_there = there(column)
        with np.errstate(over="ignore"):
            x[:, place] = _cells(column) if pa.types.is_fixed_size_list(column.type) else numbers(column, 0)[:, None]
            if one.has_se:
                se[:, place] = numbers(batch.column(f"{one.column}__se"), np.nan)[:, None]
        mask[:, place] = is_there[:, None]
        x[~is_there, place], se[~is_there, place] = 0, 0
    return x, se, mask


def there(column: pa.Array) -> Bools:
    """Return bool[N]: whether the value is neither null nor NaN."""
    known: Bools = np.asarray(column.is_valid())
    if pa.types.is_floating(column.type):
        known = known & ~np.asarray(pc.fill_null(pc.is_nan(column), True))
    return known


def _cells(column: pa.FixedSizeListArray) -> npt.NDArray[np.float64]:
    width = column.type.list_size
    flat = column.values.slice(column.offset * width, len(column) * width)
    return numbers(flat, 0).reshape(-1, width)
