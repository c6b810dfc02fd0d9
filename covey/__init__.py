"""Covey: a federated feature store. Events stay at the edge; features arrive as noised sums with error bars."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covey.running import RunReport, run
    from featurestore.definitions import Bounds, FeatureView, Privacy
    from featurestore.entities import Entity
    from featurestore.features import ClientCount, Count, Histogram, Mean, Rate
    from featurestore.filtered import Filtered
    from featurestore.on_demand import Feature, Input, on_demand
    from featurestore.services import FeatureService
    from featurestore.store import Store

__version__ = "0.1.0"

__all__ = [
    "Bounds",
    "ClientCount",
    "Count",
    "Entity",
    "Feature",
    "FeatureService",
    "FeatureView",
    "Filtered",
    "Histogram",
    "Input",
    "Mean",
    "Privacy",
    "Rate",
    "RunReport",
    "Store",
    "on_demand",
    "run",
]

_HOMES = {
    "Bounds": "featurestore.definitions",
    "FeatureView": "featurestore.definitions",
    "Privacy": "featurestore.definitions",
    "Entity": "featurestore.entities",
    "ClientCount": "featurestore.features",
    "Count": "featurestore.features",
    "Histogram": "featurestore.features",
    "Mean": "featurestore.features",
    "Rate": "featurestore.features",
    "Filtered": "featurestore.filtered",
    "Feature": "featurestore.on_demand",
    "Input": "featurestore.on_demand",
    "on_demand": "featurestore.on_demand",
    "FeatureService": "featurestore.services",
    "RunReport": "covey.running",
    "Store": "featurestore.store",
    "run": "covey.running",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `covey --help` waits for none of them (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'covey' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
