"""The key with which a site connects to Flower's SuperLink, and the site's signature of it.

Flower authenticates nodes by EC keys (SECP384R1), not by Ed25519. So a site has a node key beside its signing key, and
certifies the node key with the signing key. The signature is over site id ‖ compressed point, in a domain of its own. The
point has a fixed length, so no two pairs of site and key give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crypto.errors import SignatureInvalid
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey, key_id

from .errors import NodeKeyInvalid

DOMAIN: Final = b"covey-1 node key"
NODE_SECRET_BYTES: Final = 48
NODE_PUBLIC_BYTES: Final = 49
NODE_CERTIFICATE_BYTES: Final = NODE_PUBLIC_BYTES + SIGNATURE_BYTES

_CURVE: Final = ec.SECP384R1()
_DRAWN_BYTES: Final = 64
"""Randomness of a scalar: 128 bits more than the group's order has, so that its residue is almost uniform."""


@dataclass(frozen=True)
class NodePublicKey:
    """The public half: a compressed point of SECP384R1. Raises NodeKeyInvalid."""

    data: bytes
    point: ec.EllipticCurvePublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.data) != NODE_PUBLIC_BYTES:
            raise NodeKeyInvalid(f"{len(self.data)} bytes, need {NODE_PUBLIC_BYTES}")
        try:
            object.__setattr__(self, "point", ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, self.data))
        except ValueError:
            raise NodeKeyInvalid("not a point of SECP384R1") from None

    def __repr__(self) -> str:
        return f"NodePublicKey({self.id.hex()})"

    @property
    def id(self) -> bytes:
        """16 bytes that name this key."""
        return key_id(self.data)

    def pem(self) -> bytes:
        """The key as Flower writes it, in the header of requests and in the registration of nodes."""
        return self.point.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class NodeCertificate:
    """A node's public key, and a site's signature that the key is its own. `verify` checks the signature."""

    key: NodePublicKey
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote. Raises NodeKeyInvalid."""
        if len(data) != NODE_CERTIFICATE_BYTES:
            raise NodeKeyInvalid(f"{len(data)} bytes of key and signature, need {NODE_CERTIFICATE_BYTES}")
        return cls(NodePublicKey(data[:NODE_PUBLIC_BYTES]), data[NODE_PUBLIC_BYTES:])

    def to_bytes(self) -> bytes:
        """Point and signature, 113 bytes."""
        return self.key.data + self.signature

    def verify(self, site: str, signer: VerifyKey) -> None:
        """Return if the site signed this key as its own. Raises NodeKeyInvalid."""
        try:
            signer.verify(DOMAIN, _signed(site, self.key), self.signature)
        except SignatureInvalid:
            raise NodeKeyInvalid(f"site {site!r} did not sign it with its own key") from None


class NodeKey:
    """The private half. **Secret.** Compared by identity."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != NODE_SECRET_BYTES:
            raise NodeKeyInvalid(f"{len(secret)} bytes of a secret, need {NODE_SECRET_BYTES}")
        try:
            self._key = ec.derive_private_key(int.from_bytes(secret, "big"), _CURVE)
        except ValueError:
            raise NodeKeyInvalid("its secret is outside the group's order") from None
        point = self._key.public_key()
        self.public = NodePublicKey(
            point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
        )

    @classmethod
    def generate(cls, randomness: Callable[[int], bytes]) -> Self:
        """A fresh key; `randomness` is `os.urandom`, or a seeded stream in tests."""
        drawn = int.from_bytes(randomness(_DRAWN_BYTES), "big") % (_CURVE.group_order - 1) + 1
        return cls(drawn.to_bytes(NODE_SECRET_BYTES, "big"))

    def __repr__(self) -> str:
        return f"NodeKey(<secret of {self.public.id.hex()}>)"

    def secret_bytes(self) -> bytes:
        """The scalar, for the key file. **Secret.**"""
        return self._key.private_numbers().private_value.to_bytes(NODE_SECRET_BYTES, "big")

    def pair(self) -> tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey]:
        """Both halves, in the form that Flower needs. **Secret.**"""
        return self._key, self.public.point

    def certify(self, site: str, signer: SigningKey) -> NodeCertificate:
        """The site's certificate of this key."""
        return NodeCertificate(self.public, signer.sign(DOMAIN, _signed(site, self.public)))


def _signed(site: str, key: NodePublicKey) -> bytes:
    return site.encode("ascii") + key.data
