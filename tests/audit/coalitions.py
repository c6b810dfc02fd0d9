"""What a coalition sees of a collection, reduced to one number a draw: the likelihood ratio of the two worlds.

Everything in a world is fixed except the aggregators' noise. So a world is run once. Its closed accumulators are copied as
many times as draws are needed, each copy as a pane of its own. The protocol's own `noise` and `open_shares` then run over all
of them: the code that makes releases draws, scales, adds and decodes these draws too.

An aggregator adds its own noise to the collector's view. Its share of each report is left out: the share is uniform for every
report (`tests/federation/test_protocol.py`). The collector holds no more than outsiders do: the sums that a release publishes.
So the claim to outsiders is for the collector alone, and the claim about an aggregator for one together with the collector.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import Layout
from federation.accountant import EpsilonClaim, cost_of_day
from federation.aggregation import ClosedAggregation, NoisedShares, open_shares
from federation.basis import to_noise_basis
from federation.plan import Plan, PlannedView
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
    """The draws of one world, each summed with the weights of the likelihood ratio: float64[draws].

    Attributes:
        opened: the opened sums, minus the noiseless sums of the world without the canary.
        leader_noise, helper_noise: the noise in them that the leader, and the helper, added.
    """

    opened: Floats
    leader_noise: Floats
    helper_noise: Floats

    def known_to(self, coalition: Coalition) -> Floats | None:
        """The noise that a coalition has drawn itself."""
        match coalition:
            case "collector":
                return None
            case "leader + collector":
                return self.leader_noise
            case "helper + collector":
                return self.helper_noise

    def of_days(self, days: int) -> Draws:
        """Draws of so many days each, in all of which the world is the same: the likelihood ratio of days is their sum."""
        count = len(self.opened) // days
        three = (self.opened, self.leader_noise, self.helper_noise)
        return Draws(*(part[: count * days].reshape(count, days).sum(axis=1) for part in three))

    def __getitem__(self, part: slice) -> Draws:
        return Draws(self.opened[part], self.leader_noise[part], self.helper_noise[part])


@dataclass(frozen=True, eq=False)
class Audit:
    """The draws of both worlds of one view, ready for the attack.

    Attributes:
        gaussian: whether the view's noise is Gaussian.
        present, absent: the draws with the canary's events, and without.
        claims: what is published of a client that takes part on some days.
        delta: the δ of the claims; 0 for a Laplace view, whose claims are pure.
    """

    gaussian: bool
    present: Draws
    absent: Draws
    claims: tuple[EpsilonClaim, ...]
    delta: float

    def claimed(self, coalition: Coalition, days: int = 1) -> float:
        """The ε of so many days that is claimed against this coalition."""
        (claim,) = (one for one in self.claims if one.days == days)
        return claimed_to(coalition, claim, gaussian=self.gaussian)

    def attack(self, coalition: Coalition, days: int = 1, *, confidence: float, audits: int = 1) -> LowerBounds:
        """The lower bound on ε that this coalition shows. One half of the draws chooses the test, the other half is judged.

        Args:
            days: the days on which the canary takes part.
            confidence, audits: all bounds of this many audits hold together with this confidence.
        """
        all_present, all_absent = self.present.of_days(days), self.absent.of_days(days)
        half = len(all_present.opened) // 2
        choosing = all_present[:half], all_absent[:half]
        own_part = _own_part(coalition, *choosing)

        def scores(present: Draws, absent: Draws) -> Scores:
            return Scores(*(_less_known(draws, coalition, own_part) for draws in (present, absent)))

        return lower_bounds(
            scores(*choosing),
            scores(all_present[half:], all_absent[half:]),
            gaussian=self.gaussian,
            delta=self.delta,
            confidence=confidence,
            audits=audits,
        )


def audit(view: FeatureView, chain: Chain, draws: int, *, requests: int = 1) -> Audit:
    """Run both worlds, and draw their noise.

    Args:
        draws: the draws of each world, a multiple of BATCH. Half of them choose, half are held out.
        requests: how often the collector requests the same collection; it averages the answers.
    """
    present, absent = (run_world(view, chain, canary=canary) for canary in (True, False))
    layout = absent.plan.views[0].layout
    without = exact_sums(absent)
    weights = _likelihood_ratio(layout, exact_sums(present) - without)
    of_present = _draws(present, chain, without, weights, draws, requests, seed=0)  # each world has its own noise
    of_absent = _draws(absent, chain, without, weights, draws, requests, seed=1)
    gaussian = view.privacy.mechanism == "gaussian"
    delta = view.privacy.delta
    claims = cost_of_day([layout]).claims(delta)
    return Audit(gaussian, of_present, of_absent, claims, delta if gaussian else 0.0)


def claimed_to(coalition: Coalition, claim: EpsilonClaim, *, gaussian: bool) -> float:
    """The ε of a claim that is for this coalition; without δ where the noise is Laplace noise."""
    if not gaussian:
        assert claim.pure is not None
        return claim.pure
    return claim.outsiders if coalition == "collector" else claim.aggregator


def repeated_plan(plan: Plan, times: int) -> Plan:
    """The plan of one view with its panes repeated `times` times."""
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
    """float64[panes, K, S]: weights of the likelihood ratio.

    log P[x | canary]/P[x | none] is Σ x·d/σ² up to a constant, where d is the difference of the worlds. For Gaussian noise, also
    discrete Gaussian noise, this is the best test (Neyman, Pearson 1933). For Laplace noise the same sum is as good if the canary
    moves one slot alone, because the likelihood ratio then rises with x.
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
        of_leader.append(_summed(weights, [noise_in(leader, answer) for answer in from_leader]))
        of_helper.append(_summed(weights, [noise_in(helper, answer) for answer in from_helper]))
    return Draws(
        np.concatenate(opened) - (weights * without).sum(), np.concatenate(of_leader), np.concatenate(of_helper)
    )


def _summed(weights: Floats, answers: list[npt.NDArray[np.int64]]) -> Floats:
    """float64[BATCH]: Σ weight · sum of each draw, averaged over the answers."""
    mean: Floats = np.mean([answer.reshape(BATCH, -1) @ weights.reshape(-1) for answer in answers], axis=0)
    return mean


def noise_in(closed: ClosedAggregation, noised: NoisedShares) -> npt.NDArray[np.int64]:
    """int64[panes, K·S]: what this aggregator added to its share of each sum. The aggregator has both values."""
    mapped = to_noise_basis(closed.plan.views[0].layout, closed.sums[0].values)
    return field64.decode_centred(field64.subtract(noised.shares[0], mapped))


def _own_part(coalition: Coalition, present: Draws, absent: Draws) -> float:
    """The part of the opened noise that follows from the coalition's knowledge: 1 if the other aggregator's noise is independent.

    It is estimated, not assumed. So noise that follows the coalition's own noise is subtracted as well.
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
