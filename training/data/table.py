"""A view's latest rows inside a model: a lookup is an index on the device, and releases arrive without a stop.

    v       float32[2, K + 1, F]  two halves; row K of each is that of every key outside the domain
    active  int64[]               which half counts

A refresh fills the idle half in place, then `active` becomes another tensor. A forward that has begun keeps the `active` that
it took, in Python as in compiled code, whose buffers are arguments; as long as one is alive, its half is not written to. So
a forward is of one epoch, and neither side waits: that is read-copy-update, with the reference count of `active` as its clock.
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
from featurestore.define.entities import Entity, Key
from featurestore.define.keys import domain_index
from featurestore.define.references import REFERENCE
from featurestore.define.services import FeatureService, refs_of
from featurestore.errors import FeatureStoreError, OnlineUnavailable
from featurestore.read.answer import Keys, key_table
from featurestore.read.messages import MAX_NUMBERS, MAX_ROWS
from featurestore.read.vectors import Reader, Vectors
from featurestore.registry.watch import POLL_S
from featurestore.remote.store import RemoteReader, RemoteStore
from featurestore.store import Store
from training.errors import TableBusy, TableInvalid

REMOTE_POLL_S: Final = 1.0
"""How often a table looks for a new epoch behind a feature server: a request each time."""
PATIENCE_S: Final = 10.0
"""How long a refresh waits for the forwards that still read the half that it is to write."""
_LOOK_S: Final = 0.001
_TRIES: Final = 5

Floats32 = npt.NDArray[np.float32]


class FeatureTable(nn.Module):
    """The latest values of some features for every key of their entity, as a module without parameters.

    Values are cast to float32 once; a null is 0, and its mask column 0. Columns are the references in their order (a histogram
    has one a cell), then, if asked for, their masks, then their standard errors. Features of constant entities stand in
    every row, row K too.

    A copy (`copy.deepcopy`, `pickle`) has no store: it stays on the rows that it was copied with. Export a copy.

    Args:
        store: a local or remote store; the table reads it until `close`.
        features: references of stored features, `view:feature`, or a service. Views that are not constant share join keys.
        device: where the table lives; default: the CPU.
        mask, se: whether there are columns of masks (1: there is a value) and of standard errors.

    Raises:
        TableInvalid: features of several entities, or computed on demand. BadReference, UnknownView, UnknownFeature.

    Attributes:
        names: of the columns.
        keys: names of the join keys; none where all entities are constant.
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
        # the memory of what `_retired` refers to: a stream on a GPU may still be about to read it
        self._lent: torch.UntypedStorage | None = None
        self._loaded = False
        self.problem: str | None = None
        """Why the last look of `follow` kept the older rows; None if it did not."""

    @property
    def epoch(self) -> int:
        """Of the store, when the rows that count were read."""
        return self._seen.epoch

    @property
    def unknown(self) -> int:
        """K, the index of a key that is not in the domain."""
        return self.v.size(1) - 1

    def forward(self, keys_index: torch.Tensor) -> torch.Tensor:
        """float32[N, F], the rows of int64[N] of `index_of`; what is outside 0 … K is read as K."""
        active = self.active  # held until the rows are read: a refresh waits for it
        rows = self.v.size(1)
        known = torch.where((keys_index >= 0) & (keys_index < rows), keys_index, rows - 1)
        return self.v.view(-1, self.v.size(2)).index_select(0, known + active * rows)

    def index_of(self, keys: Keys | None = None) -> npt.NDArray[np.int64]:
        """int64[N], the row of each key; K for null, or one outside the domain.

        Args:
            keys: a column for each join key, all of one length; None where all entities are constant.

        Raises:
            BadReference: a join key is missing, or has another type.
        """
        if self._entity is None:
            return np.zeros(1 if keys is None else key_table(keys, {}).num_rows, dtype=np.int64)
        table = key_table(keys, dict(zip(self._entity.keys, self._entity.types, strict=True)))
        index = domain_index(self._entity, [table.column(name) for name in self._entity.keys])
        return np.where(index < 0, self.unknown, index)

    def refresh(self) -> bool:
        """Take up the store's newest epoch; False if the rows are of it already.

        Rows that are older than their view's ttl are null, as in `get`. The ttl is looked at here, so without `follow` a row
        keeps its value until the next refresh.

        Raises:
            TableInvalid: a copy, or a table that is closed. TableBusy: what was exported, or a forward, still holds the rows of
                the release before. StoreCorrupt, OnlineUnavailable, RemoteFailed: the rows stay as they are.
        """
        feed = self._feed
        if feed is None:
            raise TableInvalid("a copy or a closed table stays on its release; make a new table of the store")
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
        """Refresh in a thread whenever the store has a new epoch, or rows become too old, until `close`.

        Args:
            every_s: how often it looks; default: POLL_S, behind a feature server REMOTE_POLL_S.
        """
        feed = self._feed
        if feed is None:
            raise TableInvalid("a copy or a closed table stays on its release; make a new table of the store")
        if feed.thread is None:
            arguments = (weakref.ref(self), feed.stopped, feed.every_s if every_s is None else every_s)
            feed.thread = threading.Thread(target=_follow, args=arguments, name="covey-table", daemon=True)
            feed.thread.start()

    def close(self) -> None:
        """End `follow` and let go of the store, which stays open; the table keeps its rows."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.stopped.set()
            if feed.thread is not None:
                feed.thread.join()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_feed": None, "_retired": None, "_lent": None}

    def _load_from_state_dict(self, *given: Any) -> None:
        """Rows of a state dict are of any release: the next refresh takes up the store's, whatever its epoch is."""
        super()._load_from_state_dict(*given)
        self._loaded = True

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"{len(self.names)} columns, {self.unknown} keys, epoch {self.epoch}"

    def _wait_for_readers(self, stopped: threading.Event) -> None:
        """Wait until nothing reads the idle half: no forward holds its `active`, and what was launched has run."""
        deadline = time.monotonic() + PATIENCE_S
        while self._retired is not None and self._retired() is not None:
            if time.monotonic() > deadline or stopped.wait(_LOOK_S):
                raise TableBusy(PATIENCE_S)
        if self.v.is_cuda:
            torch.cuda.synchronize(self.v.device)

    def _filled(self, rows: Floats32, half: int) -> torch.Tensor:
        """Write the idle half; returns the `active` that names it. On a GPU forwards go on meanwhile, on their own streams."""
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
    """What a table's rows depend on: the epoch, and which views' rows are too old."""

    epoch: int
    expired: bytes


