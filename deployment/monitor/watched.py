"""What a monitor shows of a role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from base.metrics import READY, Meters, Role, Sample
from base.probes import Probe
from base.process_metrics import certificate_problem, certificate_samples, disk_problem, process_samples
from base.tls.files import certificate_path
from deployment.project.folders import KEYS


class RoleState(Protocol):
    """The state of one role. A monitor's thread calls it while the role works, so it must not wait for the role."""

    def waits_for(self) -> str | None:
        """What keeps the role from its work; None: it is ready."""
        ...

    def samples(self) -> Iterable[Sample]:
        """The role's own metrics."""
        ...


class ServiceState(RoleState, Protocol):
    """The state of a gRPC service.

    Attributes:
        listening: whether its port is open; set where it is started.
    """

    listening: bool


STARTING: Final = "its own start: its port is not open yet"


class Counted:
    """The state of a service that only counts."""

    def __init__(self, meters: Meters) -> None:
        self.listening = False
        self._meters = meters

    def waits_for(self) -> str | None:
        """Its start."""
        return None if self.listening else STARTING

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
        return Probe(self.role, self._problem() or self.state.waits_for())

    def samples(self) -> list[Sample]:
        """The samples of `/metrics`."""
        ready = Sample(READY, (), float(self.probe().waits_for is None))
        process = process_samples(self.role, self.folder, self.started)
        return [*process, ready, *certificate_samples(self.role, self._certificate), *self.state.samples()]

    def _problem(self) -> str | None:
        """A full disk, or a certificate that is not valid."""
        return disk_problem(self.folder) or certificate_problem(self.role, self._certificate, datetime.now(UTC))

    @property
    def _certificate(self) -> Path:
        """The file of the role's certificate, which need not exist."""
        return certificate_path(self.folder / KEYS, self.role)
