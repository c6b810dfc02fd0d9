"""Instances for tests: small parameters of each type, measurements, their sum, and one whole run of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.vdaf.interface import Implementation, Instance

CTX = b"the context"
VERIFY_KEY = bytes(range(32))
NONCE_SIZE = 16


@dataclass(frozen=True)
class Case:
    """A type as a vector's file names it, its parameters, valid measurements, and what they add up to."""

    type: str
    parameters: dict[str, int]
    measurements: list[Any]
    total: Any

    def instance(self, implementation: Implementation) -> Instance:
        return implementation.make(self.type, self.parameters)


def _columns(rows: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


@st.composite
def cases(draw: st.DrawFn, most_shares: int = 5, most_measurements: int = 3) -> Case:
    """Any type with any small parameters and a few valid measurements."""
    shares = draw(st.integers(2, most_shares))
    lengths, chunks = st.integers(1, 6), st.integers(1, 8)

    def several(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=1, max_size=most_measurements))

    match draw(st.sampled_from(["Count", "Sum", "SumVec", "SumVecWithMultiproof", "Histogram", "MultihotCountVec"])):
        case "Count":
            bits = several(st.integers(0, 1))
            return Case("Prio3Count", {"shares": shares}, bits, sum(bits))
        case "Sum":
            maximum = draw(st.integers(1, 1000))
            numbers = several(st.integers(0, maximum))
            return Case("Prio3Sum", {"shares": shares, "max_measurement": maximum}, numbers, sum(numbers))
        case "Histogram":
            length = draw(lengths)
            parameters = {"shares": shares, "length": length, "chunk_length": draw(chunks)}
            buckets = several(st.integers(0, length - 1))
            return Case("Prio3Histogram", parameters, buckets, [buckets.count(i) for i in range(length)])
        case "MultihotCountVec":
            length = draw(lengths)
            weight = draw(st.integers(1, length))
            parameters = {"shares": shares, "length": length, "max_weight": weight, "chunk_length": draw(chunks)}
            sets = several(st.sets(st.integers(0, length - 1), max_size=weight))
            vectors = [[i in chosen for i in range(length)] for chosen in sets]
            return Case("Prio3MultihotCountVec", parameters, vectors, _columns(vectors))
        case name:
            length, maximum = draw(lengths), draw(st.integers(1, 40))
            parameters = {"shares": shares, "length": length, "max_measurement": maximum, "chunk_length": draw(chunks)}
            rows = several(st.lists(st.integers(0, maximum), min_size=length, max_size=length))
            return Case(f"Prio3{name}", parameters, rows, _columns(rows))


def one_of_each(shares: int) -> list[Case]:
    """One fixed case of each type, with one measurement."""
    return [
        Case("Prio3Count", {"shares": shares}, [1], 1),
        Case("Prio3Sum", {"shares": shares, "max_measurement": 10}, [9], 9),
        Case(
            "Prio3SumVec",
            {"shares": shares, "length": 2, "max_measurement": 6, "chunk_length": 4},
            [[5, 2]],
            [5, 2],
        ),
        Case(
            "Prio3SumVecWithMultiproof",
            {"shares": shares, "length": 2, "max_measurement": 3, "chunk_length": 2},
            [[3, 1]],
            [3, 1],
        ),
        Case("Prio3Histogram", {"shares": shares, "length": 5, "chunk_length": 2}, [3], [0, 0, 0, 1, 0]),
        Case(
            "Prio3MultihotCountVec",
            {"shares": shares, "length": 4, "max_weight": 3, "chunk_length": 3},
            [[True, False, True, True]],
            [1, 0, 1, 1],
        ),
    ]


@dataclass(frozen=True)
class Report:
    """The output of a client: one input share for each aggregator."""

    nonce: bytes
    public_share: bytes
    input_shares: list[bytes]


def shard(instance: Instance, measurement: Any, random: Random, ctx: bytes = CTX) -> Report:
    """A report with this nonce and randomness."""
    nonce, rand = random.randbytes(NONCE_SIZE), random.randbytes(instance.rand_size)
    public_share, input_shares = instance.shard(ctx, measurement, nonce, rand)
    return Report(nonce, public_share, input_shares)


def verify_init(
    instance: Instance, report: Report, ctx: bytes = CTX, public_shares: Sequence[bytes] | None = None
) -> tuple[list[Any], list[bytes]]:
    """All aggregators' states and verifier shares. Each aggregator can be given another public share."""
    public_shares = public_shares or [report.public_share] * instance.shares
    begun = [
        instance.verify_init(VERIFY_KEY, ctx, agg_id, report.nonce, public_shares[agg_id], input_share)
        for agg_id, input_share in enumerate(report.input_shares)
    ]
    return [state for state, _ in begun], [share for _, share in begun]


def verify(
    instance: Instance, report: Report, ctx: bytes = CTX, public_shares: Sequence[bytes] | None = None
) -> list[bytes]:
    """All aggregators' output shares."""
    states, verifier_shares = verify_init(instance, report, ctx, public_shares)
    message = instance.verifier_shares_to_message(ctx, verifier_shares)
    return [instance.verify_next(ctx, state, message) for state in states]


def result(instance: Instance, outputs: Sequence[Sequence[bytes]]) -> Any:
    """The aggregate result of some reports' output shares (a list for each report)."""
    agg_shares = [instance.aggregate(of_one) for of_one in zip(*outputs, strict=True)]
    return instance.unshard(agg_shares, len(outputs))
