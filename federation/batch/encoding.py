"""The canonical encoding of batches: protobuf whose large fields of bytes are copied once, and parsed strictly."""

from __future__ import annotations

from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from federation.errors import BatchMalformed, BatchTooLarge

MAX_BATCH_BYTES: Final = 4 * 2**20
"""The most bytes of a SealedBatch, and so of a SealedHalf. A gRPC message around it needs a little more."""

_LOW_7_BITS: Final = 0x7F
_LENGTH_BYTES: Final = 4
"""Bytes of a length below 2²⁸, which all lengths in a batch are."""
_M = TypeVar("_M", bound=Message)


def decode(kind: type[_M], data: bytes) -> _M:
    """Parse a message, after a check of its size."""
    if len(data) > MAX_BATCH_BYTES:
        raise BatchTooLarge(len(data), MAX_BATCH_BYTES)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise BatchMalformed("the bytes of a batch are not protobuf") from None


def encode(message: Message, *payloads: bytes) -> bytes:
    """The canonical encoding of a message without its fields of bytes from number 2 on, and of these fields: `payloads`.

    Payloads are megabytes. They are copied once here, but several times by the protobuf library. The encodings are equal.
    """
    parts = [message.SerializeToString(deterministic=True)]
    for number, payload in enumerate(payloads, 2):
        if payload:  # proto3 leaves out a field that has its default
            parts += field_head(number, payload), payload
    return b"".join(parts)


def fields_of(what: str, data: bytes, count: int) -> tuple[bytes, ...]:
    """The fields 1 to `count` of a message, all of them bytes, from its canonical encoding: see `encode`.

    Raises BatchTooLarge. Raises BatchMalformed for any other encoding: fields in another order, repeated, empty or unknown,
    a length that is too large, or a length in more bytes than it needs.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise BatchTooLarge(len(data), MAX_BATCH_BYTES)
    fields, at = [b""] * count, 0
    for number in range(1, count + 1):
        if data[at : at + 1] != bytes([number << 3 | 2]):
            continue  # it has its default
        length = shift = 0
        start = at + 1
        for byte in data[start : start + _LENGTH_BYTES]:
            length |= (byte & _LOW_7_BITS) << shift
            start, shift = start + 1, shift + 7
            if byte <= _LOW_7_BITS:
                break
        fields[number - 1] = data[start : start + length]
        if not length or data[at:start] != field_head(number, fields[number - 1]):
            raise BatchMalformed(f"the bytes of a {what} are not canonical in field {number}")
        at = start + length
    if at != len(data):
        raise BatchMalformed(f"the bytes of a {what} are not canonical: {len(data) - at:,} more follow byte {at:,}")
    return tuple(fields)


def field_head(number: int, payload: bytes) -> bytes:
    """The bytes before a field of bytes: its number and wire type 2, then its length, 7 bits a byte, low bits first."""
    head, rest = bytearray([number << 3 | 2]), len(payload)
    while rest > _LOW_7_BITS:
        head.append(rest & _LOW_7_BITS | _LOW_7_BITS + 1)
        rest >>= 7
    head.append(rest)
    return bytes(head)


def require_bytes(what: str, data: bytes, need: int) -> None:
    """Raise BatchMalformed unless the data has so many bytes. `what` names it."""
    if len(data) != need:
        raise BatchMalformed(f"{what}: {len(data):,} bytes, need {need:,}")


def require_canonical_bytes(what: str, ours: bytes, data: bytes) -> None:
    """Raise BatchMalformed unless the received bytes are those of our encoding. `what` names the message."""
    if ours != data:
        raise BatchMalformed(f"the bytes of a {what} are not canonical")
