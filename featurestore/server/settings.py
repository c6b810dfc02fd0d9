"""What the supervisor of a feature server gives its workers. It imports nothing of what answers requests."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from .throttle import Limits, ServerLimits

GRACE_S: Final = 5
"""How long running answers may take after SIGTERM."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers.

    Attributes:
        address, names: see `Hosts`.
        grpc: the address of the gRPC service, `host:port`; None: no gRPC.
    """

    address: str
    names: tuple[str, ...] = ()
    grpc: str | None = None


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
            Endpoint(endpoint["address"], tuple(endpoint["names"]), endpoint["grpc"]),
            None if data["views"] is None else Path(data["views"]),
        )


@dataclass(frozen=True)
class WorkerFiles:
    """Descriptors that a worker inherits from its supervisor.

    Attributes:
        listening: the socket.
        counts: the file of `Counts`.
        alive: the end of a pipe that the supervisor holds open.
    """

    listening: int
    counts: int
    alive: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All descriptors."""
        return (self.listening, self.counts, self.alive)

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps(self.descriptors)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        return cls(*json.loads(text))
