"""Prepare labels for the join of a training set: join keys get the store's names; target, times and plain features are checked.

A column of the labels may have the name of a feature. So columns that are no join key get unique names in the join (`TIME`, …).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.define.entities import ColumnType
from featurestore.define.keys import arrow_type
from featurestore.errors import BadReference
from featurestore.join.labels import Labels, label_times, open_labels
from training.errors import (
    ColumnMissing,
    ColumnNotNumeric,
    LabelsChanged,
    LabelsRefused,
    OutcomeBeforeTime,
    PlainTooLarge,
    TargetMissing,
)

TIME: Final = "\x00time"
TARGET: Final = "\x00target"
OUTCOME: Final = "\x00outcome"
_PLAIN: Final = "\x00plain"


@dataclass(frozen=True)
class Roles:
    """The roles of the columns of labels.

    Attributes:
        time: time at which the features are read.
        target: the target.
        rename: join key or input of an on-demand view → the labels' column that holds it, where the names differ.
        constants: join key or input → its value in every row.
        columns: plain features.
        outcome_time: time at which the target was known.
    """

    time: str
    target: str
    rename: Mapping[str, str]
    constants: Mapping[str, Any]
    columns: tuple[str, ...]
    outcome_time: str | None


def plain_name(index: int) -> str:
    """Return the name of the i-th plain feature in the join."""
    return f"{_PLAIN}{index}"


class TrainingLabels:
    """Opened labels. `reader` returns the rows for the join, once; `digest` identifies the labels.

    Args:
        labels: a `.parquet` or `.csv` file, a table, a pandas frame, or anything with an Arrow stream (Polars).
        needed: join keys and inputs of on-demand views, with their types.
        constant: join keys of constant entities, with their value.

    Raises:
        LabelsRefused: a column is missing or has another type, a name is unknown, or a file cannot be read.
    """

    def __init__(
        self, labels: object, roles: Roles, needed: Mapping[str, ColumnType], constant: Mapping[str, object]
    ) -> None:
        self._source = _as_table(labels)
        self.roles, self._needed = roles, dict(needed)
        _require_known(roles, needed, constant)
        self.columns = {name: roles.rename.get(name, name) for name in needed if name not in roles.constants}
        self._stat = _stat(self._source)
        self._opened()

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of the file, or of the used columns. Raises LabelsChanged: the file has changed."""
        if isinstance(self._source, Path):
            with self._source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.require_unchanged()
            return digest
        sink = _Hash()
        table = self._source.select(self._used()).replace_schema_metadata(None)
        with pa.ipc.new_stream(pa.PythonFile(sink, "w"), table.schema) as stream:
            stream.write_table(table, max_chunksize=2**16)
        return sink.hash.hexdigest()

    @property
    def count(self) -> int | None:
        """Return the number of rows, if it is known before reading."""
        if isinstance(self._source, pa.Table):
            return int(self._source.num_rows)
        if self._source.suffix.lower() == ".parquet":
            return int(pq.read_metadata(self._source).num_rows)
        return None

    def require_unchanged(self) -> None:
        """Check that the file has not changed since it was opened. Raises LabelsChanged."""
        if isinstance(self._source, Path) and _stat(self._source) != self._stat:
            raise LabelsChanged(str(self._source))

    def reader(self, batch_bytes: int = 2**24) -> pa.RecordBatchReader:
        """Return the rows for the join: keys, TIME, TARGET, OUTCOME and plain features. Reading checks them.

        Raises:
            While reading: TargetMissing, PlainTooLarge, OutcomeBeforeTime, LabelsRefused.
        """
        given = self._opened()
        fields = [pa.field(name, given.schema.field(column).type) for name, column in self.columns.items()]
        fields += [
            pa.field(name, arrow_type(self._needed[name])) for name in self.roles.constants if name in self._needed
        ]
        fields += [pa.field(name, given.schema.field(column).type) for name, column in self._checked_columns().items()]
        schema = pa.schema(fields)
        return pa.RecordBatchReader.from_batches(schema, self._batches(given.batches(batch_bytes), schema))

    def _batches(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in batches:
            columns = {name: batch.column(column) for name, column in self.columns.items()}
            for name, value in self.roles.constants.items():
                if name in self._needed:
                    columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), batch.num_rows)
            columns |= {name: batch.column(column) for name, column in self._checked_columns().items()}
            self._check(columns, first)
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)

    def _check(self, columns: Mapping[str, pa.Array], first: int) -> None:
        with np.errstate(over="ignore"):
            is_number = np.isfinite(numbers(columns[TARGET], np.nan).astype(np.float32))
            if not is_number.all():
                raise TargetMissing(self.roles.target, first + int(np.argmin(is_number)))
            for i, column in enumerate(self.roles.columns):
                is_infinite = np.isinf(numbers(columns[plain_name(i)], np.nan).astype(np.float32))
                if is_infinite.any():
                    raise PlainTooLarge(column, first + int(np.argmax(is_infinite)))
        if self.roles.outcome_time is not None:
            (time, known), (outcome, is_known) = (
                label_times(columns[name], column)
                for name, column in ((TIME, self.roles.time), (OUTCOME, self.roles.outcome_time))
            )
            early = known & is_known & (outcome < time)
            if early.any():
                raise OutcomeBeforeTime(self.roles.outcome_time, self.roles.time, first + int(np.argmax(early)))

    def _opened(self) -> Labels:
        """Open the labels again, and check that every needed column exists."""
        types = {column: self._needed[name] for name, column in self.columns.items()}
        try:
            given = open_labels(self._source, types)
        except BadReference as error:
            raise LabelsRefused(str(error)) from None
        roles, schema = self.roles, given.schema
        for column, role in self._named().items():
            if schema.names.count(column) != 1:
                raise ColumnMissing(column, role, schema.names)
        for column in (roles.time, *([roles.outcome_time] if roles.outcome_time else [])):
            try:
                label_times(pa.array([], schema.field(column).type), column)
            except BadReference as error:
                raise LabelsRefused(str(error)) from None
        for column, role in [(roles.target, "target"), *((column, "plain feature") for column in roles.columns)]:
            if not is_numeric(schema.field(column).type):
                raise ColumnNotNumeric(column, role, schema.field(column).type)
        return given

    def _named(self) -> dict[str, str]:
        """Return the role of each column, by its name."""
        roles = self.roles
        outcome = {} if roles.outcome_time is None else {roles.outcome_time: "outcome_time"}
        keys = {column: f"join key {name!r}" for name, column in self.columns.items()}
        return (
            dict.fromkeys(roles.columns, "plain feature")
            | outcome
            | {roles.target: "target", roles.time: "time"}
            | keys
        )

    def _checked_columns(self) -> dict[str, str]:
        """Return the columns that are no join keys, by their names in the join."""
        roles = self.roles
        outcome = {} if roles.outcome_time is None else {OUTCOME: roles.outcome_time}
        plain = {plain_name(i): column for i, column in enumerate(roles.columns)}
        return {TIME: roles.time, TARGET: roles.target} | outcome | plain

    def _used(self) -> list[str]:
        return list(dict.fromkeys([*self.columns.values(), *self._checked_columns().values()]))


