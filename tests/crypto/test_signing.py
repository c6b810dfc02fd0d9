"""Valid signatures pass, all others raise an error, and the domain is part of the signed message."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import SignatureInvalid, WrongLength
from crypto.signing import SigningKey, VerifyKey, key_id

KEY = SigningKey(bytes(range(32)))
domains = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1).map(str.encode)


@given(domains, st.binary())
def test_what_was_signed_verifies(domain: bytes, message: bytes):
    VerifyKey(KEY.public.data).verify(domain, message, KEY.sign(domain, message))


def test_the_key_pair_is_that_of_rfc_8032_section_7_1():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert SigningKey(seed).public.data.hex() == public


def test_the_signed_bytes_are_domain_zero_message():
    plain = Ed25519PublicKey.from_public_bytes(KEY.public.data)
    plain.verify(KEY.sign(b"covey-1 plan", b"text"), b"covey-1 plan\0text")


@pytest.mark.parametrize(
    ("domain", "message", "signature"),
    [
        (b"a", b"other", KEY.sign(b"a", b"m")),
        (b"b", b"m", KEY.sign(b"a", b"m")),
        (b"a", b"m", bytes(64)),
        (b"a", b"m", KEY.sign(b"a", b"m") + b"\0"),
        (b"a", b"m", b""),
        (b"a", b"m", SigningKey(bytes(32)).sign(b"a", b"m")),
    ],
)
def test_anything_else_raises(domain: bytes, message: bytes, signature: bytes):
    with pytest.raises(SignatureInvalid) as raised:
        KEY.public.verify(domain, message, signature)
    assert raised.value.key_id == KEY.public.id


@pytest.mark.parametrize("domain", [b"", b"a\0b", b"\xff"])
def test_a_domain_is_printable(domain: bytes):
    with pytest.raises(ValueError, match="domain"):
        KEY.sign(domain, b"")


def test_keys_have_names_and_the_secret_is_not_shown():
    assert KEY.public.id == key_id(KEY.public.data)
    assert len(KEY.public.id) == 16
    assert repr(KEY) == f"SigningKey(<secret of {KEY.public.id.hex()}>)"
    assert KEY.secret_bytes() == bytes(range(32))
    again = VerifyKey(KEY.public.data)
    assert again == KEY.public
    assert hash(again) == hash(KEY.public)
    assert again != SigningKey(bytes(32)).public


@pytest.mark.parametrize("size", [0, 31, 33])
def test_lengths_are_exact(size: int):
    with pytest.raises(WrongLength):
        VerifyKey(bytes(size))
    with pytest.raises(WrongLength):
        SigningKey(bytes(size))
