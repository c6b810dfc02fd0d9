"""XofTurboShake128 and the domain separation tag (draft-irtf-cfrg-vdaf, VERSION 18, "XofTurboShake128" and "The Domain
Separation Tag and Binder String").
"""

from __future__ import annotations

from Crypto.Hash import TurboSHAKE128

from tests.vdaf.plain_errors import require
from tests.vdaf.plain_field import Field

VERSION = 18
VDAF_CLASS = 0
SEED_SIZE = 32


def format_dst(algorithm: int, usage: int, ctx: bytes) -> bytes:
    """The tag of one use of an algorithm: version, class, algorithm (4), usage (2), all big-endian, then the context."""
    return bytes([VERSION, VDAF_CLASS]) + algorithm.to_bytes(4, "big") + usage.to_bytes(2, "big") + ctx


class Xof:
    """The stream that TurboSHAKE128 (domain byte 1) gives for a length-prefixed tag, a length-prefixed seed, a binder."""

    def __init__(self, seed: bytes, dst: bytes, binder: bytes) -> None:
        require(len(dst) <= 65535, f"a domain separation tag of {len(dst)} bytes, at most 65535")
        require(len(seed) <= 255, f"a seed of {len(seed)} bytes, at most 255")
        message = len(dst).to_bytes(2, "little") + dst + len(seed).to_bytes(1, "little") + seed + binder
        self._stream = TurboSHAKE128.new(domain=1, data=message)

    def next(self, length: int) -> bytes:
        """The next `length` bytes (at least one)."""
        return bytes(self._stream.read(length))

    def next_vec(self, field: Field, length: int) -> list[int]:
        """The next `length` elements: words of the stream, those that are no element passed over.

        The draft masks a word with the power of two above the modulus; for both fields here that is the word's size.
        """
        vec: list[int] = []
        while len(vec) < length:
            x = int.from_bytes(self.next(field.encoded_size), "little")
            if x < field.modulus:
                vec.append(x)
        return vec


def derive_seed(seed: bytes, dst: bytes, binder: bytes) -> bytes:
    """A fresh seed from another one."""
    return Xof(seed, dst, binder).next(SEED_SIZE)


def expand_into_vec(field: Field, seed: bytes, dst: bytes, binder: bytes, length: int) -> list[int]:
    """The first `length` elements of a stream."""
    return Xof(seed, dst, binder).next_vec(field, length)