def numbers(column: pa.Array, null: float) -> npt.NDArray[np.float64]:
    """Convert a column of numbers or booleans to float64[N]."""
    return np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), null))


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are numbers or truth values."""
    return any(
        is_kind(kind)
        for is_kind in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    )


def _as_table(labels: object) -> pa.Table | Path:
    if isinstance(labels, str | Path):
        return Path(labels)
    if isinstance(labels, pa.Table):
        return labels
    try:
        if type(labels).__module__.partition(".")[0] == "pandas" and hasattr(labels, "columns"):
            return pa.Table.from_pandas(labels, preserve_index=False)
        if hasattr(labels, "__arrow_c_stream__"):
            return pa.table(labels)
    except (pa.ArrowException, ValueError, TypeError) as error:
        reason = "; ".join(map(str, error.args))
        raise LabelsRefused(f"the labels do not fit into Arrow ({reason}); rename, cast or drop that column") from None
    raise LabelsRefused(
        f"labels are a .parquet or .csv file, a pyarrow.Table, a pandas frame, or have an Arrow stream; not {type(labels).__name__}"
    )


def _require_known(roles: Roles, needed: Mapping[str, ColumnType], constant: Mapping[str, object]) -> None:
    for name in roles.rename:
        if name not in needed:
            raise LabelsRefused(_names_nothing("rename", name, needed))
        if name in roles.constants:
            raise LabelsRefused(f"{name!r} is in rename and in constants; remove it from one")
    for name, value in roles.constants.items():
        if name in constant:
            if value != constant[name]:
                raise LabelsRefused(
                    f"constants say {name!r} is {value!r}, but the views' constant entity has {constant[name]!r}"
                )
        elif name not in needed:
            raise LabelsRefused(_names_nothing("constants", name, {**needed, **dict.fromkeys(constant, "string")}))
        else:
            _require_type(name, value, needed[name])
    if len(set(roles.columns)) < len(roles.columns):
        raise LabelsRefused("a plain feature is named twice in columns")


def _require_type(name: str, value: object, kind: ColumnType) -> None:
    fits = {"string": (str,), "int64": (int,), "bool": (bool,), "float64": (int, float)}[kind]
    if not isinstance(value, fits) or (isinstance(value, bool) and kind != "bool"):
        raise LabelsRefused(f"constants say {name!r} is {value!r}, but it is {kind}")


def _names_nothing(argument: str, name: str, known: Mapping[str, object]) -> str:
    mend = "; it maps a join key of the store to a column of the labels" if argument == "rename" else ""
    return f"{argument} names {name!r}, which these features do not need; they need: {', '.join(known) or 'none'}{mend}"


def _stat(source: pa.Table | Path) -> tuple[int, int] | None:
    if not isinstance(source, Path):
        return None
    try:
        stat = source.stat()
    except OSError as error:
        raise LabelsRefused(f"the labels file {source} cannot be read ({error.strerror})") from None
    return stat.st_size, stat.st_mtime_ns


class _Hash:
    """A file that hashes what is written into it."""

    closed = False

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Hash the bytes."""
        self.hash.update(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Do nothing: no file is open."""
