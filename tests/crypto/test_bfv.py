"""The public side of BFV: reports add up exactly, the wire is strict, and TenSEAL parses no bytes from the wire."""

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import bfv_seal, bfv_wire
from crypto.bfv import KEY_ID_BYTES, Ciphertexts, CiphertextSum, PublicKey, finish, message_bytes, public_key_bytes
from crypto.bfv_parameters import BfvParameters
from crypto.bfv_secret import SecretKey
from crypto.bfv_wire import pack, unpack
from crypto.errors import (
    CoefficientOutOfRange,
    CryptoError,
    KeyInvalid,
    KeyMismatch,
    LibraryUnknown,
    TooManyReports,
    ValueOutOfRange,
    WrongArray,
    WrongLength,
)
from tests.crypto.bfv_cases import flood, no_noise, parameters_for, reports, sum_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return SecretKey.generate(parameters_for())


@pytest.fixture(scope="module")
def message(secret: SecretKey) -> bytes:
    return secret.public.encrypt(reports(secret.public.parameters, 1)[0]).to_bytes()


WISHES = {
    "60": (50, -50, 1000, Fraction(100), 5000),
    "33+33": (1000, 0, 2**40, Fraction(4), 100),
    "60+60": (30, -(2**53), 2**53, Fraction(10**6), 9000),
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES.keys())
def test_sums_are_exact_under_every_chain_by_way_of_the_wire(wish: tuple[int, int, int, Fraction, int]):
    parameters = BfvParameters.choose(*wish)
    secret = SecretKey.generate(parameters)
    key = PublicKey.from_bytes(parameters, secret.public.to_bytes())
    assert key.key_id == secret.public.key_id
    values, noise = reports(parameters, 6), np.resize([-parameters.noise_bound, 7, 0], parameters.slots)
    finished = finish(key, sum_of(key, values), noise, flood())
    received = Ciphertexts.from_bytes(parameters, key.key_id, finished.to_bytes())
    assert np.array_equal(secret.open_sum(received), values.sum(0) + noise)


def test_the_most_clients_at_the_ends_of_their_range_stay_exact_and_one_more_is_refused():
    parameters = parameters_for(max_clients=600, slots=300)
    secret = SecretKey.generate(parameters)
    key = secret.public
    least = np.full(300, parameters.slot_min, np.int64)
    most = np.full(300, parameters.slot_max, np.int64)
    values = np.where(
        np.arange(300) % 2, least, most
    )  # equal values, so that every rounding of q/t m errs in the same direction
    total = CiphertextSum(parameters, key.key_id)
    for _ in range(600):
        total.add(key.encrypt(values))
    with pytest.raises(TooManyReports, match="more than 600"):
        total.add(key.encrypt(values))
    noise = np.where(np.arange(300) % 2, -parameters.noise_bound, parameters.noise_bound)
    assert np.array_equal(secret.open_sum(finish(key, total, noise, flood())), 600 * values + noise)


