"""The rows of a file that are scored: join keys under the store's names, plain features, and what goes to the output.

A column of the file may have the name of a feature. So columns that are no join keys get unique names in the join.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, assert_never

import numpy as np
import pyarrow as pa

from featurestore.define.entities import ColumnType
from featurestore.define.keys import arrow_type
from featurestore.errors import BadReference
from featurestore.join.labels import Labels, label_times, open_labels
from training.data.training_labels import TIME, is_numeric, numbers, plain_name
from training.errors import ColumnMissing, ColumnNotNumeric, PlainTooLarge

_KEPT: Final = "\x00kept"


@dataclass(frozen=True)
class AtLabelTimes:
    """Each row gets the values that were released at its time.

    Attributes:
        column: the file's time column.
    """

    column: str


@dataclass(frozen=True)
class AtOnce:
    """Every row gets the values that are the newest at one moment, µs since the epoch."""

    now_us: int


Moment = AtLabelTimes | AtOnce


@dataclass(frozen=True)
class RowsToScore:
    """A file of rows, and the role of its columns.

    Attributes:
        columns: the plain features of the model.
        rename: join key or input of an on-demand view → the file's column that holds it, where the names differ.
        constants: join key or input → its value in every row.
        kept: the file's columns that the output has; None: all of them.
    """

    file: Path
    moment: Moment
    columns: tuple[str, ...]
    rename: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str | int | bool | float] = field(default_factory=dict)
    kept: tuple[str, ...] | None = None

    def opened(self, needed: Mapping[str, ColumnType]) -> OpenedRows:
        """Open the file.

        Args:
            needed: join keys and inputs of on-demand views, with their types.

        Raises:
            BadReference: the file cannot be read, or `rename` names no key. ColumnMissing, ColumnNotNumeric: a column is missing
                or has another type.
        """
        for name in self.rename:
            if name not in needed or name in self.constants:
                known = ", ".join(key for key in needed if key not in self.constants)
                raise BadReference(f"{name!r} is no join key of this model; it needs: {known or 'none'}")
        keys = {name: self.rename.get(name, name) for name in needed if name not in self.constants}
        given = open_labels(self.file, {column: needed[name] for name, column in keys.items()})
        return OpenedRows(self, given, keys, needed)


class OpenedRows:
    """An opened file. `reader` returns its rows for the join, once.

    Attributes:
        kept: the fields of the output that come from the file.
    """

    def __init__(
        self, rows: RowsToScore, given: Labels, keys: Mapping[str, str], needed: Mapping[str, ColumnType]
    ) -> None:
        self._rows, self._given = rows, given
        schema = given.schema
        roles = dict.fromkeys(schema.names if rows.kept is None else rows.kept, "kept column")
        roles |= dict.fromkeys(rows.columns, "plain feature")
        roles |= {column: f"join key {name!r}" for name, column in keys.items()}
        match rows.moment:
            case AtLabelTimes(column):
                roles[column] = "time"
            case AtOnce():
                pass
            case _:
                assert_never(rows.moment)
        for column, role in roles.items():
            if schema.names.count(column) != 1:
                raise ColumnMissing(column, role, schema.names)
        for column in rows.columns:
            if not is_numeric(schema.field(column).type):
                raise ColumnNotNumeric(column, "plain feature", schema.field(column).type)
        self.kept: tuple[pa.Field, ...] = tuple(
            schema.field(name) for name in (schema.names if rows.kept is None else rows.kept)
        )
        self._sources = {**keys, **{plain_name(i): column for i, column in enumerate(rows.columns)}}
        self._constants = {
            name: pa.scalar(value, arrow_type(needed[name])) for name, value in rows.constants.items() if name in needed
        }
        if isinstance(rows.moment, AtLabelTimes):
            self._sources[TIME] = rows.moment.column
            label_times(pa.array([], schema.field(rows.moment.column).type), rows.moment.column)

    def reader(self, batch_bytes: int = 2**24) -> pa.RecordBatchReader:
        """The rows for the join: keys, TIME, plain features, and the kept columns. Reading checks the plain features.

        Raises:
            While reading: PlainTooLarge. BadReference: the rest of the file cannot be read.
        """
        schema = self._given.schema
        fields = [pa.field(name, schema.field(column).type) for name, column in self._sources.items()]
        fields += [pa.field(name, value.type) for name, value in self._constants.items()]
        if isinstance(self._rows.moment, AtOnce):
            fields.append(pa.field(TIME, pa.timestamp("us", "UTC")))
        fields += [pa.field(f"{_KEPT}{i}", one.type) for i, one in enumerate(self.kept)]
        return pa.RecordBatchReader.from_batches(pa.schema(fields), self._batches(pa.schema(fields), batch_bytes))

    def kept_columns(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The kept columns of a joined batch."""
        return [batch.column(f"{_KEPT}{i}") for i in range(len(self.kept))]

    def _batches(self, schema: pa.Schema, batch_bytes: int) -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in self._given.batches(batch_bytes):
            columns = {name: batch.column(column) for name, column in self._sources.items()}
            columns |= {name: pa.repeat(value, batch.num_rows) for name, value in self._constants.items()}
            if isinstance(self._rows.moment, AtOnce):
                now = pa.scalar(self._rows.moment.now_us, pa.timestamp("us", "UTC"))
                columns[TIME] = pa.repeat(now, batch.num_rows)
            columns |= {f"{_KEPT}{i}": batch.column(one.name) for i, one in enumerate(self.kept)}
            _require_finite(self._rows.columns, columns, first)
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _require_finite(plain: Sequence[str], columns: Mapping[str, pa.Array], first: int) -> None:
    for i, column in enumerate(plain):
        with np.errstate(over="ignore"):
            is_infinite = np.isinf(numbers(columns[plain_name(i)], np.nan).astype(np.float32))
        if is_infinite.any():
            raise PlainTooLarge(column, first + int(np.argmax(is_infinite)))
