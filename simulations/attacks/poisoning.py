"""Poisoning: a few clients report arbitrary values. They move a sum and every model that is trained on it.

Source: Corrigan-Gibbs, Boneh 2017, "Prio: Private, Robust, and Scalable Computation of Aggregate Statistics", §§ 1, 4
(without proofs one client corrupts the sum; with them it may lie within the bounds); Cheu, Smith, Ullman 2021, "Manipulation
Attacks in Local Differential Privacy", §1.

The lies are in `simulations.attacks.lies.vectors`. Proofs stop `huge`. No proof stops `plausible`, the most that the bounds
allow; it moves a sum by at most one bound a liar.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds
from federation.aggregation import OpenedView
from federation.terms import Participation, Shares, Validity

from .attack import AttackResult, DescribedAttack, Measure, Progress, ResultLabels, Series, Setting, Success, result_of
from .lies.kinds import PLAUSIBLE
from .lies.liars import Liars
from .stage.panes import Ints, open_all, opened, plan_of, reports_of, rng_of, view_of
from .statistics.measures import mean, series

HUGE: Final = "huge"
LIARS: Final = (1, 3, 5)
"""Numbers of liars in a pane; the largest gives the effect. An even number, each with 2^63, would wrap around."""
BOUND: Final = 7
"""The most events that a client may report."""
TRIALS_A_PANE: Final = 20
"""A pane with proofs costs as much time as this many panes without."""
SHUT: Final = (
    " Panes with fewer than k remaining reports stayed closed: liars can withhold a sum that they cannot move."
)


class Poisoning(DescribedAttack):
    """Some clients of each pane lie."""

    def __init__(self) -> None:
        super().__init__("poisoning")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the bias of `huge` in standard errors of an opened sum. The margin is the bias of one bound a liar."""
        rng = rng_of(setting, self.name)
        view = view_of(setting, Count("n"), bounds=Bounds(max_cells=1, max_events_per_cell=BOUND))
        panes = max(2, setting.trials // TRIALS_A_PANE)
        values = rng.integers(0, BOUND + 1, (panes, setting.clients, 1))
        se = float(layout_of(view).groups[0].opened_variance) ** 0.5
        bias: dict[str, list[Measure]] = {HUGE: [], PLAUSIBLE: []}
        rejected: dict[str, int] = {}
        shut = False
        runs = [(kind, liars) for kind in bias for liars in LIARS]
        for number, (kind, liars) in enumerate(runs):
            plan = plan_of(
                view,
                panes,
                rng,
                terms=Shares(Validity.PRIO3 if defended else Validity.NONE, participation=Participation.ALL),
            )
            protect = Liars([kind] * liars).protect
            collected = open_all(plan, reports_of(values), setting, f"{self.name} {kind} {liars}", protect)
            rejected[kind] = collected.rejected
            shut |= not opened(collected.outcomes).all()
            bias[kind].append(_bias(kind, collected, values[:, :, 0].sum(axis=1), se))
            progress(number + 1, len(runs))
        effect, within, allowed = bias[HUGE][-1], bias[PLAUSIBLE][-1], LIARS[-1] * BOUND / se
        x = np.array(LIARS, np.float64)
        points = (*(series(kind, x, of) for kind, of in bias.items()), Series("one bound a liar", x, x * BOUND / se))
        note = (
            f"{LIARS[-1]} liars in each of {panes} panes that report 2^63 too much ({rejected[HUGE]} reports rejected) move a sum "
            f"by {effect.estimate:.3g} standard errors. Liars within the bounds ({rejected[PLAUSIBLE]} rejected) move it by "
            f"{within.estimate:.2f} ({within.low:.2f} … {within.high:.2f}); the bounds allow {allowed:.2f}."
            f"{SHUT if shut else ''}"
        )
        labels = ResultLabels(points, "lying clients", "bias of a sum, in standard errors", note)
        return result_of(self, setting, labels, Success(effect, 0.0, allowed), defended=defended, trials=panes)


def _bias(kind: str, collected: OpenedView, true: Ints, se: float) -> Measure:
    """Measure the absolute error of the sums (a lie wraps around in the field); a closed pane has no error."""
    what = f"bias of {kind!r}, in standard errors"
    if not opened(collected.outcomes).all():  # without the rejected reports every pane has fewer than k
        return Measure(what, 0.0, 0.0, 0.0)
    bias = mean(what, (collected.sums[:, 0, 0].astype(np.float64) - true) / se)
    low = max(0.0, bias.low, -bias.high)
    return Measure(bias.what, abs(bias.estimate), low, max(abs(bias.low), abs(bias.high)))
