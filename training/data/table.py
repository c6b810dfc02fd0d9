"""The latest rows of a view inside a model: a lookup is an index on the device, and releases arrive without a stop.

    v       float32[2, K + 1, F]  two halves; row K is for every key outside the domain
    active  int64[]               the half that counts

A refresh fills the idle half in place; then `active` becomes another tensor. A running forward keeps its `active`, in Python and
in compiled code, whose buffers are arguments. While that tensor is alive, its half is not overwritten. So a forward reads one
epoch, and neither side waits: this is read-copy-update, with the reference count of `active` as its clock.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from featurestore.define.decoded import Status
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity, Key
from featurestore.define.keys import domain_index
from featurestore.define.services import FeatureService, refs_of
from featurestore.errors import FeatureStoreError, OnlineUnavailable, UnknownView
from featurestore.read.answer import Keys, key_table
from featurestore.read.messages import MAX_NUMBERS, MAX_ROWS
from featurestore.read.vectors import Reader, Vectors
from featurestore.registry.watch import POLL_S
from featurestore.remote.store import RemoteReader, RemoteStore
from featurestore.store import Store
from training.errors import TableBusy, TableInvalid

REMOTE_POLL_S: Final = 1.0
"""Seconds between two requests for the epoch of a feature server."""
PATIENCE_S: Final = 10.0
"""Seconds that a refresh waits for forwards that still read the half to be written."""
_LOOK_S: Final = 0.001
_TRIES: Final = 5

Floats32 = npt.NDArray[np.float32]


class FeatureTable(nn.Module):
    """The latest values of some features for every key of their entity, as a module without parameters.

    Values are cast to float32 once; a null is 0, and its mask column is 0. Columns are the references in their order (a histogram
    has one a cell), then optional masks, then optional standard errors. Features of constant entities are in every row, also in
    row K.

    A copy (`copy.deepcopy`, `pickle`) has no store and keeps its rows. Export a copy.

    Args:
        store: a local or remote store; the table reads it until `close`.
        features: references of stored features, `view:feature`, or a service. Views that are not constant share join keys.
        device: device of the table; default: the CPU.
        mask, se: whether to add columns of masks (1: there is a value) and of standard errors.

    Raises:
        TableInvalid: features have several entities, or are computed on demand. BadReference, UnknownView, UnknownFeature.

    Attributes:
        names: names of the columns.
        keys: names of the join keys; empty if all entities are constant.
    """

    v: torch.Tensor
    active: torch.Tensor

    def __init__(
        self,
        store: Store | RemoteStore,
        features: Sequence[str] | FeatureService,
        device: torch.device | str | None = None,
        *,
        mask: bool = False,
        se: bool = False,
    ) -> None:
        super().__init__()
        self._entity, probes = _entity_of(store, refs_of(features))
        self._feed: _Feed | None = _Feed(store, refs_of(features), self._entity, probes, mask=mask, se=se)
        rows, self._seen = self._feed.read()
        self.names, self.keys = self._feed.names, () if self._entity is None else self._entity.keys
        halves = torch.zeros((2, *rows.shape), dtype=torch.float32)
        halves[0] = torch.from_numpy(rows)
        self.register_buffer("v", halves.to(device))
        self.register_buffer("active", torch.tensor(0, device=self.v.device))
        self._retired: weakref.ref[torch.Tensor] | None = None
        # keeps the memory of `_retired` alive, because a GPU stream may still read it
        self._lent: torch.UntypedStorage | None = None
        self._loaded = False
        self.problem: str | None = None
        """The error because of which the last look of `follow` kept the older rows; None without an error."""

    @property
    def epoch(self) -> int:
        """Return the epoch of the store of the active rows."""
        return self._seen.epoch

    @property
    def unknown(self) -> int:
        """Return K, the index of a key outside the domain."""
        return self.v.size(1) - 1

    def forward(self, keys_index: torch.Tensor) -> torch.Tensor:
        """Return float32[N, F], the rows at int64[N] of `index_of`; an index outside 0 … K counts as K."""
        active = self.active  # held until the rows are read, so that a refresh waits for it
        rows = self.v.size(1)
        known = torch.where((keys_index >= 0) & (keys_index < rows), keys_index, rows - 1)
        return self.v.view(-1, self.v.size(2)).index_select(0, known + active * rows)

    def index_of(self, keys: Keys | None = None) -> npt.NDArray[np.int64]:
        """Return int64[N], the row of each key; K for null or a key outside the domain.

        Args:
            keys: a column for each join key, all of one length; None if all entities are constant.

        Raises:
            BadReference: a join key is missing, or has another type.
        """
        if self._entity is None:
            return np.zeros(1 if keys is None else key_table(keys, {}).num_rows, dtype=np.int64)
        table = key_table(keys, dict(zip(self._entity.keys, self._entity.types, strict=True)))
        index = domain_index(self._entity, [table.column(name) for name in self._entity.keys])
        return np.where(index < 0, self.unknown, index)

    def refresh(self) -> bool:
        """Load the newest epoch of the store. Return False if the rows are already current.

        Rows older than the ttl of their view become null, as in `get`. Only a refresh checks the ttl, so without `follow` a row
        keeps its value until the next refresh.

        Raises:
            TableInvalid: the table is a copy or closed. TableBusy: an exported program or a forward still holds the rows before
                the last refresh. StoreCorrupt, OnlineUnavailable, RemoteFailed: the rows stay as they are.
        """
        feed = self._feed
        if feed is None:
            raise TableInvalid("a copy or a closed table keeps its rows; make a new table from the store")
        with feed.refreshing:
            if feed.look() == self._seen and not self._loaded:
                return False
            rows, seen = feed.read()
            half = 1 - int(self.active)
            self._wait_for_readers(feed.stopped)
            active = self._filled(rows, half)
            self._retired, self._lent = weakref.ref(self.active), self.active.untyped_storage()
            self.active, self._seen, self._loaded = active, seen, False
        return True

    def follow(self, every_s: float | None = None) -> None:
        """Refresh in a thread when the store has a new epoch or rows become too old, until `close`.

        Args:
            every_s: seconds between two looks; default: POLL_S, or REMOTE_POLL_S for a feature server.
        """
        feed = self._feed
        if feed is None:
            raise TableInvalid("a copy or a closed table keeps its rows; make a new table from the store")
        if feed.thread is None:
            arguments = (weakref.ref(self), feed.stopped, feed.every_s if every_s is None else every_s)
            feed.thread = threading.Thread(target=_follow, args=arguments, name="covey-table", daemon=True)
            feed.thread.start()

    def close(self) -> None:
        """Stop `follow` and release the store, which stays open. The table keeps its rows."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.stopped.set()
            if feed.thread is not None:
                feed.thread.join()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_feed": None, "_retired": None, "_lent": None}

    def _load_from_state_dict(self, *given: Any) -> None:
        """Load rows of any release. The next refresh reads the store's rows at any epoch."""
        super()._load_from_state_dict(*given)
        self._loaded = True

    def extra_repr(self) -> str:
        """Return the text that `print` shows."""
        return f"{len(self.names)} columns, {self.unknown} keys, epoch {self.epoch}"

    def _wait_for_readers(self, stopped: threading.Event) -> None:
        """Wait until nothing reads the idle half: no forward holds its `active`, and launched work has run."""
        deadline = time.monotonic() + PATIENCE_S
        while self._retired is not None and self._retired() is not None:
            if time.monotonic() > deadline or stopped.wait(_LOOK_S):
                raise TableBusy(PATIENCE_S)
        if self.v.is_cuda:
            torch.cuda.synchronize(self.v.device)

    def _filled(self, rows: Floats32, half: int) -> torch.Tensor:
        """Write the idle half and return its `active`. On a GPU, forwards continue on their own streams."""
        source = torch.from_numpy(rows)
        if self.v.is_cuda:
            stream: torch.cuda.Stream = torch.cuda.Stream(self.v.device)  # type: ignore[no-untyped-call]
            with torch.cuda.stream(stream):
                self.v[half].copy_(source.pin_memory(), non_blocking=True)
            stream.synchronize()
        else:
            self.v[half].copy_(source)
        return torch.tensor(half, device=self.v.device)


