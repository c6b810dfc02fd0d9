"""Lies about features: with proofs they are rejected in every view; without proofs they are in the sum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crypto.field_modulus import P
from crypto.sharing import SparseRows
from deployment.errors import RunRefused
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import Layout, layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import OpenedView
from federation.batch.reports import Reports
from federation.circuit.circuit import prio3_of
from federation.circuit.validity import encode
from federation.plan import Plan, PlannedView
from federation.protocol import run_collections
from simulations.attacks.lies.forging import forge
from simulations.attacks.lies.kinds import COPIED, KINDS, PLAUSIBLE
from simulations.attacks.lies.liars import Liars
from simulations.attacks.lies.lying_app import load_lying_site, site_app_of
from simulations.attacks.lies.lying_site import LyingSite
from simulations.attacks.lies.vectors import cell_of, require_applicable, vector_of
from simulations.errors import LieInapplicable
from tests.federation.words import plan_in_words

DAY = 86_400 * 10**6
CLIENTS = 5

EVERY = [
    Count("n"),
    ClientCount("c"),
    Mean("x", clip=(0, 10), resolution=1),
    Histogram("y", edges=[0, 1], nulls=True),
    Rate("r", where="x > 1"),
]
SETS: dict[str, list[ViewFeature]] = {
    "every": EVERY,
    "derived": [
        ClientCount("c"),
        Histogram("y", edges=[0, 1], nulls=True),
        Count("n", derive=True),
        Rate("r", where="y >= 1", derive=True),
    ],
    "a count that is the sum of cells": [Count("n"), Histogram("y", edges=[0, 1], nulls=True)],
    **{type(feature).__name__: [feature] for feature in EVERY},
    "ones and zeros": [Mean("x", clip=(0, 1), resolution=1), Count("n")],
}


def view(features: list[ViewFeature], events: int = 2, cells: int = 2, keys: int = 3) -> FeatureView:
    return FeatureView(
        "v",
        entity=Entity("k", domain=range(keys)),
        features=features,
        pane="1d",
        bounds=Bounds(cells, events),
        privacy=Privacy(rho=0.5, min_clients=2),
    )


def plan(of: FeatureView, validity: Any, panes: int = 2) -> Plan:
    planned = PlannedView(of, np.arange(panes, dtype=np.int64) * DAY, 1)
    return plan_in_words(bytes(16), (planned,), "none", validity=validity)


def honest(layout: Layout, panes: int = 2) -> np.ndarray:
    """int64[panes, CLIENTS, slots]: clients at different keys, or at the same key with different numbers of events."""
    dense = np.zeros((panes, CLIENTS, layout.keys, layout.slots_per_key), np.int64)
    for client in range(CLIENTS):
        events = 1 + (client // layout.keys) % layout.view.bounds.max_events_per_cell
        dense[:, client, client % layout.keys] = cell_of(layout, events)
    return dense.reshape(panes, CLIENTS, -1)


def collect(of: Plan, dense: np.ndarray, liars: Liars, batch: int = 100) -> OpenedView:
    rows = dense.reshape(-1, dense.shape[-1])
    indptr = np.concatenate(([0], np.cumsum((rows != 0).sum(axis=1)))).astype(np.int64)
    slots = SparseRows(indptr, np.nonzero(rows)[1].astype(np.int32), rows[rows != 0], rows.shape[1])
    whole = Reports(0, np.repeat(np.arange(len(dense), dtype=np.uint32), dense.shape[1]), slots)
    batches = list(whole.batches(2**21 // batch))
    (opened,) = run_collections(of, batches, np.random.default_rng(0).bytes, None, None, protect=liars.protect)
    return opened


def sums(of: Plan, *dense: np.ndarray) -> np.ndarray:
    """The opened sums of these reports in Python's integers: [panes, keys, slots of a key]."""
    layout = of.views[0].layout
    raw = sum(part.astype(object).sum(axis=1) for part in dense).reshape(-1, layout.keys, layout.slots_per_key)
    mapped = raw @ layout.basis.T.astype(object) % P
    return np.where(mapped > P // 2, mapped - P, mapped)


def tellable(kind: str, features: list[ViewFeature]) -> bool:
    try:
        require_applicable(kind, layout_of(view(features)))
    except LieInapplicable:
        return False
    return True


@pytest.mark.parametrize("events", [1, 3])
@pytest.mark.parametrize(
    ("kind", "features"),
    [
        pytest.param(kind, features, id=f"{kind}, {name}")
        for name, features in SETS.items()
        for kind in KINDS
        if tellable(kind, features)
    ],
)
def test_a_lie_is_rejected_with_proofs_and_the_others_are_exact(
    kind: str, features: list[ViewFeature], events: int
) -> None:
    proven, unproven = (plan(view(features, events), validity) for validity in ("prio3", "none"))
    dense = honest(proven.views[0].layout)
    opened = collect(proven, dense, Liars([kind]))
    if kind == PLAUSIBLE:
        assert opened.rejected == 0
        assert (opened.sums == collect(unproven, dense, Liars([kind])).sums).all()
        return
    assert opened.rejected == 2
    assert (opened.sums == sums(proven, dense[:, 1:])).all()
    lie = dense[:, [1]] if kind == COPIED else np.tile(vector_of(kind, proven.views[0].layout), (2, 1, 1))
    poisoned = collect(unproven, dense, Liars([kind]))
    assert poisoned.rejected == 0
    assert (poisoned.sums == sums(unproven, dense[:, 1:], lie)).all()
    assert (poisoned.sums != sums(unproven, dense)).any()


def test_every_lie_can_be_told_of_a_view_with_all_features() -> None:
    assert [kind for kind in KINDS if tellable(kind, EVERY)] == list(KINDS)
    assert len(KINDS) == 11  # ten, and the plausible lie


@pytest.mark.parametrize("events", [1, 2, 3, 5])
@pytest.mark.parametrize("features", SETS.values(), ids=SETS)
def test_a_forged_measurement_stands_for_exactly_the_lie(features: list[ViewFeature], events: int) -> None:
    layout = layout_of(view(features, events))
    circuit = prio3_of(layout).circuit
    exact = set()
    for kind in KINDS:
        if kind != COPIED and tellable(kind, features):
            for key in range(layout.keys):
                vector = vector_of(kind, layout, key)
                if fits_together(layout, vector):
                    exact.add(kind)
                    assert (circuit.truncate(forge(layout, vector)[None])[0] == vector).all()
    assert exact >= {"huge", "too-many-keys", PLAUSIBLE}


def fits_together(layout: Layout, vector: np.ndarray) -> bool:
    """Whether the values that a circuit may compare are equal.

    These are the cells that count all events and the count, and for one event a cell also the clients.
    """
    totals: dict[str, np.ndarray] = {}
    slots = vector.reshape(layout.keys, -1).astype(object)
    for feature in layout.view.features:
        own = [i for i, slot in enumerate(layout.slots) if slot.feature == feature.name]
        everything = isinstance(feature, Count) or (isinstance(feature, Histogram) and feature.nulls)
        if own and (everything or (isinstance(feature, ClientCount) and layout.view.bounds.max_events_per_cell == 1)):
            totals[feature.name] = slots[:, own].sum(axis=1) % P
    return all((total == next(iter(totals.values()))).all() for total in totals.values())


def test_what_is_within_the_bounds_is_forged_as_an_honest_client_would_encode_it() -> None:
    for features in SETS.values():
        layout = layout_of(view(features))
        vector = vector_of(PLAUSIBLE, layout)
        (used,) = np.nonzero(vector)
        rows = SparseRows(np.array([0, len(used)]), used.astype(np.int32), vector[used].astype(np.int64), len(vector))
        assert (forge(layout, vector) == encode(layout, rows)[0]).all()


def test_many_liars_in_small_batches_are_the_first_of_each_pane() -> None:
    of = plan(view(EVERY), "prio3")
    dense = honest(of.views[0].layout)
    for batch in (1, 2, 3, 7):
        opened = collect(of, dense, Liars(["huge", "not-a-number", "negative"]), batch)
        assert opened.rejected == 6
        assert (opened.sums == sums(of, dense[:, 3:])).all()


@pytest.mark.parametrize("batch", [2, 3, 4, 6, 7])
def test_a_copied_proof_is_told_once_a_pane_wherever_a_batch_ends(batch: int) -> None:
    """If the first report of a pane ends a batch, it has no proof to copy. The second report copies then."""
    of = plan(view(EVERY), "prio3")
    dense = honest(of.views[0].layout)
    opened = collect(of, dense, Liars([COPIED]), batch)
    lying = [int(pane * CLIENTS % batch == batch - 1) for pane in range(2)]
    assert opened.rejected == 2
    assert (opened.sums == sums(of, np.stack([np.delete(dense[pane], lying[pane], axis=0) for pane in range(2)]))).all()


def test_more_liars_than_clients_are_all_of_them() -> None:
    of = plan(view(EVERY), "prio3")
    opened = collect(of, honest(of.views[0].layout), Liars(["huge"] * 50))
    assert opened.rejected == 2 * CLIENTS
    assert opened.outcomes.tolist() == [1, 1]  # too small


def test_a_lie_is_told_at_the_key_that_was_asked_for() -> None:
    of = plan(view(EVERY), "none")
    layout = of.views[0].layout
    dense = honest(layout)
    moved = (collect(of, dense, Liars(["too-many-events"], {"v": 2})).sums != sums(of, dense)).any(axis=(0, 2))
    assert moved.tolist() == [True, False, True]  # the liar's true key and its claimed key
    assert np.flatnonzero(vector_of("too-many-keys", layout, 2).reshape(3, -1).any(axis=1)).tolist() == [0, 1, 2]
    assert np.flatnonzero(vector_of(PLAUSIBLE, layout, 2).reshape(3, -1).any(axis=1)).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("kind", "features", "needs"),
    [
        ("count-without-histogram", [Count("n"), Histogram("y", edges=[0])], "nulls=True"),
        ("two-cells", [Count("n")], "a Histogram"),
        ("wrap-around", [Mean("x", clip=(0, 1))], "a Histogram or a Rate"),
        ("too-many-events", [ClientCount("c")], "beside ClientCount"),
        ("fancy", [Count("n")], "one of huge"),
    ],
)
def test_a_lie_that_cannot_be_told_says_what_the_view_needs(kind: str, features: list[ViewFeature], needs: str) -> None:
    with pytest.raises(LieInapplicable, match=needs):
        vector_of(kind, layout_of(view(features)))
    with pytest.raises(LieInapplicable, match="more join keys"):
        vector_of("too-many-keys", layout_of(view(features, keys=2)))


def test_a_lying_site_is_read_back_and_anything_else_refused(tmp_path: Path) -> None:
    path = tmp_path / "liars.json"
    lying = LyingSite("a", ("huge", "negative"), {"v": 3})
    site_app_of(lying).save(tmp_path)
    assert load_lying_site(path) == lying
    for text in ("", "[]", "{}", '{"site": "a", "kinds": 3, "keys": {}}', '{"site": "a", "kinds": [], "keys": []}'):
        path.write_text(text)
        with pytest.raises(RunRefused, match=r"liars\.json names no lying site"):
            load_lying_site(path)
