"""Reconstruction: sums over enough random subsets of clients reveal the bit of every client, even with noise.

Source: Dinur, Nissim 2003, "Revealing Information while Preserving Privacy", §3; with least squares in place of their linear
program: Kasiviswanathan, Rudelson, Smith, Ullman 2010, "The Price of Privately Releasing Contingency Tables and the Spectra of
Random Matrices with Correlated Rows".

A coordinator makes a subset by withholding the other batches. Each subset is a plan of its own for the same panes. Each pane is
a new population of clients with secret bits. As in `differencing`, sites have no ledgers.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from featurestore.define.kinds import Count

from .attack import AttackResult, DescribedAttack, Floats, Progress, ResultLabels, Setting, Success, result_of
from .stage.ledgers import gate
from .stage.panes import Ints, open_all, plan_of, reports_of, rng_of, view_of
from .statistics.measures import rate, rates

SUBSETS_A_CLIENT: Final = 4
MOST_SUBSETS: Final = 1_000
PARTS: Final = (16, 8, 4, 2, 1)
"""The result is shown after 1/16 … 1/1 of the openings."""
MARGIN: Final = 0.25


class Reconstruction(DescribedAttack):
    """Random subsets of one pane's clients, opened one after the other."""

    def __init__(self) -> None:
        super().__init__("reconstruction")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the share of the secret bits that are right. Guessing is right for half of them."""
        rng, view = rng_of(setting, self.name), view_of(setting, Count("n"))
        populations = -(-setting.trials // setting.clients)
        bits = rng.integers(0, 2, (populations, setting.clients))
        size, subsets = max(setting.k, setting.clients // 2), min(SUBSETS_A_CLIENT * setting.clients, MOST_SUBSETS)
        chosen: list[Ints] = []
        sums: list[Ints] = []
        with gate(defended=defended) as aggregators:
            for number in range(subsets):
                plan, subset = plan_of(view, populations, rng), np.sort(rng.permutation(setting.clients)[:size])
                if aggregators.allows(plan):
                    reports, label = reports_of(bits[:, subset, None]), f"{self.name} {number}"
                    sums.append(open_all(plan, reports, setting, label).sums[:, 0, 0])
                    chosen.append(subset)
                progress(number + 1, subsets)
        used = sorted({1, *(len(sums) // part for part in PARTS)} - {0})
        right = np.array([int((_solve(chosen[:m], sums[:m], setting.clients) == bits).sum()) for m in used])
        effect = rate("bits reconstructed correctly", int(right[-1]), bits.size)
        points = rates("least squares", np.array(used), right, bits.size)
        note = (
            f"{len(sums)} of {subsets} subsets were opened. {effect.estimate:.0%} of {bits.size} secret bits are right."
        )
        labels = ResultLabels((points,), "opened subsets", "share of the secret bits that are right", note)
        return result_of(self, setting, labels, Success(effect, 0.5, MARGIN), defended=defended, trials=bits.size)


def _solve(chosen: list[Ints], sums: list[Ints], clients: int) -> Ints:
    """Return int64[populations, clients]: the bits of the least-squares solution; of several, the one nearest to ½."""
    rows: Floats = np.zeros((len(chosen), clients))
    for row, subset in zip(rows, chosen, strict=True):
        row[subset] = 1
    centred = np.array(sums) - rows.sum(axis=1, keepdims=True) / 2
    solution = np.linalg.lstsq(rows, centred, rcond=None)[0]
    return np.asarray(solution.T > 0, np.int64)