class _Feed:
    """Reads all rows of a table.

    Attributes:
        refreshing: held by the one thread that refreshes.
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
        """What the newest rows depend on: one key of each view is read."""
        vectors = self._read_some(self._probes)
        return _Seen(vectors.epoch, (vectors.status == Status.OUTSIDE_MAX_AGE).tobytes())

    def read(self) -> tuple[Floats32, _Seen]:
        """float32[K + 1, F], all rows, of one epoch. Raises OnlineUnavailable: epochs came faster than they could be read."""
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
    """The entity that all features share, None if all are constant; and a key of each view that is not."""
    store.key_types(refs)  # every reference names something, or this raises
    views = {view.name: view for view in store.views()}
    shared: dict[Key, None] = {}
    first: Entity | None = None
    probes: list[Key] = []
    for ref in refs:
        match = REFERENCE.fullmatch(ref)
        if match is None or match[1] not in views:
            raise TableInvalid(f"{ref!r} is computed on demand; a table holds stored features")
        entity = views[match[1]].entity
        if entity.constant:
            continue
        first = first or entity
        if (entity.keys, entity.types) != (first.keys, first.types):
            raise TableInvalid(
                f"{ref!r} is of {', '.join(entity.keys)} and not of {', '.join(first.keys)}; make one table for each entity"
            )
        shared |= dict.fromkeys(entity.domain)
        probes.append(entity.domain[0])
    if first is None:
        return None, []
    composite = len(first.keys) > 1
    return Entity(first.keys, domain=[key if composite else key[0] for key in shared]), list(dict.fromkeys(probes))


def _as_asked(refs: Sequence[str], names: Sequence[str]) -> list[str]:
    """`view:feature` or `view:feature[cell]`, as `FeatureDataset` calls its columns, for the `view__feature` of a reader."""
    named, left = list[str](), list(names)
    for ref in refs:
        view, _, feature = ref.partition(":")
        full = f"{view.partition('@')[0]}__{feature}"
        while left and left[0].partition("[")[0] == full:
            named.append(ref + left.pop(0)[len(full) :])
    return named


def _follow(table: weakref.ref[FeatureTable], stopped: threading.Event, every_s: float) -> None:
    """Refresh until the table is closed, or nobody has it any more."""
    while not stopped.wait(every_s):
        followed = table()
        if followed is None:
            return
        try:
            followed.refresh()
            followed.problem = None
        except (FeatureStoreError, RuntimeError) as error:  # torch's own, as of a full device, are RuntimeErrors
            followed.problem = str(error)
        del followed
