"""HPKE: the draft's vector, round trips, and everything that must not open."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.bindings._rust import openssl
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import seal as module
from crypto.errors import KeyInvalid, SealBroken, WrongLength
from crypto.seal import SEAL_OVERHEAD, SEAL_PUBLIC_BYTES, SealKey, SealPublicKey, open_sealed, seal

KEY = SealKey(bytes(range(32)))


def test_the_vector_of_draft_ietf_hpke_pq_opens():
    """Covey's key derivation and suite are the draft's.

    The draft's messages have an AAD, so the test calls the library's inner function.
    """
    text = (Path(__file__).parent / "vectors" / "hpke_mlkem768_x25519.json").read_text()
    vector = {name: bytes.fromhex(value) for name, value in json.loads(text).items() if name != "source"}
    key = SealKey(vector["skRm"])
    assert key.public.data == vector["pkRm"]
    message = vector["enc"] + vector["ct"]
    opened = openssl.hpke._decrypt_with_aad(module._SUITE, message, key._key, vector["info"], vector["aad"])
    assert opened == vector["pt"]
    with pytest.raises(SealBroken):
        open_sealed(key, message, vector["info"])


@settings(max_examples=30)
@given(st.binary(max_size=200), st.binary(max_size=80), st.binary(min_size=32, max_size=32))
def test_what_was_sealed_opens_and_costs_the_same(plaintext: bytes, info: bytes, seed: bytes):
    key = SealKey(seed)
    message = seal(SealPublicKey(key.public.data), plaintext, info)
    assert len(message) == len(plaintext) + SEAL_OVERHEAD
    assert open_sealed(key, message, info) == plaintext
    assert seal(key.public, plaintext, info) != message


def test_damage_another_key_and_another_info_do_not_open():
    message = seal(KEY.public, b"shares", b"info")
    damaged = [message[:i] + bytes([message[i] ^ 1]) + message[i + 1 :] for i in (0, 1087, 1088, 1119, 1120, -1 % len(message))]  # fmt: skip
    low_order = message[:1088] + bytes(32) + message[1120:]
    for wrong in (*damaged, low_order, message[:-1], message + b"\0", message[:1120], b""):
        with pytest.raises(SealBroken) as raised:
            open_sealed(KEY, wrong, b"info")
        assert raised.value.size == len(wrong)
    with pytest.raises(SealBroken):
        open_sealed(KEY, message, b"inf0")
    with pytest.raises(SealBroken):
        open_sealed(SealKey(bytes(32)), message, b"info")


@pytest.mark.parametrize("size", [0, SEAL_PUBLIC_BYTES - 1, SEAL_PUBLIC_BYTES + 1])
def test_lengths_of_keys_are_exact(size: int):
    with pytest.raises(WrongLength):
        SealPublicKey(bytes(size))
    with pytest.raises(WrongLength):
        SealKey(bytes(33))


def test_bytes_that_are_no_key_are_refused():
    with pytest.raises(KeyInvalid):
        SealPublicKey(b"\xff" * SEAL_PUBLIC_BYTES)  # coefficients of q or more
    small_order = SealPublicKey(KEY.public.data[:-32] + bytes(32))
    with pytest.raises(KeyInvalid, match="small order"):
        seal(small_order, b"", b"")


def test_the_secret_is_not_shown():
    assert repr(KEY) == f"SealKey(<secret of {KEY.public.id.hex()}>)"
    assert KEY.secret_bytes() == bytes(range(32))
    assert KEY.public == SealKey(bytes(range(32))).public != SealKey(bytes(32)).public
