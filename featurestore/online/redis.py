"""The online store in Redis or Valkey: the same packed rows as in RocksDB, for readers on many machines.

    covey:{<store id>:<view id>}:<seq>         marker: publication `seq` of the view is complete
    covey:{<store id>:<view id>}:<seq>:<key>   a packed row
    covey:{<store id>:<view id>}:publications  set of the seqs that have keys here

The braces enclose the hash tag: all keys of a view are on one node of a cluster, so one MGET reads them. The store id is
random, so stores may share a server. Each publication has its own keys. They are written before readers learn its number, so
readers never see a part of a publication. Its marker is written last and deleted first. A reader that gets the marker with
its rows has a complete publication. Without the marker a missing row does not mean a missing key: the publication was
replaced, or the server lost it.
"""

from __future__ import annotations

import logging
import math
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import redis
from redis import exceptions
from redis.backoff import EqualJitterBackoff, NoBackoff
from redis.retry import Retry

from base.atomic_files import replace_file
from base.errors import CertificateOfAnotherHost
from base.tls.explain import Handshake
from featurestore.define.keys import encode_key
from featurestore.define.records import RegisteredView
from featurestore.errors import OnlineUnavailable, SettingsInvalid, StoreCorrupt
from featurestore.store_files import writing

from .breaker import Breaker
from .interface import OnlineMarker, marker_from_bytes, marker_to_bytes
from .packing import Packed
from .settings import OnlineUrl, TlsOfUrl

ID_FILE: Final = "online-id"
"""The file in the store's folder with the store id, the prefix of its keys."""
KEYS_AT_ONCE: Final = 10_000
"""Keys of one command: more would delay the server's other clients. A request to the feature server has no more."""
BYTES_AT_ONCE: Final = 4 * 2**20

_ID_BYTES: Final = 8
_AWAY: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterError,
    exceptions.RedisClusterException,
    exceptions.ReadOnlyError,  # a replica, until the client learns of the failover
    exceptions.TryAgainError,
    OSError,
)
"""Errors that the next attempt may not meet."""

_Item: TypeAlias = bytes | str | int
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long to wait for the server, in seconds.

    Attributes:
        connect_s, answer_s: the time limits of a connection and of an answer.
        retries: attempts after the first one.
        first_s, longest_s: the wait before a retry doubles from first to longest; a random part of up to a half is
            subtracted.
    """

    connect_s: float
    answer_s: float
    retries: int
    first_s: float
    longest_s: float

    @property
    def at_most_s(self) -> float:
        """The longest time of one command."""
        return (self.retries + 1) * (self.connect_s + self.answer_s) + self.retries * self.longest_s


READER: Final = Patience(0.5, 1.0, 1, 0.01, 0.05)
WRITER: Final = Patience(2.0, 5.0, 8, 0.1, 2.0)


class _Client(Protocol):
    def execute_command(self, *args: Any) -> Any: ...

    def close(self) -> None: ...


class RedisServer:
    """A server, or a cluster of them, for any thread.

    Args:
        breaks: whether calls fail at once while the server is away; true for readers.
    """

    def __init__(self, url: OnlineUrl, patience: Patience, *, breaks: bool) -> None:
        self.url, self._patience = url, patience
        self._breaker = Breaker(patience.at_most_s) if breaks else None
        self._lock = threading.Lock()
        self._client: _Client | None = None

    def call(self, *command: _Item) -> Any:
        """Send one command, perhaps more than once, and return the answer. Raises OnlineUnavailable."""
        wait = 0.0 if self._breaker is None else self._breaker.wait_s()
        if wait:
            raise OnlineUnavailable(f"the online store {self.url} is away", math.ceil(wait))
        try:
            answer = self._patiently(lambda: self._connected().execute_command(*command))
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
            reason = _tls_reason(self.url.tls) or (str(error).splitlines() or [type(error).__name__])[0]
            if self._breaker is not None and self._breaker.failed():
                _log.warning("the online store %s is away: %s", self.url, reason)
            raise OnlineUnavailable(f"the online store {self.url} does not answer: {reason}") from None
        if self._breaker is not None and self._breaker.passed():
            _log.warning("the online store %s is back", self.url)
        return answer

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _patiently(self, attempt: Callable[[], _T]) -> _T:
        patience = self._patience
        backoff = EqualJitterBackoff(patience.longest_s, patience.first_s)
        return Retry(backoff, patience.retries, _AWAY).call_with_retry(attempt, lambda _: None)

    def _connected(self) -> _Client:
        with self._lock:
            if self._client is None:
                self._client = _client(self.url, self._patience)
            return self._client


def _client(url: OnlineUrl, patience: Patience) -> _Client:
    """A client without its own retries. It connects at the first command; a cluster's client connects at once."""
    options: dict[str, Any] = {
        "socket_connect_timeout": patience.connect_s,
        "socket_timeout": patience.answer_s,
        "retry": Retry(NoBackoff(), 0),
    }
    if url.address.startswith("rediss"):
        options |= {"ssl_check_hostname": True, "ssl_min_version": ssl.TLSVersion.TLSv1_3}
    kind: Any = redis.RedisCluster if url.cluster else redis.Redis
    client: _Client = kind.from_url(url.address, **options)
    return client


