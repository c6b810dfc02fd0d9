"""A byte of a report, a verifier share or a verifier message is changed: verification fails, or the result is unchanged.

`--full` changes every byte, and a usual run every fourth one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from tests.examples import examples
from tests.vdaf.cases import CTX, Case, one_of_each, result, shard, verify, verify_init
from tests.vdaf.implementations import IMPLEMENTATIONS
from tests.vdaf.interface import Implementation

pytestmark = [
    pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=lambda i: i.name),
    pytest.mark.parametrize("shares", [2, 3]),
]
TYPES = [pytest.param(index, id=case.type) for index, case in enumerate(one_of_each(2))]
each_type = pytest.mark.parametrize("type_index", TYPES)
each_type_with_joint_randomness = pytest.mark.parametrize("type_index", TYPES[2:])


def flips(encoded: bytes, random: Random) -> Iterator[tuple[int, bytes]]:
    """(place, the bytes with the byte at this place changed): in all bits, in one bit, or in some."""
    step = 4 // examples(4)
    for place in range(random.randrange(step), len(encoded), step):
        mask = random.choice([0xFF, 1 << random.randrange(8), random.randrange(1, 256)])
        yield place, encoded[:place] + bytes([encoded[place] ^ mask]) + encoded[place + 1 :]


def case_of(type_index: int, shares: int) -> Case:
    return one_of_each(shares)[type_index]


@each_type
def test_a_changed_input_share_is_refused(implementation: Implementation, shares: int, type_index: int):
    case = case_of(type_index, shares)
    instance = case.instance(implementation)
    random = Random(type_index)
    report = shard(instance, case.measurements[0], random)
    for agg_id in range(shares):
        for _, changed in flips(report.input_shares[agg_id], random):
            input_shares = [*report.input_shares[:agg_id], changed, *report.input_shares[agg_id + 1 :]]
            with pytest.raises(implementation.refused):
                verify(instance, replace(report, input_shares=input_shares))


@each_type_with_joint_randomness
def test_a_public_share_changed_for_all_is_refused(implementation: Implementation, shares: int, type_index: int):
    case = case_of(type_index, shares)
    instance = case.instance(implementation)
    random = Random(type_index)
    report = shard(instance, case.measurements[0], random)
    for _, changed in flips(report.public_share, random):
        with pytest.raises(implementation.refused):
            verify(instance, replace(report, public_share=changed))


@each_type_with_joint_randomness
def test_a_public_share_changed_for_one_is_refused_unless_it_is_the_part_which_that_one_computes_itself(
    implementation: Implementation, shares: int, type_index: int
):
    case = case_of(type_index, shares)
    instance = case.instance(implementation)
    random = Random(type_index)
    report = shard(instance, case.measurements[0], random)
    for agg_id in range(shares):
        for place, changed in flips(report.public_share, random):
            public_shares = [changed if i == agg_id else report.public_share for i in range(shares)]
            if place // 32 == agg_id:
                assert result(instance, [verify(instance, report, public_shares=public_shares)]) == case.total
            else:
                with pytest.raises(implementation.refused):
                    verify(instance, report, public_shares=public_shares)


@each_type
def test_a_changed_verifier_share_is_refused(implementation: Implementation, shares: int, type_index: int):
    case = case_of(type_index, shares)
    instance = case.instance(implementation)
    random = Random(type_index)
    states, verifier_shares = verify_init(instance, shard(instance, case.measurements[0], random))

    def finish(received: list[bytes]) -> None:
        message = instance.verifier_shares_to_message(CTX, received)
        for state in states:
            instance.verify_next(CTX, state, message)

    finish(verifier_shares)
    for agg_id in range(shares):
        for _, changed in flips(verifier_shares[agg_id], random):
            with pytest.raises(implementation.refused):
                finish([*verifier_shares[:agg_id], changed, *verifier_shares[agg_id + 1 :]])


@each_type_with_joint_randomness
def test_a_changed_verifier_message_is_refused(implementation: Implementation, shares: int, type_index: int):
    case = case_of(type_index, shares)
    instance = case.instance(implementation)
    random = Random(type_index)
    states, verifier_shares = verify_init(instance, shard(instance, case.measurements[0], random))
    message = instance.verifier_shares_to_message(CTX, verifier_shares)
    assert len(message) == 32
    for _, changed in flips(message, random):
        for state in states:
            with pytest.raises(implementation.rejected):
                instance.verify_next(CTX, state, changed)
