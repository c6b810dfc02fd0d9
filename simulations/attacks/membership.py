"""Membership inference: the likelihood ratio over all slots of one release. The attacker knows all other clients.

Source: Homer et al. 2008, "Resolving Individuals Contributing Trace Amounts of DNA to Highly Complex Mixtures …"; the
likelihood ratio, and TPR at a low FPR as its measure: Carlini et al. 2022, "Membership Inference Attacks From First
Principles", §§ III and IV.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from featurestore.define.kinds import ClientCount, Count, Histogram
from featurestore.define.layout import layout_of
from federation.terms import Noise

from .attack import AttackResult, DescribedAttack, Progress, ResultLabels, Setting, Success, epsilon_note, result_of
from .lies.kinds import PLAUSIBLE
from .lies.vectors import vector_of
from .stage.panes import claimed, open_all, plan_of, reports_of, rng_of, two_worlds, view_of
from .statistics.measures import auc, epsilon, roc, tpr_at

KEYS: Final = 4
LOW_FPR: Final = 0.01
MARGIN: Final = 0.25


class Membership(DescribedAttack):
    """One release; the attacker knows every client but the target."""

    def __init__(self) -> None:
        super().__init__("membership")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the AUC of "was the target active". An active target reports the most that the bounds allow."""
        rng = rng_of(setting, self.name)
        view = view_of(setting, Count("n"), ClientCount("clients"), Histogram("x", edges=[0, 1]), keys=KEYS)
        layout = layout_of(view)
        worlds = two_worlds(setting, layout, vector_of(PLAUSIBLE, layout).astype(np.int64), rng)
        plan = plan_of(view, worlds.panes, rng, noise=Noise.FULL if defended else Noise.NONE)
        scores = worlds.scores(open_all(plan, reports_of(worlds.vectors), setting, self.name).sums)
        progress(1, 1)
        effect, bound = auc(scores), claimed(layout, setting) if defended else None
        measured = epsilon(scores, gaussian=defended, delta=setting.delta)
        note = (
            f"The AUC is {effect.estimate:.2f}, and {tpr_at(scores, LOW_FPR):.2f} of the active targets are found at a "
            f"false-positive rate of {LOW_FPR:g}; {epsilon_note(measured, bound)}."
        )
        labels = ResultLabels((roc("likelihood ratio", scores),), "false-positive rate", "true-positive rate", note)
        return result_of(
            self, setting, labels, Success(effect, 0.5, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )
