"""The circuit of a view accepts exactly the reports that some client may send, and aggregates exactly the raw slots."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.errors import ValueOutOfRange, WrongLength
from crypto.ntt_field import FIELD64, FIELD128, Elements, NttField
from crypto.sharing import SparseRows
from edge_client.compute import compute
from edge_client.events import make_events
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.circuit.cell import cell_circuit, cell_circuits
from federation.circuit.circuit import FIELD64_X3, FIELD128_X1, ProofSystem, ViewCircuit, ViewPrio3, contexts, prio3_of
from federation.circuit.forms import value_of
from federation.errors import ReportRefused
from tests.examples import examples
from tests.federation.view_rules import all_cells, may_be_sent, random_reports, wide_views
from tests.strategies import Case, cases

FIELDS = [FIELD64, FIELD128]
P = FIELD64.modulus


def view(*features: ViewFeature, keys: int = 3, cells: int = 1, events: int = 1) -> FeatureView:
    return FeatureView(
        "v",
        entity=Entity("k", domain=range(keys)),
        features=features,
        pane="1d",
        bounds=Bounds(cells, events),
        privacy=Privacy(rho=0.5, min_clients=2),
    )


def accepts(circuit: ViewCircuit, meas: Elements) -> npt.NDArray[np.bool_]:
    """bool[R]: the result of the circuit in the clear, under separate joint randomness for every row."""
    field = circuit.field
    words = np.frombuffer(os.urandom(8 * field.words * len(meas) * circuit.joint_rand_len), "<u8")
    joint_rand = (words >> np.uint64(1)).reshape(field.shape(len(meas), circuit.joint_rand_len))
    wires = field.zeros(len(meas), circuit.wire_len, circuit.gadget.arity)
    circuit.fill_wires(meas, joint_rand, 1, wires)
    gadget_outputs = field.empty(len(meas), circuit.calls)
    for call in range(circuit.calls):
        gadget_outputs[:, call] = circuit.gadget.outputs(field, wires[:, 1 + call])
    outputs = circuit.outputs(meas, gadget_outputs, 1)
    return ~np.asarray(outputs.any(axis=tuple(range(1, outputs.ndim))), np.bool_)


def slots_of(circuit: ViewCircuit, meas: Elements) -> list[list[int]]:
    """The aggregated slots of each row."""
    return [circuit.field.to_ints(row) for row in circuit.truncate(meas)]


# ---- exactly what a client may send --------------------------------------------------------------------------------

BINARY, MEAN2, MEAN3, MEAN4, MEAN5, MEAN8 = (Mean("x", clip=(0, q), resolution=1) for q in (1, 2, 3, 4, 5, 8))
MEAN2B = Mean("y", clip=(0, 2), resolution=1)
HIST2, HIST3 = Histogram("x", edges=[0]), Histogram("x", edges=[0, 1])
NULLS2, NULLS3 = Histogram("y", edges=[0], nulls=True), Histogram("x", edges=[0], nulls=True, name="third")
RATE, RATE2 = Rate("r", where="x > 1"), Rate("s", where="x > 2")
COUNT, CLIENTS = Count("n"), ClientCount("c")

SMALL: list[tuple[tuple[ViewFeature, ...], tuple[int, ...]]] = [
    ((COUNT,), (1, 2, 3, 4, 6, 9)),
    ((CLIENTS,), (1, 3)),
    ((CLIENTS, COUNT), (1, 2, 3, 5)),
    ((RATE,), (1, 2, 3, 4, 5, 6, 8, 9, 13, 17)),
    ((HIST2,), (1, 3, 12)),
    ((HIST3,), (1, 2, 3, 5)),
    ((NULLS2,), (1, 2, 3, 5)),
    ((MEAN2,), (1, 2, 3, 4, 5, 6, 7, 13)),
    ((MEAN3,), (1, 2, 3, 4, 5, 6, 10)),
    ((MEAN4,), (1, 3, 5, 13)),
    ((MEAN5,), (2, 3, 7)),
    ((BINARY,), (1, 2, 3, 4, 10)),
    ((RATE, RATE2), (1, 2, 3, 5, 6)),
    ((RATE, MEAN2), (1, 2, 3, 5)),
    ((RATE, COUNT), (1, 2, 3, 4, 6)),
    ((RATE, COUNT, CLIENTS), (1, 2, 3)),
    ((HIST3, COUNT), (1, 2, 3)),
    ((BINARY, COUNT), (1, 2, 3)),
    ((RATE, BINARY, COUNT), (1, 2)),
    ((RATE, CLIENTS), (1, 2, 3, 7)),
    ((NULLS2, CLIENTS), (1, 2)),
    ((NULLS2, COUNT), (1, 2, 3)),
    ((NULLS2, COUNT, CLIENTS), (1, 2, 3)),
    ((NULLS2, RATE, CLIENTS), (1, 2)),
    ((RATE, NULLS2), (1, 2, 3)),
    ((NULLS2, MEAN2), (1, 2, 3)),
    ((NULLS3, NULLS2), (1, 2)),
    ((MEAN2, COUNT), (1, 2, 3, 4)),
    ((MEAN3, COUNT), (1, 2, 3, 5)),
    ((MEAN4, COUNT), (2, 3)),
    ((MEAN5, COUNT), (3, 6)),
    ((MEAN8, COUNT), (1, 2, 3)),
    ((MEAN2, RATE, COUNT), (1, 2)),
    ((MEAN8,), (1, 2, 3)),
    ((MEAN5, MEAN2B), (1, 2)),
    ((MEAN2, MEAN2B), (3,)),
    ((CLIENTS, MEAN2, COUNT), (1, 2, 3)),
    ((CLIENTS, MEAN2), (2, 3, 6)),
    ((CLIENTS, BINARY), (1, 2, 3)),
    ((HIST3, BINARY), (1, 2)),
]


CELLS = [
    pytest.param(features, events, id=f"{' '.join(feature.name for feature in features)}, {events} events")
    for features, numbers in SMALL
    for events in numbers
]
MOST_BITS = 20


@pytest.mark.parametrize("capped", [False, True], ids=["all keys fit", "too many keys"])
@pytest.mark.parametrize(("features", "events"), CELLS)
def test_over_all_bits_the_circuit_of_a_cell_has_the_cells_that_events_can_make(
    features: tuple[ViewFeature, ...], events: int, capped: bool
) -> None:
    small = view(*features, keys=2 if capped else 1, events=events)
    layout, allowed = layout_of(small), all_cells(small)
    assert cell_circuit(layout).bits <= MOST_BITS, "too many to try them all"
    for cell in cell_circuits(layout):
        if cell.bits > MOST_BITS:
            continue
        bits = (np.arange(2**cell.bits)[:, None] >> np.arange(cell.bits) & 1).astype(np.uint8)
        satisfied = np.ones(len(bits), np.bool_)
        for left, right in cell.products:
            satisfied &= (value_of(left, bits) == 0) | (value_of(right, bits) == 0)
        for form in cell.equalities:
            satisfied &= value_of(form, bits) == 0
        reached = np.stack([value_of(form, bits) for form in cell.slots], axis=1)[satisfied]
        assert set(map(tuple, reached.tolist())) == allowed
        activity = value_of(cell.activity.form, bits)[satisfied]
        if capped:
            assert set(activity.tolist()) == {0, cell.activity.size}
            assert (activity >= reached.any(axis=1)).all()
            assert not cell.activity.form.constant
        elif CLIENTS not in features:
            assert (activity == 1).all()


@pytest.mark.parametrize("capped", [False, True], ids=["all keys fit", "too many keys"])
@pytest.mark.parametrize(("features", "events"), CELLS)
def test_what_events_can_make_is_written_in_every_circuit_of_a_cell(
    features: tuple[ViewFeature, ...], events: int, capped: bool
) -> None:
    small = view(*features, keys=2 if capped else 1, events=events)
    slots = np.array(sorted(all_cells(small)), np.int64)
    for cell in cell_circuits(layout_of(small)):
        bits = cell.encode(slots[:, None])[:, 0]
        assert (np.stack([value_of(form, bits) for form in cell.slots], axis=1) == slots).all()
        for left, right in cell.products:
            assert ((value_of(left, bits) == 0) | (value_of(right, bits) == 0)).all()
        for form in cell.equalities:
            assert (value_of(form, bits) == 0).all()
        if capped:
            assert (value_of(cell.activity.form, bits) == cell.activity.size * slots.any(axis=1)).all()


@pytest.mark.parametrize(
    ("features", "events", "keys", "cells"),
    [
        pytest.param((COUNT,), 3, 3, 2, id="count"),
        pytest.param((RATE,), 3, 2, 1, id="unit of 3 told by slack"),
        pytest.param((RATE, COUNT), 3, 2, 1, id="unit of 3 told by slack with nulls"),
        pytest.param((NULLS2,), 3, 2, 1, id="unit of 3 told by cells"),
        pytest.param((MEAN3,), 2, 3, 2, id="first event"),
        pytest.param((RATE, CLIENTS), 2, 3, 2, id="first event and clients"),
        pytest.param((BINARY,), 2, 3, 2, id="ones and zeros"),
    ],
)
def test_over_all_bits_a_whole_report_is_accepted_just_with_as_many_active_cells_as_allowed(
    features: tuple[ViewFeature, ...], events: int, keys: int, cells: int
) -> None:
    small = view(*features, keys=keys, cells=cells, events=events)
    circuit, allowed = ViewCircuit(layout_of(small)), sorted(all_cells(small))
    meas = (np.arange(2**circuit.meas_len)[:, None] >> np.arange(circuit.meas_len) & 1).astype(np.uint64)
    accepted = np.concatenate([accepts(circuit, part) for part in np.array_split(meas, 16)])
    reached = set(map(tuple, circuit.truncate(meas[accepted]).tolist()))
    assert reached == {sum(r, ()) for r in product(allowed, repeat=keys) if sum(map(any, r)) <= cells}


def test_no_value_of_a_form_wraps_around_or_overflows() -> None:
    wide, more = Histogram("x", edges=range(1_000), nulls=True), Histogram("z", edges=range(1_000))
    narrow = [RATE, Mean("y", clip=(0, 4_000), resolution=1)]
    for features in ([wide, *narrow], [*narrow, more, COUNT], [*narrow, more], narrow[1:], [wide, CLIENTS]):
        for cell in cell_circuits(layout_of(view(*features, keys=2, events=10**6))):
            factors = [form for pair in cell.products for form in pair]
            for form in (*cell.slots, cell.activity.form, *cell.equalities, *factors):
                assert abs(form.constant) + sum(map(abs, form.terms.values())) < 2**60
            assert cell.activity.size <= 10**6, "2**24 keys of it are still far from p"


def test_the_two_descriptions_of_what_may_be_sent_agree() -> None:
    for features in ((COUNT, RATE), (CLIENTS, MEAN2), (NULLS2, BINARY), (HIST3,)):
        small = view(*features, keys=1, events=2)
        allowed = all_cells(small)
        for cell in np.ndindex(*(slot.max_value + 2 for slot in layout_of(small).slots)):
            assert may_be_sent(small, cell) == (cell in allowed), (features, cell)


# ---- honest reports ------------------------------------------------------------------------------------------------


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), st.sampled_from(FIELDS))
def test_what_a_site_computes_is_accepted_and_aggregated_as_it_is(case: Case, field: NttField) -> None:
    events = make_events(case.events, case.client_column, case.time_column, case.site_column)
    rows = compute(case.view, events).slots
    circuit = ViewCircuit(layout_of(case.view), field)
    meas = circuit.encode(rows)
    assert meas.shape == field.shape(len(rows), circuit.meas_len)
    assert accepts(circuit, meas).all()
    assert slots_of(circuit, meas) == dense(rows)


def dense(rows: SparseRows) -> list[list[int]]:
    out = [[0] * rows.length for _ in range(len(rows))]
    for report, row in enumerate(out):
        for at in range(rows.indptr[report], rows.indptr[report + 1]):
            row[rows.columns[at]] += int(rows.values[at])
    return out


@settings(max_examples=examples(150))
@given(wide_views(), st.sampled_from(FIELDS), st.integers(0, 2**32))
def test_every_report_within_the_bounds_is_accepted(wide: FeatureView, field: NttField, seed: int) -> None:
    circuit = ViewCircuit(layout_of(wide), field)
    reports = random_reports(wide, 8, seed)
    assert all(may_be_sent(wide, report) for report in reports.tolist())
    meas = circuit.encode(reports.tolist())
    assert accepts(circuit, meas).all()
    assert slots_of(circuit, meas) == reports.tolist()
    assert {*np.unique(meas).tolist()} <= {0, 1}


def test_no_reports_are_no_rows() -> None:
    for features in ((COUNT, MEAN3, HIST3), (RATE,)):
        circuit = ViewCircuit(layout_of(view(*features, events=4)))
        assert circuit.encode([]).shape == (0, circuit.meas_len)


# ---- lies -----------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(60))
@given(wide_views(), st.sampled_from(FIELDS), st.integers(0, 2**32))
def test_an_entry_that_is_no_bit_is_rejected_and_a_flipped_bit_is_or_is_a_plausible_lie(
    wide: FeatureView, field: NttField, seed: int
) -> None:
    circuit = ViewCircuit(layout_of(wide), field)
    (meas,) = circuit.encode(random_reports(wide, 1, seed).tolist())
    rng, every = np.random.default_rng(seed), np.arange(circuit.meas_len)
    tampered = np.repeat(meas[None], circuit.meas_len, axis=0)
    others = [int(rng.integers(2, 2**63)) if rng.random() < 0.5 else field.modulus - 1 for _ in every]
    tampered[every, every] = field.from_ints(others)
    assert not accepts(circuit, tampered).any()
    tampered = np.repeat(meas[None], circuit.meas_len, axis=0)
    tampered[every, every] = field.subtract(field.from_ints([1] * circuit.meas_len), tampered[every, every])
    for taken, slots in zip(accepts(circuit, tampered).tolist(), slots_of(circuit, tampered), strict=True):
        assert not taken or may_be_sent(wide, slots)


@settings(max_examples=examples(60))
@given(wide_views(), st.integers(0, 2**32))
def test_random_bits_are_rejected_or_a_plausible_lie(wide: FeatureView, seed: int) -> None:
    circuit = ViewCircuit(layout_of(wide))
    rng = np.random.default_rng(seed)
    meas = (rng.random((64, circuit.meas_len)) < rng.choice([0.02, 0.1, 0.5])).astype(np.uint64)
    for taken, slots in zip(accepts(circuit, meas).tolist(), slots_of(circuit, meas), strict=True):
        assert not taken or may_be_sent(wide, slots)


class Liar:
    """One valid report of a view, and the client's lies: changed entries of the measurement."""

    def __init__(self, events: int) -> None:
        self.view = view(
            CLIENTS, COUNT, Mean("x", clip=(0, 240), resolution=1), NULLS2, HIST3, RATE, keys=5, cells=2, events=events
        )
        self.layout = layout_of(self.view)
        self.circuit = ViewCircuit(self.layout)
        self.names = [(slot.feature, slot.part) for slot in self.layout.slots]
        self.events = events
        self.honest = self.report(0, 3)
        (self.meas,) = self.circuit.encode([self.honest]).tolist()

    def report(self, *keys: int) -> list[int]:
        """Each key with all its events, of value 100 and true."""
        cell = {
            ("c", "client"): 1,
            ("n", "count"): self.events,
            ("x_mean", "sum"): 100 * self.events,
            ("x_mean", "non-null"): self.events,
            ("y_hist", "cell 1"): self.events,
            ("x_hist", "cell 2"): self.events,
            ("r", "true"): self.events,
        }
        slots = [cell.get(name, 0) for name in self.names]
        return [value if key in keys else 0 for key in range(5) for value in slots]

    def terms(self, key: int, feature: str, part: str) -> dict[int, int]:
        """The entries of a slot and their weights."""
        cell = cell_circuit(self.layout)
        form = cell.slots[self.names.index((feature, part))]
        return {key * cell.bits + entry: weight for entry, weight in form.terms.items()}

    def with_slot(self, key: int, feature: str, part: str, value: int) -> list[int]:
        """The report with this slot made `value` by an entry that is no bit."""
        terms, meas = self.terms(key, feature, part), list(self.meas)
        have = sum(weight * meas[entry] for entry, weight in terms.items())
        entry, weight = next(iter(terms.items()))
        meas[entry] = (meas[entry] + (value - have) * pow(weight, -1, P)) % P
        return meas

    def with_bits(self, changes: dict[int, int]) -> list[int]:
        """The report with some entries replaced by bits."""
        return [changes.get(entry, value) for entry, value in enumerate(self.meas)]

    def all_bits(self, key: int, feature: str, part: str, bit: int) -> dict[int, int]:
        return dict.fromkeys(self.terms(key, feature, part), bit)

    def third_cell(self, number: int) -> list[int]:
        """Three good cells; the number of active ones is unchanged or an entry that is no bit."""
        (other,) = self.circuit.encode([self.report(2)]).tolist()
        bits = cell_circuit(self.layout).bits
        meas = [*self.meas[: 2 * bits], *other[2 * bits : 3 * bits], *self.meas[3 * bits :]]
        meas[5 * bits] += number
        return meas

    def lies(self) -> dict[str, list[int]]:
        p_half = pow(2, -1, P)
        return {
            "huge value": self.with_slot(0, "x_mean", "sum", 2**63),
            "negative": self.with_slot(0, "x_mean", "sum", P - 1),
            "fractional": self.with_slot(0, "r", "false", p_half),
            "count without histogram": self.with_bits(self.all_bits(0, "y_hist", "cell 1", 0)),
            "two one-hot cells": self.with_bits(self.all_bits(0, "y_hist", "cell 0", 1)),
            "too many cells": self.third_cell(0),
            "too many cells, owned up to": self.third_cell(1),
            "too many events": self.with_slot(0, "n", "count", self.events + 1),
            "wrap-around at p": self.with_slot(0, "x_mean", "non-null", P - 1),
            "sum above its count": self.with_bits(
                self.all_bits(0, "x_mean", "non-null", 0) | self.all_bits(0, "x_mean", "sum", 1)
            ),
            "non-null above count": self.with_bits(self.all_bits(1, "x_mean", "non-null", 1)),
            "NaN for a number": self.with_slot(0, "x_mean", "sum", 0x7FF8 << 48),
        }


