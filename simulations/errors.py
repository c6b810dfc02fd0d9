"""The errors of simulations, in one tree."""

from __future__ import annotations


class SimulationError(Exception):
    """Anything that a run on one machine refuses or cannot do."""


class RunRefused(SimulationError):
    """Options of a run that do not fit together; names the mend."""


class DataMissing(SimulationError):
    """A data set that is not installed; names the command that installs it."""


class CannotTell(SimulationError):
    """A lie that cannot be told of a view; names what the view needs."""

    def __init__(self, view: str, kind: str, needs: str) -> None:
        self.view, self.kind, self.needs = view, kind, needs
        super().__init__(f"the lie {kind!r} cannot be told of view {view!r}: it needs {needs}")
