"""The Sybil attack from inside: an enrolled site invents clients up to its roster maximum, and k counts them.

Source: Douceur 2002, "The Sybil Attack", §3. That a secure sum without noise shows a lone honest client to the others: Dwork,
Kenthapadi, McSherry, Mironov, Naor 2006, "Our Data, Ourselves: Privacy via Distributed Noise Generation", §1.

This attack on k succeeds always, in both directions: k is hygiene (DESIGN §4). What is tried is what stands behind it, the
noise: whether the target was active must not be told beyond what is claimed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from federation.parties import Roster, RosterEntry
from federation.terms import Noise

from .attack import AttackResult, Described, Progress, Setting, Shown, Success, result_of, told
from .stage.panes import claimed
from .stage.sealed import Site
from .statistics.bounds import Scores
from .statistics.measures import auc, epsilon, roc
from .sybil import fill

MARGIN: Final = 0.25


class SybilEnrolled(Described):
    """Invented clients of an enrolled site around the target's report."""

    def __init__(self) -> None:
        super().__init__("sybil-enrolled")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """The effect is the AUC of "was the target active"."""

        def roster(target: Site, inventor: Site) -> Roster:
            sites = (target, 1), (inventor, setting.k - 1)
            return Roster([RosterEntry(site.name, site.keys.sign.public, most) for site, most in sites])

        filled = fill(setting, self.name, roster, Noise.FULL if defended else Noise.NONE)
        progress(1, 1)
        scores = filled.scores or Scores(np.zeros(setting.trials), np.zeros(setting.trials))
        effect, bound = auc(scores), claimed(filled.layout, setting) if defended else None
        measured = epsilon(scores, gaussian=defended, delta=setting.delta)
        note = (
            f"{setting.k - 1} invented clients beat k = {setting.k} in {filled.rate.estimate:.0%} of the panes, with the noise "
            f"and without; the AUC is {effect.estimate:.2f}; {told(measured, bound)}."
        )
        labels = Shown((roc("likelihood ratio", scores),), "false-positive rate", "true-positive rate", note)
        return result_of(
            self, setting, labels, Success(effect, 0.5, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )
