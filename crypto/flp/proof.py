"""Prove, query and decide, for whole batches (draft-irtf-cfrg-vdaf, VERSION 18, sections 7.3.3 to 7.3.5).

    client       wires of all gadget calls -> wire polynomials; proof = wire seeds, gadget polynomial
    aggregator   shares of the same wires; verifier share = output, wire and gadget polynomials at a random point t
    both         sum of verifier shares: the output is zero, and the gadget on the wires at t gives its polynomial at t

All polynomials are in the Lagrange basis. Wires are many times the size of a report, so reports are taken in blocks
whose wires stay in the cache. Shapes count elements, as in `crypto.ntt_field`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from crypto.ntt_field import Elements, Mask
from crypto.ntt_polynomial import evaluate, extend_to_power_of_two, weighted_sums, weights_at

from .circuit import Circuit

AnyCircuit: TypeAlias = Circuit[Any, Any]

# About the size of an L2 cache.
_BLOCK_BYTES = 2**20


def prove(circuit: AnyCircuit, meas: Elements, prove_rand: Elements, joint_rand: Elements) -> Elements:
    """Run by the client: proofs `[R, proof_len]` that `meas: [R, meas_len]` is valid.

    `prove_rand: [R, prove_rand_len]` is fresh and secret, `joint_rand: [R, joint_rand_len]`.
    """
    field, arity = circuit.field, circuit.gadget.arity
    proofs = field.empty(len(meas), circuit.proof_len)
    proofs[:, :arity] = prove_rand
    for block, wires in _blocks(circuit, len(meas)):
        wires[:, 0] = prove_rand[block]
        circuit.fill_wires(meas[block], joint_rand[block], 1, wires)
        proofs[block, arity:] = circuit.gadget.polynomial(field, wires)
    return proofs


def query(
    circuit: AnyCircuit, meas: Elements, proofs: Elements, query_rand: Elements, joint_rand: Elements, shares: int
) -> tuple[Elements, Mask]:
    """Run by each aggregator, on its shares of measurements and proofs: verifier shares `[R, verifier_len]`.

    `proofs: [R, proof_len]`, `query_rand: [R, query_rand_len]`; the rest as in `prove`. Also returns which reports must be
    refused because their test point is a node of the wire polynomials: such a verifier reveals part of the measurement.
    """
    field, arity = circuit.field, circuit.gadget.arity
    verifiers = field.empty(len(meas), circuit.verifier_len)
    refused = np.empty(len(meas), np.bool_)
    for block, wires in _blocks(circuit, len(meas)):
        wires[:, 0] = proofs[block, :arity]
        circuit.fill_wires(meas[block], joint_rand[block], shares, wires)
        gadget_poly = extend_to_power_of_two(field, proofs[block, arity:])
        step = gadget_poly.shape[1] // circuit.wire_len
        gadget_outputs = gadget_poly[:, step : step * circuit.calls + 1 : step]
        outputs = circuit.outputs(meas[block], gadget_outputs, shares)
        point = query_rand[block, -1]
        wire_weights, refused[block] = weights_at(field, point, circuit.wire_len)
        gadget_weights, _ = weights_at(field, point, gadget_poly.shape[1])
        verifiers[block, 0] = outputs[:, 0] if outputs.shape[1] == 1 else _reduced(circuit, outputs, query_rand[block])
        verifiers[block, 1:-1] = evaluate(field, wires, wire_weights)
        verifiers[block, -1] = weighted_sums(field, gadget_poly, gadget_weights)
    return verifiers, refused


def decide(circuit: AnyCircuit, verifiers: Elements) -> Mask:
    """Which verifiers `[R, verifier_len]` accept, bool[R]; each is the sum of all its shares."""
    expected = circuit.gadget.outputs(circuit.field, verifiers[:, 1:-1])
    zero = ~_any_word(verifiers[:, 0])
    return zero & ~_any_word(expected ^ verifiers[:, -1])


def _blocks(circuit: AnyCircuit, count: int) -> Iterator[tuple[slice, Elements]]:
    """Blocks of reports, all with one buffer for wires `[n, wire_len, arity]`, zero after the last call."""
    size = circuit.wire_len * circuit.gadget.arity * circuit.field.encoded_size
    step = min(count, max(1, _BLOCK_BYTES // size))
    wires = circuit.field.empty(step, circuit.wire_len, circuit.gadget.arity)
    wires[:, 1 + circuit.calls :] = 0
    for first in range(0, count, step or 1):
        last = min(count, first + step)
        yield slice(first, last), wires[: last - first]


def _reduced(circuit: AnyCircuit, outputs: Elements, query_rand: Elements) -> Elements:
    """A random combination `[R]` of several outputs. Except with small probability, it is zero only if all outputs are."""
    return weighted_sums(circuit.field, outputs, circuit.field.prepare(query_rand[:, : circuit.eval_output_len]))


def _any_word(elements: Elements) -> Mask:
    """Which of `[R]` are not zero."""
    return np.asarray((elements != 0).any(axis=tuple(range(1, elements.ndim))))