@pytest.mark.parametrize("events", [1, 3])
def test_lies_about_features_are_rejected_one_by_one_and_the_others_sum_is_exact(events: int) -> None:
    liar = Liar(events)
    lies = liar.lies()
    prio3 = prio3_of(liar.layout)
    honest = [*liar.circuit.encode(random_reports(liar.view, 5, 1).tolist()).tolist(), liar.meas]
    meas = np.array([row for pair in zip(lies.values(), honest * 2, strict=True) for row in pair], np.uint64)
    is_honest = np.arange(len(meas)) % 2 == 1
    assert (accepts(liar.circuit, meas) == is_honest).all()
    accepted, total = verified_sum(prio3, meas)
    assert (accepted == is_honest).all()
    assert total == [sum(column) for column in zip(*slots_of(liar.circuit, meas[is_honest]), strict=True)]


def verified_sum(
    prio3: ViewPrio3, meas: Elements, *, index: int = 0, read_as: int = 0
) -> tuple[npt.NDArray[np.bool_], list[int]]:
    """Through all of Prio3: the accepted reports and their sum. `index`, `read_as`: collections."""
    count = len(meas)
    sent, read = (contexts(bytes(32), np.full(count, i, np.uint32)) for i in (index, read_as))
    nonces, rand = (
        np.frombuffer(os.urandom(count * size), np.uint8).reshape(count, size) for size in (16, prio3.rand_size)
    )
    public, shares = prio3.shard_encoded_batch(sent, meas, nonces, rand)
    key = os.urandom(32)
    states, verifiers = zip(
        *(prio3.verify_init_batch(key, read, j, nonces, public, share) for j, share in enumerate(shares)), strict=True
    )
    messages, accepted = prio3.verifier_shares_to_message_batch(read, verifiers)
    for state in states:
        accepted = accepted & prio3.verify_next_batch(state, messages)
    total = prio3.field.zeros(prio3.circuit.output_len)
    for state in states:
        total = prio3.aggregate_batch(total, state.out_shares, accepted)
    return accepted, prio3.circuit.decode(total, int(accepted.sum()))


