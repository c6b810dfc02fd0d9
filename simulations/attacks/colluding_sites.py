"""Colluding sites: all but one know what they reported, and subtract it from the sum; what is left is the last site's.

Source: Dwork, Kenthapadi, McSherry, Mironov, Naor 2006, "Our Data, Ourselves: Privacy via Distributed Noise Generation", §1;
Kairouz, Liu, Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation", §1.

The sites name the likeliest sum of the target's site. For ε somebody is asked who knows all of that site as well but for one
client: the unit of the claim.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.stats import binom  # type: ignore[import-untyped]  # SciPy has no types

from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from federation.terms import Noise

from .attack import AttackResult, Described, Floats, Progress, Series, Setting, Shown, Success, result_of, told
from .stage.panes import Ints, claimed, open_all, plan_of, reports_of, rng_of, two_worlds, view_of
from .statistics.measures import epsilon, rate

SITES: Final = 10
MARGIN: Final = 0.25
EXACT_SIGMA: Final = 0.1
"""Stands for no noise: sums are whole numbers."""
ERRORS: Final = np.arange(0.0, 10.5, 0.5)


class ColludingSites(Described):
    """All sites but the target's."""

    def __init__(self) -> None:
        super().__init__("colluding-sites")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """The effect is how often the target site's sum is named exactly; the baseline, by naming the commonest one."""
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
        effect = rate("target site's sum named exactly", int((error == 0).sum()), len(error))
        baseline = float(binom.pmf(np.arange(at_site + 1), at_site, 0.5).max())
        scores = worlds.scores(sums)
        bound = claimed(layout, setting) if defended else None
        measured = epsilon(scores, gaussian=defended, delta=setting.delta)
        within = np.array([np.mean(error <= most) for most in ERRORS])
        note = (
            f"The sum of a site of {at_site} clients is named exactly in {effect.estimate:.0%} of the panes, {baseline:.0%} by "
            f"guessing; its error is {np.sqrt(np.mean(error**2)):.2f} times what a client may report; for one client "
            f"{told(measured, bound)}."
        )
        labels = Shown(
            (Series("likeliest sum", ERRORS, within),),
            "error, in a client's bound",
            "part of the panes within it",
            note,
        )
        return result_of(
            self, setting, labels, Success(effect, baseline, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )


def _likeliest(left: Ints, clients: int, sigma: float) -> Ints:
    """int64[panes]: the likeliest sum of a site whose clients are active in half of the panes, given what is left."""
    sums = np.arange(clients + 1)
    distance: Floats = -((left[:, None] - sums) ** 2) / (2 * sigma**2)
    return np.asarray(np.argmax(distance + binom.logpmf(sums, clients, 0.5), axis=1), np.int64)
