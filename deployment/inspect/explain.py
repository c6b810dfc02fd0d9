"""`covey explain`, the privacy label: the price of views and their expected errors, before anything is collected."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.bfv import message_bytes
from crypto.xof import SEED_BYTES
from deployment.project.project import DEFAULT_BUDGET
from deployment.project.view_forms import ViewForms, forms_of
from featurestore.define.decoded import Decoded, value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import DerivableFeature, PaneFeature, derivation
from featurestore.define.filtered import Filtered
from featurestore.define.layout import Group, Layout, layout_of
from featurestore.define.mechanism import NOISERS, LaplaceMechanism
from featurestore.define.values import decode
from featurestore.errors import DefinitionError
from federation.accountant import Cost, cost_of_day
from federation.batch.reports import REPORT_ID_BYTES
from federation.circuit.cost import cost_of
from federation.errors import HeImpossible
from federation.he.view import he_parameters, leak_micro_rho
from federation.parties import DEFAULT_SITE_CLIENTS

from .privacy_label import (
    CostExplanation,
    EncryptedCost,
    ExpectedError,
    FeatureExplanation,
    FilteredExplanation,
    GroupExplanation,
    PresentPrice,
    PrivacyLabel,
    ViewExplanation,
)

CLIENTS: Final = (50, 1_000, 10_000)
"""The numbers of clients of one join key and pane for which `covey explain` predicts errors."""
ENOUGH: Final = np.array([round(a * 10**k / 10) for k in range(9) for a in range(10, 100)], dtype=np.int64)
"""Numbers of clients with two significant digits, 1 to 990 million: candidates for `enough_clients`."""
ELEMENT_BYTES: Final = 8
UNIT: Final = "one client in one UTC day"
NEIGHBOURS: Final = "all events of that client-day against none; the enrolment is public"
FILTERED_SE: Final = "tracking and sampling errors as well as the noise"
OUTSIDE_CLAIM: Final = {"active": ("activity", "counted_sites"), "all": ()}
"""What other parties see beyond the claim, by the plan's participation."""


def label_of(
    views: Sequence[FeatureView],
    site_clients: int = 0,
    store: Path | None = None,
    *,
    clients: Sequence[int] = CLIENTS,
) -> PrivacyLabel:
    """The privacy label of one or more views.

    Args:
        site_clients: above 0: a report is the sum of at most so many clients.
        store: the directory of a store, or of none yet. A view that an earlier version registered there keeps its price.
        clients: the numbers of clients of one join key and pane, each with one event, for which errors are predicted.
    """
    if store is None:
        forms: tuple[ViewForms, ...] = tuple(ViewForms(view, view) for view in views)
    else:
        forms = forms_of(store, views)
    total = _cost(
        cost_of_day(layout_of(one.in_force) for one in forms), min(one.in_force.privacy.delta for one in forms)
    )
    return PrivacyLabel(tuple(_explain(one, site_clients, clients) for one in forms), total, DEFAULT_BUDGET.micro_rho)


def explain(view: FeatureView, site_clients: int = 0) -> ViewExplanation:
    """The slots, bytes, sensitivities, scales, cost and expected errors of a view."""
    return _explain(ViewForms(view, view), site_clients, CLIENTS)


def _explain(forms: ViewForms, site_clients: int, clients: Sequence[int]) -> ViewExplanation:
    view, asked = forms.in_force, forms.defined.privacy
    layout, privacy = layout_of(view), view.privacy
    pure = layout.micro_epsilon
    held, charged = (privacy.micro_rho, layout.stated_micro_rho) if pure is None else (privacy.micro_epsilon, pure)
    return ViewExplanation(
        view=view.name,
        entity=view.entity.keys,
        keys=layout.keys,
        pane=view.pane,
        windows=view.windows,
        slots=layout.length,
        report_bytes_leader=ELEMENT_BYTES * layout.length + REPORT_ID_BYTES,
        report_bytes_helper=SEED_BYTES + REPORT_ID_BYTES,
        with_proofs=cost_of(layout, clients=site_clients or 1),
        encrypted=_encrypted(view),
        max_cells=view.bounds.max_cells,
        max_events_per_cell=view.bounds.max_events_per_cell,
        min_clients=privacy.min_clients,
        unit=UNIT,
        neighbours=NEIGHBOURS,
        mechanism=privacy.mechanism,
        noisers=NOISERS,
        noise_factor=NOISERS**0.5,
        noise_split=privacy.chosen_noisers,
        asked_rho=None if asked.rho is None else float(asked.rho),
        asked_epsilon=None if asked.epsilon is None else float(asked.epsilon),
        held_millionths=held,
        lost_millionths=held - charged,
        cost=_cost(cost_of_day([layout]), privacy.delta),
        outside_claim=dict(OUTSIDE_CLAIM),
        groups=tuple(_group(layout, group) for group in layout.groups),
        features=tuple(_feature(layout, feature, clients) for feature in view.pane_features),
        filtered=tuple(map(_filtered, view.filtered)),
        site_clients=site_clients,
        present=_present(forms),
    )