@pytest.mark.parametrize("system", [FIELD64_X3, FIELD128_X1], ids=lambda system: system.field.name)
@pytest.mark.parametrize(
    "made",
    [
        view(RATE, keys=1, cells=2),
        view(MEAN3, RATE, keys=3, cells=3, events=5),  # no feature needs the activity: the relations hold constants
        view(COUNT, MEAN3, HIST3, RATE, keys=4, cells=2, events=3),
        view(NULLS2, CLIENTS, keys=9, cells=4, events=40),
    ],
    ids=["one key", "constants", "counted", "many events"],
)
def test_aggregators_accept_and_sum_over_both_fields(made: FeatureView, system: ProofSystem) -> None:
    prio3, reports = prio3_of(layout_of(made), system), random_reports(made, 6, 3)
    accepted, total = verified_sum(prio3, prio3.circuit.encode(reports.tolist()))
    assert accepted.all()
    assert total == reports.sum(axis=0).tolist()
    accepted, _ = verified_sum(prio3, prio3.circuit.encode(reports.tolist()), index=1, read_as=2)
    assert not accepted.any()


def test_a_proof_of_another_report_is_rejected() -> None:
    liar = Liar(2)
    prio3, ctx = prio3_of(liar.layout), contexts(bytes(32), np.zeros(2, np.uint32))
    meas = liar.circuit.encode([liar.report(0), liar.report(1)])
    nonces, rand = np.arange(32, dtype=np.uint8).reshape(2, 16), np.arange(256, dtype=np.uint8).reshape(2, 128)
    public, (leader, helper) = prio3.shard_encoded_batch(ctx, meas, nonces, rand)
    leader = replace(leader, proofs_share=leader.proofs_share[::-1].copy())
    verifiers = [
        prio3.verify_init_batch(bytes(32), ctx, j, nonces, public, share)[1] for j, share in enumerate((leader, helper))
    ]
    assert not prio3.decide_batch(verifiers).any()


