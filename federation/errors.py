"""The errors of the protocol, in one tree. An expected refusal carries its numbers."""

from __future__ import annotations


class FederationError(Exception):
    """Anything that a party of a collection refuses."""


class PlanInvalid(FederationError):
    """A plan that no party would run: not canonical, empty, out of order, or asking for what does not exist."""


class ReportRefused(FederationError):
    """A report that does not belong to the plan: an unknown collection, or a vector of another length."""


class DuplicateReport(FederationError):
    """A report id was taken before. It counts once."""

    def __init__(self, duplicates: int) -> None:
        self.duplicates = duplicates
        super().__init__(f"{duplicates} report id(s) were taken before; a report counts once")


class NoiseRefused(FederationError):
    """A noise source that this aggregator does not accept, or noise off without its consent."""
