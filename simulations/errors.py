"""The errors of simulations, in one tree."""

from __future__ import annotations


class SimulationError(Exception):
    """Anything that a run on one machine refuses or cannot do."""


class RunRefused(SimulationError):
    """Options of a run that do not fit together; names the mend."""


class DataMissing(SimulationError):
    """A data set that is not installed; names the command that installs it."""