# ---- refusals of the encoder, by name ---------------------------------------------------------------------------


def test_reports_outside_of_the_bounds_are_not_encoded() -> None:
    small = view(COUNT, RATE, keys=3, cells=2, events=2)
    circuit = ViewCircuit(layout_of(small))
    for report in ([1, 2, 0, *[0] * 6], [3, 0, 0, *[0] * 6], [1, 0, 0] * 3, [0, 1, 0, *[0] * 6]):
        assert not may_be_sent(small, report)
        with pytest.raises((ReportRefused, ValueOutOfRange)):
            circuit.encode([[0] * 9, report])
    with pytest.raises(ReportRefused, match="report 1 is not within the bounds of view 'v'"):
        circuit.encode([[0] * 9, [1, 2, 0, *[0] * 6]])


@settings(max_examples=examples(100))
@given(st.lists(st.integers(0, 3), min_size=10, max_size=10), st.integers(1, 3))
def test_just_the_reports_within_the_bounds_are_encoded(report: list[int], events: int) -> None:
    small = view(CLIENTS, MEAN2, RATE, keys=2, cells=1, events=events)
    circuit = ViewCircuit(layout_of(small))
    rows = SparseRows(np.array([0, 10], np.int64), np.arange(10, dtype=np.int32), np.array(report, np.int64), length=10)
    if may_be_sent(small, report):
        assert slots_of(circuit, circuit.encode(rows)) == [report]
    else:
        with pytest.raises(ReportRefused):
            circuit.encode(rows)


