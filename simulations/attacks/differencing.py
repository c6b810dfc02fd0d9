"""The differencing attack: two sums that differ in one client reveal it, and the noise of many openings averages out.

Source: Denning, Denning, Schwartz 1979, "The Tracker: A Threat to Statistical Database Security"; Dwork, Roth 2014, "The
Algorithmic Foundations of Differential Privacy", §1.1. m openings at ρ each cost a client m·ρ (Bun, Steinke 2016, Lemma 1.7).

The coordinator has the reports of one pane under many plans; half of the plans lack the target's report. The ledger of a site
would answer for a pane only once. This attack tests the aggregators' ledgers, so sites have no ledgers. If no sum without the
target was opened, the attacker knows the reports of all other clients instead.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from featurestore.define.kinds import Count
from federation.aggregation import Aggregation, ClosedAggregation, open_shares
from federation.plan import Plan
from federation.sharding import shard

from .attack import AttackResult, DescribedAttack, Progress, ResultLabels, Setting, Success, epsilon_note, result_of
from .stage.ledgers import gate
from .stage.panes import (
    Ints,
    claimed,
    noise_of,
    opened,
    plan_of,
    repeated,
    reports_of,
    rng_of,
    view_of,
)
from .statistics.bounds import Scores
from .statistics.measures import auc, epsilon, series

OPENINGS: Final = 100
"""Number of openings with the target's report, and of openings without it."""
SHOWN: Final = (1, 2, 5, 10, 20, 50, 100)
MARGIN: Final = 0.25


class Differencing(DescribedAttack):
    """Openings of one pane with and without the target's report."""

    def __init__(self) -> None:
        super().__init__("differencing")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the AUC of "was the target active"."""
        rng, view = rng_of(setting, self.name), view_of(setting, Count("n"))
        others = rng.integers(0, 2, setting.clients - 1)
        two_worlds = plan_of(view, 2, rng)
        worlds = np.stack([np.concatenate(([active], others)) for active in (1, 0)])[:, :, None]
        closed = {True: _close(two_worlds, worlds, rng), False: _close(two_worlds, worlds[:, 1:], rng)}
        sums: dict[bool, list[Ints]] = {True: [], False: []}
        noise = noise_of(two_worlds, setting, self.name)
        with gate(defended=defended) as aggregators:
            for number in range(2 * OPENINGS):
                with_target, plan = number % 2 == 0, plan_of(view, 2 * setting.trials, rng)
                if aggregators.allows(plan):
                    # Reports of another plan differ only in their sharing, which no sum depends on, so they are copied.
                    leader, helper = (repeated(one, plan, setting.trials) for one in closed[with_target])
                    shares = leader.noise(helper.commitment, noise[0]), helper.noise(leader.commitment, noise[1])
                    if opened(shares[0].outcomes[0]).all():  # without the target there may be fewer than k reports
                        sums[with_target].append(open_shares(plan, *shares)[0].sums[:, 0, 0])
                progress(number + 1, 2 * OPENINGS)
        shown = [m for m in SHOWN if m <= len(sums[True])]
        by_openings = [_scores(sums, m, int(others.sum())) for m in shown]
        effect, bound = auc(by_openings[-1]), claimed(two_worlds.views[0].layout, setting)
        measured = epsilon(by_openings[-1], gaussian=True, delta=setting.delta)
        points = series("AUC", np.array(shown), [auc(scores) for scores in by_openings])
        note = (
            f"Opened {len(sums[True])} time(s) with the target's report and {len(sums[False])} without it: the AUC is "
            f"{effect.estimate:.2f}; {epsilon_note(measured, bound)}."
        )
        labels = ResultLabels((points,), "openings with the target's report", "AUC: was the target active?", note)
        return result_of(
            self, setting, labels, Success(effect, 0.5, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )


def _close(plan: Plan, vectors: Ints, rng: np.random.Generator) -> tuple[ClosedAggregation, ClosedAggregation]:
    """Close both aggregators with two panes: in the first the target is active, in the second it is not."""
    to_leader, to_helper = shard(plan, reports_of(vectors), rng.bytes)
    leader, helper = Aggregation.start("leader", plan).add(to_leader), Aggregation.start("helper", plan).add(to_helper)
    return leader.close(), helper.close()


def _scores(sums: dict[bool, list[Ints]], openings: int, known: int) -> Scores:
    """Return the mean of the first openings with the target, minus the mean without it, or minus the known reports."""
    without = sums[False][:openings]
    scores = np.mean(sums[True][:openings], axis=0) - (np.mean(without, axis=0) if without else known)
    return Scores(scores[0::2], scores[1::2])  # the copies of the two panes alternate
