"""What a coalition sees of a collection, reduced to one number a draw: its likelihood ratio of the two worlds.

Everything of a world is fixed but the aggregators' noise. So a world is run once, its closed accumulators are laid
down as many times as draws are wanted, each copy as a pane of its own, and the protocol's own `noise` and `open_shares`
run over all of them: what is drawn, scaled, added in the field and decoded is drawn, scaled, added and decoded by the
code that makes releases.

What an aggregator adds to the collector's view is the noise that it drew. Its share of each report is left out: it is
uniform whatever the report holds (`tests/federation/test_protocol.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import Layout
from federation.accountant import cost_of_day
from federation.basis import to_noise_basis
from federation.plan import Plan, PlannedView
from federation.protocol import Closed, NoisedShares, open_shares
from simulations.attacks.stage.panes import repeated
from simulations.attacks.statistics.bounds import Floats, LowerBounds, Scores, lower_bounds

from .chain import Chain
from .worlds import World, run_world

Coalition = Literal["collector", "leader + collector", "helper + collector"]

COALITIONS: Final[tuple[Coalition, ...]] = ("collector", "leader + collector", "helper + collector")
BATCH: Final = 10_000
"""Draws of one call."""


@dataclass(frozen=True, eq=False)
class Draws:
    """One world's draws, each summed up by the likelihood ratio's weights: float64[draws].

    Attributes:
        opened: the opened sums, less those of the world without the canary, without noise.
        leader_noise, helper_noise: the noise in them that the leader, and the helper, added.
    """

    opened: Floats
    leader_noise: Floats
    helper_noise: Floats

    def known_to(self, coalition: Coalition) -> Floats | None:
        """The noise that a coalition has seen being drawn."""
        match coalition:
            case "collector":
                return None
            case "leader + collector":
                return self.leader_noise
            case "helper + collector":
                return self.helper_noise

    def __getitem__(self, part: slice) -> Draws:
        return Draws(self.opened[part], self.leader_noise[part], self.helper_noise[part])


@dataclass(frozen=True, eq=False)
class Audit:
    """The draws of both worlds of one view, ready to be attacked.

    Attributes:
        gaussian: whether the view's noise is.
        present, absent: with the canary's events, and without.
        claimed: ε of one client-day at `delta`, as it is told to people; of a Laplace view pure ε, at δ = 0.
    """

    gaussian: bool
    present: Draws
    absent: Draws
    claimed: float
    delta: float

    def attack(self, coalition: Coalition, *, confidence: float, audits: int = 1) -> LowerBounds:
        """ε that this coalition shows there is at least: one half of the draws chooses, the other half is judged.

        Args:
            confidence, audits: that all bounds of so many audits hold.
        """
        half = len(self.present.opened) // 2
        choosing = self.present[:half], self.absent[:half]
        own_part = _own_part(coalition, *choosing)

        def scores(present: Draws, absent: Draws) -> Scores:
            return Scores(*(_less_known(draws, coalition, own_part) for draws in (present, absent)))

        return lower_bounds(
            scores(*choosing),
            scores(self.present[half:], self.absent[half:]),
            gaussian=self.gaussian,
            delta=self.delta,
            confidence=confidence,
            audits=audits,
        )


def audit(view: FeatureView, chain: Chain, draws: int, *, requests: int = 1) -> Audit:
    """Run both worlds, and draw their noise.

    Args:
        draws: of each world, a multiple of BATCH; half of them choose, half are held out.
        requests: how often the collector asks for the same collection; it averages the answers.
    """
    present, absent = (run_world(view, chain, canary=canary) for canary in (True, False))
    layout = absent.plan.views[0].layout
    without = exact_sums(absent)
    weights = _likelihood_ratio(layout, exact_sums(present) - without)
    of_present = _draws(present, chain, without, weights, draws, requests, seed=0)  # each world has its own noise
    of_absent = _draws(absent, chain, without, weights, draws, requests, seed=1)
    cost = cost_of_day([layout])
    if cost.micro_epsilon is not None:
        return Audit(False, of_present, of_absent, claimed=cost.micro_epsilon / 10**6, delta=0.0)
    delta = view.privacy.delta
    return Audit(True, of_present, of_absent, claimed=cost.epsilon(delta), delta=delta)


def repeated_plan(plan: Plan, times: int) -> Plan:
    """The plan of one view with its panes `times` times over."""
    (planned,) = plan.views
    panes = np.arange(times * len(planned.pane_starts)) * planned.view.pane_us
    return replace(plan, views=(PlannedView(planned.view, panes, planned.min_clients),))


def exact_sums(world: World) -> npt.NDArray[np.int64]:
    """int64[panes, K, S]: the sums in the noise basis without noise, from both aggregators' totals."""
    (planned,) = world.plan.views
    mapped = (to_noise_basis(planned.layout, closed.sums[0].values) for closed in (world.leader, world.helper))
    sums = field64.decode_centred(field64.add(*mapped))
    return sums.reshape(len(sums), planned.layout.keys, planned.layout.slots_per_key)


