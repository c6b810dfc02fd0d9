"""Inputs that every implementation of Prio3 refuses: wrong sizes, values out of range, messages from another place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.vdaf.cases import CTX, VERIFY_KEY, Case, one_of_each, result, shard, verify, verify_init
from tests.vdaf.implementations import IMPLEMENTATIONS
from tests.vdaf.interface import Implementation
from tests.vdaf.plain_field import FIELD64, FIELD128

pytestmark = pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=lambda i: i.name)

each_type = pytest.mark.parametrize("case", one_of_each(shares=3), ids=lambda case: case.type)


@each_type
@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_nonce_has_16_bytes(implementation: Implementation, case: Case, size: int):
    instance = case.instance(implementation)
    with pytest.raises(implementation.malformed):
        instance.shard(CTX, case.measurements[0], bytes(size), bytes(instance.rand_size))
    report = shard(instance, case.measurements[0], Random(1))
    with pytest.raises(implementation.malformed):
        verify_init(instance, replace(report, nonce=bytes(size)))


@each_type
def test_rand_and_the_verification_key_have_their_sizes(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    joint = case.type not in ("Prio3Count", "Prio3Sum")
    assert instance.rand_size == 32 * 3 * (2 if joint else 1)
    for size in (0, instance.rand_size - 1, instance.rand_size + 1, instance.rand_size + 32):
        with pytest.raises(implementation.malformed):
            instance.shard(CTX, case.measurements[0], bytes(16), bytes(size))
    report = shard(instance, case.measurements[0], Random(2))
    for size in (0, 31, 33):
        for agg_id in range(3):
            with pytest.raises(implementation.malformed):
                instance.verify_init(
                    bytes(size), CTX, agg_id, report.nonce, report.public_share, report.input_shares[agg_id]
                )


@each_type
def test_a_context_leaves_room_for_the_tag_s_eight_other_bytes(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    longest = bytes(65535 - 8)
    report = shard(instance, case.measurements[0], Random(3), longest)
    assert result(instance, [verify(instance, report, longest)]) == case.total
    with pytest.raises(implementation.malformed):
        shard(instance, case.measurements[0], Random(3), longest + b"\0")
    with pytest.raises(implementation.malformed):
        verify_init(instance, report, longest + b"\0")


OUT_OF_RANGE: list[tuple[str, dict[str, int], list[Any]]] = [
    ("Prio3Count", {}, [-1, 2, FIELD64.modulus, FIELD64.modulus + 1, 2**64]),
    ("Prio3Sum", {"max_measurement": 10}, [-1, 11, 16, FIELD64.modulus, FIELD64.modulus + 3, 2**200]),
    (
        "Prio3SumVec",
        {"length": 2, "max_measurement": 6, "chunk_length": 4},
        [[], [1], [1, 2, 3], [7, 0], [0, -1], [8, 0], [FIELD128.modulus, 0], [0, 2**200]],
    ),
    (
        "Prio3SumVecWithMultiproof",
        {"length": 2, "max_measurement": 6, "chunk_length": 4},
        [[], [1], [1, 2, 3], [7, 0], [0, -1], [FIELD64.modulus, 0], [0, 2**64]],
    ),
    ("Prio3Histogram", {"length": 5, "chunk_length": 2}, [-1, 5, 2**64]),
    (
        "Prio3MultihotCountVec",
        {"length": 4, "max_weight": 2, "chunk_length": 2},
        [[], [True] * 3, [False] * 5, [True, True, True, False], [2, 0, 0, 0], [-1, 1, 0, 0]],
    ),
]


@pytest.mark.parametrize(
    ("name", "parameters", "measurement"),
    [(name, parameters, m) for name, parameters, measurements in OUT_OF_RANGE for m in measurements],
)
def test_a_measurement_is_in_range(
    implementation: Implementation, name: str, parameters: Mapping[str, int], measurement: Any
):
    instance = implementation.make(name, {"shares": 2, **parameters})
    with pytest.raises(implementation.malformed):
        shard(instance, measurement, Random(4))


@pytest.mark.parametrize("shares", [-1, 0, 1, 256, 1000])
@pytest.mark.parametrize("case", one_of_each(shares=2), ids=lambda case: case.type)
def test_there_are_2_to_255_shares(implementation: Implementation, case: Case, shares: int):
    with pytest.raises(implementation.malformed):
        implementation.make(case.type, {**case.parameters, "shares": shares})


@pytest.mark.parametrize("case", one_of_each(shares=255), ids=lambda case: case.type)
def test_255_shares_work(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    report = shard(instance, case.measurements[0], Random(5))
    assert result(instance, [verify(instance, report)]) == case.total


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Prio3Sum", {"max_measurement": 0}),
        ("Prio3Sum", {"max_measurement": -3}),
        ("Prio3Sum", {"max_measurement": FIELD64.modulus}),
        ("Prio3SumVec", {"length": 0, "max_measurement": 1, "chunk_length": 1}),
        ("Prio3SumVec", {"length": 1, "max_measurement": 0, "chunk_length": 1}),
        ("Prio3SumVec", {"length": 1, "max_measurement": 1, "chunk_length": 0}),
        ("Prio3SumVec", {"length": 1, "max_measurement": FIELD128.modulus, "chunk_length": 1}),
        ("Prio3SumVecWithMultiproof", {"length": 1, "max_measurement": FIELD64.modulus, "chunk_length": 1}),
        ("Prio3Histogram", {"length": 0, "chunk_length": 1}),
        ("Prio3Histogram", {"length": 1, "chunk_length": 0}),
        ("Prio3MultihotCountVec", {"length": 0, "max_weight": 1, "chunk_length": 1}),
        ("Prio3MultihotCountVec", {"length": 3, "max_weight": 0, "chunk_length": 1}),
        ("Prio3MultihotCountVec", {"length": 3, "max_weight": 4, "chunk_length": 1}),
        ("Prio3MultihotCountVec", {"length": 3, "max_weight": 1, "chunk_length": 0}),
    ],
)
def test_parameters_are_in_range(implementation: Implementation, name: str, parameters: Mapping[str, int]):
    with pytest.raises(implementation.malformed):
        implementation.make(name, {"shares": 2, **parameters})


def cut(encoded: bytes) -> list[bytes]:
    """The bytes with one more, with one less, and with none."""
    return [encoded + b"\0", *([encoded[:-1], b""] if encoded else [])]


@each_type
def test_every_message_has_exactly_its_length(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    report = shard(instance, case.measurements[0], Random(6))
    for wrong in cut(report.public_share):
        with pytest.raises(implementation.malformed):
            verify_init(instance, replace(report, public_share=wrong))
    for agg_id, input_share in enumerate(report.input_shares):
        for wrong in cut(input_share):
            shares = [*report.input_shares[:agg_id], wrong, *report.input_shares[agg_id + 1 :]]
            with pytest.raises(implementation.malformed):
                verify_init(instance, replace(report, input_shares=shares))
    states, verifier_shares = verify_init(instance, report)
    for agg_id, verifier_share in enumerate(verifier_shares):
        for wrong in cut(verifier_share):
            with pytest.raises(implementation.malformed):
                instance.verifier_shares_to_message(
                    CTX, [*verifier_shares[:agg_id], wrong, *verifier_shares[agg_id + 1 :]]
                )
    message = instance.verifier_shares_to_message(CTX, verifier_shares)
    for wrong in cut(message):
        with pytest.raises(implementation.malformed):
            instance.verify_next(CTX, states[0], wrong)
    out_share = instance.verify_next(CTX, states[0], message)
    for wrong in cut(out_share):
        with pytest.raises(implementation.malformed):
            instance.aggregate([wrong])
        with pytest.raises(implementation.malformed):
            instance.unshard([out_share, out_share, wrong], 1)


@each_type
def test_every_element_of_every_message_is_below_the_modulus(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    joint = 32 if case.type not in ("Prio3Count", "Prio3Sum") else 0
    field = FIELD64 if case.type in ("Prio3Count", "Prio3Sum", "Prio3SumVecWithMultiproof") else FIELD128
    too_large = [n.to_bytes(field.encoded_size, "little") for n in (field.modulus, 256**field.encoded_size - 1)]

    def with_one_too_large(encoded: bytes, tail: int) -> list[bytes]:
        starts = range(0, len(encoded) - tail, field.encoded_size)
        return [encoded[:i] + bad + encoded[i + field.encoded_size :] for i in starts for bad in too_large]

    report = shard(instance, case.measurements[0], Random(7))
    for wrong in with_one_too_large(report.input_shares[0], joint):
        with pytest.raises(implementation.malformed):
            instance.verify_init(VERIFY_KEY, CTX, 0, report.nonce, report.public_share, wrong)
    states, verifier_shares = verify_init(instance, report)
    for wrong in with_one_too_large(verifier_shares[1], joint):
        with pytest.raises(implementation.malformed):
            instance.verifier_shares_to_message(CTX, [verifier_shares[0], wrong, verifier_shares[2]])
    message = instance.verifier_shares_to_message(CTX, verifier_shares)
    out_share = instance.verify_next(CTX, states[2], message)
    for wrong in with_one_too_large(out_share, 0):
        with pytest.raises(implementation.malformed):
            instance.aggregate([out_share, wrong])
        with pytest.raises(implementation.malformed):
            instance.unshard([wrong, out_share, out_share], 1)


@each_type
def test_an_aggregator_s_id_exists_and_goes_with_its_input_share(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    report = shard(instance, case.measurements[0], Random(8))
    for agg_id, whose in [(-1, 1), (3, 1), (255, 1), (256, 1), (0, 1), (1, 0), (2, 0)]:
        with pytest.raises(implementation.malformed):
            instance.verify_init(VERIFY_KEY, CTX, agg_id, report.nonce, report.public_share, report.input_shares[whose])
    swapped = [report.input_shares[i] for i in (0, 2, 1)]
    with pytest.raises(implementation.rejected):
        verify(instance, replace(report, input_shares=swapped))


@each_type
def test_there_is_one_verifier_share_and_one_aggregate_share_of_each_aggregator(
    implementation: Implementation, case: Case
):
    instance = case.instance(implementation)
    report = shard(instance, case.measurements[0], Random(9))
    states, verifier_shares = verify_init(instance, report)
    message = instance.verifier_shares_to_message(CTX, verifier_shares)
    out_shares = [instance.verify_next(CTX, state, message) for state in states]
    for count in (0, 1, 2, 4):
        with pytest.raises(implementation.malformed):
            instance.verifier_shares_to_message(CTX, (verifier_shares * 2)[:count])
        with pytest.raises(implementation.malformed):
            instance.unshard((out_shares * 2)[:count], 1)


# Binding: a report of one place is invalid at another.


@each_type
def test_a_report_of_another_context_is_rejected(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    report = shard(instance, case.measurements[0], Random(10))
    with pytest.raises(implementation.rejected):
        verify(instance, report, ctx=CTX + b"!")


@each_type
def test_a_report_under_another_nonce_is_rejected_where_the_nonce_is_bound(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    report = shard(instance, case.measurements[0], Random(11))
    renamed = replace(report, nonce=bytes(16))
    if case.type in ("Prio3Count", "Prio3Sum"):  # without joint randomness only the aggregators use the nonce
        assert result(instance, [verify(instance, renamed)]) == case.total
    else:
        with pytest.raises(implementation.rejected):
            verify(instance, renamed)


@each_type
def test_aggregators_with_different_verification_keys_reject(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    report = shard(instance, case.measurements[0], Random(12))
    shares = [
        instance.verify_init(bytes([key]) * 32, CTX, i, report.nonce, report.public_share, report.input_shares[i])[1]
        for i, key in enumerate([1, 1, 2])
    ]
    with pytest.raises(implementation.rejected):
        instance.verifier_shares_to_message(CTX, shares)


@each_type
def test_input_shares_of_two_reports_do_not_mix(implementation: Implementation, case: Case):
    instance = case.instance(implementation)
    one, other = (shard(instance, case.measurements[0], Random(seed)) for seed in (13, 14))
    with pytest.raises(implementation.rejected):
        verify(instance, replace(one, input_shares=[*one.input_shares[:2], other.input_shares[2]]))
