"""The errors of simulations, in one tree."""

from __future__ import annotations

from pathlib import Path

from base.errors import FAILURE, NOT_FOUND, USAGE, CoveyError
from deployment.errors import RunFailed, UsageError


class SimulationError(CoveyError):
    """Any error of the lab."""

    exit_code = USAGE


class DataMissing(SimulationError):
    """A data set is not installed; the message names the command that installs it."""

    exit_code = NOT_FOUND


class LieInapplicable(SimulationError):
    """A lie does not apply to a view; the message names what the view needs."""

    code = "CANNOT_TELL"

    def __init__(self, view: str, kind: str, needs: str) -> None:
        self.view, self.kind, self.needs = view, kind, needs
        super().__init__(f"the lie {kind!r} does not apply to view {view!r}: it needs {needs}")


class FleetImpossible(SimulationError):
    """A setting of a fleet or of its arrivals is invalid; the message names the value and the valid values."""


class TraceInvalid(SimulationError):
    """A file of arrivals is invalid; the message names the line."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is no trace of arrivals: {why}")


class WorkerDied(SimulationError):
    """A worker process was killed from outside."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(
            f"one of {count} worker processes was killed, probably because memory ran out. Use fewer workers"
        )


class SettingRefused(SimulationError):
    """An attack cannot run with this setting; the message names the valid values."""

    def __init__(self, name: str, value: float, need: str) -> None:
        self.name, self.value, self.need = name, value, need
        super().__init__(f"{name} is {value:,g}; it must be {need}")


class ReportConfigInvalid(UsageError):
    """A file of `covey lab report` is invalid; the message names the key and the valid values."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class RunUnreadable(SimulationError):
    """A report cannot be written because a file of the run is unreadable; the message names the file."""

    exit_code = FAILURE

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is no record of a run: {why}")


class ReportMissing(SimulationError):
    """A folder of the laboratory has no report of this name, or it is too large to show."""

    exit_code = NOT_FOUND

    def __init__(self, folder: str, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        super().__init__(
            f"{folder[:200]!r} has no report of at most {most_bytes:,} bytes in this folder of the laboratory"
        )


class DiskFull(RunFailed):
    """The disk is full; the message names the command that resumes the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"the disk is full. Finished runs are kept. Make space, then run: covey lab run --resume {folder}"
        )
