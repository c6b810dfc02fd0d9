"""What the monitor asks of a role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from base.errors import TlsError
from base.metrics import CERTIFICATE, READY, Meters, Role, Sample
from base.probes import Probe
from base.process_metrics import disk_problem, process_samples
from base.tls.certificate import Certificate
from base.tls.files import certificate_path, read_public
from deployment.project.project import KEYS


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
        return Probe(self.role, disk_problem(self.folder) or self._certificate_problem() or self.state.waits_for())

    def samples(self) -> list[Sample]:
        """The samples of `/metrics`."""
        ready = Sample(READY, (), float(self.probe().waits_for is None))
        process = process_samples(self.role, self.folder, self.started)
        return [*process, ready, *self._certificate_samples(), *self.state.samples()]

    def _certificate(self) -> Certificate | None:
        """The role's certificate; None if the role has none. Raises TlsError: it cannot be used."""
        path = certificate_path(self.folder / KEYS, self.role)
        if not path.exists():
            return None
        return Certificate.parse(read_public(path, f"it is the certificate of the {self.role} here"), str(path))

    def _certificate_problem(self) -> str | None:
        try:
            if (found := self._certificate()) is not None:
                found.require_time(datetime.now(UTC))
        except TlsError as error:
            return f"a certificate that is valid: {error}"
        return None

    def _certificate_samples(self) -> Iterable[Sample]:
        try:
            found = self._certificate()
        except TlsError:  # /readyz says so
            return
        if found is not None:
            yield Sample(CERTIFICATE, (self.role,), found.until.timestamp())
