"""Planted faults. Each one breaks a step without any sign outside, and the audit must find it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from crypto.noise import NoiseSource, SeededNoise
from edge_client.compute import Contributions, UsedCells
from edge_client.events import Events
from featurestore.define.definitions import FeatureView
from featurestore.define.kinds import Mean
from federation.aggregation import ClosedAggregation, NoisedShares
from federation.commitment import Commitment

from .chain import Chain


class HalfSigma(Chain):
    """The helper draws at σ/2. Its noise is smaller, and no message shows it."""

    def helper_noise(self, seed: int) -> NoiseSource:
        return _HalfScale(seed, "helper")


class CopiedNoise(Chain):
    """The helper's noise equals the leader's draw for draw, as with two processes of one seed."""

    def helper_noise(self, seed: int) -> NoiseSource:
        return self.leader_noise(seed)


class FreshNoiseOnRepeat(Chain):
    """A repeated collect is answered with fresh noise, so that the answers can be averaged."""

    def collect(
        self, closed: ClosedAggregation, other: Commitment, source: NoiseSource, requests: int
    ) -> list[NoisedShares]:
        return [closed.noise(other, source) for _ in range(requests)]


class ClipOff(Chain):
    """The site encodes values unclipped, as with the plan's resolution and a clip that is ten times as wide."""

    def compute_pane(self, view: FeatureView, events: Events, used: UsedCells, pane_start: int) -> Contributions:
        features = [_unclipped(feature) if isinstance(feature, Mean) else feature for feature in view.features]
        unclipped = FeatureView(
            view.name,
            entity=view.entity,
            features=features,
            pane=view.pane,
            bounds=view.bounds,
            privacy=view.privacy,
        )
        return super().compute_pane(unclipped, events, used, pane_start)


class CellsNotCarried(Chain):
    """Every pane starts with no used cells, so `max_cells` holds for each pane and not for the day."""

    def compute_pane(self, view: FeatureView, events: Events, used: UsedCells, pane_start: int) -> Contributions:
        return super().compute_pane(view, events, UsedCells.none(), pane_start)


class _HalfScale(SeededNoise):
    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> npt.NDArray[np.int64]:
        return super().discrete_gaussian(sigma_sq / 4, size)


def _unclipped(mean: Mean) -> Mean:
    low, high = mean.bounds
    return replace(mean, clip=(low, low + 10 * (high - low)), resolution=mean.step)
