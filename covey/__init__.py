"""Covey: a federated feature store. Events stay at the edge; features arrive as noised sums with error bars."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from base.version import VERSION

if TYPE_CHECKING:
    from base.errors import CoveyError
    from deployment.run import RunReport, run
    from edge_client.event_log.log import EventLog
    from featurestore.define.definitions import FeatureView
    from featurestore.define.entities import Entity
    from featurestore.define.filtered import Filtered
    from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
    from featurestore.define.on_demand import Feature, Input, on_demand
    from featurestore.define.privacy import Bounds, Privacy
    from featurestore.define.services import FeatureService
    from featurestore.store import Store
    from training.serving.client import ModelClient

__version__ = VERSION

__all__ = [
    "Bounds",
    "ClientCount",
    "Count",
    "CoveyError",
    "Entity",
    "EventLog",
    "Feature",
    "FeatureService",
    "FeatureView",
    "Filtered",
    "Histogram",
    "Input",
    "Mean",
    "ModelClient",
    "Privacy",
    "Rate",
    "RunReport",
    "Store",
    "on_demand",
    "run",
]

_HOMES = {
    "CoveyError": "base.errors",
    "Bounds": "featurestore.define.privacy",
    "FeatureView": "featurestore.define.definitions",
    "Privacy": "featurestore.define.privacy",
    "Entity": "featurestore.define.entities",
    "EventLog": "edge_client.event_log.log",
    "ClientCount": "featurestore.define.kinds",
    "Count": "featurestore.define.kinds",
    "Histogram": "featurestore.define.kinds",
    "Mean": "featurestore.define.kinds",
    "Rate": "featurestore.define.kinds",
    "Filtered": "featurestore.define.filtered",
    "Feature": "featurestore.define.on_demand",
    "Input": "featurestore.define.on_demand",
    "on_demand": "featurestore.define.on_demand",
    "FeatureService": "featurestore.define.services",
    "RunReport": "deployment.run",
    "Store": "featurestore.store",
    "ModelClient": "training.serving.client",
    "run": "deployment.run",
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
