"""Score the rows of a file: a point-in-time join, the matrices that training has, and the model, one batch after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.define.decoded import Status
from featurestore.define.release import Clock
from featurestore.define.schema import status_codes
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from training.data.matrix import MatrixLayout, matrices
from training.data.training_labels import TIME
from training.errors import ScoreColumnTaken
from training.serving.arrays import Arrays, Floats32
from training.serving.kinds.runner import Runner
from training.serving.signature import ModelSignature

from .rows import OpenedRows, RowsToScore

BATCH: Final = 4_096
BATCH_S: Final = 60.0
"""How long a foreign model may take for a batch, which is larger than those of a server."""
_MULTIPLE: Final = 64
"""The kernels of PyTorch compute the last rows of a batch in another way, unless their number is a multiple of this."""
_SCORES: Final = (
    pa.field("prediction", pa.float32()),
    pa.field("version", pa.int32()),
    pa.field("epoch", pa.int64()),
    pa.field("statuses", pa.string()),
)
"""The columns that the output adds to those of the file."""


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """The rows of a file with their predictions, as they are computed. Reading raises what the join and the model raise."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def score(
    store: Store,
    model: RegisteredModel,
    runner: Runner,
    rows: RowsToScore,
    clock: Clock | None = None,
    batch: int = BATCH,
) -> ScoredRows:
    """Score the rows of a file with a version of a model.

    A row without a time has no prediction. `statuses` is OK, or counts what differs from it among the row's features,
    such as `2 NOT_FOUND`. `epoch` is that of the store at the start.

    Args:
        clock: see `Store.join`.
        batch: rows that the model gets at a time.

    Raises:
        ColumnMissing, ColumnNotNumeric, BadReference: the file does not fit the model. ScoreColumnTaken: a kept column has the
            name of a new one. MemoryLimitTooSmall and others, as `Store.join`.
    """
    refs = list(ModelSignature.of(model).features)
    opened = rows.opened(store.key_types(refs))
    for one in opened.kept:
        if one.name in {new.name for new in _SCORES}:
            raise ScoreColumnTaken(one.name)
    epoch = store.blocks.require().epoch
    joined = store.join(opened.reader(), refs, TIME, full_names=True, intervals=False, clock=clock)
    layout = MatrixLayout.of(joined.schema, refs, rows.columns)
    schema = pa.schema([*opened.kept, *_SCORES])
    return ScoredRows(schema, _scored(joined, opened, layout, runner, schema, (model.version, epoch), batch))


def _scored(
    joined: pa.RecordBatchReader,
    opened: OpenedRows,
    layout: MatrixLayout,
    runner: Runner,
    schema: pa.Schema,
    origin: tuple[int, int],
    most: int,
) -> Iterator[pa.RecordBatch]:
    """Yield the scored batches; `origin` is the version of the model and the epoch of the store."""
    for whole in joined:
        for first in range(0, whole.num_rows, most):
            batch = whole.slice(first, most)
            has_time = batch.column(TIME).is_valid()
            prediction = pc.if_else(has_time, pa.array(_predicted(runner, batch, layout, most)), None)
            constants = [
                pa.repeat(pa.scalar(value, schema.field(name).type), batch.num_rows)
                for name, value in zip(("version", "epoch"), origin, strict=True)
            ]
            statuses = pc.if_else(has_time, _summaries(batch, layout), "no time")
            yield pa.RecordBatch.from_arrays(
                [*opened.kept_columns(batch), prediction, *constants, statuses], schema=schema
            )


def _predicted(runner: Runner, batch: pa.RecordBatch, layout: MatrixLayout, most: int) -> Floats32:
    """Run the model on a batch that is filled up with empty rows, as training does.

    The last bit of a row's prediction depends on how many rows the model gets, so that number is always the same.
    """
    x, se, mask = matrices(batch, layout)
    missing = ((0, -(-most // _MULTIPLE) * _MULTIPLE - batch.num_rows), (0, 0))
    filled = Arrays(np.pad(x, missing), np.pad(mask, missing), np.pad(se, missing))
    return runner.run(filled)[: batch.num_rows]


def _summaries(batch: pa.RecordBatch, layout: MatrixLayout) -> pa.Array:
    """A text for each row that counts the statuses of its stored features. Rows have few different combinations."""
    codes = [status_codes(batch.column(f"{one.column}__status")) for one in layout.sources if one.has_se]
    _, first, which = np.unique(_combinations(codes), return_index=True, return_inverse=True)
    counts = [np.bincount([one[row] for one in codes], minlength=len(Status)) for row in first]
    return pa.array(map(_summary, counts), pa.string()).take(pa.array(which))


def _combinations(codes: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.int64]:
    """A number for each row, which is equal for rows with the same counts of statuses: their digits, if they fit int64."""
    base = len(codes) + 1
    if base ** (len(Status) - 1) < 2**63:
        digits = np.array([0, *(base**i for i in range(len(Status) - 1))], np.int64)  # the number of OKs follows
        keys: npt.NDArray[np.int64] = np.sum([digits[one] for one in codes], axis=0, dtype=np.int64)
        return keys
    counts = np.zeros((len(codes[0]), len(Status)), np.int64)
    for one in codes:
        counts[np.arange(len(one)), one] += 1
    return np.unique(counts, axis=0, return_inverse=True)[1].reshape(-1)


def _summary(counts: npt.NDArray[np.int64]) -> str:
    """`OK`, or what differs from it."""
    parts = [f"{counts[status]} {status.name}" for status in Status if status is not Status.OK and counts[status]]
    return ", ".join(parts) or "OK"
