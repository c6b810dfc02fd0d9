"""The errors of leader, helper, key holder and collector, in one tree."""

from __future__ import annotations


class AggregatorError(Exception):
    """Anything that an aggregator or the collector refuses."""
