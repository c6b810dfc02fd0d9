"""Signed messages between the roles: canonical bytes with a signature.

Bytes are parsed once, and a parsed message has the right lengths. The signature is verified before the body is read. The
caller passes the key that the plan names; therefore `plan_of` reads the plan's hash first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from aggregator.errors import MessageMalformed
from aggregator.services import aggregator_pb2 as pb
from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey

_M = TypeVar("_M", bound=Message)


def sign(domain: bytes, body: bytes, key: SigningKey) -> bytes:
    """Sign a body; both together as bytes."""
    return pb.Signed(body=body, signature=key.sign(domain, body)).SerializeToString(deterministic=True)


@dataclass(frozen=True)
class Signed:
    """A body whose signature is not verified yet."""

    body: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Signed:
        """Parse. Raises MessageMalformed."""
        message = decode(pb.Signed, data)
        if len(message.signature) != SIGNATURE_BYTES:
            raise MessageMalformed(f"the signature has {len(message.signature)} bytes, need {SIGNATURE_BYTES}")
        return cls(message.body, message.signature)

    def verify(self, domain: bytes, key: VerifyKey) -> bytes:
        """The body, if this key signed it. Raises SignatureInvalid."""
        key.verify(domain, self.body, self.signature)
        return self.body


def plan_of(signed: Signed) -> bytes:
    """The plan hash of a body: field 1 of every message. It determines the key that must have signed the message."""
    try:
        plan_hash = pb.CollectRequest.FromString(signed.body).plan_hash
    except DecodeError:
        raise MessageMalformed("the bytes of a message are not protobuf") from None
    return require_length("plan hash", plan_hash, PLAN_HASH_BYTES)


def require_length(what: str, data: bytes, need: int) -> bytes:
    """The same bytes, if their number is `need`. Raises MessageMalformed."""
    if len(data) != need:
        raise MessageMalformed(f"{what}: {len(data):,} bytes, need {need:,}")
    return data


def encode(message: Message) -> bytes:
    """The canonical encoding."""
    return message.SerializeToString(deterministic=True)


def decode(kind: type[_M], data: bytes) -> _M:
    """Parse a canonical encoding. Raises MessageMalformed."""
    try:
        message = kind.FromString(data)
    except DecodeError:
        raise MessageMalformed(f"the bytes of a {kind.DESCRIPTOR.name} are not protobuf") from None
    message.DiscardUnknownFields()
    if encode(message) != data:
        raise MessageMalformed(f"the bytes of a {kind.DESCRIPTOR.name} are not canonical")
    return message
