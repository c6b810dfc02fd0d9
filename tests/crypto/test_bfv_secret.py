"""The secret side of BFV: sums out of range, the key-recovery attack, the leak of the decryption noise, and erasure."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from crypto.bfv import Ciphertexts, CiphertextSum, finish
from crypto.bfv_parameters import BfvParameters, Slots, _is_prime, leak_rho
from crypto.bfv_secret import SecretKey, SumRange
from crypto.bfv_wire import Polynomials
from crypto.errors import CoefficientOutOfRange, KeyErased, KeyMismatch, SumOutOfRange, WrongLength
from crypto.noise import SeededNoise
from tests.crypto.bfv_cases import (
    SIGMA_SQ,
    chosen,
    coefficients,
    decryption_noise,
    flood,
    no_noise,
    parameters_for,
    reports,
    secret_polynomial,
    sum_of,
)


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return SecretKey.generate(parameters_for())


@pytest.fixture(scope="module")
def small() -> SecretKey:
    return SecretKey.generate(parameters_for(max_clients=4, slots=4096))


# The range check


def opened(secret: SecretKey, slots: Slots, expected: SumRange | None = None) -> Slots:
    """The opening of `slots` int64[C N], which are encrypted unchecked."""
    parameters = secret.public.parameters
    rows = slots.reshape(parameters.ciphertexts, parameters.degree)
    polynomials = np.stack([secret._usable().encrypt(row) for row in rows])
    return secret.open_sum(Ciphertexts(parameters, secret.public.key_id, polynomials), expected)


def test_sums_at_the_ends_of_the_range_open_and_one_beyond_does_not(secret: SecretKey):
    parameters = secret.public.parameters
    high = 100 * parameters.slot_max + parameters.noise_bound
    low = 100 * parameters.slot_min - parameters.noise_bound
    for slot, value, beyond in ((0, high, high + 1), (4999, low, low - 1), (4096, high, high + 1)):
        slots = np.zeros(2 * 4096, np.int64)
        slots[slot] = value
        assert opened(secret, slots)[slot] == value
        slots[slot] = beyond
        with pytest.raises(SumOutOfRange) as refused:
            opened(secret, slots)
        assert not any(character.isdigit() for character in str(refused.value))


def test_slots_behind_the_report_s_must_be_zero(secret: SecretKey):
    slots = np.zeros(2 * 4096, np.int64)
    slots[5000] = 1
    with pytest.raises(SumOutOfRange):
        opened(secret, slots)


def test_each_slot_may_have_a_range_of_its_own_within_that_of_the_parameters(secret: SecretKey):
    parameters = secret.public.parameters
    most = np.arange(5000) % 7
    expected = SumRange.of(parameters, no_noise(parameters), most, no_noise(parameters) + 3)
    slots = np.zeros(2 * 4096, np.int64)
    slots[:5000] = 100 * most + 3
    assert np.array_equal(opened(secret, slots, expected), slots[:5000])
    slots[14] += 1
    with pytest.raises(SumOutOfRange):
        opened(secret, slots, expected)
    wide = no_noise(parameters) + 10**6
    assert SumRange.of(parameters, -wide, wide, wide).high[0] == SumRange.uniform(parameters).high[0]
    with pytest.raises(WrongLength):
        SumRange.of(parameters, most[:-1], most, most)


# The attack


def two_openings(parameters: BfvParameters, first: Slots, second: Slots) -> Slots:
    """The secret polynomial from x + e1 and 2^20 x + e2 mod t, |e| < 2^19, x its slots (of one ciphertext)."""
    t = parameters.plain_modulus
    slots = []
    for one, two in zip(first.tolist(), second.tolist(), strict=True):
        difference = (two - (one << 20)) % t  # e2 - 2^20 e1
        difference -= t if difference > t // 2 else 0
        value = (one + round(Fraction(difference, 2**20))) % t
        slots.append(value - t if value > t // 2 else value)
    return coefficients(parameters, np.array(slots))


def noised(slots: Slots, seed: int) -> Slots:
    """The noised sum, as it leaves the key holder."""
    return slots + SeededNoise(seed, "key holder").discrete_gaussian(SIGMA_SQ, len(slots))


def forged_sums(secret: SecretKey, by: str) -> list[Ciphertexts]:
    """Two forged sums: the leader sends its own to the key holder; a client adds a report to an honest leader's sum."""
    parameters, key = secret.public.parameters, secret.public
    forged = [chosen(parameters, key.key_id, factor) for factor in (1, 2**20)]
    if by == "leader":
        return forged
    finished = []
    for seed, report in enumerate(forged):
        total = CiphertextSum(parameters, key.key_id)
        for row in np.zeros((3, parameters.slots), np.int64):
            total.add(key.encrypt(row))
        total.add(report.to_bytes())
        noise = SeededNoise(seed, "leader").discrete_gaussian(SIGMA_SQ, parameters.slots)
        finished.append(finish(key, total, noise, flood(seed)))
    return finished


