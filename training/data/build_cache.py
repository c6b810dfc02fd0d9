"""Make a joined cache: one point-in-time join, batch by batch, into flat files in a temporary folder, which is then renamed.

The process that makes a cache holds its lock; others wait and then find the cache. A lock ends with its process. On a file
system without locks between machines, several machines may make the same cache, and the first rename counts.

The state of the store is read before the join and again after it (for a server, when its answer is complete). If it changed,
the join runs again. So a cache has one state of the store, which its key names.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.atomic_files import replace_file
from base.disk import reason_of, sync_folder
from base.locks import temporary_lock
from base.user_cache import user_cache
from featurestore.define.release import Clock
from featurestore.define.services import FeatureService, refs_of
from featurestore.join.labels import label_times
from featurestore.join.mixed_clocks import warn_of_mixed_clocks
from featurestore.store import Store
from training.errors import CacheBroken, CacheGone, CacheWriteFailed, NoLabels, StoreBusy

from .cache_files import (
    BITS,
    FORMAT,
    HEADER,
    NO_TIME,
    SE,
    SMALL,
    FileMark,
    Header,
    JoinedCache,
    X,
    open_cache,
    row_dtype,
)
from .findings import Findings
from .matrix import MatrixLayout, matrices
from .store_state import AnyStore, StoreState, store_state_of
from .training_labels import OUTCOME, TARGET, TIME, Roles, TrainingLabels, numbers

_log = logging.getLogger(__name__)

LEFT_BEHIND_S: Final = 86_400
_TRIES: Final = 5

Progress = Callable[[int, int | None], None]
"""Called during a join with the rows done, and the rows in all if known."""


@dataclass(frozen=True)
class CacheRequest:
    """The labels and features of a join.

    Attributes:
        labels: see `TrainingLabels`.
        memory_limit: see `Store.join`; for a local store only.
        clock: see `Store.join`.
    """

    labels: object
    features: Sequence[str] | FeatureService | str
    roles: Roles
    memory_limit: int | str | None = None
    clock: Clock | None = None


def default_cache_dir() -> Path:
    """Return the folder of joined caches: `covey/joined` in XDG_CACHE_HOME, by default ~/.cache."""
    return user_cache() / "joined"


def joined_cache(store: AnyStore, request: CacheRequest, cache_dir: Path, progress: Progress) -> JoinedCache:
    """Find or make the joined cache of these labels and features in the newest state of the store.

    A MixedClocks warning names each view with live and replayed releases, unless the request names one clock.

    Raises:
        LabelsRefused, NoLabels, CacheWriteFailed, StoreBusy; and the errors of `Store.join`.
    """
    refs = list(_refs(store, request.features))
    constant = {
        name: value
        for view in store.views()
        if view.entity.constant
        for name, value in zip(view.entity.keys, view.entity.domain[0], strict=True)
    }
    warn_of_mixed_clocks(store.clocks(refs), request.clock)
    labels = TrainingLabels(request.labels, request.roles, store.key_types(refs), constant)
    digest = labels.digest
    for _ in range(_TRIES):
        snapshot = store_state_of(store, refs)
        key = _key(request, refs, digest, snapshot)
        made = _found_or_made(store, request, refs, labels, snapshot, cache_dir, key, progress)
        if made is not None:
            return made
    raise StoreBusy(_TRIES)


def _refs(store: AnyStore, features: Sequence[str] | FeatureService | str) -> Sequence[str]:
    return store.service(features).refs if isinstance(features, str) else refs_of(features)


def _key(request: CacheRequest, refs: Sequence[str], labels: str, snapshot: StoreState) -> str:
    """Return the hex SHA-256 of everything that determines the content of a cache."""
    told = [FORMAT, refs, labels, snapshot.digest, asdict(request.roles), request.clock]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=repr).encode()).hexdigest()


def _found_or_made(
    store: AnyStore,
    request: CacheRequest,
    refs: Sequence[str],
    labels: TrainingLabels,
    snapshot: StoreState,
    cache_dir: Path,
    key: str,
    progress: Progress,
) -> JoinedCache | None:
    """Find or make the cache of a key; None if the store changed meanwhile."""
    folder = cache_dir / key[:32]
    if (found := _found(folder, key)) is not None:
        return found
    with _writing(cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as held:
        with _writing(cache_dir):
            held.enter_context(temporary_lock(cache_dir / f".{folder.name}.lock"))
        if (found := _found(folder, key)) is not None:
            return found
        with _writing(cache_dir):
            _sweep(cache_dir, folder.name)
            partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=cache_dir))
        try:
            if not _made(store, request, refs, labels, snapshot, partial, key, progress):
                return None
            with _writing(cache_dir):
                _put(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return open_cache(folder, key)


def _sweep(cache_dir: Path, name: str) -> None:
    """Delete folders of killed builders, with the lock held. Recent folders may belong to another machine and stay."""
    for left in cache_dir.glob(f".{name}.*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > LEFT_BEHIND_S:
            shutil.rmtree(left, ignore_errors=True)


def _found(folder: Path, key: str) -> JoinedCache | None:
    """Open the cache of a key, or return None. A damaged cache is reported and deleted."""
    try:
        return open_cache(folder, key)
    except CacheGone:
        if not folder.exists():
            return None
        problem = f"{folder} is not complete"
    except CacheBroken as error:
        problem = str(error)
    _log.warning("%s", problem)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _made(
    store: AnyStore,
    request: CacheRequest,
    refs: Sequence[str],
    labels: TrainingLabels,
    snapshot: StoreState,
    folder: Path,
    key: str,
    progress: Progress,
) -> bool:
    """Join and write all files of a cache into a folder. Return False if the store changed before it was read."""
    limit: dict[str, Any] = {"memory_limit": request.memory_limit} if isinstance(store, Store) else {}
    reader = store.join(labels.reader(), refs, TIME, full_names=True, intervals=False, clock=request.clock, **limit)
    if isinstance(store, Store) and _moved(store, refs, snapshot):  # only labels are left to read
        return False
    layout = MatrixLayout.of(reader.schema, refs, request.roles.columns)
    findings = Findings(snapshot.views, layout, list(labels.columns))
    has_outcome = request.roles.outcome_time is not None
    kind = row_dtype(len(layout.names), has_outcome=has_outcome)
    rows, total = 0, labels.count
    with _Files(folder) as files:
        for batch in reader:
            times = _times(batch, TIME, request.roles.time)
            x, se, mask = matrices(batch, layout)
            small = np.zeros(batch.num_rows, kind)
            small["time"], small["y"] = times, numbers(batch.column(TARGET), 0)
            if kind.names and "outcome" in kind.names:
                small["outcome"] = _times(batch, OUTCOME, request.roles.outcome_time or "")
            small["mask"] = np.packbits(mask, axis=1, bitorder="little")
            for name, values in ((X, x), (SE, se), (SMALL, small)):
                files.put(name, values)
            files.put_bits(BITS, mask.reshape(-1))
            findings.see(batch, times, rows)
            rows += batch.num_rows
            progress(rows, total)
        labels.require_unchanged()
        if rows == 0:
            raise NoLabels("the labels have no rows, so there is nothing to train on")
    if not isinstance(store, Store) and _moved(store, refs, snapshot):
        return False
    header = Header(key, rows, layout.names, has_outcome, findings.report(), files.marks)
    with _writing(folder.parent):
        replace_file(folder / HEADER, header.to_json(), private=False)
    return True


def _moved(store: AnyStore, refs: Sequence[str], snapshot: StoreState) -> bool:
    return store_state_of(store, refs).views != snapshot.views


def _times(batch: pa.RecordBatch, name: str, column: str) -> npt.NDArray[np.int64]:
    times, known = label_times(batch.column(name), column)
    return np.where(known, times, NO_TIME)


def _put(partial: Path, folder: Path) -> None:
    """Rename a complete cache to its final name. If another process was faster, its cache counts."""
    try:
        partial.rename(folder)
    except OSError:
        if not (folder / HEADER).is_file():
            raise
    sync_folder(folder.parent)


@dataclass
class _OpenFile:
    """An open file, and its size and hash so far."""

    file: BufferedWriter
    hash: Any = field(default_factory=hashlib.sha256)
    bits: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))


class _Files:
    """The growing files of a cache. They are complete and on disk at the end of the `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, _OpenFile] = {}
        self.marks: dict[str, FileMark] = {}

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with ExitStack() as closing:
            for one in self._open.values():
                closing.callback(_close, one.file)
            if kind is None:
                for name, one in self._open.items():
                    self._write(one, np.packbits(one.bits, bitorder="little"))
                    with _writing(self._folder.parent):
                        one.file.flush()
                        os.fsync(one.file.fileno())
                    stat = os.fstat(one.file.fileno())
                    self.marks[name] = FileMark(stat.st_size, stat.st_mtime_ns, one.hash.hexdigest())

    def put(self, name: str, values: npt.NDArray[Any]) -> None:
        """Append numbers to a file."""
        self._write(self._file(name), values)

    def put_bits(self, name: str, values: npt.NDArray[np.bool_]) -> None:
        """Append booleans to a file, 8 a byte; an incomplete byte waits."""
        one = self._file(name)
        waiting = np.concatenate([one.bits, values])
        whole = len(waiting) // 8 * 8
        self._write(one, np.packbits(waiting[:whole], bitorder="little"))
        one.bits = waiting[whole:]

    def _file(self, name: str) -> _OpenFile:
        if name not in self._open:
            with _writing(self._folder.parent):
                self._open[name] = _OpenFile((self._folder / name).open("wb"))
        return self._open[name]

    def _write(self, one: _OpenFile, values: npt.NDArray[Any]) -> None:
        data = np.ascontiguousarray(values).view(np.uint8).data
        with _writing(self._folder.parent):
            one.file.write(data)
        one.hash.update(data)


def _close(file: BufferedWriter) -> None:
    """Close a file; what a full disk has refused already is refused once more, as the buffer is written out."""
    with suppress(OSError):
        file.close()


@contextmanager
def _writing(cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheWriteFailed(str(cache_dir), reason_of(error)) from error
