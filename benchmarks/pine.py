"""Estimate the cost of PINE, compared with Prio3: lengths, and times from this machine's kernels (docs/adr/0008-pine.md).

    python -m benchmarks.pine

PINE (Rothblum, Omri, Chen, Talwar 2023; draft-chen-cfrg-vdaf-pine) proves an L2 norm over the values themselves, and that
it does not wrap around, by dot products with random vectors of -1, 0 and 1. PINE is not implemented here. So this
counts its XOF bytes, products and additions in Field64, with the parameters of its reference code, and multiplies them by the
times of our kernels. Prio3 is counted in the same way and also measured; the two columns show the quality of the estimate.
Times are CPU time of one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from crypto.flp.circuit import best_chunk_length
from crypto.flp.gadgets import polynomial_length
from crypto.flp.variants import SumVecCircuit
from crypto.ntt_field import FIELD64
from crypto.ntt_polynomial import next_power_of_two, sum_pair_products
from crypto.prio3 import Prio3
from crypto.prio3_xof import Prio3Xof, Usage
from crypto.xof import SEED_BYTES
from featurestore.define.layout import layout_of
from federation.circuit.circuit import AGGREGATORS, FIELD64_X3, ViewPrio3, prio3_of
from simulations.measuring import medians, print_figures

from .validity_cost import catalogue

ELEMENT = FIELD64.encoded_size
NORM_BOUND = 2**20
ALPHA, CHECKS = 8.7, 100
"""Number of wraparound checks, which must all succeed: ZK and soundness error near 2^-100."""
PINE_PROOFS, NORM_PROOFS = 2, 1
SUM_VECS = {
    "1,000 values of 16 bits": (1_000, 16),
    "1,000 bits": (1_000, 1),
    "100,000 values of 16 bits": (100_000, 16),
}
VIEWS = ("dest_delay", "zone_demand", "purchases")
MEASURED = 20_000
"""The largest number of bits at which Prio3 is measured."""


@dataclass(frozen=True)
class Rates:
    """Nanoseconds of this machine: a byte of XOF, a product, an addition in Field64."""

    xof: float
    product: float
    addition: float


@dataclass(frozen=True)
class Count:
    """The operations of one report.

    Attributes:
        elements: elements of the leader's share.
        client: bytes of XOF (squeezed or absorbed), products, additions.
        aggregators: the same for leader and helper together.
    """

    elements: int
    client: tuple[int, int, int]
    aggregators: tuple[int, int, int]

    def milliseconds(self, rates: Rates) -> tuple[float, float]:
        """Of the client, and of both aggregators."""
        prices = (rates.xof, rates.product, rates.addition)
        client, both = (
            sum(n * p for n, p in zip(parts, prices, strict=True)) for parts in (self.client, self.aggregators)
        )
        return client / 1e6, both / 1e6


def main() -> None:
    """Print a table and one JSON line."""
    rates = _rates()
    figures: dict[str, dict[str, object]] = {}
    for name, (values, bits) in SUM_VECS.items():
        count = count_prio3(values, bits)
        figures[name] = {
            "prio3_bytes": ELEMENT * count.elements,
            "prio3_measured_ms": _measure(_sum_vec(values, bits), values) if values * bits <= MEASURED else None,
            "prio3_counted_ms": count.milliseconds(rates),
            **_pine_figures(values, rates),
        }
    for view in catalogue():
        if view.name in VIEWS:
            layout = layout_of(view)
            prio3 = prio3_of(layout)
            figures[view.name] = {
                "prio3_bytes": ELEMENT * (prio3.circuit.meas_len + prio3.proofs_len),
                "prio3_measured_ms": _measure(prio3, layout.length),
                "prio3_counted_ms": None,
                **_pine_figures(layout.length, rates),
            }
    columns = ("prio3_bytes", "pine_bytes", "prio3_measured_ms", "prio3_counted_ms", "pine_counted_ms")
    table = Table("a report of", *(column.replace("_", " ") for column in columns))
    for name, row in figures.items():
        table.add_row(name, *(_shown(row[column]) for column in columns))
    Console(width=120).print(table)
    print("ms: of the client / of both aggregators")
    print(f"an XOF byte {rates.xof:.2f} ns, a product {rates.product:.2f} ns, an addition {rates.addition:.2f} ns")
    print_figures({"ns": vars(rates), "reports": figures})


def _pine_figures(values: int, rates: Rates) -> dict[str, object]:
    count = count_pine(values)
    return {"pine_bytes": ELEMENT * count.elements, "pine_counted_ms": count.milliseconds(rates)}


def _shown(figure: object) -> str:
    match figure:
        case int():
            return f"{figure:,}"
        case (float(client), float(both)):
            return f"{client:.3g} / {both:.3g}"
        case _:
            return ""


def count_prio3(values: int, bits: int) -> Count:
    """SumVec with three proofs over Field64."""
    meas = values * bits
    chunk = best_chunk_length(meas)
    p = next_power_of_two(1 - (-meas // chunk))
    proofs = FIELD64_X3.proofs
    elements = meas + proofs * (2 * chunk + polynomial_length(2, p))
    shares = ELEMENT * elements  # the helper's, from its seed
    parts = ELEMENT * meas  # absorbed, of each share
    proving, checking = proofs * _products(2 * chunk, p), proofs * 2 * 2 * chunk * p
    return Count(
        elements,
        (shares + 2 * parts, proving + proofs * 2 * meas, 0),
        (shares + 2 * parts, checking + 4 * proofs * meas, 0),
    )


def count_pine(values: int, norm_bound: int = NORM_BOUND) -> Count:
    """Two proofs of bits and wraparound checks, one of the norm (which needs no joint randomness)."""
    norm_bits = (norm_bound**2).bit_length()
    check_bits = (2 * next_power_of_two(int(ALPHA * norm_bound) + 2) - 1).bit_length()
    checked = 2 * norm_bits + (check_bits + 1) * CHECKS
    chunk = best_chunk_length(checked + CHECKS)
    p = next_power_of_two(1 - (-(checked + CHECKS) // chunk))
    norm_chunk, norm_p = _chunk_of_squares(values)
    meas = values + checked
    proof, norm_proof = 2 * chunk + polynomial_length(2, p), norm_chunk + polynomial_length(2, norm_p)
    elements = meas + PINE_PROOFS * proof + NORM_PROOFS * norm_proof
    vectors = 2 * CHECKS * values // 8  # two bits a check and value: the same bytes for every party
    parts = ELEMENT * (meas + values + 2 * norm_bits)  # absorbed of each share, for both kinds of joint randomness
    shares = ELEMENT * elements
    proving = PINE_PROOFS * _products(2 * chunk, p) + NORM_PROOFS * _products(norm_chunk, norm_p)
    checking = 2 * (PINE_PROOFS * 2 * chunk * p + NORM_PROOFS * norm_chunk * norm_p)
    adding = CHECKS * values // 2  # half of a vector's entries are zero, and the vectors are no secret
    return Count(
        elements,
        (shares + 2 * parts + vectors, proving, adding),
        (shares + 2 * (parts + vectors), checking, 2 * adding),
    )


def _products(wires: int, p: int) -> int:
    """Of the prover: each wire polynomial down and up once, twisted in between, and multiplied at 2 p points."""
    return wires * (p * (p.bit_length() - 1) + p) + wires * p


def _chunk_of_squares(values: int) -> tuple[int, int]:
    """The chunk length with the shortest proof of the sum of squares, one wire each, and p."""
    sizes = [2**k for k in range(1, values.bit_length() + 2)]
    return min(((-(-values // (p - 1)), p) for p in sizes), key=lambda pair: pair[0] + 2 * pair[1])


def _rates() -> Rates:
    rng = np.random.default_rng(1)
    seeds = rng.integers(0, 256, (64, SEED_BYTES), np.uint8)
    xof = Prio3Xof(1)
    length = 4_096
    squeeze = _seconds(lambda: xof.elements(FIELD64, Usage.MEAS_SHARE, b"", seeds, b"", length))
    wires = rng.integers(0, 2**63, (16, 128, 256), np.uint64)
    prove = _seconds(lambda: sum_pair_products(FIELD64, wires))
    a, b = rng.integers(0, 2**63, (2, 16_384), np.uint64)
    add = _seconds(lambda: FIELD64.add(a, b))
    return Rates(1e9 * squeeze / (64 * length * ELEMENT), 1e9 * prove / (16 * _products(256, 128)), 1e9 * add / len(a))


def _sum_vec(values: int, bits: int) -> ViewPrio3:
    circuit = SumVecCircuit(FIELD64, values, 2**bits - 1, best_chunk_length(values * bits))
    return Prio3(FIELD64_X3.algorithm, circuit, AGGREGATORS, FIELD64_X3.proofs)


def _measure(prio3: ViewPrio3, values: int, reports: int = 32) -> tuple[float, float]:
    """Milliseconds a report: sharding, and verifying by both aggregators. Reports of zeros take as long as any."""
    rng = np.random.default_rng(1)
    meas = prio3.circuit.encode([[0] * values] * reports)
    nonces = rng.integers(0, 256, (reports, 16), np.uint8)
    rand = rng.integers(0, 256, (reports, prio3.rand_size), np.uint8)
    public, shares = prio3.shard_encoded_batch(b"", meas, nonces, rand)

    def verify() -> None:
        key = bytes(SEED_BYTES)
        both = [prio3.verify_init_batch(key, b"", j, nonces, public, share) for j, share in enumerate(shares)]
        messages, holds = prio3.verifier_shares_to_message_batch(b"", [verifier for _, verifier in both])
        if not all((holds & prio3.verify_next_batch(state, messages)).all() for state, _ in both):
            raise RuntimeError("an honest report was rejected")

    sharding = _seconds(lambda: prio3.shard_encoded_batch(b"", meas, nonces, rand))
    return 1e3 * sharding / reports, 1e3 * _seconds(verify) / reports


def _seconds(run: Callable[[], object]) -> float:
    return medians(run, turns=7)[0]


if __name__ == "__main__":
    main()
