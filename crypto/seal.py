"""Messages for one recipient: HPKE base mode (RFC 9180), one message an encapsulation.

Suite: MLKEM768-X25519 (X-Wing, 0x647a, draft-ietf-hpke-pq), HKDF-SHA256, ChaCha20-Poly1305. Of the suites in the draft's
published vectors, it is the one that is fast without AES instructions. It is secure if ML-KEM or X25519 is.

    sealed message = ML-KEM ciphertext (1088) ‖ X25519 key (32) ‖ ciphertext ‖ tag (16)

`info` binds a message to its context: with another `info` it does not open. `seal` draws its randomness itself: the
library takes it from the operating system and offers no other way. So sealed bytes cannot be reproduced from a seed; their
plaintext can.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from .errors import KeyInvalid, SealBroken, WrongLength
from .field import BytesLike
from .signing import key_id

SEAL_SEED_BYTES: Final = 32
SEAL_OVERHEAD: Final = 1_088 + 32 + 16
"""Bytes of a sealed message beyond its plaintext."""

_MLKEM_SEED, _MLKEM_PUBLIC, _X25519 = 64, 1_184, 32
SEAL_PUBLIC_BYTES: Final = _MLKEM_PUBLIC + _X25519

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True)
class SealPublicKey:
    """The recipient's public key: ML-KEM's key ‖ X25519's, 1,216 bytes. Raises WrongLength and KeyInvalid."""

    data: bytes
    _key: MLKEM768X25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.data) != SEAL_PUBLIC_BYTES:
            raise WrongLength("bytes of a seal public key", len(self.data), SEAL_PUBLIC_BYTES)
        try:
            lattice = MLKEM768PublicKey.from_public_bytes(self.data[:_MLKEM_PUBLIC])
            curve = X25519PublicKey.from_public_bytes(self.data[_MLKEM_PUBLIC:])
        except ValueError:
            raise KeyInvalid("seal public key") from None
        object.__setattr__(self, "_key", MLKEM768X25519PublicKey(lattice, curve))

    def __repr__(self) -> str:
        return f"SealPublicKey({self.id.hex()})"

    @property
    def id(self) -> bytes:
        """16 bytes that name this key."""
        return key_id(self.data)


class SealKey:
    """Opens messages that are sealed to `public`. Made from X-Wing's private key: 32 bytes of a CSPRNG. **Secret.**

    The keys are derived when they are first used: an aggregator reads the seeds of all its plans whenever it erases one.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEAL_SEED_BYTES:
            raise WrongLength("bytes of a seal seed", len(seed), SEAL_SEED_BYTES)
        self._seed = seed

    @cached_property
    def _parts(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        expanded = hashlib.shake_256(self._seed).digest(_MLKEM_SEED + _X25519)  # draft-irtf-cfrg-concrete-hybrid-kems
        lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED])
        return lattice, X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED:])

    @cached_property
    def _key(self) -> MLKEM768X25519PrivateKey:
        return MLKEM768X25519PrivateKey(*self._parts)

    @cached_property
    def public(self) -> SealPublicKey:
        """The key that others seal messages to."""
        lattice, curve = self._parts
        return SealPublicKey(lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SealKey(<secret of {self.public.id.hex()}>)"

    def secret_bytes(self) -> bytes:
        """The seed, for the key file. **Secret.**"""
        return self._seed


def seal(public: SealPublicKey, plaintext: BytesLike, info: bytes) -> bytes:
    """The sealed message, SEAL_OVERHEAD bytes longer than the plaintext; different at each call.

    Raises KeyInvalid if the X25519 half of the key is a point of small order.
    """
    try:
        return _SUITE.encrypt(plaintext, public._key, info)
    except ValueError:
        raise KeyInvalid("seal public key: its X25519 half has small order") from None


def open_sealed(private: SealKey, ciphertext: BytesLike, info: bytes) -> bytes:
    """The plaintext. Raises SealBroken."""
    try:
        return _SUITE.decrypt(ciphertext, private._key, info)
    except (InvalidTag, ValueError):  # ValueError: the X25519 part is a point of small order
        raise SealBroken(memoryview(ciphertext).nbytes, private.public.id) from None
