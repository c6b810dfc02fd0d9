"""Counts the final answers to batches. An aggregator's own operator reads the counts; nothing is sent to other parties."""

from __future__ import annotations

from typing import Final

import numpy as np

from aggregator.intake.aggregation_job import Verdict, Verdicts
from aggregator.intake.refusals import INTERNAL, REASONS, Refusal
from base.metrics import BATCHES, CALL_CODES, OTHER, REFUSALS, REPORTS, Meters

_NAMES: Final = {Verdict.TAKEN: "accepted", Verdict.REJECTED: "rejected", Verdict.DUPLICATE: "duplicate"}

_REASONS: Final = frozenset((*REASONS.values(), INTERNAL, *CALL_CODES))


def count_refusal(meters: Meters, call: str, reason: str) -> None:
    """Count a refusal. A reason that another party made up is counted as `other`."""
    meters.add(REFUSALS, call, reason if reason in _REASONS else OTHER)


def count_verdicts(meters: Meters, verdicts: Verdicts) -> None:
    """Count a batch that was answered report by report, once the answer is stored.

    Args:
        verdicts: uint8[R] of `Verdict`, the final ones.
    """
    meters.add(BATCHES, "accepted")
    found = np.bincount(verdicts, minlength=len(_NAMES)).tolist()
    for verdict, name in _NAMES.items():
        if found[verdict]:
            meters.add(REPORTS, name, by=found[verdict])


def count_refused(meters: Meters, refusal: Refusal) -> None:
    """Count a batch that the helper refused as a whole, once the answer is stored."""
    meters.add(BATCHES, "refused")
    count_refusal(meters, "Aggregate", refusal.reason)
