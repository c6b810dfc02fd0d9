"""The cost of proofs is computed without the circuit and agrees with it, and the promised bounds hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.validity_cost import EVENTS, KINDS, LIMIT, catalogue, kind_table, ratio, view_table
from crypto.flp.circuit import best_chunk_length
from crypto.flp.soundness import soundness_bits
from crypto.flp.variants import SumVecCircuit
from crypto.ntt_field import FIELD64
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds
from federation.batch.reports import REPORT_ID_BYTES
from federation.circuit.circuit import FIELD64_X3, FIELD128_X1, ProofSystem, ViewCircuit, prio3_of
from federation.circuit.cost import cost_of, lengths_of, sum_vec_lengths
from tests.federation.view_rules import wide_views

SYSTEMS = [FIELD64_X3, FIELD128_X1]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "validity.md"


@given(wide_views(), st.sampled_from(SYSTEMS))
def test_the_cost_is_that_of_the_circuit_and_of_its_messages(made: FeatureView, system: ProofSystem) -> None:
    layout = layout_of(made)
    cost, lengths, circuit = (
        cost_of(layout, system),
        lengths_of(layout, system.field),
        ViewCircuit(layout, system.field),
    )
    told = lengths.meas_len, lengths.proof_len, lengths.eval_output_len, lengths.gadget.chunk_length, lengths.wire_len
    assert told == (
        circuit.meas_len, circuit.proof_len, circuit.eval_output_len, circuit.chunk_length, circuit.wire_len
    )  # fmt: skip
    assert (cost.measurement, cost.proof, cost.algorithm) == (circuit.meas_len, circuit.proof_len, system.algorithm)
    assert cost.soundness_bits == soundness_bits(circuit, system.proofs)
    prio3 = prio3_of(layout, system)
    sizes = (prio3.public_share_size + REPORT_ID_BYTES + prio3.input_share_size(j) for j in range(2))
    assert (cost.report_bytes_leader, cost.report_bytes_helper) == tuple(sizes)


def test_the_measure_is_a_sum_vec_of_the_same_bits() -> None:
    view = next(view for view in catalogue() if view.name == "zone_pairs")
    bits = sum_vec_lengths(layout_of(view), FIELD64)
    circuit = SumVecCircuit(FIELD64, bits.meas_len, 1, best_chunk_length(bits.meas_len))
    assert (bits.meas_len, bits.proof_len) == (circuit.meas_len, circuit.proof_len)
    assert cost_of(layout_of(view)).sum_vec_ratio == (
        cost_of(layout_of(view)).measurement + 3 * cost_of(layout_of(view)).proof
    ) / (circuit.meas_len + 3 * circuit.proof_len)


def test_the_views_of_demo_and_examples_stay_within_one_and_a_half_sum_vecs() -> None:
    ratios = {view.name: cost_of(layout_of(view), system).sum_vec_ratio for view in catalogue() for system in SYSTEMS}
    assert {"area_delay", "carrier_delay", "dest_delay", "zone_demand", "zone_pairs"} <= set(ratios)
    assert max(ratios.values()) <= LIMIT


def test_no_kind_of_feature_exceeds_it() -> None:
    assert max(ratio(kind, events) for kind in KINDS for events in EVENTS) <= LIMIT


def test_three_proofs_over_field64_are_beyond_2_to_the_minus_128_for_every_view() -> None:
    for view in catalogue():
        assert cost_of(layout_of(view), FIELD64_X3).soundness_bits > 160
        assert cost_of(layout_of(view), FIELD128_X1).soundness_bits > 119
        assert cost_of(layout_of(view), replace(FIELD64_X3, proofs=2)).soundness_bits < 128


def test_a_view_far_too_long_for_a_circuit_still_has_a_cost() -> None:
    view = catalogue()[0]
    long = replace(view, entity=Entity("k", domain=range(10**6)), bounds=Bounds(1_000, 1_000))
    cost = cost_of(layout_of(long))
    assert cost.measurement > 2**24
    assert cost.soundness_bits > 128


@pytest.mark.parametrize("table", [kind_table, lambda: view_table(catalogue())], ids=["kinds", "views"])
def test_the_tables_of_the_page_are_those_of_the_command(table: object) -> None:
    assert callable(table)
    assert "\n".join(table()) in PAGE.read_text(encoding="utf-8")
