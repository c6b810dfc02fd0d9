"""A store on another machine, read through its feature server. Methods and answers are those of a local store."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

import pyarrow as pa

from base.times import to_us
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import ColumnType
from featurestore.define.release import Clock
from featurestore.define.services import FeatureService, refs_of
from featurestore.define.wire import view_from_bytes
from featurestore.errors import OnlineUnavailable, RemoteFailed, Throttled, UnknownFeatureService, ViewMalformed
from featurestore.join.labels import LabelSource, open_labels
from featurestore.read.answer import Keys, key_table
from featurestore.read.arrow_stream import ipc_bytes, published_of
from featurestore.read.request import Entities
from featurestore.read.vectors import Vectors, as_lists
from featurestore.registry.watch import Published

from .tls import ReaderTls

KEY_VARIABLE: Final = "COVEY_API_KEY"
TRIES: Final = 4
MAX_WAIT_S: Final = 10
"""The longest wait before a retry. If a server asks for a longer one, the caller gets the error."""
LABEL_BYTES: Final = 2**22
"""Bytes of labels that are sent at a time."""

_T = TypeVar("_T")


class Transport(Protocol):
    """The connection to a remote store. Methods raise the errors that the server names, and RemoteFailed."""

    def vectors(self, refs: Sequence[str], entities: Entities, *, intervals: bool) -> Vectors:
        """The newest vectors of some keys; `entities` holds lists of one length."""
        ...

    def read(self, name: str, arguments: Mapping[str, Any], data: Iterable[bytes] | None) -> Iterator[bytes]:
        """A read of `featurestore.server.tables`: sends the bytes of an Arrow IPC stream and yields those of the answer."""
        ...

    def subscribe(self, view: str, after: int | None) -> Iterator[Published]:
        """The panes of a view as they are published, until the connection ends."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class RemoteStore:
    """A remote store, opened for reading; `Store.open("http://…")` and `Store.open("grpc://…")` make it.

    The methods are those of `featurestore.store.Store`. All of them raise RemoteFailed if the server is unreachable.
    """

    def __init__(self, transport: Transport, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport, self._sleep = transport, sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()

    def views(self) -> list[FeatureView]:
        """See `Store.views`."""
        return self._views("views", {})

    def view(self, name: str) -> FeatureView:
        """See `Store.view`."""
        found = self._views("view", {"view": name})
        if len(found) != 1:
            raise RemoteFailed(f"the server sent {len(found)} definitions of view {name[:80]!r}")
        return found[0]

    def _views(self, name: str, arguments: Mapping[str, Any]) -> list[FeatureView]:
        definitions = self._table(name, arguments).column("definition").to_pylist()
        try:
            return [view_from_bytes(data) for data in definitions]
        except ViewMalformed as error:
            raise RemoteFailed(f"the server sent a view that this version of covey cannot read ({error})") from None

    def services(self) -> list[FeatureService]:
        """See `Store.services`."""
        return [FeatureService(row["name"], row["refs"]) for row in self._table("services", {}).to_pylist()]

    def service(self, name: str) -> FeatureService:
        """See `Store.service`."""
        services = {one.name: one for one in self.services()}
        if name not in services:
            raise UnknownFeatureService(name[:80], list(services))
        return services[name]

    def key_types(self, refs: Sequence[str] | FeatureService) -> dict[str, ColumnType]:
        """See `Store.key_types`."""
        rows = self._table("key_types", {"features": list(refs_of(refs))}).to_pylist()
        return {row["name"]: row["type"] for row in rows}

    def get(
        self,
        refs: Sequence[str] | FeatureService,
        keys: Keys | None = None,
        *,
        clamp: bool = False,
        full_names: bool = False,
    ) -> pa.Table:
        """See `Store.get`."""
        arguments = {"features": list(refs_of(refs)), "clamp": clamp, "full_names": full_names}
        return self._table("get", arguments, key_table(keys, {}))

    def reader(self, refs: Sequence[str] | FeatureService, *, intervals: bool = False) -> RemoteReader:
        """See `Store.reader`."""
        return RemoteReader(self._transport, list(refs_of(refs)), self._sleep, intervals=intervals)

    def history(
        self, view: str, start: datetime | None = None, end: datetime | None = None, *, intervals: bool = True
    ) -> pa.Table:
        """See `Store.history`."""
        low, high = (None if one is None else to_us(one) for one in (start, end))
        return self._table("history", {"view": view, "start": low, "end": high, "intervals": intervals})

    def releases(self, view: str) -> pa.Table:
        """See `Store.releases`."""
        return self._table("releases", {"view": view})

    def join(
        self,
        labels: LabelSource,
        features: Sequence[str] | FeatureService,
        time: str,
        *,
        full_names: bool = False,
        intervals: bool = True,
        clock: Clock | None = None,
    ) -> pa.RecordBatchReader:
        """See `Store.join`. The labels go to the server, which joins within its own memory and streams the answer."""
        given = open_labels(labels, self.key_types(features))
        arguments = {
            "features": list(refs_of(features)),
            "time": time,
            "full_names": full_names,
            "intervals": intervals,
            "clock": clock,
        }
        return _opened(self._transport.read("join", arguments, ipc_bytes(given.schema, given.batches(LABEL_BYTES))))

    def clocks(self, features: Sequence[str] | FeatureService) -> dict[str, dict[Clock, int]]:
        """See `Store.clocks`."""
        rows = self._table("clocks", {"features": list(refs_of(features))}).to_pylist()
        return {row["view"]: {"live": row["live"], "replay": row["replay"]} for row in rows}

    def published(self, view: str, after: int) -> list[Published]:
        """See `Store.published`."""
        try:
            return published_of(self._table("published", {"view": view, "after": after}))
        except (TypeError, ValueError) as error:
            raise RemoteFailed(f"the server's answer cannot be read ({error})") from None

    def watch(self, view: str, after: int | None = None) -> Iterator[Published]:
        """See `Store.watch`. A lost connection raises RemoteFailed; a new watch with `after` continues."""
        return self._transport.subscribe(view, after)

    def _table(self, name: str, arguments: Mapping[str, Any], given: pa.Table | None = None) -> pa.Table:
        def send() -> pa.Table:
            data = None if given is None else ipc_bytes(given.schema, given.to_batches())
            return _opened(self._transport.read(name, arguments, data)).read_all()

        return _patiently(send, self._sleep)


class RemoteReader:
    """Reads one feature vector; see `featurestore.read.vectors.Reader`."""

    def __init__(
        self, transport: Transport, refs: list[str], sleep: Callable[[float], None], *, intervals: bool
    ) -> None:
        self._transport, self._refs, self._sleep, self._intervals = transport, refs, sleep, intervals

    def read(self, keys: Mapping[str, Sequence[Any]] | None = None) -> Vectors:
        """See `Reader.read`."""
        entities, _ = as_lists(keys)
        return _patiently(lambda: self._transport.vectors(self._refs, entities, intervals=self._intervals), self._sleep)


def _patiently(send: Callable[[], _T], sleep: Callable[[float], None]) -> _T:
    """Call a server, and retry if it is throttling or its online store is away, and it names a short wait."""
    for _ in range(TRIES - 1):
        try:
            return send()
        except (Throttled, OnlineUnavailable) as error:
            if error.retry_after_s > MAX_WAIT_S:
                raise
            sleep(error.retry_after_s)
    return send()


class _Bytes(io.RawIOBase):
    """A file of the bytes that an iterator yields."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = parts, b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        while not self._left:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._left = part
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _opened(parts: Iterator[bytes]) -> pa.RecordBatchReader:
    """Open the table of an answer. Raises RemoteFailed, at once or while it is read: the answer ends early."""
    try:
        reader = pa.ipc.open_stream(io.BufferedReader(_Bytes(parts), 2**18))
    except (pa.ArrowException, OSError) as error:
        raise RemoteFailed(f"the server's answer is not an Arrow stream ({str(error).splitlines()[0]})") from None

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
            for (
                _
            ) in parts:  # the table has ended; read to the end of the call, which would otherwise count as cancelled
                pass
        except (pa.ArrowException, OSError) as error:
            raise RemoteFailed(f"the server's answer ended early ({str(error).splitlines()[0]})") from None

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def open_remote(url: str, key: str | None, tls: ReaderTls | None = None) -> RemoteStore:
    """Open the store behind a feature server.

    Args:
        url: `http://…`, `https://…`, `grpc://host:port` or `grpcs://host:port`.
        key: an API key; default: the environment variable COVEY_API_KEY.
        tls: for https and grpcs; default: the files that COVEY_TLS_AUTHORITY, COVEY_TLS_CERTIFICATE and COVEY_TLS_KEY name.

    Raises:
        RemoteFailed: the URL is invalid. TlsError: a file of `tls` cannot be used. The server is not called yet.
    """
    scheme, _, rest = url.partition("://")
    tls = ReaderTls.from_environment() if tls is None else tls
    key = key or os.environ.get(KEY_VARIABLE) or None
    match scheme:
        case "http" | "https":
            from .http_transport import HttpTransport

            return RemoteStore(HttpTransport(url, key, tls))
        case "grpc" | "grpcs":
            from .grpc_transport import GrpcTransport

            return RemoteStore(GrpcTransport(rest.rstrip("/"), key, tls if scheme == "grpcs" else None))
        case _:
            raise RemoteFailed(f"{url[:200]!r}: a feature server has a URL with http, https, grpc or grpcs")
