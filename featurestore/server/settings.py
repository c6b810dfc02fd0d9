"""What the supervisor of a feature server gives its workers. It imports nothing of what answers requests."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from .throttle import Limits, ServerLimits
from .tls import ServerTls

GRACE_S: Final = 5
"""How long running answers may take after SIGTERM."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers.

    Attributes:
        address, names: see `Hosts`.
        grpc: the address of the gRPC service, `host:port`; None: no gRPC.
        tls: the certificate of HTTP and gRPC; None: clear text.
    """

    address: str
    names: tuple[str, ...] = ()
    grpc: str | None = None
    tls: ServerTls | None = None


@dataclass(frozen=True)
class ServerSettings:
    """The settings that all workers of a server share.

    Attributes:
        store: the store's directory.
        keys: whether requests need a key.
        views: the file of on-demand views, which are served, too.
    """

    store: Path
    keys: bool
    limits: ServerLimits
    workers: int
    endpoint: Endpoint
    views: Path | None = None

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        data = json.loads(text)
        limits, endpoint = data["limits"], data["endpoint"]
        return cls(
            Path(data["store"]),
            data["keys"],
            ServerLimits(Limits(**limits["each"]), Limits(**limits["together"]), limits["connections"]),
            data["workers"],
            Endpoint(endpoint["address"], tuple(endpoint["names"]), endpoint["grpc"], _tls(endpoint["tls"])),
            _path(data["views"]),
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _tls(data: dict[str, Any] | None) -> ServerTls | None:
    if data is None:
        return None
    return ServerTls(Path(data["certificate"]), Path(data["key"]), _path(data["authority"]))


@dataclass(frozen=True)
class WorkerFiles:
    """Descriptors that a worker inherits from its supervisor.

    Attributes:
        listening: the socket.
        counts: the file of `Counts`.
        alive: the end of a pipe that the supervisor holds open.
        more_counts: the file of further counters (`WorkerProgram.count_bytes`).
    """

    listening: int
    counts: int
    alive: int
    more_counts: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All descriptors."""
        return (self.listening, self.counts, self.alive, self.more_counts)

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps(self.descriptors)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        return cls(*json.loads(text))
