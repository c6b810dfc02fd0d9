"""The steps of a collection that a fault can break. `Chain` does what Covey does; `faults.py` replaces one step each."""

from __future__ import annotations

import numpy as np

from crypto.noise import NoiseSource, SeededNoise
from edge_client.compute import Contributions, UsedCells, compute
from edge_client.events import Events
from featurestore.define.definitions import FeatureView
from federation.aggregation import ClosedAggregation, NoisedShares
from federation.commitment import Commitment


class Chain:
    """Covey's own steps."""

    def compute_pane(self, view: FeatureView, events: Events, used: UsedCells, pane_start: int) -> Contributions:
        """Run by the site for each pane. `used` holds the cells of the day that earlier panes used."""
        return compute(view, events, used, panes=np.array([pane_start]))

    def leader_noise(self, seed: int) -> NoiseSource:
        """The leader's noise source."""
        return SeededNoise(seed, "leader")

    def helper_noise(self, seed: int) -> NoiseSource:
        """The helper's noise source."""
        return SeededNoise(seed, "helper")

    def collect(
        self, closed: ClosedAggregation, other: Commitment, source: NoiseSource, requests: int
    ) -> list[NoisedShares]:
        """An aggregator's answers to `requests` requests for one collection. Noise is drawn once and recorded."""
        return [closed.noise(other, source)] * requests
