"""The transcription itself: its algebra against schoolbook algebra, its sums, and rejected lies."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.vdaf.cases import CTX, VERIFY_KEY, Case, cases, one_of_each, result, shard, verify
from tests.vdaf.implementations import PLAIN, PLAIN_TYPES
from tests.vdaf.plain_circuits import decode_range_checked_int, encode_range_checked_int, range_weights
from tests.vdaf.plain_errors import Malformed, Rejected
from tests.vdaf.plain_field import FIELD64, FIELD128, Field, next_power_of_2
from tests.vdaf.plain_prio3 import Prio3
from tests.vdaf.plain_xof import Xof

from . import plain_flp

fields = st.sampled_from([FIELD64, FIELD128])
seeds = st.integers(0, 2**32)


def elements(field: Field, count: int, random: Random) -> list[int]:
    return [random.randrange(field.modulus) for _ in range(count)]


def horner(field: Field, coefficients: list[int], x: int) -> int:
    value = 0
    for c in reversed(coefficients):
        value = (value * x + c) % field.modulus
    return value


@pytest.mark.parametrize(("field", "log_order"), [(FIELD64, 32), (FIELD128, 66)])
def test_the_fields_are_those_of_the_draft_s_table(field: Field, log_order: int):
    assert field.modulus == {32: 2**64 - 2**32 + 1, 66: 340282366920938462946865773367900766209}[log_order]
    assert field.modulus.bit_length() == 8 * field.encoded_size
    assert (
        pow(field.generator, 2 ** (log_order - 1), field.modulus) == field.modulus - 1
    )  # of order exactly 2^log_order
    assert field.gen_order == 2**log_order


@given(fields, st.integers(0, 5), seeds)
def test_lagrange_weights_evaluate_the_polynomial_through_the_values(field: Field, log_n: int, seed: int):
    random = Random(seed)
    n = 2**log_n
    count = random.randint(1, n)
    coefficients = elements(field, count, random)
    nodes = field.root_powers(n, n)
    values = [horner(field, coefficients, node) for node in nodes]
    for x in [*elements(field, 3, random), 0, *nodes]:
        for length in {count, n}:  # more values than the degree asks for change nothing
            weights = field.lagrange_weights(n, length, x)
            assert field.dot(weights, values[:length]) == horner(field, coefficients, x)


def test_a_root_of_unity_has_an_order_that_exists():
    assert FIELD64.nth_root(1) == 1
    assert FIELD64.nth_root(2) == FIELD64.modulus - 1
    for n in (0, 3, 2**33):
        with pytest.raises(Malformed):
            FIELD64.nth_root(n)


@given(fields, st.integers(0, 10), seeds)
def test_vectors_are_read_as_they_were_written(field: Field, count: int, seed: int):
    vec = elements(field, count, Random(seed))
    assert field.decode_vec(field.encode_vec(vec)) == vec
    assert field.sub_vec(field.add_vec(vec, vec[::-1]), vec[::-1]) == vec


class Scripted:
    """A stream of chosen words."""

    def __init__(self, field: Field, words: list[int]) -> None:
        self.data = field.encode_vec(words)

    def read(self, length: int) -> bytes:
        head, self.data = self.data[:length], self.data[length:]
        return head


@pytest.mark.parametrize("field", [FIELD64, FIELD128], ids=lambda field: field.name)
def test_words_that_are_no_element_are_passed_over(field: Field):
    p, largest = field.modulus, 256**field.encoded_size - 1
    xof = Xof(bytes(32), b"", b"")
    xof._stream = Scripted(field, [p, 1, p + 1, largest, p - 1, 0, 7])
    assert xof.next_vec(field, 3) == [1, p - 1, 0]
    assert xof.next_vec(field, 1) == [7]


def test_next_power_of_2_is_the_smallest_one_that_is_no_smaller():
    assert [next_power_of_2(n) for n in (1, 2, 3, 4, 5, 8, 9)] == [1, 2, 4, 4, 8, 8, 16]


@pytest.mark.parametrize("maximum", [1, 2, 3, 4, 5, 7, 8, 10, 255, 256, 1000])
def test_range_checked_integers_are_exactly_those_up_to_the_maximum(maximum: int):
    assert sum(range_weights(maximum)) == maximum
    for value in range(maximum + 1):
        encoded = encode_range_checked_int(value, maximum)
        assert len(encoded) == maximum.bit_length()
        assert set(encoded) <= {0, 1}
        assert decode_range_checked_int(FIELD64, encoded, maximum) == value


@settings(max_examples=examples(60))
@given(cases(), seeds)
def test_the_result_is_the_sum_of_the_measurements(case: Case, seed: int):
    instance, random = case.instance(PLAIN), Random(seed)
    outputs = [verify(instance, shard(instance, measurement, random)) for measurement in case.measurements]
    assert result(instance, outputs) == case.total


def test_a_sum_in_parts_is_the_whole_sum():
    prio3 = PLAIN_TYPES["Prio3Sum"](shares=2, max_measurement=9)
    agg_shares = [prio3.agg_update(prio3.agg_init(), [x]) for x in (3, 4, FIELD64.modulus - 1)]
    assert prio3.merge(agg_shares) == [6]
    assert prio3.merge([]) == prio3.agg_init() == [0]


def prio3_of(case: Case) -> Prio3:
    return PLAIN_TYPES[case.type](**case.parameters)


def verify_encoded(prio3: Prio3, meas: list[int], random: Random) -> None:
    """A client that follows the protocol except for its measurement."""
    nonce = random.randbytes(16)
    public_share, input_shares = prio3.shard_encoded(CTX, meas, nonce, random.randbytes(prio3.rand_size))
    begun = [prio3.verify_init(VERIFY_KEY, CTX, i, nonce, public_share, share) for i, share in enumerate(input_shares)]
    message = prio3.verifier_shares_to_message(CTX, [share for _, share in begun])
    for state, _ in begun:
        prio3.verify_next(CTX, state, message)


@settings(max_examples=examples(60))
@given(cases(most_measurements=1), seeds, st.integers(0, 10), st.integers(2, 2**63))
def test_a_measurement_with_an_element_that_is_no_bit_is_rejected(case: Case, seed: int, place: int, value: int):
    prio3 = prio3_of(case)
    meas = prio3.valid.encode(case.measurements[0])
    meas[place % len(meas)] = value
    with pytest.raises(Rejected):
        verify_encoded(prio3, meas, Random(seed))


@pytest.mark.parametrize(
    ("case", "meas"),
    [
        (one_of_each(2)[4], [0, 0, 0, 0, 0]),  # a histogram's client in no bucket
        (one_of_each(2)[4], [0, 1, 0, 1, 0]),  # and in two
        (one_of_each(2)[5], [1, 0, 1, 1, 0, 1]),  # a multihot client with weight 3 that says 2
        (one_of_each(2)[5], [0, 0, 0, 0, 1, 0]),  # and with weight 0 that says 1
        (one_of_each(2)[5], [1, 1, 1, 1, 1, 1]),  # and with weight 4, which nothing can say
    ],
)
def test_bits_that_do_not_add_up_are_rejected(case: Case, meas: list[int]):
    prio3 = prio3_of(case)
    assert len(meas) == prio3.valid.meas_len
    for seed in range(5):
        with pytest.raises(Rejected):
            verify_encoded(prio3, meas, Random(seed))


@given(cases(most_measurements=1), seeds)
def test_a_query_of_shares_is_a_share_of_the_query(case: Case, seed: int):
    prio3, random = prio3_of(case), Random(seed)
    valid, field, shares = prio3.valid, prio3.field, prio3.shares
    meas = valid.encode(case.measurements[0])
    joint_rand = elements(field, valid.joint_rand_len, random)
    query_rand = elements(field, valid.query_rand_len(), random)
    proof = plain_flp.prove(valid, meas, elements(field, valid.prove_rand_len(), random), joint_rand)
    whole = plain_flp.query(valid, meas, proof, query_rand, joint_rand, 1)
    assert plain_flp.decide(valid, whole)

    total = [0] * valid.verifier_len()
    left = meas, proof
    for i in range(shares):
        last = i == shares - 1
        part = left if last else (elements(field, len(meas), random), elements(field, len(proof), random))
        left = field.sub_vec(left[0], part[0]), field.sub_vec(left[1], part[1])
        total = field.add_vec(total, plain_flp.query(valid, *part, query_rand, joint_rand, shares))
    assert total == whole


@pytest.mark.parametrize("case", one_of_each(2), ids=lambda case: case.type)
def test_a_test_point_that_is_a_root_of_unity_is_rejected(case: Case):
    valid = prio3_of(case).valid
    n = valid.wire_poly_len(0)
    rest = [5] * (valid.query_rand_len() - 1)
    vectors = [0] * valid.meas_len, [0] * valid.proof_len()
    joint_rand = [3] * valid.joint_rand_len
    for t in valid.field.root_powers(n, n):
        with pytest.raises(Rejected):
            plain_flp.query(valid, *vectors, [*rest, t], joint_rand, 2)
    plain_flp.query(valid, *vectors, [*rest, valid.field.nth_root(2 * n)], joint_rand, 2)