@pytest.mark.parametrize("by", ["leader", "client"])
def test_two_openings_give_the_key_without_the_range_check_and_nothing_with_it(small: SecretKey, by: str):
    parameters = small.public.parameters
    first, second = forged_sums(small, by)
    found = two_openings(parameters, noised(small._decrypt(first), 1), noised(small._decrypt(second), 2))
    assert np.array_equal(found, secret_polynomial(small))
    assert set(found.tolist()) == {-1, 0, 1}
    victim = reports(parameters, 1)[0]
    read = decrypted_with(parameters, found, small.public.encrypt(victim).polynomials[0])
    assert np.array_equal(read, coefficients(parameters, victim) % parameters.plain_modulus)
    for forged in (first, second):
        with pytest.raises(SumOutOfRange):
            small.open_sum(forged)


def decrypted_with(parameters: BfvParameters, ternary: Slots, ciphertext: Polynomials) -> Slots:
    """The plaintext polynomial mod t of a ciphertext, decrypted by an attacker who has the recovered secret only."""
    scaled = decryption_noise(parameters, ternary, ciphertext, np.zeros(parameters.degree, np.int64))
    return np.rint(scaled * parameters.plain_modulus / parameters.q).astype(np.int64) % parameters.plain_modulus


# The leak of the decryption noise


def test_the_noise_of_neighbouring_inputs_differs_by_less_than_the_leak_counts(small: SecretKey):
    """The means of the noise, for a client that reports and for the same client with zeros; all other clients are alike.

    300 reports each, without flooding: the noise of one report deviates by 15 a coefficient, the difference of two means by 1.2.
    Along the direction of the rounding errors, whose length is about sqrt(N/12) = 18, a shift is seen at 15 deviations.
    """
    parameters, key, count = small.public.parameters, small.public, 300
    ternary = secret_polynomial(small)
    report = reports(parameters, 1, seed=9)[0]
    plain = coefficients(parameters, report)
    q, t = parameters.q, parameters.plain_modulus
    rounding = np.array([float(round(Fraction(q * int(m), t)) - Fraction(q * int(m), t)) for m in plain])

    def mean_noise(values: Slots, polynomial: Slots) -> Slots:
        fresh = (key.encrypt(values).polynomials[0] for _ in range(count))
        return sum(decryption_noise(parameters, ternary, c, polynomial) for c in fresh) / count

    shift = mean_noise(report, plain) - mean_noise(no_noise(parameters), np.zeros_like(plain))
    along = float(shift @ rounding) / math.sqrt(rounding @ rounding)
    deviation = math.sqrt(2 * (parameters.degree / 18 + 1) / count)
    assert abs(along) > 10 * deviation  # the noise leaks, which is why it is flooded
    assert abs(along) < math.sqrt(parameters.degree) / 2 + 6 * deviation
    assert along**2 / (2 * parameters.flood_sigma_sq) < leak_rho(parameters)
    # Nothing else differs: the rest is the deviation of a mean.
    rest = shift - along * rounding / math.sqrt(rounding @ rounding)
    assert float(rest @ rest) / (deviation**2 * parameters.degree) == pytest.approx(
        1, abs=6 * math.sqrt(2 / parameters.degree)
    )


def test_the_noise_of_a_finished_sum_is_flooded_as_the_leak_assumes_and_far_from_failure(small: SecretKey):
    parameters, key = small.public.parameters, small.public
    ternary = secret_polynomial(small)
    values = reports(parameters, 4)
    total = sum_of(key, values)
    plain = coefficients(parameters, values.sum(0))
    samples = np.concatenate(
        [
            decryption_noise(
                parameters, ternary, finish(key, total, no_noise(parameters), flood(seed)).polynomials[0], plain
            )
            for seed in range(12)
        ]
    )
    expected = parameters.flood_sigma_sq + 5 * parameters.degree / 18
    assert samples.var() == pytest.approx(expected, rel=6 * math.sqrt(2 / samples.size))
    assert abs(samples.mean()) < 6 * math.sqrt(expected / samples.size) + 2.5
    assert np.abs(samples).max() < parameters.q / (2 * parameters.plain_modulus)
    # Against this spread, the largest shift of a neighbour is what `leak_rho` says: sqrt(2 rho) deviations.
    shift = math.sqrt(parameters.degree) / samples.std()
    assert shift == pytest.approx(math.sqrt(2 * leak_rho(parameters)), rel=6 / math.sqrt(samples.size))


# The key


def test_an_erased_key_opens_nothing_and_is_not_written(secret: SecretKey):
    parameters = parameters_for(slots=10)
    key = SecretKey.generate(parameters)
    total = sum_of(key.public, reports(parameters, 1)).ciphertexts
    assert not key.erased
    key.erase()
    assert key.erased
    for use in (lambda: key.open_sum(total), key.to_bytes):
        with pytest.raises(KeyErased, match=key.public.key_id.hex()):
            use()
    key.erase()
    assert key.public.key_id == total.key_id