@pytest.mark.parametrize("slots", [1, 4095, 4096, 4097])
def test_ciphertexts_and_bytes_of_a_report_follow_from_its_slots(slots: int):
    parameters = parameters_for(slots=slots)
    key = SecretKey.generate(parameters).public
    data = key.encrypt(reports(parameters, 1)[0]).to_bytes()
    assert len(data) == message_bytes(parameters) == 32 + -(-slots // 4096) * 4096 * 15


def test_values_outside_their_range_are_refused_before_encryption(secret: SecretKey):
    parameters = secret.public.parameters
    for slot, value in ((3, parameters.slot_max + 1), (4, parameters.slot_min - 1), (5, 2**62), (6, -(2**63))):
        values = no_noise(parameters)
        values[slot] = value
        with pytest.raises(ValueOutOfRange) as refused:
            secret.public.encrypt(values)
        assert refused.value.index == slot
    with pytest.raises(ValueOutOfRange, match="noise at index 0 is outside"):
        secret.public.encrypt_noise(no_noise(parameters) + parameters.noise_bound + 1)
    with pytest.raises(WrongLength):
        secret.public.encrypt(no_noise(parameters)[:-1])
    with pytest.raises(WrongArray):
        secret.public.encrypt(no_noise(parameters).astype(np.float64))  # type: ignore[arg-type]


def test_finishing_makes_fresh_polynomials_of_equal_sums(secret: SecretKey):
    key, parameters = secret.public, secret.public.parameters
    total = sum_of(key, reports(parameters, 2))
    first, second = (finish(key, total, no_noise(parameters), flood(seed)).polynomials for seed in (1, 1))
    assert np.mean(first == second) < 0.001
    assert np.mean(first[:, 1] == total.ciphertexts.polynomials[:, 1]) < 0.001


def test_a_sum_resumes_from_what_was_stored(secret: SecretKey):
    key, parameters = secret.public, secret.public.parameters
    values = reports(parameters, 3)
    total = sum_of(key, values[:2])
    stored = Ciphertexts.from_bytes(parameters, key.key_id, total.ciphertexts.to_bytes())
    resumed = CiphertextSum.from_ciphertexts(stored, total.count)
    resumed.add(key.encrypt(values[2]))
    assert resumed.count == 3
    assert np.array_equal(secret.open_sum(resumed.ciphertexts), values.sum(0))
    assert total.count == 2
    assert np.array_equal(secret.open_sum(total.ciphertexts), values[:2].sum(0))


# The wire


@given(st.data())
def test_packing_is_the_integer_that_its_docstring_names(data: st.DataObject):
    moduli = data.draw(st.sampled_from([(2**60 - 5,), (2**33 - 9, 2**33 - 1), (2**60 - 5, 2**20 - 3), (2**43 - 1,)]))
    degree, count = 16, data.draw(st.integers(1, 4))
    draw = [
        [data.draw(st.lists(st.integers(0, m - 1), min_size=16, max_size=16)) for m in moduli] for _ in range(count)
    ]
    packed = pack(np.array(draw, np.uint64), moduli)
    naive = b"".join(
        sum(value << (i * m.bit_length()) for i, value in enumerate(row)).to_bytes(
            degree * m.bit_length() // 8, "little"
        )
        for polynomial in draw
        for row, m in zip(polynomial, moduli, strict=True)
    )
    assert packed == naive
    assert unpack(np.frombuffer(packed, np.uint8), count, degree, moduli).tolist() == draw


def test_the_first_coefficient_that_is_too_large_is_an_error_that_names_its_ciphertext(
    secret: SecretKey, message: bytes
):
    parameters = secret.public.parameters
    (modulus,) = parameters.data_moduli
    for ciphertext, polynomial, place in ((0, 0, 0), (0, 1, 4095), (1, 0, 7), (1, 1, 4095)):
        start = 8 * KEY_ID_BYTES + 60 * (4096 * (2 * ciphertext + polynomial) + place)
        clear = int.from_bytes(message, "little") & ~(((1 << 60) - 1) << start)
        largest = (clear | (modulus - 1) << start).to_bytes(len(message), "little")
        assert Ciphertexts.from_bytes(parameters, secret.public.key_id, largest).to_bytes() == largest
        for value in (modulus, 2**60 - 1):
            damaged = (clear | value << start).to_bytes(len(message), "little")
            with pytest.raises(CoefficientOutOfRange) as refused:
                Ciphertexts.from_bytes(parameters, secret.public.key_id, damaged)
            assert refused.value.ciphertext == ciphertext


def test_lengths_and_keys_that_are_not_this_plan_s_are_refused(secret: SecretKey, message: bytes):
    parameters, key = secret.public.parameters, secret.public
    for data in (b"", message[:-1], message + b"\0", message[:KEY_ID_BYTES], message * 2):
        with pytest.raises(WrongLength):
            Ciphertexts.from_bytes(parameters, key.key_id, data)
    other = SecretKey.generate(parameters).public
    with pytest.raises(KeyMismatch):
        Ciphertexts.from_bytes(parameters, other.key_id, message)
    elsewhere = PublicKey(parameters_for(max_clients=99), key.polynomials)  # the same key with other parameters
    with pytest.raises(KeyMismatch):
        CiphertextSum(elsewhere.parameters, elsewhere.key_id).add(message)
    with pytest.raises(KeyMismatch):
        sum_of(key, reports(parameters, 1)).add(other.encrypt(no_noise(parameters)))
    with pytest.raises(KeyMismatch):
        finish(other, sum_of(key, reports(parameters, 1)), no_noise(parameters), flood())


def test_public_keys_are_strict_as_well(secret: SecretKey):
    parameters, data = secret.public.parameters, secret.public.to_bytes()
    assert len(data) == public_key_bytes(parameters) == 2 * 4096 * (60 + 20) // 8
    for wrong in (b"", data[:-1], data + b"\0"):
        with pytest.raises(WrongLength):
            PublicKey.from_bytes(parameters, wrong)
    with pytest.raises(CoefficientOutOfRange):
        PublicKey.from_bytes(parameters, b"\xff" * len(data))
    for blank in (bytes(len(data)), data[: len(data) // 2] + bytes(len(data) // 2)):
        with pytest.raises(KeyInvalid):
            PublicKey.from_bytes(parameters, blank)


def test_mutated_messages_end_in_named_errors_and_leave_the_sum_as_it_was(
    secret: SecretKey, message: bytes, request: pytest.FixtureRequest
):
    """Flipped bits, overwritten, cut and lengthened stretches: 10^5 messages with --full.

    A message that still parses is another ciphertext.
    """
    parameters, rng = secret.public.parameters, np.random.default_rng(3)
    rounds = 100_000 if request.config.getoption("--full") else 1_500
    total = CiphertextSum(parameters, secret.public.key_id)
    total.add(message)
    before, refused = total.ciphertexts.to_bytes(), 0
    for _ in range(rounds):
        mutant = bytearray(message)
        kind, at = rng.integers(5), int(rng.integers(len(message)))
        if kind == 0:
            mutant[at] ^= 1 << rng.integers(8)
        elif kind == 1:
            mutant[at : at + 8] = b"\xff" * len(mutant[at : at + 8])
        elif kind == 2:
            del mutant[at:]
        elif kind == 3:
            mutant += rng.bytes(1 + at % 64)
        else:
            mutant[at:] = rng.bytes(len(message) - at)
        attempt = CiphertextSum.from_ciphertexts(total.ciphertexts, 1) if kind == 0 else total
        try:
            attempt.add(bytes(mutant))
        except CryptoError:
            refused += 1
            assert attempt.count == 1
            assert kind != 4 or attempt.ciphertexts.to_bytes() == before
        else:
            total = CiphertextSum.from_ciphertexts(Ciphertexts.from_bytes(parameters, secret.public.key_id, before), 1)
    assert refused > rounds / 3
    assert np.array_equal(secret.open_sum(total.ciphertexts), reports(parameters, 1)[0])


PACKAGES = (
    "aggregator",
    "base",
    "covey",
    "crypto",
    "deployment",
    "edge_client",
    "featurestore",
    "federation",
    "simulations",
    "training",
)
LOADS = re.compile(
    r"bfv_vector_from|context_from|lazy_\w+_from|\w+_tensor_from|ckks_\w+_from|\bdeserialize\b|sealapi|\bContext\.load"
)


LAB = "simulations/reports/comparison/protections.py"
"""It measures CKKS on vectors of its own, as other systems use it."""


def test_only_one_module_calls_tenseal_and_it_loads_only_what_it_assembled():
    texts = {path: path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    calls = re.compile(rf"\bimport tenseal\b|\btenseal\.\w+\(|{LOADS.pattern}")
    found = {str(path.relative_to(ROOT)) for path, text in texts.items() if calls.search(text)}
    assert found == {"crypto/bfv_seal.py", LAB}
    assert not re.search(r"deserialize|\.load\(|\brequest|\bsocket", texts[ROOT / LAB])
    lines = texts[Path(bfv_seal.__file__)].splitlines()
    assert [line.strip() for line in lines if LOADS.search(line)] == [
        "vector = self._tenseal.bfv_vector_from(self._context, data)",
        "return tenseal.context_from(data, n_threads=1)",
    ]


def test_tenseal_s_loader_sees_the_checked_coefficients_and_frames_of_this_machine_only(
    secret: SecretKey, monkeypatch: pytest.MonkeyPatch
):
    """For a hostile but well-formed message, the loader's input differs from a local one in coefficients only."""
    import tenseal

    seen: list[bytes] = []
    load = tenseal.bfv_vector_from
    monkeypatch.setattr(tenseal, "bfv_vector_from", lambda context, data: seen.append(data) or load(context, data))
    parameters, key = secret.public.parameters, secret.public
    hostile = bytearray(key.encrypt(no_noise(parameters)).to_bytes())
    hostile[KEY_ID_BYTES:] = bytes(len(hostile) - KEY_ID_BYTES)
    secret._decrypt(Ciphertexts.from_bytes(parameters, key.key_id, key.encrypt(no_noise(parameters)).to_bytes()))
    secret._decrypt(Ciphertexts.from_bytes(parameters, key.key_id, bytes(hostile)))
    coefficients = 8 * 2 * parameters.degree
    assert {len(data) for data in seen} == {len(seen[0])}
    assert {data[:-coefficients] for data in seen} == {seen[0][:-coefficients]}
    assert seen[-1][-coefficients:] == bytes(coefficients)


def test_a_library_with_other_frames_is_refused_by_name(secret: SecretKey):
    with pytest.raises(LibraryUnknown):
        bfv_seal._Blob(b"\x5e\xa1\x11" + bytes(13), 97)
    with pytest.raises(LibraryUnknown):
        bfv_seal._Blob(b"\x5e\xa1\x10\x04\x03\x00" + bytes(10 + 97 + 8), 97)
    with pytest.raises(LibraryUnknown):
        list(bfv_seal._fields(b"\x0d\0\0\0\0"))
    with pytest.raises(LibraryUnknown, match="other primes"):
        bfv_seal._require_moduli(
            parameters_for(max_clients=10, slot_max=2**40), bfv_seal._public_bytes(secret._usable()._context)
        )


def test_without_the_extra_the_error_says_what_to_install():
    """In a process of its own: the modules import, and the first use names the extra."""
    code = (
        "import sys; sys.modules['tenseal'] = None\n"
        "from fractions import Fraction\n"
        "from crypto.bfv_secret import BfvParameters, SecretKey\n"
        "from base.errors import ExtraMissing\n"
        "try: SecretKey.generate(BfvParameters.choose(1, 0, 1, Fraction(0), 1))\n"
        "except ExtraMissing as missing: print(missing)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout == "encryption needs tenseal, which is not installed: pip install 'covey[he]'\n"


@settings(max_examples=5)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_any_sum_of_reports_is_the_sum_of_their_values(secret: SecretKey, seed: int, count: int):
    values = reports(secret.public.parameters, count, seed)
    assert np.array_equal(secret.open_sum(sum_of(secret.public, values).ciphertexts), values.sum(0))


def test_what_the_wire_cannot_hold_in_a_word_is_no_chain_of_ours():
    """A coefficient of 58, 59 or more than 60 bits could need nine bytes."""
    from crypto.bfv_parameters import CHAINS

    assert all(size <= 57 or size == 60 for _, bits in CHAINS for size in bits)
    assert bfv_wire.polynomial_bytes(4096, (2**60 - 1, 2**33 - 1)) == 4096 * 93 // 8
