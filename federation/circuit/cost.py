"""The cost of proofs for a view: lengths, bytes and soundness. It follows from the layout, without building the circuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from crypto.flp.circuit import best_chunk_length
from crypto.flp.gadgets import ParallelSum, polynomial_length
from crypto.flp.proof import AnyCircuit
from crypto.flp.soundness import soundness_bits
from crypto.ntt_field import NttField
from crypto.ntt_polynomial import next_power_of_two
from crypto.xof import SEED_BYTES
from featurestore.define.layout import Layout
from federation.batch.reports import REPORT_ID_BYTES

from .circuit import AGGREGATORS, FIELD64_X3, ProofSystem
from .site_cell import cell_of


@dataclass(frozen=True)
class Lengths:
    """Sizes of a circuit of pairs with the best chunk length, named as in `crypto.flp.circuit.Circuit`."""

    field: NttField
    meas_len: int
    pairs: int
    eval_output_len: int

    @property
    def gadget(self) -> ParallelSum:
        """The gadget."""
        return ParallelSum(best_chunk_length(self.pairs))

    @property
    def joint_rand_degree(self) -> int:
        """Degree of the first output in the joint randomness."""
        return self.gadget.chunk_length

    @property
    def wire_len(self) -> int:
        """Values of a wire polynomial."""
        return next_power_of_two(1 + -(-self.pairs // self.gadget.chunk_length))

    @property
    def proof_len(self) -> int:
        """Elements of one proof."""
        return self.gadget.arity + polynomial_length(self.gadget.degree, self.wire_len)

    def report_len(self, proofs: int) -> int:
        """Elements of the leader's share of a report: measurement and proofs."""
        return self.meas_len + proofs * self.proof_len

    def soundness_bits(self, proofs: int) -> float:
        """An invalid report passes all proofs with probability at most 2 to the minus this."""
        return soundness_bits(cast(AnyCircuit, self), proofs)  # it reads sizes only


@dataclass(frozen=True)
class ProofCost:
    """The price of `validity="prio3"` for a report of a view.

    Attributes:
        measurement: elements of the encoded measurement, all of them bits.
        pairs: products that are checked, including those of the bits.
        proof: elements of one proof.
        report_bytes_leader, report_bytes_helper: input share, public share and report id.
        sum_vec_ratio: length of measurement and proofs, divided by that of a SumVec of exactly the raw slots' bits.
        soundness_bits: an invalid report passes with probability at most 2 to the minus this.
    """

    field: str
    proofs: int
    algorithm: int
    measurement: int
    pairs: int
    proof: int
    report_bytes_leader: int
    report_bytes_helper: int
    sum_vec_ratio: float
    soundness_bits: float


def lengths_of(layout: Layout, field: NttField, clients: int = 1) -> Lengths:
    """The lengths of a layout's `ViewCircuit`, for reports that are sums of at most `clients` clients."""
    cell, max_cells = cell_of(layout, clients), layout.view.bounds.max_cells
    weighed = layout.keys > max_cells
    meas_len = layout.keys * cell.bits + ((clients * max_cells).bit_length() if weighed else 0)
    outputs = 1 + layout.keys * len(cell.equalities) + weighed
    return Lengths(field, meas_len, meas_len + layout.keys * len(cell.products), outputs)


def sum_vec_lengths(layout: Layout, field: NttField, clients: int = 1) -> Lengths:
    """The lengths of the draft's SumVec, if it used for each slot only the bits that the slot needs."""
    bits = layout.keys * sum((clients * slot.max_value).bit_length() for slot in layout.slots)
    return Lengths(field, bits, bits, 1)


def cost_of(layout: Layout, system: ProofSystem = FIELD64_X3, clients: int = 1) -> ProofCost:
    """The price of proofs for a report of a layout that is the sum of at most `clients` clients."""
    lengths = lengths_of(layout, system.field, clients)
    elements = lengths.report_len(system.proofs)
    # With joint randomness, the public share has a seed for each aggregator, and each input share has a blind.
    public = AGGREGATORS * SEED_BYTES + REPORT_ID_BYTES
    return ProofCost(
        field=system.field.name,
        proofs=system.proofs,
        algorithm=system.algorithm,
        measurement=lengths.meas_len,
        pairs=lengths.pairs,
        proof=lengths.proof_len,
        report_bytes_leader=system.field.encoded_size * elements + SEED_BYTES + public,
        report_bytes_helper=2 * SEED_BYTES + public,
        sum_vec_ratio=elements / sum_vec_lengths(layout, system.field, clients).report_len(system.proofs),
        soundness_bits=lengths.soundness_bits(system.proofs),
    )
