"""The fully linear proof system (draft-irtf-cfrg-vdaf, VERSION 18, "FLP Specification" and "FLP Gadgets").

A validity circuit computes with affine operations and with calls of gadgets. The prover notes what goes into each wire of
a gadget over all of its calls: the values of one polynomial a wire, at the powers 1, 2, … of a root of unity; at its power
0 stands a random seed. The gadget over those polynomials is one more polynomial, and the proof is the seeds and that
polynomial's values. Everything that a verifier does with a proof is linear, until `decide`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.vdaf.plain_errors import Rejected, require_size
from tests.vdaf.plain_field import Field, next_power_of_2

GadgetCall: TypeAlias = Callable[[int, Sequence[int]], int]
"""(index of the gadget, values on its wires) -> its output; who passes it decides what is noted and what answers."""


@dataclass(frozen=True)
class Gadget:
    """A non-affine arithmetic sub-circuit of `arity` wires ("Validity Circuits")."""

    arity: int
    degree: int
    eval: Callable[[Field, Sequence[int]], int]


def mul() -> Gadget:
    """The product of two wires ("Multiplication")."""
    return Gadget(2, 2, lambda field, inp: inp[0] * inp[1] % field.modulus)


def poly_eval(coefficients: Sequence[int]) -> Gadget:
    """A polynomial, constant term first, last one not 0, at the one wire ("Polynomial Evaluation")."""

    def evaluate(field: Field, inp: Sequence[int]) -> int:
        return sum(c * pow(inp[0], k, field.modulus) for k, c in enumerate(coefficients)) % field.modulus

    return Gadget(1, len(coefficients) - 1, evaluate)


def parallel_sum(subcircuit: Gadget, count: int) -> Gadget:
    """The sum of `count` subcircuits, each on its own stretch of the wires ("Parallel Sum")."""

    def evaluate(field: Field, inp: Sequence[int]) -> int:
        starts = range(0, subcircuit.arity * count, subcircuit.arity)
        return sum(subcircuit.eval(field, inp[s : s + subcircuit.arity]) for s in starts) % field.modulus

    return Gadget(subcircuit.arity * count, subcircuit.degree, evaluate)


class Valid(ABC):
    """A validity circuit and its encoding of measurements ("Validity Circuits")."""

    def __init__(
        self,
        field: Field,
        gadgets: Sequence[Gadget],
        gadget_calls: Sequence[int],
        *,
        meas_len: int,
        joint_rand_len: int,
        eval_output_len: int,
        output_len: int,
    ) -> None:
        self.field = field
        self.gadgets = gadgets
        self.gadget_calls = gadget_calls
        self.meas_len = meas_len
        self.joint_rand_len = joint_rand_len
        self.eval_output_len = eval_output_len
        self.output_len = output_len

    @abstractmethod
    def encode(self, measurement: Any) -> list[int]:
        """`meas_len` elements. Raises Malformed for what is no measurement of this circuit."""

    @abstractmethod
    def eval(self, call: GadgetCall, meas: Sequence[int], joint_rand: Sequence[int], num_shares: int) -> list[int]:
        """`eval_output_len` elements, all 0 for a valid measurement; of a share, shares of them.

        A constant is added as constant / num_shares, so that the shares add up to it.
        """

    @abstractmethod
    def truncate(self, meas: Sequence[int]) -> list[int]:
        """The `output_len` elements that are summed over the reports: a linear map."""

    @abstractmethod
    def decode(self, output: Sequence[int], num_measurements: int) -> Any:
        """The aggregate result of a sum of truncated measurements."""

    def wire_poly_len(self, g: int) -> int:
        """Values of each wire polynomial of gadget g: its seed and its calls, up to a power of two."""
        return next_power_of_2(1 + self.gadget_calls[g])

    def gadget_poly_len(self, g: int) -> int:
        """Values that fix the polynomial of gadget g: its degree is the gadget's times a wire polynomial's."""
        return self.gadgets[g].degree * (self.wire_poly_len(g) - 1) + 1

    def prove_rand_len(self) -> int:
        return sum(gadget.arity for gadget in self.gadgets)

    def query_rand_len(self) -> int:
        return len(self.gadgets) + (self.eval_output_len if self.eval_output_len > 1 else 0)

    def proof_len(self) -> int:
        return sum(gadget.arity + self.gadget_poly_len(g) for g, gadget in enumerate(self.gadgets))

    def verifier_len(self) -> int:
        return 1 + sum(gadget.arity + 1 for gadget in self.gadgets)


class _Wires:
    """What goes into each wire of one gadget: `values[j][k]` at call k of wire j, its seed at k = 0, then 0 for no call."""

    def __init__(self, seeds: Sequence[int], length: int) -> None:
        self.values = [[seed] + [0] * (length - 1) for seed in seeds]
        self.calls = 0

    def record(self, inp: Sequence[int]) -> int:
        """Notes one call and returns its number, from 1."""
        self.calls += 1
        for wire, value in zip(self.values, inp, strict=True):
            wire[self.calls] = value
        return self.calls

    def at(self, field: Field, n: int, x: int) -> list[int]:
        """Each wire polynomial at x."""
        weights = field.lagrange_weights(n, n, x)
        return [field.dot(weights, wire) for wire in self.values]


def prove(valid: Valid, meas: Sequence[int], prove_rand: Sequence[int], joint_rand: Sequence[int]) -> list[int]:
    """The proof, `proof_len` elements ("Generating the Proof"). Run by the client."""
    require_size("measurement", len(meas), valid.meas_len)
    require_size("prover randomness", len(prove_rand), valid.prove_rand_len())
    require_size("joint randomness", len(joint_rand), valid.joint_rand_len)
    field = valid.field
    rest = _Parts(prove_rand)
    wires = [_Wires(rest.take(gadget.arity), valid.wire_poly_len(g)) for g, gadget in enumerate(valid.gadgets)]

    def call(g: int, inp: Sequence[int]) -> int:
        wires[g].record(inp)
        return valid.gadgets[g].eval(field, inp)

    valid.eval(call, meas, joint_rand, 1)

    proof: list[int] = []
    for g, gadget in enumerate(valid.gadgets):
        proof += [wire[0] for wire in wires[g].values]
        length = valid.gadget_poly_len(g)
        for x in field.root_powers(next_power_of_2(length), length):
            proof.append(gadget.eval(field, wires[g].at(field, valid.wire_poly_len(g), x)))
    return proof


def query(
    valid: Valid,
    meas: Sequence[int],
    proof: Sequence[int],
    query_rand: Sequence[int],
    joint_rand: Sequence[int],
    num_shares: int,
) -> list[int]:
    """The verifier share, `verifier_len` elements, of shares of a measurement and a proof ("Querying the Proof").

    Raises Rejected where the test point is a root of unity: there the answer would tell of the measurement.
    """
    require_size("measurement share", len(meas), valid.meas_len)
    require_size("proof share", len(proof), valid.proof_len())
    require_size("query randomness", len(query_rand), valid.query_rand_len())
    require_size("joint randomness", len(joint_rand), valid.joint_rand_len)
    field = valid.field
    rest = _Parts(proof)
    wires: list[_Wires] = []
    polynomials: list[list[int]] = []
    for g, gadget in enumerate(valid.gadgets):
        wires.append(_Wires(rest.take(gadget.arity), valid.wire_poly_len(g)))
        polynomials.append(rest.take(valid.gadget_poly_len(g)))

    def polynomial_at(g: int, x: int) -> int:
        length = valid.gadget_poly_len(g)
        return field.dot(field.lagrange_weights(next_power_of_2(length), length, x), polynomials[g])

    def call(g: int, inp: Sequence[int]) -> int:
        # The answer to call k is the proof's word: its polynomial at the k-th power of the wires' root of unity.
        k = wires[g].record(inp)
        return polynomial_at(g, pow(field.nth_root(valid.wire_poly_len(g)), k, field.modulus))

    out = valid.eval(call, meas, joint_rand, num_shares)
    require_size("circuit output", len(out), valid.eval_output_len)

    randomness = _Parts(query_rand)
    verifier = [field.dot(randomness.take(len(out)), out)] if len(out) > 1 else list(out)
    for g in range(len(valid.gadgets)):
        (t,) = randomness.take(1)
        if pow(t, valid.wire_poly_len(g), field.modulus) == 1:
            raise Rejected(f"the test point of gadget {g} is a node of its wires")
        verifier += wires[g].at(field, valid.wire_poly_len(g), t)
        verifier.append(polynomial_at(g, t))
    return verifier


def decide(valid: Valid, verifier: Sequence[int]) -> bool:
    """Whether the sum of the verifier shares accepts the measurement ("Deciding Validity")."""
    require_size("verifier", len(verifier), valid.verifier_len())
    rest = _Parts(verifier)
    (output,) = rest.take(1)
    if output != 0:
        return False
    for gadget in valid.gadgets:
        wire_checks, (gadget_check,) = rest.take(gadget.arity), rest.take(1)
        if gadget.eval(valid.field, wire_checks) != gadget_check:
            return False
    return True


class _Parts:
    """A vector that is taken apart from the front."""

    def __init__(self, vec: Sequence[int]) -> None:
        self._vec, self._start = list(vec), 0

    def take(self, length: int) -> list[int]:
        self._start += length
        return self._vec[self._start - length : self._start]