def _present(forms: ViewForms) -> PresentPrice | None:
    if forms.defined == forms.in_force:
        return None
    try:
        layout, privacy = layout_of(forms.defined), forms.defined.privacy
    except DefinitionError:
        return None
    return PresentPrice(
        layout.micro_rho,
        forms.defined.bounds.max_cells,
        cost_of_day([layout]).claims(privacy.delta),
        tuple(_group(layout, group) for group in layout.groups),
    )


def _encrypted(view: FeatureView) -> EncryptedCost:
    clients = DEFAULT_SITE_CLIENTS
    try:
        parameters = he_parameters(view, clients, noisy=True)
    except HeImpossible as error:
        return EncryptedCost(clients, why_not=error.why)
    return EncryptedCost(
        clients,
        parameters.ciphertexts,
        parameters.degree,
        message_bytes(parameters) + REPORT_ID_BYTES,
        leak_micro_rho(view, clients, noisy=True),
    )


@lru_cache(maxsize=256)
def _cost(day: Cost, delta: float) -> CostExplanation:
    """The claims of a price; kept, because they compose distributions, and an editor explains the same views again and again."""
    return CostExplanation(day.micro_rho, day.price.outsiders.micro_rho, delta, day.claims(delta))


def _group(layout: Layout, group: Group) -> GroupExplanation:
    mechanism = group.mechanism
    return GroupExplanation(
        group.feature,
        group.kind,
        len(group.slots),
        max(layout.slots[slot].bits for slot in group.slots),
        mechanism.sensitivity,
        group.delta1,
        group.delta2_sq,
        mechanism.micro_epsilon if isinstance(mechanism, LaplaceMechanism) else 0,
        mechanism.micro_rho,
        mechanism.scale,
        group.opened_variance**0.5,
    )


def _feature(layout: Layout, feature: PaneFeature, clients: Sequence[int]) -> FeatureExplanation:
    source, other = None, None
    if isinstance(feature, DerivableFeature):
        source = derivation(layout.view.features, feature)
        if source is not None:
            # the alternative may be impossible: too many slots, or too small a part of the price
            with suppress(DefinitionError):
                other = _expected(*_other_way(layout.view, feature), clients)
    fine = ENOUGH[~_drowned(feature, *_imagined(layout, feature, ENOUGH))]
    return FeatureExplanation(
        feature.name,
        feature.kind,
        0 if feature.derive else sum(len(group.slots) for group in layout.groups_of(feature)),
        source.name if source is not None and feature.derive else None,
        _expected(layout, feature, clients),
        int(fine[0]) if len(fine) else None,
        other,
    )


def _filtered(filtered: Filtered) -> FilteredExplanation:
    return FilteredExplanation(
        filtered.names,
        filtered.rate,
        filtered.half_life,
        float(filtered.sd),
        filtered.season,
        filtered.tz,
        FILTERED_SE,
    )


def _other_way(view: FeatureView, feature: DerivableFeature) -> tuple[Layout, PaneFeature]:
    """The layout of the alternative of a derivable feature: own slots instead of its histogram, or the reverse."""
    turned = feature.turned()
    features = [turned if f.name == feature.name else f for f in view.pane_features]
    other = FeatureView(
        view.name, entity=view.entity, features=features, pane=view.pane, bounds=view.bounds, privacy=view.privacy
    )
    if (
        view.bounds.max_cells == view.bounds.declared_cells
    ):  # also where a day has fewer cells: an earlier version's sensitivity
        other = other.as_declared()
    return layout_of(other), turned


def _expected(layout: Layout, feature: PaneFeature, clients: Sequence[int]) -> tuple[ExpectedError, ...]:
    n, decoded = _imagined(layout, feature, np.array(clients, dtype=np.int64))
    there = value_is_there(decoded.status)
    values = decoded.value[:, 0] if decoded.value.ndim > 1 else decoded.value
    return tuple(
        ExpectedError(int(one), float(value) if is_there else None, float(se) if is_there else None, bool(drowned))
        for one, value, se, is_there, drowned in zip(
            n, values, decoded.se, there, _drowned(feature, n, decoded), strict=True
        )
    )


def _imagined(
    layout: Layout, feature: PaneFeature, clients: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Decoded]:
    """Decode assumed sums: n events of n clients, spread evenly over a histogram's cells, a Mean mid-range, a Rate of ½."""
    sums = np.zeros((len(clients), layout.slots_per_key), dtype=np.int64)
    for group in layout.groups:
        if group.kind != "centred_sum":
            sums[:, list(group.slots)] = clients[:, None] // (len(group.slots) if group.kind == "histogram" else 1)
    base = np.zeros(len(clients), dtype=np.uint8)
    return clients, decode(layout, feature, sums, np.full(len(clients), float(NOISERS)), base)


def _drowned(feature: PaneFeature, clients: npt.NDArray[np.int64], decoded: Decoded) -> npt.NDArray[np.bool_]:
    """bool[N]: see `ExpectedError.drowned`. Of a histogram, each cell."""
    if feature.serving.shape == "ratio":
        return ~value_is_there(decoded.status)
    return np.asarray(clients / feature.serving.width < 3 * decoded.se)
