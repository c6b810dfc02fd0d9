"""A fleet with drop-outs, small enough for real processes to collect in seconds, and the contents of its stores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.define.definitions import FeatureView
from featurestore.store import Store
from federation.terms import Noise
from simulations.fleets.arrivals import Generated
from simulations.fleets.population import Population
from simulations.fleets.spec import Fleet
from simulations.levels.collect import STORE, TRUTH, Collected, Collection, collect
from simulations.shards.run import FleetTerms
from simulations.shards.workers import Inline
from tests.federation.words import WORDS, terms_in_words
from tests.simulations.shards.small import DAILY, VIEWS

FLEET = Fleet(clients=150, clients_per_site=15, days=3, seed=3, churn=0.1)
ARRIVALS = Generated(median_s=40, before=0.15, after=0.15, seed=1)
"""Of ten sites one is offline, one is lost, one is late."""
TINY = replace(FLEET, clients=40, clients_per_site=10, days=1)


def collection(views: tuple[FeatureView, ...] = VIEWS, fleet: Fleet = FLEET, **change: Any) -> Collection:
    """Noise is off unless it is changed; terms are changed in words."""
    words = {name: change.pop(name) for name in WORDS if name in change}
    terms = FleetTerms(views, terms_in_words(**words), deadline_s=60.0)
    noise = Noise.FULL if change.pop("noise", "off") == "on" else Noise.NONE
    return replace(Collection(terms, Population(fleet, views), ARRIVALS, noise=noise), **change)


def tiny(**change: Any) -> Collection:
    """One daily view of one day."""
    return collection((DAILY,), TINY, **change)


def collected(of: Collection, folder: Path) -> Collected:
    return collect(of, folder, Inline())


def values(folder: Path, views: tuple[FeatureView, ...] = VIEWS) -> dict[tuple[str, str], pa.Table]:
    """The contents of both stores for these views, except publication times."""
    found = {}
    for name in (STORE, TRUTH):
        with Store.open(folder / name) as store:
            for view in views:
                order = [("pane_start", "ascending"), ("shop", "ascending")]
                found[name, view.name] = store.history(view.name).sort_by(order).drop_columns("published_at")
    return found