def _likelihood_ratio(layout: Layout, difference: npt.NDArray[np.int64]) -> Floats:
    """float64[panes, K, S]: log P[x | canary]/P[x | none] is, up to a constant, Σ x·d/σ² with d the worlds' difference:
    for Gaussian noise, the discrete one too, the best test there is (Neyman, Pearson 1933). Of Laplace noise the same
    sum is as good where the canary moves one slot alone, as the likelihood ratio then rises with x.
    """
    weights = np.zeros(difference.shape)
    for group in layout.groups:
        slots = list(group.slots)
        weights[:, :, slots] = difference[:, :, slots] / group.variance
    return weights


def _draws(
    world: World,
    chain: Chain,
    without: npt.NDArray[np.int64],
    weights: Floats,
    draws: int,
    requests: int,
    seed: int,
) -> Draws:
    """Draw the noise of one world batch by batch; the answers to repeated requests are averaged."""
    plan = repeated_plan(world.plan, BATCH)
    leader, helper = repeated(world.leader, plan, BATCH), repeated(world.helper, plan, BATCH)
    leader_source, helper_source = chain.leader_noise(seed), chain.helper_noise(seed)
    opened, of_leader, of_helper = [], [], []
    for _ in range(0, draws, BATCH):
        from_leader = chain.collect(leader, helper.commitment, leader_source, requests)
        from_helper = chain.collect(helper, leader.commitment, helper_source, requests)
        both = zip(from_leader, from_helper, strict=True)
        opened.append(_summed(weights, [open_shares(plan, *answers)[0].sums for answers in both]))
        of_leader.append(_summed(weights, [_noise_in(leader, answer) for answer in from_leader]))
        of_helper.append(_summed(weights, [_noise_in(helper, answer) for answer in from_helper]))
    return Draws(
        np.concatenate(opened) - (weights * without).sum(), np.concatenate(of_leader), np.concatenate(of_helper)
    )


def _summed(weights: Floats, answers: list[npt.NDArray[np.int64]]) -> Floats:
    """float64[BATCH]: Σ weight · sum of each draw, averaged over the answers."""
    mean: Floats = np.mean([answer.reshape(BATCH, -1) @ weights.reshape(-1) for answer in answers], axis=0)
    return mean


def _noise_in(closed: Closed, noised: NoisedShares) -> npt.NDArray[np.int64]:
    """int64[panes, K·S]: what this aggregator added to its share of each sum; it knows both."""
    mapped = to_noise_basis(closed.plan.views[0].layout, closed.sums[0].values)
    return field64.decode_centred(field64.subtract(noised.shares[0], mapped))


def _own_part(coalition: Coalition, present: Draws, absent: Draws) -> float:
    """How much of the opened noise follows what the coalition knows of it: 1 where the other aggregator's noise is
    independent. It is estimated, not assumed, so that noise which follows the coalition's own is taken off as well.
    """
    known = [draws.known_to(coalition) for draws in (present, absent)]
    if known[0] is None or known[1] is None:
        return 0.0
    opened = np.concatenate([draws.opened - draws.opened.mean() for draws in (present, absent)])
    noise = np.concatenate([part - part.mean() for part in known if part is not None])
    return float(opened @ noise / (noise @ noise))


def _less_known(draws: Draws, coalition: Coalition, own_part: float) -> Floats:
    known = draws.known_to(coalition)
    return draws.opened if known is None else draws.opened - own_part * known
