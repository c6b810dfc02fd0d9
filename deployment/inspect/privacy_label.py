"""The privacy label of views: what a view is, what it costs, and which errors are expected; `explain.label_of` makes one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from featurestore.define.privacy import Mechanism, Noisers
from federation.accountant import EpsilonClaim
from federation.circuit.cost import ProofCost


@dataclass(frozen=True)
class ExpectedError:
    """The effect of noise on one feature of one pane with n clients.

    Attributes:
        value: without noise, of the events that `explain` assumes; of a histogram, of each cell. None where it would be null.
        se: standard error due to noise; None where the value would be null.
        drowned: the value would be null, or is a count below three standard errors.
    """

    clients: int
    value: float | None
    se: float | None
    drowned: bool


@dataclass(frozen=True)
class FeatureExplanation:
    """One feature: its slots, and its expected errors.

    Attributes:
        derived_from: the histogram that the feature is derived from.
        enough_clients: about the least number of clients of a key and pane at which noise does not drown the feature; None
            above 990 million.
        other_way: the errors of the alternative, if there is one: own slots instead of a histogram, or the reverse.
    """

    feature: str
    kind: str
    slots_per_key: int
    derived_from: str | None
    expected: tuple[ExpectedError, ...]
    enough_clients: int | None
    other_way: tuple[ExpectedError, ...] | None


@dataclass(frozen=True)
class FilteredExplanation:
    """The features that are filtered from a Rate: they have no slots and no price.

    Attributes:
        se: the errors that their standard errors cover.
    """

    features: tuple[str, ...]
    rate: str
    half_life: str
    sd: float
    season: str | None
    tz: str
    se: str


@dataclass(frozen=True)
class GroupExplanation:
    """One noise group.

    Attributes:
        sensitivity: Δ₂ (Gaussian) or Δ₁ (Laplace) of a client-day.
        scale: σ or b of one aggregator's noise.
        opened_se: standard error of an opened sum, with the noise of both aggregators.
    """

    feature: str
    group: str
    slots_per_key: int
    bits: int
    sensitivity: float
    delta1: int
    delta2_sq: int
    micro_epsilon: int
    micro_rho: int
    scale: float
    opened_se: float


@dataclass(frozen=True)
class CostExplanation:
    """The cost of a client-day as a ledger charges it, and as ε at δ of 1, 7 and 30 days.

    Attributes:
        micro_rho: against an aggregator, which budgets count. `outsiders_micro_rho`: against outsiders.
    """

    micro_rho: int
    outsiders_micro_rho: int
    delta: float
    epsilon: tuple[EpsilonClaim, ...]


@dataclass(frozen=True)
class EncryptedCost:
    """A report under `protection="he"`, in a run with at most `clients` clients.

    Attributes:
        ciphertexts: the number of ciphertexts of a report, with `degree` slots each.
        leak_micro_rho: the cost of a client-day beyond the view's price.
        why_not: the reason why the view cannot be encrypted; then all numbers except `clients` are 0.
    """

    clients: int
    ciphertexts: int = 0
    degree: int = 0
    report_bytes_leader: int = 0
    leak_micro_rho: int = 0
    why_not: str | None = None


@dataclass(frozen=True)
class PresentPrice:
    """The price that a view would get now, if an earlier version of Covey registered it at another one.

    Attributes:
        max_cells: the cells of a client-day that it would count.
    """

    micro_rho: int
    max_cells: int
    epsilon: tuple[EpsilonClaim, ...]
    groups: tuple[GroupExplanation, ...]


@dataclass(frozen=True)
class ViewExplanation:
    """Everything about a view that follows from its definition.

    Attributes:
        asked_rho, asked_epsilon: the price as the definition has it; one of them is None.
        held_millionths: that price in whole millionths of ρ (Gaussian) or ε (Laplace).
        lost_millionths: the rest that the split over the groups does not use.
        with_proofs: the size of a report under `validity="prio3"`; `report_bytes_…` are without proofs.
        encrypted: a report under `protection="he"`, which goes to the leader only.
        noisers, noise_factor, noise_split: as in a manifest.
        site_clients: the most clients of a site, if a report is a site's sum (`report_per="site"`); else 0.
        present: the price that the definition would get now, if the store has the view at that of an earlier version. All
            else is then about the view as the store has it.
    """

    view: str
    entity: tuple[str, ...]
    keys: int
    pane: str
    windows: tuple[str, ...]
    slots: int
    report_bytes_leader: int
    report_bytes_helper: int
    with_proofs: ProofCost
    encrypted: EncryptedCost
    max_cells: int
    max_events_per_cell: int
    min_clients: int
    unit: str
    neighbours: str
    mechanism: Mechanism
    noisers: int
    noise_factor: float
    noise_split: Noisers
    asked_rho: float | None
    asked_epsilon: float | None
    held_millionths: int
    lost_millionths: int
    cost: CostExplanation
    outside_claim: dict[str, tuple[str, ...]]
    groups: tuple[GroupExplanation, ...]
    features: tuple[FeatureExplanation, ...]
    filtered: tuple[FilteredExplanation, ...]
    site_clients: int = 0
    present: PresentPrice | None = None


@dataclass(frozen=True)
class PrivacyLabel:
    """The privacy label of all views of a file: each view, and the cost of all views together.

    Attributes:
        total: the cost of all views, at the smallest of their δ.
        budget_micro_rho: the default budget of a client-day in a new project.
    """

    views: tuple[ViewExplanation, ...]
    total: CostExplanation
    budget_micro_rho: int

    @property
    def over_budget(self) -> int:
        """Micro-ρ by which all views together exceed the budget; 0 if they do not."""
        return max(0, self.total.micro_rho - self.budget_micro_rho)

    def to_dict(self) -> dict[str, Any]:
        """The label for JSON; `site_clients` only if reports are sites' sums, `present` only if it differs."""
        views = [_without_usual(asdict(view)) for view in self.views]
        return asdict(self) | {"views": views, "over_budget_micro_rho": self.over_budget}


def _without_usual(view: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in view.items() if (name, value) not in (("site_clients", 0), ("present", None))
    }
