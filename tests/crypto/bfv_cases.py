"""Shared by the tests of BFV: small parameters, reports, and the secret polynomial that an attacker wants."""

from fractions import Fraction

import numpy as np
import pytest

from crypto.bfv import Ciphertexts, CiphertextSum, PublicKey
from crypto.bfv_parameters import BfvParameters, Slots
from crypto.bfv_secret import SecretKey
from crypto.noise import SeededNoise

pytest.importorskip("tenseal", reason="the extra `he` is not installed")
pytest.importorskip("zstandard", reason="the extra `he` is not installed")

SIGMA_SQ = Fraction(100**2)


def parameters_for(
    max_clients: int = 100, slots: int = 5000, slot_min: int = -50, slot_max: int = 1000
) -> BfvParameters:
    return BfvParameters.choose(max_clients, slot_min, slot_max, SIGMA_SQ, slots)


def reports(parameters: BfvParameters, count: int, seed: int = 1) -> Slots:
    """int64[count, slots]; both ends of the range occur."""
    rng = np.random.default_rng(seed)
    values = rng.integers(parameters.slot_min, parameters.slot_max + 1, (count, parameters.slots))
    values[:, 0], values[:, -1] = parameters.slot_min, parameters.slot_max
    return values


def sum_of(key: PublicKey, values: Slots) -> CiphertextSum:
    total = CiphertextSum(key.parameters, key.key_id)
    for row in values:
        total.add(key.encrypt(row).to_bytes())
    return total


def flood(seed: int = 0) -> SeededNoise:
    return SeededNoise(seed, "flood")


def no_noise(parameters: BfvParameters) -> Slots:
    return np.zeros(parameters.slots, np.int64)


def chosen(parameters: BfvParameters, key_id: bytes, factor: int) -> Ciphertexts:
    """(0, the integer nearest to factor q/t) in each ciphertext; it opens to `factor` times the secret polynomial."""
    polynomials = np.zeros((parameters.ciphertexts, 2, len(parameters.data_moduli), parameters.degree), np.uint64)
    constant = round(Fraction(factor * parameters.q, parameters.plain_modulus))
    for i, modulus in enumerate(parameters.data_moduli):
        polynomials[:, 1, i, 0] = constant % modulus
    return Ciphertexts(parameters, key_id, polynomials)


def coefficients(parameters: BfvParameters, slots: Slots) -> Slots:
    """The plaintext polynomial, int64[N] in (-t/2, t/2), with these batched slots (SEAL's own encoder)."""
    from tenseal import sealapi

    settings = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
    settings.set_poly_modulus_degree(parameters.degree)
    settings.set_coeff_modulus(sealapi.CoeffModulus.Create(parameters.degree, list(parameters.prime_bits)))
    settings.set_plain_modulus(sealapi.Modulus(parameters.plain_modulus))
    encoder = sealapi.BatchEncoder(sealapi.SEALContext(settings, True, sealapi.SEC_LEVEL_TYPE.TC128))
    plain = sealapi.Plaintext()
    encoder.encode([int(value) for value in slots], plain)
    t = parameters.plain_modulus
    values = [plain[i] if i < plain.coeff_count() else 0 for i in range(parameters.degree)]
    return np.array([value - t if value > t // 2 else value for value in values], np.int64)


def secret_polynomial(secret: SecretKey) -> Slots:
    """The ternary secret, int64[N]: the opening of (0, q/t)."""
    parameters = secret.public.parameters
    opened = secret._decrypt(chosen(parameters, secret.public.key_id, 1))[: parameters.degree]
    return coefficients(parameters, opened)


def decryption_noise(parameters: BfvParameters, ternary: Slots, ciphertext: np.ndarray, plain: Slots) -> np.ndarray:
    """c0 + c1 s - (q/t) m, float64[N], for the first prime of a chain with one data prime. `plain` is m's polynomial."""
    q, t, n = parameters.q, parameters.plain_modulus, parameters.degree
    product = np.zeros(n, object)
    for limb in range(4):  # c1 in pieces of 15 bits, so that a product's coefficients stay exact in float64
        piece = ((ciphertext[1, 0] >> np.uint64(15 * limb)) & np.uint64(2**15 - 1)).astype(np.float64)
        full = np.rint(np.fft.irfft(np.fft.rfft(piece, 2 * n) * np.fft.rfft(ternary, 2 * n), 2 * n)).astype(np.int64)
        product = product + (full[:n] - full[n:]).astype(object) * 2 ** (15 * limb)
    scaled = (ciphertext[0, 0].astype(object) + product) * t - plain.astype(object) * q  # t times the noise, mod q t
    centred = (scaled + q * t // 2) % (q * t) - q * t // 2
    return (centred / t).astype(np.float64)
