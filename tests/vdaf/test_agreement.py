"""Every implementation gives the bytes of the transcription, also for measurements that are lies."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.vdaf.cases import CTX, VERIFY_KEY, Case, cases
from tests.vdaf.implementations import IMPLEMENTATIONS, PLAIN, PLAIN_TYPES
from tests.vdaf.interface import Implementation, Instance

from . import plain_codec as codec

OTHERS = [implementation for implementation in IMPLEMENTATIONS if implementation is not PLAIN]
each_other = pytest.mark.parametrize("other", OTHERS, ids=lambda implementation: implementation.name)

seeds = st.integers(0, 2**32)


def transcript(instance: Instance, measurement: Any, ctx: bytes, random: Random) -> list[Any]:
    """All messages and the result of one measurement on its own."""
    nonce, rand = random.randbytes(16), random.randbytes(instance.rand_size)
    public_share, input_shares = instance.shard(ctx, measurement, nonce, rand)
    begun = [
        instance.verify_init(VERIFY_KEY, ctx, agg_id, nonce, public_share, share)
        for agg_id, share in enumerate(input_shares)
    ]
    verifier_shares = [share for _, share in begun]
    message = instance.verifier_shares_to_message(ctx, verifier_shares)
    out_shares = [instance.verify_next(ctx, state, message) for state, _ in begun]
    agg_shares = [instance.aggregate([out_share, out_share]) for out_share in out_shares]
    result = instance.unshard(agg_shares, 2)
    return [public_share, input_shares, verifier_shares, message, out_shares, agg_shares, result]


@each_other
@settings(max_examples=examples(40))
@given(case=cases(most_measurements=1), ctx=st.binary(max_size=300), seed=seeds)
def test_all_messages_of_any_small_instance_agree(other: Implementation, case: Case, ctx: bytes, seed: int):
    expected = transcript(case.instance(PLAIN), case.measurements[0], ctx, Random(seed))
    assert transcript(case.instance(other), case.measurements[0], ctx, Random(seed)) == expected


DRAWN = Random(5)
LARGER: list[tuple[str, dict[str, int], Any]] = [
    ("Prio3Sum", {"shares": 2, "max_measurement": 2**63 + 12345}, 2**63 + 1),
    ("Prio3Sum", {"shares": 2, "max_measurement": 2**32 - 1}, 2**31),
    (
        "Prio3SumVec",
        {"shares": 3, "length": 50, "max_measurement": 65535, "chunk_length": 27},
        [DRAWN.randrange(65536) for _ in range(50)],
    ),
    (
        "Prio3SumVec",
        {"shares": 2, "length": 3, "max_measurement": 2**60, "chunk_length": 181},  # one call, not quite full
        [2**60, 0, 2**59 + 1],
    ),
    (
        "Prio3SumVecWithMultiproof",
        {"shares": 2, "length": 13, "max_measurement": 1000, "chunk_length": 1},  # 130 calls
        [DRAWN.randrange(1001) for _ in range(13)],
    ),
    ("Prio3Histogram", {"shares": 2, "length": 1000, "chunk_length": 33}, 999),
    ("Prio3Histogram", {"shares": 2, "length": 62, "chunk_length": 2}, 0),  # 31 calls and the seed fill 32 values
    ("Prio3Histogram", {"shares": 2, "length": 64, "chunk_length": 2}, 63),  # 32 calls need 64
    (
        "Prio3MultihotCountVec",
        {"shares": 4, "length": 100, "max_weight": 17, "chunk_length": 10},
        [i % 6 == 0 for i in range(100)],
    ),
]


@each_other
@pytest.mark.parametrize(("name", "parameters", "measurement"), LARGER)
def test_all_messages_of_larger_instances_agree(
    other: Implementation, name: str, parameters: dict[str, int], measurement: Any
):
    expected = transcript(PLAIN.make(name, parameters), measurement, CTX, Random(1))
    assert transcript(other.make(name, parameters), measurement, CTX, Random(1)) == expected


@each_other
@settings(max_examples=examples(40))
@given(case=cases(most_measurements=1), seed=seeds, place=st.integers(0, 10), value=st.integers(2, 2**63))
def test_verifier_shares_of_a_lie_agree_and_are_rejected(
    other: Implementation, case: Case, seed: int, place: int, value: int
):
    prio3, random = PLAIN_TYPES[case.type](**case.parameters), Random(seed)
    meas = prio3.valid.encode(case.measurements[0])
    meas[place % len(meas)] = value
    nonce = random.randbytes(16)
    public, inputs = prio3.shard_encoded(CTX, meas, nonce, random.randbytes(prio3.rand_size))
    public_share = codec.encode_public_share(public)
    input_shares = [codec.encode_input_share(prio3, share) for share in inputs]

    def verifier_shares(implementation: Implementation) -> list[bytes]:
        instance = case.instance(implementation)
        return [
            instance.verify_init(VERIFY_KEY, CTX, agg_id, nonce, public_share, share)[1]
            for agg_id, share in enumerate(input_shares)
        ]

    expected = verifier_shares(PLAIN)
    assert verifier_shares(other) == expected
    for implementation in (PLAIN, other):
        with pytest.raises(implementation.rejected):
            case.instance(implementation).verifier_shares_to_message(CTX, expected)
