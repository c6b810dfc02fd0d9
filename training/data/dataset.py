"""`FeatureDataset`: released features, joined to labels once and read as batches of tensors."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TypedDict

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from base.times import to_us
from featurestore.define.release import Clock
from featurestore.define.services import FeatureService
from featurestore.store import Store
from training.errors import NoLabels, StateRefused, TrainingArgument

from .batch_rows import BatchRows, Buffers, read_rows
from .build_cache import CacheRequest, default_cache_dir, joined_cache
from .cache_files import NO_TIME, Ints, JoinedCache, open_cache
from .cache_report import JoinReport
from .order import Order, Sharding
from .progress import shown
from .store_state import AnyStore
from .training_labels import Roles

_BLOCK_BYTES: Final = 2**18
"""Rows of a shuffled block, enough to read at the speed of a disk."""
_AHEAD_BYTES: Final = 2**22
"""Amount that the thread reads ahead at a time."""
_AHEAD: Final = 1
"""Pieces that are read ahead; two were not faster."""
_STATE: Final = 1


class Meta(TypedDict):
    """The labels of a batch: int64[B] number (−1: padding) and time, µs."""

    row: torch.Tensor
    time: torch.Tensor


class Batch(TypedDict):
    """B rows of F features: x, se float32[B, F]; mask bool[B, F], where x holds a value; y, weight float32[B]."""

    x: torch.Tensor
    mask: torch.Tensor
    se: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    meta: Meta


class FeatureDataset(IterableDataset[Batch]):
    """Batches of features as they were known at each label's time, for `DataLoader(dataset, batch_size=None)`.

    The point-in-time join runs once. Its result is cached for all ranks and later runs. Later publications do not change it: make
    the dataset again to read the newer state.

    Without a value, x and se are 0 and mask is False. The se of a plain feature is 0. The se of an on-demand feature is unknown
    and NaN. Every rank has the same number of batches: rows of weight 0 pad the last ones, so use
    `(weight * loss).sum() / weight.sum().clamp(min=1)`.

    Args:
        store: a store, or the directory or URL of one.
        labels: a `.parquet` or `.csv` file, a `pyarrow.Table`, a pandas or Polars frame.
        features: references `view:feature`, or a feature service or its name; a histogram fills a column of x a cell.
        time: the labels' time column.
        target: the target column, numbers or booleans.
        rename: join key (or input of an on-demand view) → the labels' column that holds it, where the names differ.
        constants: join key (or input) → its value in every row; a constant entity needs none.
        columns: columns of the labels that are plain features; they come last in x.
        outcome_time: column of the time at which the target was known, never before `time`.
        batch_size: B.
        shuffle: read in an order drawn from (seed, epoch), see `set_epoch`.
        shuffle_mb: MB of batches that are shuffled row by row; beyond that, blocks of neighbouring rows are shuffled.
        max_missing: largest share of rows in which a feature may be null.
        cache_dir: folder of joined caches; default: covey/joined in the user's cache folder.
        rank, world_size: the part that this process reads; default: from torch.distributed, if it is initialised.
        memory_limit: see `Store.join`.
        clock: "live" or "replay": join releases of this clock only; None: of both, with a MixedClocks warning if a view has both.

    Attributes:
        report: missing values of the join; `str` formats it as a few lines.
        feature_names: names of the F columns of x.

    Raises:
        TrainingArgument, LabelsRefused, TooMuchMissing, CacheWriteFailed; UnknownView, UnknownFeature, BadReference and what else
        `Store.join` raises.
    """

    def __init__(
        self,
        store: AnyStore | str | Path,
        *,
        labels: Any,
        features: Sequence[str] | FeatureService | str,
        time: str,
        target: str,
        rename: Mapping[str, str] | None = None,
        constants: Mapping[str, str | int | bool | float] | None = None,
        columns: Sequence[str] = (),
        outcome_time: str | None = None,
        batch_size: int = 8192,
        shuffle: bool = False,
        seed: int = 0,
        shuffle_mb: float = 64,
        max_missing: float = 0.5,
        cache_dir: str | Path | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        memory_limit: int | str | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        _require_arguments(batch_size, seed, shuffle_mb, max_missing, rank, world_size)
        roles = Roles(time, target, dict(rename or {}), dict(constants or {}), _listed(columns), outcome_time)
        request = CacheRequest(labels, features, roles, memory_limit, clock)
        folder = default_cache_dir() if cache_dir is None else Path(cache_dir)
        self._cache = _joined(store, request, folder)
        self.report: JoinReport = self._cache.header.report
        self.report.require(max_missing)
        self.feature_names = self._cache.header.names
        self._selected: range | Ints = range(self._cache.rows)
        self._between: list[list[str]] = []
        self._batch_size, self._shuffle, self._seed, self._shuffle_mb = batch_size, shuffle, seed, shuffle_mb
        self._sharding = None if rank is None or world_size is None else Sharding(rank, world_size)
        # shared with worker processes, so that persistent workers receive a new epoch
        self._epoch = _shared_number()
        self._base = self._next = 0
        self._resume = (0, 0)
        self._resumed_by: int | None = None

    @property
    def rows(self) -> int:
        """Return the number of rows of an epoch, over all ranks."""
        return len(self._selected)

    @property
    def epoch(self) -> int:
        """Return the epoch whose order is read."""
        return int(self._epoch)

    def __len__(self) -> int:
        """Return the number of batches of each rank in an epoch."""
        return self._part().batches(self.rows, self._batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Read in the order of this epoch, from its first batch unless a loaded state is in it. It applies to later iterations.

        As with a DistributedSampler, without this call every epoch has the same order.
        """
        if epoch < 0:
            raise TrainingArgument(f"epoch must be 0 or above, not {epoch}")
        if epoch != self.epoch:
            self._resume = (0, 0)
        self._epoch.fill_(epoch)

    def between(self, start: datetime | None, end: datetime | None, *, shuffle: bool | None = None) -> Self:
        """Select the rows with start ≤ time < end. With an outcome time, it must be before the end too (null: never).

        Raises:
            NoLabels: there are no such rows. TrainingArgument: an argument is no datetime.
        """
        cache = self._cache
        for moment in (start, end):
            if not isinstance(moment, datetime | None):
                raise TrainingArgument(f"start and end must be datetimes, not {moment!r}")
        time = cache.small["time"]
        known = cache.small["outcome"] if cache.header.has_outcome else time
        wanted = time != NO_TIME
        if start is not None:
            wanted &= time >= to_us(start)
        if end is not None:
            wanted &= (known < to_us(end)) & (known != NO_TIME)
        selected = np.asarray(self._selected)[wanted[self._selected]]
        if len(selected) == 0:
            raise NoLabels(f"no label has a time from {start} to {end}")
        part = type(self).__new__(type(self))
        part.__dict__.update(self.__dict__)
        first, last = int(selected[0]), int(selected[-1])
        part._selected = range(first, last + 1) if last - first == len(selected) - 1 else selected
        part._between = [*self._between, [str(start), str(end)]]
        part._shuffle = self._shuffle if shuffle is None else shuffle
        part._epoch = _shared_number()
        part._base = part._next = 0
        part._resume = (0, 0)
        return part

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this process in this epoch; after `load_state_dict` only the unread batches."""
        place, is_worker = self._worker(), get_worker_info() is not None
        if is_worker and self._resume != (0, 0) and self._resumed_by not in (None, os.getpid()):
            raise TrainingArgument(
                "a DataLoader with workers would resume from the loaded state in every epoch. Use covey.torch.FeatureLoader or "
                "torchdata's StatefulDataLoader"
            )
        self.begin()
        first = self._base + self._next * place["workers"] + place["worker"]
        return self._batches(self._order(), first, place["workers"], ahead=not is_worker)

    def begin(self) -> None:
        """Begin an epoch, or resume the epoch of a loaded state. For loaders that read in other processes."""
        (self._base, self._next), self._resume = self._resume, (0, 0)

    def lend(self) -> None:
        """Allow workers to resume from a loaded state. The caller calls `begin` when they have it."""
        self._resumed_by = None

    def count(self) -> None:
        """Count one read batch."""
        self._next += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch. For a plain loop without workers, and for torchdata's StatefulDataLoader."""
        place = self._worker()
        first, read = (self._base + self._next, 0) if place["workers"] == 1 else (self._base, self._next)
        return {"epoch": self.epoch, "first": first, "read": read, **place, **self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume, in the next iteration, after the last read batch.

        Raises:
            StateRefused: the state has other rows, another order, or another rank or worker.
        """
        here = self._identity() | (self._worker() if state.get("workers") != 1 else {})
        differs = [
            f"{name} is {state.get(name)!r}, not {value!r}" for name, value in here.items() if state.get(name) != value
        ]
        if not all(isinstance(state.get(name), int) and state[name] >= 0 for name in ("epoch", "first", "read")):
            differs.append("it has no position in an epoch")
        if differs:
            raise StateRefused(*differs)
        self._epoch.fill_(int(state["epoch"]))
        # batches do not depend on the number of workers, so any number of workers can resume
        self._base, self._next = self._resume = int(state["first"]), int(state["read"])
        self._resumed_by = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out mapped files, and keep the rank, which a new process does not know."""
        mapped = (self._cache.folder, self._cache.header.key)
        return {**self.__dict__, "_cache": mapped, "_sharding": self._part()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache = open_cache(*state["_cache"])

    def _batches(self, order: Order, first: int, workers: int, *, ahead: bool) -> Iterator[Batch]:
        """Yield every `workers`-th batch from `first` on; `ahead`: a thread reads ahead."""
        buffers = Buffers()
        if not ahead:
            for batch in range(first, order.batches, workers):
                yield from self._counted(self._read(order, batch, 1, buffers))
            return
        step = max(1, _AHEAD_BYTES // (self._batch_size * self._cache.row_bytes))
        with ThreadPoolExecutor(1, "covey-read-ahead") as thread:
            waiting = deque[Future[BatchRows]]()
            for batch in range(first, order.batches, step):
                waiting.append(thread.submit(self._read, order, batch, min(step, order.batches - batch), buffers))
                if len(waiting) > _AHEAD:
                    yield from self._counted(waiting.popleft().result())
            while waiting:
                yield from self._counted(waiting.popleft().result())

    def _counted(self, rows: BatchRows) -> Iterator[Batch]:
        for batch in _split(rows, self._batch_size):
            self.count()
            yield batch

    def _read(self, order: Order, batch: int, count: int, buffers: Buffers) -> BatchRows:
        rows = self._of_cache(order.rows_of(batch, count))
        return read_rows(self._cache, rows, count * self._batch_size, buffers)

    def _of_cache(self, rows: slice | Ints) -> slice | Ints:
        """Map selected rows to rows of the cache."""
        selected = self._selected
        if not isinstance(selected, range):
            return selected[rows]
        if isinstance(rows, slice):
            return slice(selected.start + rows.start, selected.start + rows.stop)
        return rows + selected.start

    def _order(self) -> Order:
        size, row = self._batch_size, self._cache.row_bytes
        if not self._shuffle:
            return Order(self.rows, size, self._part())
        window = max(1, int(self._shuffle_mb * 1e6) // (row * size)) * size
        block = max(1, _BLOCK_BYTES // row)
        return Order(
            self.rows, size, self._part(), seed=self._seed, epoch=self.epoch, block_rows=block, window_rows=window
        )

    def _part(self) -> Sharding:
        if self._sharding is not None:
            return self._sharding
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return Sharding(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return Sharding(0, 1)

    def _identity(self) -> dict[str, Any]:
        """Return the settings that a state must agree with."""
        part = self._part()
        order = {
            "batch_size": self._batch_size,
            "shuffle": self._shuffle,
            "seed": self._seed,
            "shuffle_mb": self._shuffle_mb,
        }
        place = {"rank": part.rank, "world_size": part.world_size}
        rows = {"key": self._cache.header.key, "between": self._between}
        return {"version": _STATE, **rows, **order, **place}

    def _worker(self) -> dict[str, int]:
        info = get_worker_info()
        return {"worker": 0, "workers": 1} if info is None else {"worker": info.id, "workers": info.num_workers}


def _joined(store: AnyStore | str | Path, request: CacheRequest, folder: Path) -> JoinedCache:
    if isinstance(store, str | Path):
        with Store.open(store) as opened:
            return _joined(opened, request, folder)
    with shown("joined") as progress:
        return joined_cache(store, request, folder, progress)


def _split(rows: BatchRows, size: int) -> Iterator[Batch]:
    """Split rows into batches; each has its own part of the memory."""
    parts = (rows.x, rows.mask, rows.se, rows.y, rows.weight, rows.row, rows.time)
    tensors = [torch.from_numpy(part) for part in parts]
    for at in range(0, len(rows.y), size):
        x, mask, se, y, weight, row, time = (tensor[at : at + size] for tensor in tensors)
        yield {"x": x, "mask": mask, "se": se, "y": y, "weight": weight, "meta": {"row": row, "time": time}}


def _shared_number() -> torch.Tensor:
    number = torch.zeros(1, dtype=torch.int64)
    number.share_memory_()  # type: ignore[no-untyped-call]
    return number


def _listed(columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(columns, str):
        raise TrainingArgument(f"columns must be a list; write [{columns!r}]")
    return tuple(columns)


def _require_arguments(
    batch_size: int, seed: int, shuffle_mb: float, max_missing: float, rank: int | None, world_size: int | None
) -> None:
    if not isinstance(batch_size, int) or batch_size < 1:
        raise TrainingArgument(f"batch_size must be 1 or above, not {batch_size}")
    if seed < 0:
        raise TrainingArgument(f"seed must be 0 or above, not {seed}")
    if not 0 < shuffle_mb < math.inf:
        raise TrainingArgument(f"shuffle_mb must be above 0, not {shuffle_mb}")
    if not 0 <= max_missing <= 1:
        raise TrainingArgument(f"max_missing must be from 0 to 1, not {max_missing}")
    if (rank is None) != (world_size is None):
        raise TrainingArgument("rank and world_size need each other: give both or neither")
    if rank is not None and world_size is not None and not 0 <= rank < world_size:
        raise TrainingArgument(f"rank must be from 0 to {world_size - 1}, not {rank}")