def test_a_key_comes_back_from_its_bytes_and_strictly(secret: SecretKey):
    parameters, data = secret.public.parameters, secret.to_bytes()
    again = SecretKey.from_bytes(parameters, data)
    values = reports(parameters, 2)
    assert again.to_bytes() == data
    assert np.array_equal(again.open_sum(sum_of(secret.public, values).ciphertexts), values.sum(0))
    for wrong in (b"", data[:-1], data + b"\0"):
        with pytest.raises(WrongLength):
            SecretKey.from_bytes(parameters, wrong)
    with pytest.raises(CoefficientOutOfRange):
        SecretKey.from_bytes(parameters, b"\xff" * len(data))


def test_sums_under_another_key_are_refused(secret: SecretKey):
    other = SecretKey.generate(secret.public.parameters)
    with pytest.raises(KeyMismatch):
        other.open_sum(sum_of(secret.public, reports(secret.public.parameters, 1)).ciphertexts)


def test_nothing_secret_is_in_a_repr(secret: SecretKey):
    assert "polynomials" not in repr(secret)
    assert "context" not in repr(secret).lower()
    assert "array" not in repr(secret)


def masked(parameters: BfvParameters, key_id: bytes, factor: int, turn: int) -> Ciphertexts:
    """(0, q/t · p · factor), where p is a polynomial that is 1 in every second slot and 0 in the others: it opens to s there.

    The slots are values at odd powers of a 2N-th root of unity, every second one at exponents of ±1 mod 8. So p is the polynomial
    in y = x^(N/4), of degree 3, that is 1 at ψ and ψ^7 of the 8th roots of unity and 0 at ψ^3 and ψ^5. With `turn` 3 instead of 1
    the two halves are swapped.
    """
    t, degree, q = parameters.plain_modulus, parameters.degree, parameters.q
    eighth = next(
        root for base in range(2, 100) if pow(root := pow(base, (t - 1) // 8, t), 4, t) == t - 1
    )  # a primitive 8th root of unity mod t
    points, values = [pow(eighth, turn * e, t) for e in (1, 3, 5, 7)], (1, 0, 0, 1)
    polynomial = [0] * 4
    for point, value in zip(points, values, strict=True):
        term, scale = [1], value
        for other in points:
            if other != point:
                term = [(low - other * high) % t for low, high in zip([0, *term], [*term, 0], strict=True)]
                scale = scale * pow(point - other, -1, t) % t
        polynomial = [(a + scale * b) % t for a, b in zip(polynomial, term, strict=True)]
    forged = np.zeros((1, 2, len(parameters.data_moduli), degree), np.uint64)
    for power, coefficient in enumerate(polynomial):
        lifted = (2 * q * (coefficient * factor % t) + t) // (2 * t)
        for i, modulus in enumerate(parameters.data_moduli):
            forged[0, 1, i, power * degree // 4] = lifted % modulus
    return Ciphertexts(parameters, key_id, forged)


@pytest.mark.parametrize("wide", [True, False])
def test_a_forged_sum_that_shows_only_slots_of_a_wide_range_is_refused_because_t_is_twice_as_wide(wide: bool):
    most, clients = 30_000_000, 100_000
    parameters = BfvParameters.choose(clients, -most, most, Fraction(2**40), 4096)
    if not wide:  # with the smallest t that holds the sums, nearly every slot would pass
        step, least = 2 * parameters.degree, 2 * (clients * most + 2 * parameters.noise_bound)
        t = next(v for v in range(least - least % step + step + 1, 2**60, step) if _is_prime(v))
        parameters = replace(parameters, plain_modulus=t)
    secret = SecretKey.generate(parameters)
    low, high = np.zeros(4096, np.int64), np.full(4096, 4)
    low[::2], high[::2] = -most, most
    expected = SumRange.of(parameters, low, high, np.full(4096, parameters.noise_bound))
    sums = [[masked(parameters, secret.public.key_id, factor, turn) for factor in (1, 2**20)] for turn in (1, 3)]
    if wide:
        for one in (*sums[0], *sums[1]):
            with pytest.raises(SumOutOfRange):
                secret.open_sum(one, expected)
        return
    every = SumRange(np.full(4096, -parameters.plain_modulus), np.full(4096, parameters.plain_modulus))
    forged = next(pair for pair in sums if not secret.open_sum(pair[0], every)[1::2].any())
    for one in forged:
        shown = secret.open_sum(one, every)
        assert not shown[1::2].any()
        assert np.abs(shown[::2]).max() > 2**40
        assert np.mean((shown >= expected.low) & (shown <= expected.high)) > 0.99