@dataclass(frozen=True)
class _Seen:
    """The state that determines the rows of a table: the epoch, and the views whose rows are too old."""

    epoch: int
    expired: bytes


class _Feed:
    """Reads all rows of a table.

    Attributes:
        refreshing: lock of the thread that refreshes.
        stopped: set by `close`.
    """

    def __init__(
        self,
        store: Store | RemoteStore,
        refs: Sequence[str],
        entity: Entity | None,
        probes: Sequence[Key],
        *,
        mask: bool,
        se: bool,
    ) -> None:
        self._reader: Reader | RemoteReader = store.reader(refs)
        self._mask, self._se = mask, se
        self._keys = [] if entity is None else [*entity.domain, (None,) * len(entity.keys)]
        self._key_names = () if entity is None else entity.keys
        self._probes = list(probes)
        self.every_s = REMOTE_POLL_S if isinstance(store, RemoteStore) else POLL_S
        self.refreshing, self.stopped = threading.Lock(), threading.Event()
        self.thread: threading.Thread | None = None
        named = _as_asked(refs, self._read_some(self._probes).names)
        self.names = (
            *named,
            *((f"{name}__mask" for name in named) if mask else ()),
            *((f"{name}__se" for name in named) if se else ()),
        )
        self._rows_at_once = max(1, min(MAX_ROWS, MAX_NUMBERS // len(named)))

    def look(self) -> _Seen:
        """Read one key of each view to find the newest state."""
        vectors = self._read_some(self._probes)
        return _Seen(vectors.epoch, (vectors.status == Status.OUTSIDE_MAX_AGE).tobytes())

    def read(self) -> tuple[Floats32, _Seen]:
        """Read float32[K + 1, F], all rows of one epoch. Raises OnlineUnavailable: epochs changed faster than the read."""
        for _ in range(_TRIES):
            before = self.look()
            parts = [self._read_some(keys) for keys in self._chunks()]
            if {one.epoch for one in parts} == {before.epoch} and self.look() == before:
                return np.concatenate([self._columns(one) for one in parts]), before
        raise OnlineUnavailable("the store loaded new epochs during the read; refresh again")

    def _chunks(self) -> list[list[Any]]:
        if not self._key_names:
            return [[], []]
        return [self._keys[at : at + self._rows_at_once] for at in range(0, len(self._keys), self._rows_at_once)]

    def _read_some(self, keys: Sequence[Any]) -> Vectors:
        columns: Mapping[str, Sequence[Any]] = {
            name: [key[i] for key in keys] for i, name in enumerate(self._key_names)
        }
        return self._reader.read(columns or None)

    def _columns(self, vectors: Vectors) -> Floats32:
        mask = vectors.mask
        parts = [np.where(mask, vectors.values, 0.0)]
        if self._mask:
            parts.append(mask.astype(np.float64))
        if self._se:
            parts.append(np.where(mask & ~np.isnan(vectors.se), vectors.se, 0.0))
        return np.hstack(parts).astype(np.float32)


def _entity_of(store: Store | RemoteStore, refs: Sequence[str]) -> tuple[Entity | None, list[Key]]:
    """Return the entity of all features (None if all are constant), and a key of each view that is not constant."""
    store.key_types(refs)  # raises if a reference names nothing
    views: dict[str, FeatureView] = {}
    shared: dict[Key, None] = {}
    first: Entity | None = None
    probes: list[Key] = []
    for ref in refs:
        name = ref.partition(":")[0]
        try:
            views[name] = views.get(name) or store.view(name)
        except UnknownView:
            raise TableInvalid(f"{ref!r} is computed on demand; a table holds stored features") from None
        entity = views[name].entity
        if entity.constant:
            continue
        first = first or entity
        if (entity.keys, entity.types) != (first.keys, first.types):
            raise TableInvalid(
                f"{ref!r} has the join keys {', '.join(entity.keys)}, not {', '.join(first.keys)}; make one table for each entity"
            )
        shared |= dict.fromkeys(entity.domain)
        probes.append(entity.domain[0])
    if first is None:
        return None, []
    composite = len(first.keys) > 1
    return Entity(first.keys, domain=[key if composite else key[0] for key in shared]), list(dict.fromkeys(probes))


def _as_asked(refs: Sequence[str], names: Sequence[str]) -> list[str]:
    """Convert the reader's `view__feature` to `view:feature` or `view:feature[cell]`, as in `FeatureDataset`."""
    named, left = list[str](), list(names)
    for ref in refs:
        view, _, feature = ref.partition(":")
        full = f"{view}__{feature}"
        while left and left[0].partition("[")[0] == full:
            named.append(ref + left.pop(0)[len(full) :])
    return named


def _follow(table: weakref.ref[FeatureTable], stopped: threading.Event, every_s: float) -> None:
    """Refresh until the table is closed or deleted."""
    while not stopped.wait(every_s):
        followed = table()
        if followed is None:
            return
        try:
            followed.refresh()
            followed.problem = None
        except (FeatureStoreError, RuntimeError) as error:  # errors of torch, as for a full device, are RuntimeErrors
            followed.problem = str(error)
        del followed
