"""A malicious leader drops every report but the target's: an aggregate of one.

Source: Pasquini, Francati, Ateniese 2022, "Eluding Secure Aggregation in Federated Learning via Model Inconsistency", §1 (a
server that leaves one user in the sum). What stands against it: draft-ietf-ppm-dap, "Obtaining Aggregate Shares", where the
helper compares the count and the checksum of a batch with its own.

The leader passes on the target's report alone, tries both the true count and a lie, and adds no noise. With the collector in
its hand it reads what opens under the helper's noise only.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from crypto import field as field64
from crypto.noise import NoiseSource, SeededNoise
from featurestore.define.kinds import Count
from federation.basis import to_noise_basis
from federation.protocol import Aggregating, Closed, Commitment, NoisedShares, Outcome, shard

from .attack import AttackResult, Described, Measure, Progress, Series, Setting, Shown, Success, result_of, told
from .stage.panes import TwoWorlds, claimed, opened, plan_of, reports_of, rng_of, two_worlds, view_of
from .statistics.measures import epsilon, rate, roc

MARGIN: Final = 0.5


class BelievingHelper(Closed):
    """A helper that takes the leader's word for how many reports there are, and which: what is off where the defence is."""

    def noise(self, other: Commitment, source: NoiseSource | None) -> NoisedShares:
        """Decide by the leader's commitment in the place of its own."""
        return Closed(self.role, self.plan, self.sums, other, self.most_reports).noise(other, source)


class DropAllButOne(Described):
    """A leader that forwards the target's reports only."""

    def __init__(self) -> None:
        super().__init__("drop-all-but-one")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """The effect is the part of the panes that are opened with the target's report alone."""
        rng, view = rng_of(setting, self.name), view_of(setting, Count("n"))
        plan = plan_of(view, 2 * setting.trials, rng)
        layout = plan.views[0].layout
        worlds = two_worlds(setting, layout, np.ones(1, np.int64), rng)
        to_leader, to_helper = shard(plan, reports_of(worlds.vectors), rng.bytes)
        kept = np.arange(len(to_leader.collection)) % setting.clients == 0  # each pane's first report is the target's
        leader = Aggregating.start("leader", plan).add(to_leader.take(kept)).close()
        helper = Aggregating.start("helper", plan).add(to_helper.take(kept)).close()
        if not defended:
            helper = BelievingHelper(helper.role, helper.plan, helper.sums, helper.commitment, helper.most_reports)
        truth = leader.commitment
        lie = Commitment((setting.k,) * worlds.panes, truth.digests)
        source = SeededNoise(setting.seed, f"helper {self.name}")
        answers = {"the true count": helper.noise(truth, source), "a lie of k": helper.noise(lie, source)}
        progress(1, 1)
        found = max(answers.values(), key=lambda answer: int(opened(answer.outcomes[0]).sum()))
        are_open = opened(found.outcomes[0])
        effect, bound = rate("panes that are opened", int(are_open.sum()), worlds.panes), claimed(layout, setting)
        measured: Measure | None = None
        curve: tuple[Series, ...] = ()
        error = ""
        if are_open.all():
            values = field64.decode_centred(field64.add(found.shares[0], to_noise_basis(layout, leader.sums[0].values)))
            alone = TwoWorlds(layout, worlds.vectors[:, :1], worlds.vector)  # nobody else is in the sum
            scores = alone.scores(values.reshape(-1, layout.keys, layout.slots_per_key))
            measured, curve = epsilon(scores, gaussian=True, delta=setting.delta), (roc("likelihood ratio", scores),)
            off = values[:, 0] - alone.vectors[:, 0, 0]
            error = f", with an error of {np.sqrt(np.mean(off**2)):.2f} times what a client may report"
        said = " and ".join(f"{Outcome(int(answer.outcomes[0][0])).name} to {what}" for what, answer in answers.items())
        note = (
            f"The helper says {said}: {effect.estimate:.0%} of the panes were opened{error}; {told(measured, bound)}."
        )
        labels = Shown(curve, "false-positive rate", "true-positive rate", note)
        return result_of(
            self, setting, labels, Success(effect, 0.0, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )
