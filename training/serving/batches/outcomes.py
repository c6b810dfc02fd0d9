"""The outcome of a request, as it is counted."""

from __future__ import annotations

from base.errors import CoveyError
from featurestore.errors import OnDemandFailed, OnlineUnavailable, StoreCorrupt
from training.errors import DeadlineMissed, ModelBusy, ModelFailed, ModelNotReady

from .job import Outcome


def outcome_name(outcome: Outcome) -> str:
    """One of `base.metrics.MODEL_OUTCOMES`."""
    match outcome:
        case ModelBusy():
            return "busy"
        case DeadlineMissed():
            return "late"
        case ModelNotReady():
            return "not_ready"
        case ModelFailed() | OnDemandFailed() | OnlineUnavailable() | StoreCorrupt():
            return "failed"
        case CoveyError():
            return "refused"
        case Exception():
            return "failed"
    return "ok"
