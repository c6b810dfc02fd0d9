"""Validity circuits, and their interface to the proof system (draft-irtf-cfrg-vdaf, VERSION 18, section 7.3.2).

A circuit accepts an encoded measurement if all its outputs are zero. It calls its gadget K times; everything else in it
is linear. So, for a batch of measurements *or of additive shares of them*, a circuit defines only two things:

    fill_wires   the gadget's wires in each call, given the measurement and the joint randomness
    outputs      the circuit's outputs, given the measurement and the gadget's outputs

The proof system records the client's wires, and each aggregator's shares of the same wires. It needs nothing else of a
circuit. A new circuit subclasses `Circuit`, or `PairCircuit` if products of pairs suffice; then it is only *data*.

Shapes count elements, as in `crypto.ntt_field`: `[R, n]`, R reports.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

from crypto.errors import ParameterOutOfRange
from crypto.ntt_field import Elements, NttField, kernels
from crypto.ntt_forms import Form, LinearForms
from crypto.ntt_polynomial import next_power_of_two

from .gadgets import Gadget, ParallelSum, polynomial_length

MeasurementT = TypeVar("MeasurementT")
ResultT = TypeVar("ResultT")


class Circuit(ABC, Generic[MeasurementT, ResultT]):
    """Defines valid measurements, and encodes, truncates and decodes them. One gadget, called `calls` times."""

    def __init__(
        self,
        field: NttField,
        gadget: Gadget,
        *,
        calls: int,
        meas_len: int,
        joint_rand_len: int,
        eval_output_len: int,
        output_len: int,
        joint_rand_degree: int = 0,
    ) -> None:
        """`joint_rand_degree`: the degree of the outputs in the joint randomness; soundness depends on it."""
        if calls < 1:
            raise ParameterOutOfRange("calls of the gadget", calls, "positive")
        self.field, self.gadget, self.calls = field, gadget, calls
        self.meas_len, self.joint_rand_len, self.joint_rand_degree = meas_len, joint_rand_len, joint_rand_degree
        self.eval_output_len, self.output_len = eval_output_len, output_len
        self.wire_len = next_power_of_two(1 + calls)  # values of a wire polynomial: a seed, then the calls
        self.gadget_poly_len = polynomial_length(gadget.degree, self.wire_len)

    @property
    def prove_rand_len(self) -> int:
        """Elements of prover randomness: a seed for each wire."""
        return self.gadget.arity

    @property
    def query_rand_len(self) -> int:
        """Elements of query randomness: the test point, and weights where outputs have to be reduced to one."""
        return 1 + (self.eval_output_len if self.eval_output_len > 1 else 0)

    @property
    def proof_len(self) -> int:
        """Elements of one proof: the wire seeds and the gadget polynomial."""
        return self.gadget.arity + self.gadget_poly_len

    @property
    def verifier_len(self) -> int:
        """Elements of one verifier: the output, each wire polynomial and the gadget polynomial at the test point."""
        return 1 + self.gadget.arity + 1

    @abstractmethod
    def encode(self, measurements: Sequence[MeasurementT]) -> Elements:
        """Measurements as vectors `[R, meas_len]`. Run by the client: no branch, no address depends on a value."""

    @abstractmethod
    def fill_wires(self, meas: Elements, joint_rand: Elements, shares: int, wires: Elements) -> None:
        """Write call k's wires to `wires[:, k]`, k from 1 to `calls`; `wires: [R, wire_len, arity]`.

        `meas: [R, meas_len]` is one of `shares` additive shares (1: the measurement itself); `joint_rand:
        [R, joint_rand_len]`. Row 0 and the rows after the last call belong to the proof system.
        """

    @abstractmethod
    def outputs(self, meas: Elements, gadget_outputs: Elements, shares: int) -> Elements:
        """The circuit's outputs `[R, eval_output_len]`, all zero for a valid measurement; `gadget_outputs: [R, calls]`."""

    @abstractmethod
    def truncate(self, meas: Elements) -> Elements:
        """The part of measurements, or of shares of them, that is aggregated: `[R, output_len]`."""

    @abstractmethod
    def decode(self, output: Elements, num_measurements: int) -> ResultT:
        """The aggregate result of the sum `output: [output_len]`."""


