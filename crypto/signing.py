"""Ed25519 signatures (RFC 8032), each in a domain, so that a signature for one purpose is never valid for another.

The signed bytes are `domain ‖ 00 ‖ message`. Domains are non-empty printable ASCII: they hold no 00, so two pairs of
(domain, message) never give the same bytes. Ed25519ctx has domains of its own, but few libraries have it; every library
can check a plain Ed25519 signature of a prefixed message. Signatures are deterministic and need no randomness.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import KeyInvalid, SignatureInvalid, WrongLength
from .field import BytesLike

SIGNING_SEED_BYTES: Final = 32
VERIFY_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
KEY_ID_BYTES: Final = 16


def key_id(public: bytes) -> bytes:
    """The name of a public key: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(public).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True)
class VerifyKey:
    """The public half: 32 bytes. Equal keys are equal and hash alike. Raises WrongLength and KeyInvalid."""

    data: bytes
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.data) != VERIFY_KEY_BYTES:
            raise WrongLength("bytes of an Ed25519 public key", len(self.data), VERIFY_KEY_BYTES)
        try:
            object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.data))
        except ValueError:
            raise KeyInvalid("Ed25519 public key") from None

    def __repr__(self) -> str:
        return f"VerifyKey({self.id.hex()})"

    @property
    def id(self) -> bytes:
        """16 bytes that name this key."""
        return key_id(self.data)

    def verify(self, domain: bytes, message: BytesLike, signature: BytesLike) -> None:
        """Return if the signature is valid. Raises SignatureInvalid."""
        try:
            self._key.verify(bytes(signature), _signed(domain, message))
        except InvalidSignature:
            raise SignatureInvalid(domain, self.id) from None


class SigningKey:
    """The private half, from 32 bytes of a CSPRNG. **Secret.** Compared by identity."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SIGNING_SEED_BYTES:
            raise WrongLength("bytes of a signing seed", len(seed), SIGNING_SEED_BYTES)
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey(<secret of {self.public.id.hex()}>)"

    def secret_bytes(self) -> bytes:
        """The seed, for the key file. **Secret.**"""
        return self._key.private_bytes_raw()

    def sign(self, domain: bytes, message: BytesLike) -> bytes:
        """The signature, 64 bytes. `domain` names the kind of message, such as b"covey-1 plan"."""
        return self._key.sign(_signed(domain, message))


def _signed(domain: bytes, message: BytesLike) -> bytes:
    if not domain or not all(0x20 <= byte < 0x7F for byte in domain):
        raise ValueError(f"a signing domain is printable ASCII, got {domain!r}")  # a defect of the caller
    return domain + b"\0" + message
