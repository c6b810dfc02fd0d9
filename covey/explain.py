"""`covey explain`: what a view costs and how well it will be known, before anything is collected."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from crypto.xof import SEED_BYTES
from featurestore.definitions import FeatureView, derivation
from featurestore.errors import DefinitionError
from featurestore.features import Count, Feature, Rate
from featurestore.layout import NOISERS, Layout, layout_of
from featurestore.values import Status, decode
from federation.accountant import epsilon
from federation.protocol import REPORT_ID_BYTES

CLIENTS: Final = (50, 1_000, 10_000)
"""How many clients are imagined behind one join key, each with one event, where errors are foretold."""
ELEMENT_BYTES: Final = 8


@dataclass(frozen=True)
class ExpectedError:
    """Standard error due to noise of one feature of one pane, with n clients; None where the noise would drown it."""

    clients: int
    se: float | None


@dataclass(frozen=True)
class FeatureExplained:
    """One feature: what it occupies, and its expected errors. `derived_from` names the histogram it is read off."""

    feature: str
    kind: str
    slots_per_key: int
    derived_from: str | None
    expected: tuple[ExpectedError, ...]
    other_way: tuple[ExpectedError, ...] | None


@dataclass(frozen=True)
class GroupExplained:
    """One noise group; sigma is one aggregator's, opened_sigma both aggregators'."""

    feature: str
    group: str
    slots_per_key: int
    bits: int
    sensitivity: float
    micro_rho: int
    sigma: float
    opened_sigma: float


@dataclass(frozen=True)
class ViewExplained:
    """Everything about a view that follows from its definition."""

    view: str
    entity: tuple[str, ...]
    keys: int
    pane: str
    windows: tuple[str, ...]
    slots: int
    report_bytes_leader: int
    report_bytes_helper: int
    max_cells: int
    max_events_per_cell: int
    min_clients: int
    rho: float
    delta: float
    epsilon_day: float
    epsilon_30_days: float
    unit: str
    outside_claim: tuple[str, ...]
    groups: tuple[GroupExplained, ...]
    features: tuple[FeatureExplained, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def explain(view: FeatureView) -> ViewExplained:
    """Slots, bytes, sensitivities, σ, ρ and ε of a view, and the errors to expect."""
    layout = layout_of(view)
    micro_rho, delta = layout.micro_rho, view.privacy.delta
    return ViewExplained(
        view=view.name,
        entity=view.entity.keys,
        keys=layout.keys,
        pane=view.pane,
        windows=view.windows,
        slots=layout.length,
        report_bytes_leader=ELEMENT_BYTES * layout.length + REPORT_ID_BYTES,
        report_bytes_helper=SEED_BYTES + REPORT_ID_BYTES,
        max_cells=view.bounds.max_cells,
        max_events_per_cell=view.bounds.max_events_per_cell,
        min_clients=view.privacy.min_clients,
        rho=micro_rho / 1e6,
        delta=delta,
        epsilon_day=epsilon(micro_rho, delta),
        epsilon_30_days=epsilon(micro_rho, delta, days=30),
        unit="one client in one UTC day, set against none",
        outside_claim=("activity",),
        groups=tuple(
            GroupExplained(
                group.feature,
                group.kind,
                len(group.slots),
                max(layout.slots[slot].bits for slot in group.slots),
                group.delta2_sq**0.5,
                group.micro_rho,
                float(group.sigma_sq) ** 0.5,
                float(group.opened_sigma_sq) ** 0.5,
            )
            for group in layout.groups
        ),
        features=tuple(_feature(layout, feature) for feature in view.features),
    )


def _feature(layout: Layout, feature: Feature) -> FeatureExplained:
    source = derivation(layout.view, feature)
    other = None
    if source is not None and isinstance(feature, Count | Rate):
        with suppress(DefinitionError):  # the other way may not fit: too many slots, or too small a part of ρ
            other = _expected(*_other_way(layout.view, feature))
    return FeatureExplained(
        feature.name,
        feature.kind,
        0 if feature.derive else sum(len(group.slots) for group in layout.groups_of(feature)),
        source.name if source is not None and feature.derive else None,
        _expected(layout, feature),
        other,
    )


def _other_way(view: FeatureView, feature: Count | Rate) -> tuple[Layout, Feature]:
    """The layout in which a derivable feature goes the other way: with slots of its own, or read off its histogram."""
    turned: Count | Rate
    if isinstance(feature, Rate):
        turned = Rate(feature.name, where=feature.where, derive=not feature.derive, weight=feature.weight)
    else:
        turned = Count(feature.name, derive=not feature.derive, weight=feature.weight)
    features = [turned if f is feature else f for f in view.features]
    other = FeatureView(
        view.name, entity=view.entity, features=features, pane=view.pane, bounds=view.bounds, privacy=view.privacy
    )
    return layout_of(other), turned


def _expected(layout: Layout, feature: Feature) -> tuple[ExpectedError, ...]:
    """Decode imagined sums: n events of n clients, evenly over a histogram's cells, a Mean mid-range, a Rate of ½."""
    n = np.array(CLIENTS, dtype=np.int64)
    sums = np.zeros((len(n), layout.slots_per_key), dtype=np.int64)
    for group in layout.groups:
        if group.kind != "centred_sum":
            sums[:, list(group.slots)] = n[:, None] // (len(group.slots) if group.kind == "histogram" else 1)
    base = np.zeros(len(n), dtype=np.uint8)
    decoded = decode(layout, feature, sums, np.full(len(n), float(NOISERS)), base)
    return tuple(
        ExpectedError(int(clients), float(se) if status == Status.OK else None)
        for clients, se, status in zip(n, decoded.se, decoded.status, strict=True)
    )