def test_values_of_one_slot_add_up_and_a_report_of_another_view_is_refused() -> None:
    circuit = ViewCircuit(layout_of(view(COUNT, keys=3, cells=1, events=4)))
    indptr, columns = np.array([0, 0, 2], np.int64), np.array([1, 1], np.int32)
    rows = SparseRows(indptr, columns, np.array([1, 2], np.int64), length=3)
    assert slots_of(circuit, circuit.encode(rows)) == [[0, 0, 0], [0, 3, 0]]
    with pytest.raises(WrongLength):
        circuit.encode(SparseRows(indptr, columns, np.array([1, 2], np.int64), length=4))
    with pytest.raises(WrongLength):
        circuit.encode([[0, 0]])


def test_the_context_is_the_project_the_plan_and_the_collection() -> None:
    plan_hash = bytes(range(32))
    made = contexts(plan_hash, np.array([0, 258, 2**32 - 1], np.uint32))
    assert [row.tobytes() for row in made] == [
        b"covey-1" + plan_hash + index for index in (b"\0\0\0\0", b"\0\0\1\2", b"\xff\xff\xff\xff")
    ]
    with pytest.raises(WrongLength):
        contexts(bytes(31), np.zeros(1, np.uint32))


def test_algorithms_are_of_private_use_and_each_of_one_field() -> None:
    layout = layout_of(view(COUNT))
    made = {prio3_of(layout, system).algorithm: system.field for system in (FIELD64_X3, FIELD128_X1)}
    assert len(made) == 2
    assert min(made) > 0xFFFF0001, "0xFFFF0001 is that of shares without proofs"
    assert max(made) < 2**32
