"""A malicious leader drops every report but the target's, so the aggregate is of one client.

Source: Pasquini, Francati, Ateniese 2022, "Eluding Secure Aggregation in Federated Learning via Model Inconsistency", §1 (a
server that leaves one user in the sum). The defence: draft-ietf-ppm-dap, "Obtaining Aggregate Shares", where the
helper compares the count and the checksum of a batch with its own.

The leader forwards only the target's report, sends the true count and a false count, and adds no noise. It controls the
collector, so it reads sums under the helper's noise alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from crypto import field as field64
from crypto.noise import NoiseSource, SeededNoise
from featurestore.define.kinds import Count
from federation.aggregation import Aggregation, ClosedAggregation, NoisedShares
from federation.basis import to_noise_basis
from federation.commitment import Commitment, Outcome
from federation.sharding import shard

from .attack import (
    AttackResult,
    DescribedAttack,
    Measure,
    Progress,
    ResultLabels,
    Series,
    Setting,
    Success,
    epsilon_note,
    result_of,
)
from .stage.panes import TwoWorlds, claimed, opened, plan_of, reports_of, rng_of, two_worlds, view_of
from .statistics.measures import epsilon, rate, roc

MARGIN: Final = 0.5


class TrustingHelper(ClosedAggregation):
    """A helper that trusts the leader's count and set of reports: the defence is off."""

    def noise(self, other: Commitment, source: NoiseSource | None) -> NoisedShares:
        """Decide by the leader's commitment instead of its own."""
        return ClosedAggregation(self.role, self.plan, self.sums, other, self.most_reports).noise(other, source)


class DropAllButOne(DescribedAttack):
    """A leader that forwards only the target's reports."""

    def __init__(self) -> None:
        super().__init__("drop-all-but-one")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the share of the panes that are opened with the target's report alone."""
        rng, view = rng_of(setting, self.name), view_of(setting, Count("n"))
        plan = plan_of(view, 2 * setting.trials, rng)
        layout = plan.views[0].layout
        worlds = two_worlds(setting, layout, np.ones(1, np.int64), rng)
        to_leader, to_helper = shard(plan, reports_of(worlds.vectors), rng.bytes)
        kept = np.arange(len(to_leader.collection)) % setting.clients == 0  # each pane's first report is the target's
        leader = Aggregation.start("leader", plan).add(to_leader.take(kept)).close()
        helper = Aggregation.start("helper", plan).add(to_helper.take(kept)).close()
        if not defended:
            helper = TrustingHelper(helper.role, helper.plan, helper.sums, helper.commitment, helper.most_reports)
        truth = leader.commitment
        lie = Commitment((setting.k,) * worlds.panes, truth.digests)
        source = SeededNoise(setting.seed, f"helper {self.name}")
        answers = {"the true count": helper.noise(truth, source), "a false count of k": helper.noise(lie, source)}
        progress(1, 1)
        found = max(answers.values(), key=lambda answer: int(opened(answer.outcomes[0]).sum()))
        are_open = opened(found.outcomes[0])
        effect, bound = rate("opened panes", int(are_open.sum()), worlds.panes), claimed(layout, setting)
        measured: Measure | None = None
        curve: tuple[Series, ...] = ()
        error = ""
        if are_open.all():
            values = field64.decode_centred(field64.add(found.shares[0], to_noise_basis(layout, leader.sums[0].values)))
            alone = TwoWorlds(layout, worlds.vectors[:, :1], worlds.vector)  # the sum holds no other client
            scores = alone.scores(values.reshape(-1, layout.keys, layout.slots_per_key))
            measured, curve = epsilon(scores, gaussian=True, delta=setting.delta), (roc("likelihood ratio", scores),)
            off = values[:, 0] - alone.vectors[:, 0, 0]
            error = f", with an error of {np.sqrt(np.mean(off**2)):.2f} times the bound of a client"
        said = " and ".join(f"{Outcome(int(answer.outcomes[0][0])).name} to {what}" for what, answer in answers.items())
        note = f"The helper answers {said}: {effect.estimate:.0%} of the panes were opened{error}; {epsilon_note(measured, bound)}."
        labels = ResultLabels(curve, "false-positive rate", "true-positive rate", note)
        return result_of(
            self, setting, labels, Success(effect, 0.0, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )
