"""The circuit of a site's report accepts the sums of clients, and nothing beyond the bounds of that many clients."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from crypto.ntt_field import FIELD64
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from federation.circuit.cell import CellCircuit
from federation.circuit.circuit import ViewCircuit
from federation.circuit.cost import cost_of, lengths_of
from federation.circuit.forms import Bits, value_of
from federation.circuit.site_cell import cell_of, site_cell
from federation.errors import ReportRefused
from tests.federation.test_view_circuit import accepts, view
from tests.federation.view_rules import Cell, all_cells, collected, random_reports

COUNT, CLIENTS, RATE = Count("n"), ClientCount("c"), Rate("r", where="x > 1")
HIST, NULLS, MORE_NULLS = (
    Histogram("x", edges=[0], name="h"),
    Histogram("y", edges=[0], nulls=True, name="i"),
    Histogram("x", edges=[0], nulls=True, name="j"),
)
BINARY, MEAN = Mean("x", clip=(0, 1), resolution=1, name="b"), Mean("x", clip=(0, 2), resolution=1, name="m")

VIEWS: list[tuple[ViewFeature, ...]] = [
    (COUNT,),
    (CLIENTS,),
    (CLIENTS, COUNT),
    (RATE,),
    (RATE, CLIENTS),
    (HIST, COUNT),
    (NULLS,),
    (NULLS, COUNT, CLIENTS),
    (NULLS, MORE_NULLS),
    (MEAN,),
    (MEAN, CLIENTS),
    (MEAN, COUNT),
    (BINARY, COUNT),
]
MOST_BITS = 17


def satisfied(cell: CellCircuit, bits: Bits) -> np.ndarray:
    """bool[…]: whether every relation of the cell holds."""
    holds = np.ones(bits.shape[:-1], np.bool_)
    for left, right in cell.products:
        holds &= (value_of(left, bits) == 0) | (value_of(right, bits) == 0)
    for form in cell.equalities:
        holds &= value_of(form, bits) == 0
    return holds


def within(of: FeatureView, cell: Cell, clients: int) -> bool:
    """Whether some numbers of active clients and of events allow this cell, in plain Python."""
    most = clients * of.bounds.max_events_per_cell
    asked = layout_of(of).keys > of.bounds.max_cells or CLIENTS in of.features
    return any(
        _fits(of, cell, active, events)
        for active in (range(clients + 1) if asked else [clients])
        for events in range(min(most, active * of.bounds.max_events_per_cell) + 1)
    )


def _fits(of: FeatureView, cell: Cell, active: int, events: int) -> bool:
    slots, counted, fits, declared = iter(cell), False, True, None
    for feature in collected(of):
        match feature:
            case Count():
                counted, fits = True, fits and next(slots) == events
            case ClientCount():
                declared, fits = active, fits and next(slots) == active
            case Mean():
                total, non_null = next(slots), next(slots)
                fits = fits and non_null <= events and total <= feature.q_max * non_null
            case Rate():
                fits = fits and next(slots) + next(slots) <= events
            case Histogram():
                parts = sum(next(slots) for _ in range(feature.cells))
                counted |= feature.nulls
                fits = fits and (parts == events if feature.nulls else parts <= events)
    return fits and (not counted or declared is None or declared <= events)


@pytest.mark.parametrize("capped", [False, True], ids=["all keys fit", "too many keys"])
@pytest.mark.parametrize(("clients", "events"), [(2, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("features", VIEWS, ids=lambda features: " ".join(one.name for one in features))
def test_over_all_bits_a_cell_has_what_so_many_clients_may_send_and_every_sum_of_them_is_written(
    features: tuple[ViewFeature, ...], clients: int, events: int, capped: bool
) -> None:
    small = view(*features, keys=2 if capped else 1, events=events)
    cell, of_one = site_cell(layout_of(small), clients), all_cells(small)
    sums = {tuple(map(sum, zip(*some, strict=True))) for some in product(of_one, repeat=clients)}
    slots = np.array(sorted(sums), np.int64)[:, None]
    bits = cell.encode(slots)
    assert satisfied(cell, bits).all()
    np.testing.assert_array_equal(np.stack([value_of(form, bits) for form in cell.slots], axis=-1), slots)
    if cell.bits > MOST_BITS:
        return
    every = (np.arange(2**cell.bits)[:, None] >> np.arange(cell.bits) & 1).astype(np.uint8)
    holds = every[satisfied(cell, every)]
    reached = {tuple(row) for row in np.stack([value_of(form, holds) for form in cell.slots], axis=1).tolist()}
    allowed = [range(clients * slot.max_value + 1) for slot in layout_of(small).slots]
    assert reached == {cell for cell in product(*allowed) if within(small, cell, clients)}
    assert sums <= reached


def test_the_active_clients_that_are_written_are_never_more_than_there_were() -> None:
    """Otherwise the cells of honest clients could exceed clients · max_cells when they are added over the keys."""
    small = view(RATE, COUNT, keys=5, cells=2, events=3)
    cell = site_cell(layout_of(small), 4)
    of_clients = np.array([random_reports(small, 4, seed) for seed in range(50)]).reshape(50, 4, 5, -1)
    written = value_of(cell.activity.form, cell.encode(of_clients.sum(axis=1)))
    assert (written <= of_clients.any(axis=3).sum(axis=1)).all()
    assert written.any()


@pytest.mark.parametrize(("keys", "cells"), [(2, 3), (5, 2)])
@pytest.mark.parametrize("features", [(COUNT, CLIENTS, RATE, MEAN), (HIST, NULLS), (RATE,), (MEAN, HIST)], ids=str)
def test_the_sums_of_clients_are_accepted_as_they_are(features: tuple[ViewFeature, ...], keys: int, cells: int) -> None:
    made, clients = view(*features, keys=keys, cells=cells, events=4), 7
    circuit = ViewCircuit(layout_of(made), FIELD64, clients)
    sums = np.array([random_reports(made, clients, seed).sum(axis=0) for seed in range(40)])
    meas = circuit.encode(sums.tolist())
    assert accepts(circuit, meas).all()
    np.testing.assert_array_equal(circuit.truncate(meas), sums)


def test_more_cells_than_so_many_clients_have_are_refused() -> None:
    made = view(COUNT, keys=5, cells=2, events=1)
    circuit = ViewCircuit(layout_of(made), FIELD64, 3)
    assert accepts(circuit, circuit.encode([[3, 3, 0, 0, 0], [2, 1, 1, 1, 1]])).all()
    for beyond in ([3, 3, 1, 0, 0], [2, 2, 1, 1, 1]):
        with pytest.raises(ReportRefused, match="of 3 clients"):
            circuit.encode([beyond])


def test_lengths_are_those_of_the_circuit_and_one_client_has_its_own() -> None:
    for features in VIEWS:
        layout = layout_of(view(*features, keys=5, cells=2, events=3))
        lengths, circuit = lengths_of(layout, FIELD64, 9), ViewCircuit(layout, FIELD64, 9)
        assert (lengths.meas_len, lengths.proof_len) == (circuit.meas_len, circuit.proof_len)
        assert lengths.eval_output_len == circuit.eval_output_len
        assert cost_of(layout, clients=9).measurement == circuit.meas_len
        assert cost_of(layout, clients=9).soundness_bits > 150
        assert cell_of(layout, 1) is not cell_of(layout, 9)
        assert lengths_of(layout, FIELD64, 1) == lengths_of(layout, FIELD64)
