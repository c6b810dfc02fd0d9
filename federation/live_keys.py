"""The live secret that an aggregator draws for each plan, and its live keys: the signed public half, which the plan holds.

    live secret   seal seed ‖ K         in the folder live/ of the aggregator, which no backup holds
    live keys     role ‖ draft hash ‖ seal public key ‖ SHA-256(K) ‖ not after ‖ ledger head, signed by the aggregator's pinned key

Batches are sealed to the seal key of one plan, and its seed is erased when the plan is closed. So an attacker who records
batches and later gets every long-lived key opens none of them. K seeds the noise and is erased once the noised share is
stored. So an aggregator that is restored without its live secret cannot draw noise a second time. Sites remember the head of
the aggregator's ledger, so the next plan reveals an aggregator that was rolled back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError

from base.times import utc_text
from crypto.errors import CryptoError, WrongLength
from crypto.noise import NOISE_KEY_BYTES, SecretNoise
from crypto.seal import SEAL_SEED_BYTES, SealKey, SealPublicKey
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from federation.ledger.entries import Head

from . import plan_pb2 as pb
from .errors import PlanInvalid
from .parties import Aggregator

DOMAIN: Final = b"covey-1 live keys"
HASH_BYTES: Final = 32
MOST_AFTER_DEADLINE_US: Final = 86_400 * 10**6
"""How long after its plan's deadline a seal key may exist: time for an aggregator that was down."""
LARGEST_US: Final = 2**63 - 1


@dataclass(frozen=True)
class LiveKeys:
    """The signed public half of an aggregator's live secret. Raises PlanInvalid: a length or a time is not valid.

    Attributes:
        seal: the public key to which the plan's batches are sealed, for this aggregator.
        secret_hash: SHA-256 of K.
        not_after_us: µs since the epoch; the seal seed is erased then at the latest.
        head: the head of the aggregator's ledger when it signed.
    """

    seal: SealPublicKey
    secret_hash: bytes
    not_after_us: int
    head: Head
    signature: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for what, data, need in (
            ("hash of a live secret", self.secret_hash, HASH_BYTES),
            ("signature of live keys", self.signature, SIGNATURE_BYTES),
        ):
            if len(data) != need:
                raise PlanInvalid(f"the {what} has {len(data)} bytes, need {need}")
        if not 0 <= self.not_after_us <= LARGEST_US:
            raise PlanInvalid(f"the live keys end at {utc_text(self.not_after_us)}, before 1970 or beyond 64 bits")

    def to_message(self) -> pb.LiveKeys:
        """As protobuf."""
        return pb.LiveKeys(
            seal=self.seal.data,
            secret_hash=self.secret_hash,
            not_after_us=self.not_after_us,
            signature=self.signature,
            ledger_head=self.head.to_bytes(),
        )

    @classmethod
    def from_message(cls, message: pb.LiveKeys) -> LiveKeys:
        """From protobuf. Raises PlanInvalid; WrongLength and KeyInvalid for the seal key."""
        try:
            head = Head.from_bytes(message.ledger_head)
        except ValueError as error:
            raise PlanInvalid(str(error)) from None
        return cls(SealPublicKey(message.seal), message.secret_hash, message.not_after_us, head, message.signature)

    def to_bytes(self) -> bytes:
        """The canonical encoding, in which they travel before there is a plan."""
        data: bytes = self.to_message().SerializeToString(deterministic=True)
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> LiveKeys:
        """Parse. Raises PlanInvalid."""
        try:
            keys = cls.from_message(pb.LiveKeys.FromString(data))
        except (DecodeError, CryptoError) as error:
            raise PlanInvalid(f"the live keys are not valid: {error}") from None
        if keys.to_bytes() != data:
            raise PlanInvalid("the bytes of live keys are not canonical")
        return keys

    def verify(self, role: Aggregator, draft_hash: bytes, key: VerifyKey) -> None:
        """Return if this key signed them for this role and draft. Raises SignatureInvalid."""
        body = _body(role, draft_hash, self.seal, self.secret_hash, self.not_after_us, self.head)
        key.verify(DOMAIN, body, self.signature)


@dataclass(frozen=True)
class LiveSecret:
    """An aggregator's secret of one plan. **Secret.**

    Attributes:
        seal: opens the plan's batches; None once its seed is erased.
        secret_hash: SHA-256 of K, as the plan holds it.
    """

    seal: SealKey | None
    _secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._secret) != NOISE_KEY_BYTES:
            raise WrongLength("bytes of a live secret", len(self._secret), NOISE_KEY_BYTES)

    @classmethod
    def draw(cls, randomness: Callable[[int], bytes]) -> LiveSecret:
        """A fresh live secret; `randomness` is `os.urandom`, or a seeded stream in tests and simulations."""
        return cls(SealKey(randomness(SEAL_SEED_BYTES)), randomness(NOISE_KEY_BYTES))

    @property
    def noise(self) -> SecretNoise:
        """The source of the plan's noise."""
        return SecretNoise(self._secret)

    @property
    def secret_hash(self) -> bytes:
        """SHA-256 of K."""
        return hashlib.sha256(self._secret).digest()

    def secret_bytes(self) -> bytes:
        """K, for the file in live/. **Secret.**"""
        return self._secret


def sign_live_keys(
    role: Aggregator,
    draft_hash: bytes,
    seal: SealPublicKey,
    secret_hash: bytes,
    not_after_us: int,
    head: Head,
    key: SigningKey,
) -> LiveKeys:
    """Run by an aggregator: its live keys of a draft. The same arguments give the same bytes."""
    signature = key.sign(DOMAIN, _body(role, draft_hash, seal, secret_hash, not_after_us, head))
    return LiveKeys(seal, secret_hash, not_after_us, head, signature)


def _body(
    role: Aggregator, draft_hash: bytes, seal: SealPublicKey, secret_hash: bytes, not_after_us: int, head: Head
) -> bytes:
    """Every part has a fixed length; both roles are six letters."""
    return (
        role.encode("ascii") + draft_hash + seal.data + secret_hash + not_after_us.to_bytes(8, "big") + head.to_bytes()
    )
