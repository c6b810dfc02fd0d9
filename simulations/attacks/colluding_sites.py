"""Colluding sites: all sites but one subtract their own reports from the sum. The rest is the sum of the last site.

Source: Dwork, Kenthapadi, McSherry, Mironov, Naor 2006, "Our Data, Ourselves: Privacy via Distributed Noise Generation", §1;
Kairouz, Liu, Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation", §1.

The sites guess the likeliest sum of the target's site. ε is measured for an attacker who also knows all clients of that site
but one, because one client is the unit of the claim.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.stats import binom  # type: ignore[import-untyped]  # SciPy has no types

from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from federation.terms import Noise

from .attack import (
    AttackResult,
    DescribedAttack,
    Floats,
    Progress,
    ResultLabels,
    Series,
    Setting,
    Success,
    epsilon_note,
    result_of,
)
from .stage.panes import Ints, claimed, open_all, plan_of, reports_of, rng_of, two_worlds, view_of
from .statistics.measures import epsilon, rate

SITES: Final = 10
MARGIN: Final = 0.25
EXACT_SIGMA: Final = 0.1
"""σ that stands for no noise: sums are whole numbers."""
ERRORS: Final = np.arange(0.0, 10.5, 0.5)


class ColludingSites(DescribedAttack):
    """All sites but the target's collude."""

    def __init__(self) -> None:
        super().__init__("colluding-sites")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure how often the sum of the target's site is guessed exactly. The baseline guesses the commonest sum."""
        rng, view = rng_of(setting, self.name), view_of(setting, Count("n"))
        layout, at_site = layout_of(view), setting.clients // SITES
        worlds = two_worlds(setting, layout, np.ones(1, np.int64), rng)
        plan = plan_of(view, worlds.panes, rng, noise=Noise.FULL if defended else Noise.NONE)
        sums = open_all(plan, reports_of(worlds.vectors), setting, self.name).sums
        progress(1, 1)
        left = sums[:, 0, 0] - worlds.vectors[:, at_site:, 0].sum(axis=1)  # the target's site is the first one
        true = worlds.vectors[:, :at_site, 0].sum(axis=1)
        sigma = float(layout.groups[0].opened_variance) ** 0.5 if defended else EXACT_SIGMA
        named = _likeliest(left, at_site, sigma)
        error = np.abs(named - true)
        effect = rate("target site's sum guessed exactly", int((error == 0).sum()), len(error))
        baseline = float(binom.pmf(np.arange(at_site + 1), at_site, 0.5).max())
        scores = worlds.scores(sums)
        bound = claimed(layout, setting) if defended else None
        measured = epsilon(scores, gaussian=defended, delta=setting.delta)
        within = np.array([np.mean(error <= most) for most in ERRORS])
        note = (
            f"The sum of a site of {at_site} clients is guessed exactly in {effect.estimate:.0%} of the panes ({baseline:.0%} "
            f"without the release). Its error is {np.sqrt(np.mean(error**2)):.2f} times the bound of a client. For one client "
            f"{epsilon_note(measured, bound)}."
        )
        labels = ResultLabels(
            (Series("likeliest sum", ERRORS, within),),
            "error, in bounds of a client",
            "share of the panes within the error",
            note,
        )
        return result_of(
            self, setting, labels, Success(effect, baseline, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )


def _likeliest(left: Ints, clients: int, sigma: float) -> Ints:
    """Return int64[panes]: the likeliest sum of a site, given the rest, if each client is active in half of the panes."""
    sums = np.arange(clients + 1)
    distance: Floats = -((left[:, None] - sums) ** 2) / (2 * sigma**2)
    return np.asarray(np.argmax(distance + binom.logpmf(sums, clients, 0.5), axis=1), np.int64)
