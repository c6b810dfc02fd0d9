"""The collections for attacks: a view, a plan whose panes are the trials, the reports and their openings.

Each trial is a pane on a day of its own, so one run of the protocol draws all trials.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from crypto.noise import SeededNoise
from crypto.sharing import Accumulator, SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.layout import Layout
from featurestore.define.privacy import Bounds, Privacy
from federation.accountant import cost_of_day
from federation.aggregation import ClosedAggregation, OpenedView
from federation.batch.reports import Reports
from federation.commitment import Commitment, Outcome
from federation.plan import PLAN_ID_BYTES, Plan, PlannedView, new_plan
from federation.protocol import run_collections
from federation.sharding import Protect, protect
from federation.terms import Noise, Participation, Shares, Terms
from federation.wire_terms import WireTerms
from simulations.attacks.attack import Floats, Setting
from simulations.attacks.statistics.bounds import Scores

Ints = npt.NDArray[np.int64]
EVERYBODY: Final = Shares(participation=Participation.ALL)
ONE_EVENT: Final = Bounds(max_cells=1, max_events_per_cell=1)


def rng_of(setting: Setting, label: str) -> np.random.Generator:
    """Make a random generator from the setting's seed; different labels give independent streams."""
    return np.random.default_rng([setting.seed, *label.encode()])


def view_of(setting: Setting, *features: ViewFeature, keys: int = 1, bounds: Bounds = ONE_EVENT) -> FeatureView:
    """Make a view with the price and k of the setting."""
    privacy = Privacy(rho=setting.rho, delta=setting.delta, min_clients=setting.k)
    return FeatureView(
        "lab", entity=Entity("k", domain=range(keys)), features=features, pane="1d", bounds=bounds, privacy=privacy
    )


def plan_of(
    view: FeatureView,
    panes: int,
    rng: np.random.Generator,
    *,
    noise: Noise = Noise.FULL,
    terms: Terms = EVERYBODY,
    wire: WireTerms | None = None,
) -> Plan:
    """Make a plan of the view's first panes, with the view's own k."""
    planned = PlannedView(view, np.arange(panes, dtype=np.int64) * DAY_US, view.privacy.min_clients)
    return new_plan([planned], terms, noise, plan_id=rng.bytes(PLAN_ID_BYTES), sites=(), wire=wire)


def reports_of(vectors: Ints) -> Reports:
    """Make reports of `vectors: int64[panes, reports, slots]`, pane by pane."""
    panes, reports, slots = vectors.shape
    flat = vectors.reshape(-1, slots)
    row, column = np.nonzero(flat)
    indptr = np.concatenate(([0], np.cumsum(np.count_nonzero(flat, axis=1))))
    collection = np.repeat(np.arange(panes, dtype=np.uint32), reports)
    return Reports(0, collection, SparseRows(indptr, column.astype(np.int32), flat[row, column], slots))


def noise_of(plan: Plan, setting: Setting, label: str) -> tuple[SeededNoise | None, SeededNoise | None]:
    """Return the noise sources of leader and helper; None if the plan has no noise."""
    if not plan.noisy:
        return None, None
    return SeededNoise(setting.seed, f"leader {label}"), SeededNoise(setting.seed, f"helper {label}")


def open_all(plan: Plan, reports: Reports, setting: Setting, label: str, protect: Protect = protect) -> OpenedView:
    """Run the whole protocol and return the opened sums."""
    rng = rng_of(setting, f"shares {label}")
    (view,) = run_collections(plan, reports.batches(), rng.bytes, *noise_of(plan, setting, label), protect=protect)
    return view


def opened(outcomes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return bool[panes]: whether the pane was opened."""
    return np.asarray(outcomes == Outcome.OPENED)


def claimed(layout: Layout, setting: Setting) -> float:
    """Return the claimed ε of a client-day at the setting's δ."""
    return cost_of_day([layout]).epsilon(setting.delta)


def repeated(closed: ClosedAggregation, plan: Plan, times: int) -> ClosedAggregation:
    """Repeat the panes of a closed aggregator `times` times, as panes of `plan`."""
    totals = np.tile(closed.sums[0].values, (times, 1))
    commitment = Commitment(closed.commitment.counts * times, closed.commitment.digests * times)
    return replace(closed, plan=plan, sums=(Accumulator.from_values(totals),), commitment=commitment)


@dataclass(frozen=True, eq=False)
class TwoWorlds:
    """Panes with the active target, then as many panes with the inactive target. The other clients are the same, and known.

    Attributes:
        vectors: int64[panes, clients, slots], the target's report first.
        vector: int64[slots], the report of the active target.
    """

    layout: Layout
    vectors: Ints
    vector: Ints

    @classmethod
    def make(cls, layout: Layout, vector: Ints, others: npt.NDArray[np.bool_]) -> TwoWorlds:
        """Make both worlds. `others: bool[panes, clients − 1]`: which other clients are active, with the target's vector."""
        target = np.arange(len(others)) < len(others) // 2
        active = np.concatenate((target[:, None], others), axis=1)
        return cls(layout, active[:, :, None] * vector, vector)

    @property
    def panes(self) -> int:
        """Return the number of panes of both worlds."""
        return len(self.vectors)

    def scores(self, sums: Ints) -> Scores:
        """Return the likelihood ratio of `sums: int64[panes, K, S]` minus the reports of the other clients.

        log P[x | active]/P[x | not] is Σ x·d/σ², up to a constant; d is the report of the active target. This is the best
        test for Gaussian noise, also for discrete Gaussian noise (Neyman, Pearson 1933).
        """
        known = self._mapped(self.vectors[:, 1:].sum(axis=1))
        moved = self._mapped(self.vector[None])[0]
        weights = np.zeros(moved.shape)
        for group in self.layout.groups:
            slots = list(group.slots)
            weights[:, slots] = moved[:, slots] / group.variance
        return halves(((sums - known) * weights).sum(axis=(1, 2)))

    def _mapped(self, vectors: Ints) -> Ints:
        """Map int64[n, slots] → int64[n, K, S] into the noise basis."""
        mapped: Ints = vectors.reshape(len(vectors), self.layout.keys, self.layout.slots_per_key) @ self.layout.basis.T
        return mapped


def two_worlds(setting: Setting, layout: Layout, vector: Ints, rng: np.random.Generator) -> TwoWorlds:
    """Make both worlds of a setting; each other client is active in half of the panes."""
    others = rng.integers(0, 2, (2 * setting.trials, setting.clients - 1)).astype(bool)
    return TwoWorlds.make(layout, vector, others)


def halves(scores: Floats) -> Scores:
    """Split scores into the panes with the active target and the panes without."""
    return Scores(*np.split(scores, 2))
