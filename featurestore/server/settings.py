"""What the supervisor of a feature server gives its workers. It imports nothing of what answers requests."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from .throttle import Limits

GRACE_S: Final = 5
"""How long running answers may take after SIGTERM."""


@dataclass(frozen=True)
class ServerSettings:
    """The settings that all workers of a server share.

    Attributes:
        store: the store's directory.
        address, names: see `Hosts`.
        keys: whether requests need a key.
        limits: the limits of a consumer without own limits.
        views: the file of on-demand views, which are served, too.
        grpc: the address of the gRPC service, `host:port`; None: no gRPC.
    """

    store: Path
    keys: bool
    limits: Limits
    workers: int
    address: str
    names: tuple[str, ...] = ()
    views: Path | None = None
    grpc: str | None = None

    def to_json(self) -> str:
        """For a worker's command line."""
        paths = {"store": str(self.store), "views": None if self.views is None else str(self.views)}
        return json.dumps({**asdict(self), **paths})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        data = json.loads(text)
        views = None if data["views"] is None else Path(data["views"])
        limits, names = Limits(**data["limits"]), tuple(data["names"])
        return cls(
            Path(data["store"]), data["keys"], limits, data["workers"], data["address"], names, views, data["grpc"]
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
