"""Shared by the tests of homomorphic encryption: a view with every kind of slot, and reports within its bounds."""

from __future__ import annotations

import numpy as np
import pytest

from crypto.sharing import SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from federation.batch.reports import Reports
from federation.plan import Plan, PlannedView
from tests.federation.words import plan_in_words

pytest.importorskip("tenseal", reason="the extra `he` is not installed")
pytest.importorskip("zstandard", reason="the extra `he` is not installed")

DAY = 86_400 * 10**6
EVENTS, CELLS, Q_MAX = 2, 2, 11


def view(name: str = "v", keys: int = 3, rho: float = 0.5) -> FeatureView:
    """Slots of a key: n, c, Σq and its count, true and false, three cells of a histogram."""
    return FeatureView(
        name,
        entity=Entity("k", domain=range(keys)),
        features=[
            Count("n"),
            ClientCount("c"),
            Mean("x", clip=(0, Q_MAX), resolution=1),
            Rate("r", where="x > 1"),
            Histogram("y", edges=[0, 1]),
        ],
        pane="1d",
        bounds=Bounds(CELLS, EVENTS),
        privacy=Privacy(rho=rho, min_clients=2),
    )


def plan(*views: FeatureView, panes: int = 3, noise: str = "none", k: int = 2, max_clients: int = 60) -> Plan:
    planned = tuple(PlannedView(v, np.arange(panes, dtype=np.int64) * DAY, k) for v in (views or (view(),)))
    return plan_in_words(bytes(16), planned, noise, protection="he", max_clients=max_clients)  # type: ignore[arg-type]


def with_shares(plan: Plan) -> Plan:
    """The same panes under the protection `shares`."""
    return plan_in_words(plan.plan_id, plan.views, plan.noise)


def vectors(keys: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """int64[count, keys·9]: vectors that clients of the view can have; both ends of the range occur."""
    dense = np.zeros((count, keys, 9), np.int64)
    for row in dense:
        for key in rng.choice(keys, min(CELLS, keys), replace=False):
            events = int(rng.integers(0, EVENTS + 1))
            cell = row[key]
            cell[:2] = events, events > 0
            for _ in range(events):
                if q := rng.choice([0, 5, Q_MAX, -1]) + 1:
                    cell[2:4] += q - 1, 1
                cell[4 + rng.integers(2)] += 1
                cell[6 + rng.integers(3)] += 1
    if count:
        full = dense[0, 0]
        full[:] = EVENTS, 1, EVENTS * Q_MAX, EVENTS, 0, EVENTS, 0, 0, EVENTS
        dense[0, 1 : keys - CELLS + 1] = 0
    return dense.reshape(count, keys * 9)


def reports_of(plan: Plan, index: int, rows: np.ndarray, dense: np.ndarray) -> Reports:
    """Reports of one view. `rows` int64[R] holds the pane of each, `dense` int64[R, slots] its raw slots."""
    indptr = np.concatenate(([0], np.cumsum((dense != 0).sum(axis=1)))).astype(np.int64)
    columns = np.nonzero(dense)[1].astype(np.int32)
    slots = SparseRows(indptr, columns, dense[dense != 0].astype(np.int64), dense.shape[1])
    return Reports(index, (rows + plan.offsets[index]).astype(np.uint32), slots)


def random_reports(plan: Plan, index: int, count: int, rng: np.random.Generator) -> tuple[Reports, np.ndarray]:
    """Random reports, and the sums of each pane in the noise basis, int64[panes, K, S]."""
    planned = plan.views[index]
    layout = planned.layout
    dense = vectors(layout.keys, count, rng)
    rows = rng.integers(0, len(planned.pane_starts), count)
    sums = np.zeros((len(planned.pane_starts), layout.length), np.int64)
    np.add.at(sums, rows, dense)
    mapped = sums.reshape(len(sums), layout.keys, layout.slots_per_key) @ layout.basis.T
    return reports_of(plan, index, rows, dense), mapped
