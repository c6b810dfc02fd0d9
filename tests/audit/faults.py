"""Planted faults. Each one breaks a step without any sign outside, and the audit must find it.

A class breaks a step of the chain, a function a line of the code (`Plant`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

import federation.accountant
import federation.aggregation
from crypto.noise import NoiseSource, SeededNoise
from edge_client.compute import Contributions, UsedCells
from edge_client.events import Events
from featurestore.define.accounting import Moves
from featurestore.define.definitions import FeatureView
from featurestore.define.kinds import Mean
from featurestore.define.layout import Group
from featurestore.define.mechanism import GaussianMechanism
from federation.aggregation import ClosedAggregation, NoisedShares
from federation.commitment import Commitment
from simulations.attacks.statistics.bounds import gaussian_epsilon

from .chain import Chain

Plant = Callable[[pytest.MonkeyPatch], None]


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


def half_of_the_half(patch: pytest.MonkeyPatch) -> None:
    """Each aggregator halves the variance of what it draws, which under `shared` is half of the whole already."""
    draw = federation.aggregation.draw
    patch.setattr(
        federation.aggregation,
        "draw",
        lambda mechanism, *rest: draw(GaussianMechanism(mechanism.delta2_sq, 2 * mechanism.micro_rho), *rest),
    )


def no_noise_of_the_helper(patch: pytest.MonkeyPatch) -> None:
    """The helper adds no noise, and what is claimed stays as it is."""
    add_noise = federation.aggregation._add_noise
    patch.setattr(
        federation.aggregation,
        "_add_noise",
        lambda layout, shares, source, context: (
            shares if context.role == "helper" else add_noise(layout, shares, source, context)
        ),
    )


def uncounted_feature(patch: pytest.MonkeyPatch) -> None:
    """The share of ρ of one feature is not counted: of `high`, the Rate in some of the views."""
    moves = Group.moves.fget
    patch.setattr(Group, "moves", property(lambda self: None if self.feature == "high" else moves(self)))


def gaussian_tradeoff(patch: pytest.MonkeyPatch) -> None:
    """ε is taken from the Gaussian trade-off at µ = Δ/σ, which holds for continuous noise only."""

    def epsilon(moves: tuple[Moves, ...], delta: float) -> float:
        return gaussian_epsilon(sum(one.delta2_sq / float(one.sigma_sq) for one in moves) ** 0.5, delta)

    patch.setattr(federation.accountant, "schedule_epsilon", epsilon)
