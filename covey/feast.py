"""An online store for Feast: its server and its SDK read a covey store, which feature_store.yaml names.

    online_store:
      type: covey.feast.CoveyOnlineStore
      path: /data/flights        # the directory that `covey serve --store` takes

Rows come from the same snapshots as the rows of `covey serve`: the values are the same, and one answer is of one epoch. Feast
cannot write here, because a store contains only releases. `covey views --feast` writes the definitions.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from feast import Entity, FeatureView
from feast.errors import FeastError, FeastObjectNotFoundException
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.online_stores.online_store import OnlineStore
from feast.online_response import OnlineResponse
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import DoubleList, Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from base.times import from_us
from featurestore.define.decoded import Status, value_is_there
from featurestore.define.on_demand import NO_ON_DEMAND
from featurestore.errors import BadReference, NotFoundError, StoreCorrupt, StoreNotFound
from featurestore.online.blocks import Blocks, Snapshot, open_blocks
from featurestore.online.settings import store_path
from featurestore.online.view_rows import ViewHeader
from featurestore.read.request import Reading, RequestedColumn, RequestedRows, find_columns

Row = tuple[datetime | None, dict[str, Value] | None]
Rows = list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]]

_NULL: Final = Value()
_STATUSES: Final = tuple(Value(string_val=status.name) for status in Status)
_UNPROCESSABLE: Final = 422

_pinned: ContextVar[Snapshot | None] = ContextVar("_pinned", default=None)
"""The snapshot of the current answer: Feast reads each view of an answer separately."""


class CoveyOnlineStoreConfig(FeastConfigBaseModel):
    """The table `online_store` of feature_store.yaml.

    Attributes:
        path: the store's directory; a relative path starts at the folder of feature_store.yaml.
    """

    type: Literal["covey.feast.CoveyOnlineStore"] = "covey.feast.CoveyOnlineStore"
    path: str


class ReadRefused(FeastError):
    """The view has no such join keys, or they have another type."""

    def http_status_code(self) -> int:
        """The status that `covey serve` answers."""
        return _UNPROCESSABLE


class WriteRefused(FeastError):
    """A write by `feast materialize`, `push` or `write_to_online_store`, which a covey store does not accept."""

    def __init__(self, view: str) -> None:
        super().__init__(
            f"Feast cannot write to view {view!r}: a covey store holds releases, and only `covey run` and "
            "`covey start coordinator` publish them. Feast reads a new release without `feast materialize`"
        )

    def http_status_code(self) -> int:
        """The status of a request that can never be served."""
        return _UNPROCESSABLE


class CoveyOnlineStore(OnlineStore):
    """Reads the newest rows of a covey store. Safe for threads and for forked processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[int, Path, Blocks] | None = None

    def get_online_features(self, config: RepoConfig, *given: Any, **named: Any) -> OnlineResponse:
        """See Feast's method; a whole answer is of one epoch."""
        with self._one_epoch(config):
            return super().get_online_features(config, *given, **named)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Row]:
        """The newest rows of some keys, in their order: `pane_end`, and a value for each feature.

        A null value is an empty `Value`. A missing key has only its `__status`, or nothing.

        Raises:
            FeastObjectNotFoundException: the store has no such view or feature. ReadRefused: join keys do not fit.
        """
        names = requested_features or [field.name for field in table.features]
        with self._one_epoch(config) as snapshot:
            try:
                refs = [f"{table.name}:{name}" for name in names]
                requested = find_columns(refs, snapshot, NO_ON_DEMAND, full_names=False, companions=True)
                view = snapshot.find(table.name)
                entities = _entities(view.header, entity_keys)
                reading = Reading(snapshot, NO_ON_DEMAND, entities, len(entity_keys), time.time_ns() // 1_000)
                return _rows(requested, view.header, reading.rows(view))
            except NotFoundError as error:
                raise FeastObjectNotFoundException(str(error)) from error
            except BadReference as error:
                raise ReadRefused(str(error)) from error

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: Rows, progress: Callable[[int], Any] | None
    ) -> None:
        """Refuse. Raises WriteRefused."""
        raise WriteRefused(table.name)

    async def online_write_batch_async(
        self, config: RepoConfig, table: FeatureView, data: Rows, progress: Callable[[int], Any] | None
    ) -> None:
        """Refuse. Raises WriteRefused."""
        raise WriteRefused(table.name)

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Do nothing: `feast apply` changes Feast's registry only."""

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Do nothing: `feast teardown` deletes Feast's own definitions only."""

    @contextmanager
    def _one_epoch(self, config: RepoConfig) -> Iterator[Snapshot]:
        """The snapshot of the current answer, or the newest snapshot."""
        held = _pinned.get()
        if held is not None:
            yield held
            return
        snapshot = self._newest(config)
        token = _pinned.set(snapshot)
        try:
            yield snapshot
        finally:
            _pinned.reset(token)

    def _newest(self, config: RepoConfig) -> Snapshot:
        """The newest snapshot. Raises StoreNotFound; StoreCorrupt: the rows cannot be read."""
        directory = Path(config.repo_path or "") / config.online_store.path
        with self._lock:
            if self._opened is None or self._opened[:2] != (os.getpid(), directory):  # RocksDB does not survive a fork
                if not (store_path(directory) / "registry.db").is_file():
                    raise StoreNotFound(str(directory))
                self._opened = (os.getpid(), directory, open_blocks(directory))
            blocks = self._opened[2]
            blocks.refresh()
            if blocks.problem is not None and not blocks.snapshot.epoch:
                raise StoreCorrupt(blocks.problem)
            return blocks.snapshot


def _entities(header: ViewHeader, entity_keys: Sequence[EntityKey]) -> Mapping[str, list[Any]]:
    """Columns of join keys; none for the placeholder key of a view without entities."""
    columns: dict[str, list[Any]] = {}
    for key in entity_keys:
        for name, value in zip(key.join_keys, key.entity_values, strict=True):
            columns.setdefault(name, []).append(_scalar(value))
    return {name: values for name, values in columns.items() if name in header.keys or name != DUMMY_ENTITY_ID}


def _scalar(value: Value) -> Any:
    kind = value.WhichOneof("val")
    return None if kind is None else getattr(value, kind)


def _rows(requested: Sequence[RequestedColumn], header: ViewHeader, found: RequestedRows) -> list[Row]:
    columns = {one.name: _values(one, found) for one in requested}
    statuses = {one.name for one in requested if one.column.kind == "status"}
    moment = None if header.pane_end is None else from_us(header.pane_end)
    rows: list[Row] = []
    for i, is_there in enumerate(found.has_row.tolist()):
        if is_there:
            rows.append((moment, {name: values[i] for name, values in columns.items()}))
        else:
            rows.append((None, {name: columns[name][i] for name in statuses} or None))
    return rows


def _values(requested: RequestedColumn, found: RequestedRows) -> list[Value]:
    """A column as Feast's values; NaN is null."""
    column, codes = requested.column, found.status(requested.column)
    if column.kind == "status":
        return [_STATUSES[code] for code in codes.tolist()]
    numbers = found.numbers(column).tolist()
    if not column.is_list:
        return [_NULL if number != number else Value(double_val=number) for number in numbers]
    is_there = value_is_there(codes).tolist()
    return [
        Value(double_list_val=DoubleList(val=cells)) if there else _NULL
        for cells, there in zip(numbers, is_there, strict=True)
    ]
