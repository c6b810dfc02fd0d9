"""The Sybil attack from inside: an enrolled site invents clients up to its roster maximum, and k counts them.

Source: Douceur 2002, "The Sybil Attack", §3. A secure sum without noise reveals a lone honest client to the others: Dwork,
Kenthapadi, McSherry, Mironov, Naor 2006, "Our Data, Ourselves: Privacy via Distributed Noise Generation", §1.

This attack always defeats k, with the defence on and off: k is hygiene (DESIGN §4). The defence is the noise. The release must
not reveal more about the target's activity than the claimed ε allows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from federation.parties import Roster, RosterEntry
from federation.terms import Noise

from .attack import AttackResult, DescribedAttack, Progress, ResultLabels, Setting, Success, epsilon_note, result_of
from .stage.panes import claimed
from .stage.sealed import Site
from .statistics.bounds import Scores
from .statistics.measures import auc, epsilon, roc
from .sybil import fill

MARGIN: Final = 0.25


class SybilEnrolled(DescribedAttack):
    """An enrolled site invents clients around the target's report."""

    def __init__(self) -> None:
        super().__init__("sybil-enrolled")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the AUC of "was the target active"."""

        def roster(target: Site, inventor: Site) -> Roster:
            sites = (target, 1), (inventor, setting.k - 1)
            return Roster([RosterEntry(site.name, site.keys.sign.public, most) for site, most in sites])

        filled = fill(setting, self.name, roster, Noise.FULL if defended else Noise.NONE)
        progress(1, 1)
        scores = filled.scores or Scores(np.zeros(setting.trials), np.zeros(setting.trials))
        effect, bound = auc(scores), claimed(filled.layout, setting) if defended else None
        measured = epsilon(scores, gaussian=defended, delta=setting.delta)
        note = (
            f"{setting.k - 1} invented clients defeat k = {setting.k} in {filled.rate.estimate:.0%} of the panes, with and without "
            f"noise; the AUC is {effect.estimate:.2f}; {epsilon_note(measured, bound)}."
        )
        labels = ResultLabels((roc("likelihood ratio", scores),), "false-positive rate", "true-positive rate", note)
        return result_of(
            self, setting, labels, Success(effect, 0.5, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )
