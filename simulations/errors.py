"""The errors of simulations, in one tree."""

from __future__ import annotations

from pathlib import Path

from base.errors import FAILURE, NOT_FOUND, USAGE, CoveyError
from deployment.errors import RunFailed, UsageError


class SimulationError(CoveyError):
    """Any error of the laboratory."""

    exit_code = USAGE


class DataMissing(SimulationError):
    """A data set that is not installed; names the command that installs it."""

    exit_code = NOT_FOUND


class CannotTell(SimulationError):
    """A view that a lie does not apply to; names what the view needs."""

    def __init__(self, view: str, kind: str, needs: str) -> None:
        self.view, self.kind, self.needs = view, kind, needs
        super().__init__(f"the lie {kind!r} does not apply to view {view!r}: it needs {needs}")


class FleetImpossible(SimulationError):
    """A fleet, or its arrivals, that cannot be; names the value and what it may be."""


class TraceInvalid(SimulationError):
    """A file of arrivals that is not one; names the line."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is no trace of arrivals: {why}")


class WorkerDied(SimulationError):
    """A worker process was killed from outside."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(f"one of {count} worker processes was killed, most likely for want of memory: use fewer")


class SettingRefused(SimulationError):
    """A setting of the lab with which an attack cannot run; names what it must be."""

    def __init__(self, name: str, value: float, need: str) -> None:
        self.name, self.value, self.need = name, value, need
        super().__init__(f"{name} is {value:,g}; it must be {need}")


class ReportConfigInvalid(UsageError):
    """A file of `covey lab report` that cannot be used; names the key and what it must be."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class RunUnreadable(SimulationError):
    """A file of a run that cannot be reported on; names it."""

    exit_code = FAILURE

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is no record of a run: {why}")


class DiskFull(RunFailed):
    """No space is left for a run of the lab; names the mend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"the disk is full; what is finished is kept: make space, then covey lab run --resume {folder}"
        )