def _tls_reason(tls: TlsOfUrl | None) -> str | None:
    """Why TLS with a server fails; None if TLS is not the reason. redis-py's texts are OpenSSL's, and name no file."""
    if tls is None:
        return None
    at = f"the online store at {tls.host}:{tls.port}"
    try:
        context = ssl.create_default_context(cafile=tls.authority)
    except OSError as error:
        return f"{tls.authority} cannot be used ({error.strerror})"
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        return f"{tls.certificate} and {tls.key} cannot be used ({error.strerror})"
    trust, own = tls.authority or "the system's authorities", tls.certificate or "clients without a certificate"
    handshake = Handshake(at, trust, own, CertificateOfAnotherHost(f"the certificate of {at}", tls.host))
    why = handshake.attempt(context, (tls.host, tls.port), tls.host)
    return None if why is None else str(why)


class RedisOnline:
    """The rows of one store on a server."""

    def __init__(self, server: RedisServer, store_id: str) -> None:
        self._server, self._store_id = server, store_id
        self._missed: set[tuple[int, int]] = set()
        """(view, publication) that were requested but missing; each is logged once."""

    @classmethod
    def open_writer(cls, root: Path, url: OnlineUrl) -> Self:
        """Open the rows of the store in a folder for its publisher. The store gets an id if it has none.

        Raises:
            OnlineUnavailable. SettingsInvalid: the server may evict rows. StoreWriteFailed.
        """
        server = RedisServer(url, WRITER, breaks=False)
        _require_no_eviction(server)
        path = root / ID_FILE
        if not path.exists():
            with writing(path):
                replace_file(path, os.urandom(_ID_BYTES).hex(), private=False)
        return cls(server, _id_of(path))

    @classmethod
    def open_reader(cls, root: Path, server: RedisServer) -> Self:
        """Open the rows of the store in a folder for readers, without a call to the server. Raises OnlineUnavailable."""
        try:
            return cls(server, _id_of(root / ID_FILE))
        except FileNotFoundError:
            raise OnlineUnavailable(
                f"the online store {server.url} has no rows of this store yet; the next publication writes them"
            ) from None

    def marker(self, view_id: int) -> OnlineMarker | None:
        """See `OnlineStore`: the marker of the last complete publication."""
        for seq in sorted(self._publications(view_id), reverse=True):
            data = self._server.call("GET", self._marker(view_id, seq))
            if data is not None:
                return marker_from_bytes(data)
        return None

    def put(self, view_id: int, keys: Sequence[bytes], rows: Packed | None, marker: OnlineMarker) -> None:
        """See `OnlineStore`. Raises OnlineUnavailable: the publication is incomplete and has no marker."""
        call, key_of_marker = self._server.call, self._marker(view_id, marker.seq)
        call(
            "SADD", self._of_view(view_id) + b"publications", marker.seq
        )  # the set lists the publication before its first key is written
        call("UNLINK", key_of_marker)
        together: list[bytes] = []
        if rows is not None:
            data = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
            most = max(1, min(KEYS_AT_ONCE, BYTES_AT_ONCE // data.shape[1]))
            for i, key in enumerate(self._rows(view_id, marker.seq, keys)):
                if i and i % most == 0:
                    call("MSET", *together)
                    together = []
                together += (key, data[i].tobytes())
        call("MSET", *together, key_of_marker, marker_to_bytes(marker))

    def retire(self, registered: RegisteredView, keep: Set[int]) -> None:
        """See `OnlineStore`. The marker is deleted first, so readers never see a part of a publication."""
        view_id = registered.view_id
        old = sorted(self._publications(view_id) - keep)
        keys = [encode_key(key) for key in registered.view.entity.domain] if old else []
        for seq in old:
            self._server.call("UNLINK", self._marker(view_id, seq))
            for some in _parts(keys):
                self._server.call("UNLINK", *self._rows(view_id, seq, some))
            self._server.call("SREM", self._of_view(view_id) + b"publications", seq)

    def holds(self, view_id: int, seq: int) -> bool:
        """See `OnlineEpoch`: always true, because `get` checks whether the publication is there."""
        return True

    def get(self, view_id: int, seq: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `OnlineEpoch`. Raises OnlineUnavailable: the server is away or lacks this publication."""
        found: list[bytes | None] = []
        for some in _parts(keys):
            marker, *rows = self._server.call("MGET", self._marker(view_id, seq), *self._rows(view_id, seq, some))
            if marker is None:
                raise self._gone(view_id, seq)
            found += rows
        return found

    def _gone(self, view_id: int, seq: int) -> OnlineUnavailable:
        error = OnlineUnavailable(
            f"the online store {self._server.url} does not hold publication {seq} of view number {view_id}: it was replaced "
            "just now, or the server lost it, and then the next start of the publisher heals it"
        )
        if (view_id, seq) not in self._missed:
            self._missed.add((view_id, seq))
            _log.warning("%s", error)
        return error

    def close(self) -> None:
        """See `OnlineStore`."""
        self._server.close()

    def _of_view(self, view_id: int) -> bytes:
        return b"covey:{%s:%d}:" % (self._store_id.encode(), view_id)

    def _marker(self, view_id: int, seq: int) -> bytes:
        return self._of_view(view_id) + b"%d" % seq

    def _rows(self, view_id: int, seq: int, keys: Sequence[bytes]) -> Iterator[bytes]:
        prefix = self._marker(view_id, seq) + b":"
        return (prefix + key for key in keys)

    def _publications(self, view_id: int) -> set[int]:
        try:
            return {int(one) for one in self._server.call("SMEMBERS", self._of_view(view_id) + b"publications")}
        except ValueError:
            raise StoreCorrupt(f"the list of publications in {self._server.url} was not written by covey") from None


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[first : first + KEYS_AT_ONCE] for first in range(0, len(keys), KEYS_AT_ONCE))


def _id_of(path: Path) -> str:
    text = path.read_text(encoding="ascii", errors="replace")
    if len(text) != 2 * _ID_BYTES or not set(text) <= set("0123456789abcdef"):
        raise StoreCorrupt(
            f"{path} does not hold the id of a store; remove the file, and the next publication makes a new id"
        )
    return text


def _require_no_eviction(server: RedisServer) -> None:
    """Readers cannot distinguish an evicted row from a missing key."""
    said = server.call("INFO", "memory")
    for node in [said] if "maxmemory_policy" in said else said.values():
        if node["maxmemory"] and str(node["maxmemory_policy"]).startswith("allkeys-"):
            raise SettingsInvalid(
                f"{server.url} evicts any key when its memory is full (maxmemory-policy {node['maxmemory_policy']}); "
                "set noeviction there, or a volatile- policy, which leaves these rows alone"
            )
