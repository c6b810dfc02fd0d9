"""What the monitor asks of a role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from base.metrics import READY, Meters, Role, Sample
from base.probes import Probe
from base.process_metrics import disk_problem, process_samples


class RoleState(Protocol):
    """The state of one role. A monitor's thread calls it while the role works, so it must not wait for the role."""

    def waits_for(self) -> str | None:
        """What keeps the role from its work; None: it is ready."""
        ...

    def samples(self) -> Iterable[Sample]:
        """The role's own metrics."""
        ...


class Counted:
    """The state of a role that only counts: it is ready while its process works."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def waits_for(self) -> str | None:
        """Nothing."""
        return None

    def samples(self) -> Iterable[Sample]:
        """The counters."""
        return self._meters.samples()


@dataclass(frozen=True)
class Watched:
    """A role as its monitor sees it.

    Attributes:
        folder: the project's directory, on whose disk the role writes.
        started: seconds since the epoch.
    """

    role: Role
    folder: Path
    state: RoleState
    started: float = field(default_factory=lambda: datetime.now(UTC).timestamp())

    def probe(self) -> Probe:
        """The answer of `/readyz`."""
        return Probe(self.role, disk_problem(self.folder) or self.state.waits_for())

    def samples(self) -> list[Sample]:
        """The samples of `/metrics`."""
        ready = Sample(READY, (), float(self.probe().waits_for is None))
        return [*process_samples(self.role, self.folder, self.started), ready, *self.state.samples()]
