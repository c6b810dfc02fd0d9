"""Infer a sensitive attribute from small cells: the exact counts of a cell of one client reveal that client.

Source: Machanavajjhala et al. 2007, "ℓ-Diversity: Privacy Beyond k-Anonymity": its homogeneity and background-
knowledge attacks.

The attacker knows the cell of its target, the number of clients in it (one to three), and how common the attribute is. It
guesses the likelier value from the sum of the cell. Only the noise of the plan is on or off. k is enforced in both cases and
stops nothing, because it counts the reports of a pane. `suppress_below` would withhold small cells; it is never set.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binom  # type: ignore[import-untyped]  # SciPy has no types

from featurestore.define.kinds import Rate
from featurestore.define.layout import layout_of
from federation.terms import Noise

from .attack import AttackResult, DescribedAttack, Floats, Progress, ResultLabels, Setting, Success, result_of
from .stage.panes import Ints, open_all, plan_of, reports_of, rng_of, view_of
from .statistics.measures import rate, series

PREVALENCE: Final = 0.3
LARGEST_CELL: Final = 3
EXACT_SIGMA: Final = 0.1
"""σ that stands for no noise: possible sums of a cell differ by at least 2."""
MARGIN: Final = 0.1


class Attribute(DescribedAttack):
    """Cells of one to three clients, with one target in each."""

    def __init__(self) -> None:
        super().__init__("attribute")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the accuracy. The baseline always guesses the commoner value."""
        rng, sizes = rng_of(setting, self.name), _cell_sizes(setting.clients)
        view, panes = (
            view_of(setting, Rate("has_it", where="has_it"), keys=len(sizes)),
            -(-setting.trials // len(sizes)),
        )
        has_it = rng.random((panes, setting.clients)) < PREVALENCE
        plan = plan_of(view, panes, rng, noise=Noise.FULL if defended else Noise.NONE)
        sums = open_all(plan, reports_of(_vectors(has_it, sizes)), setting, self.name).sums
        progress(1, 1)
        difference = layout_of(view).groups[0]  # clients with the attribute and clients without
        sigma = float(difference.opened_variance) ** 0.5 if defended else EXACT_SIGMA
        targets = has_it[:, np.cumsum(sizes) - sizes]  # the first client of each cell
        right = _likelier(sums[:, :, difference.slots[0]], sizes, sigma) == targets
        effect = rate("accuracy", int(right.sum()), right.size)
        cells = range(1, LARGEST_CELL + 1)
        of_size = [right[:, sizes == size] for size in cells]
        points = series("likelier value", np.array(cells), [rate("accuracy", int(of.sum()), of.size) for of in of_size])
        baseline = max(PREVALENCE, 1 - PREVALENCE)
        note = (
            f"In cells of 1 to {LARGEST_CELL} clients {effect.estimate:.0%} of {right.size} attributes are inferred correctly. "
            f"Guessing the commoner value is right in {baseline:.0%}."
        )
        labels = ResultLabels((points,), "clients of the cell", "accuracy", note)
        return result_of(self, setting, labels, Success(effect, baseline, MARGIN), defended=defended, trials=right.size)


def _cell_sizes(clients: int) -> Ints:
    """Return the sizes 1, 2, 3, 1, 2, 3, … of the cells that the clients fill."""
    sizes = np.arange(clients) % LARGEST_CELL + 1
    full = sizes[: np.searchsorted(np.cumsum(sizes), clients, side="right")]
    rest = clients - int(full.sum())
    return np.append(full, rest) if rest else full


def _vectors(has_it: npt.NDArray[np.bool_], sizes: Ints) -> Ints:
    """Return int64[panes, clients, 2·cells]: one event a client, in the slot `true` or `false` of its cell."""
    slot = 2 * np.repeat(np.arange(len(sizes)), sizes) + ~has_it
    vectors = np.zeros((*has_it.shape, 2 * len(sizes)), np.int64)
    np.put_along_axis(vectors, slot[:, :, None], 1, axis=2)
    return vectors


def _likelier(sums: Ints, sizes: Ints, sigma: float) -> npt.NDArray[np.bool_]:
    """Return bool[panes, cells]: whether the target more likely has the attribute, by the difference of the two slots."""
    likelihood: list[Floats] = []
    for target in (0, 1):
        parts = [
            binom.pmf(others, sizes - 1, PREVALENCE)
            * np.exp(-((sums - (2 * (others + target) - sizes)) ** 2) / (2 * sigma**2))
            for others in range(LARGEST_CELL)
        ]
        likelihood.append(np.sum(parts, axis=0))
    return np.asarray(PREVALENCE * likelihood[1] > (1 - PREVALENCE) * likelihood[0])