class PairCircuit(Circuit[MeasurementT, ResultT]):
    """A circuit as data: one `ParallelSum` over pairs of linear forms; the product of every pair must be zero.

    The pairs are, in this order,

    * (b, b - 1) for each of the first `bits` entries b of the measurement: b is 0 or 1;
    * (u, v) for each of `products`, two forms of the measurement: u v = 0.

    They fill gadget calls of `chunk_length` pairs. In call k, pair j has weight r_k^(j+1), where r_k is the call's joint
    randomness. So the sum over all calls, the first output, is zero for all r only if every product is zero. Each of
    `equalities` is one more output: a form that must be zero. `outputs_of` are the `output_len` forms that are
    aggregated, without constants; None aggregates the first `output_len` entries.

    To make another circuit of this kind, subclass it and add `encode` and `decode`. Costs: see `proof_len` and
    `best_chunk_length`.
    """

    def __init__(
        self,
        field: NttField,
        *,
        meas_len: int,
        bits: int,
        chunk_length: int,
        output_len: int,
        products: Sequence[tuple[Form, Form]] = (),
        equalities: Sequence[Form] = (),
        outputs_of: Sequence[Form] | None = None,
    ) -> None:
        if not 0 <= bits <= meas_len:
            raise ParameterOutOfRange("bits", bits, f"in [0, {meas_len}]")
        for form in outputs_of or ():
            if form.constant:
                raise ParameterOutOfRange("constant of an aggregated form", form.constant, "0")
        gadget = ParallelSum(chunk_length)
        calls = -(-(bits + len(products)) // chunk_length)
        super().__init__(
            field,
            gadget,
            calls=calls,
            meas_len=meas_len,
            joint_rand_len=calls,
            joint_rand_degree=chunk_length,
            eval_output_len=1 + len(equalities),
            output_len=output_len,
        )
        self.bits, self.chunk_length = bits, chunk_length
        self._left = LinearForms.compile(field, meas_len, [left for left, _ in products])
        self._right = LinearForms.compile(field, meas_len, [right for _, right in products])
        self._equalities = LinearForms.compile(field, meas_len, equalities)
        self._outputs_of = None if outputs_of is None else LinearForms.compile(field, meas_len, outputs_of)

    def fill_wires(self, meas: Elements, joint_rand: Elements, shares: int, wires: Elements) -> None:
        """See `Circuit`. The unused pairs of the last call are (0, -1), as in the draft's circuits."""
        kernels().pair_wires(
            np.ascontiguousarray(meas),
            self._left.apply(meas, shares),
            self._right.apply(meas, shares),
            np.ascontiguousarray(joint_rand),
            self.field.to_multiplier,
            _share_of_one(self.field, shares),
            self.bits,
            self.field.empty(self.chunk_length),
            wires,
        )

    def outputs(self, meas: Elements, gadget_outputs: Elements, shares: int) -> Elements:
        """The sum of all gadget calls, then the equalities."""
        out = self.field.empty(len(meas), self.eval_output_len)
        out[:, 0] = self.field.sum_columns(gadget_outputs)
        out[:, 1:] = self._equalities.apply(meas, shares)
        return out

    def truncate(self, meas: Elements) -> Elements:
        """The forms that are aggregated."""
        return meas[:, : self.output_len] if self._outputs_of is None else self._outputs_of.apply(meas, 1)


@lru_cache(maxsize=256)
def _share_of_one(field: NttField, shares: int) -> Elements:
    return field.from_ints([field.inverse(shares)])


def best_chunk_length(pairs: int) -> int:
    """The chunk length that gives the shortest proof of `pairs` pairs (section 7.4.3.1 leaves it to trial and error).

    A proof has 2 c wire seeds and 2 p - 1 values, p a power of two above the number ceil(pairs / c) of calls. For each
    p the least c that needs no more than p - 1 calls is best, and beyond p = 2 pairs there is nothing to gain.
    """
    if pairs < 1:
        raise ParameterOutOfRange("pairs", pairs, "positive")
    sizes = [2**k for k in range(1, pairs.bit_length() + 2)]
    chunks: list[int] = [-(-pairs // (p - 1)) for p in sizes]
    return min(chunks, key=lambda c: 2 * c + 2 * next_power_of_two(1 + -(-pairs // c)))
