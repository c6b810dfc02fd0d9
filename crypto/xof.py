"""XofTurboShake128 (draft-irtf-cfrg-vdaf, section 6.2.1, wire VERSION 18) over pycryptodome's TurboSHAKE128.

The message is u16le len(dst), dst, u8 len(seed), seed, binder; the domain byte is 1. This is the reference path: one
report at a time, any lengths. `crypto.xof_batch` gives the same bytes for whole batches.
"""

from __future__ import annotations

import numpy as np
from Crypto.Hash import TurboSHAKE128

from .errors import TooLong
from .field import ELEMENT_BYTES, Elements, view_words
from .field_modulus import P

SEED_BYTES = 32
DOMAIN = 1


def message(seed: bytes, dst: bytes, binder: bytes) -> bytes:
    """The bytes that TurboSHAKE128 absorbs. Raises TooLong if a length field cannot hold the length."""
    if len(dst) > 0xFFFF:
        raise TooLong("domain separation tag", len(dst), 0xFFFF)
    if len(seed) > 0xFF:
        raise TooLong("seed", len(seed), 0xFF)
    return len(dst).to_bytes(2, "little") + dst + bytes([len(seed)]) + seed + binder


class XofTurboShake128:
    """A stream of bytes or of uniform field elements, determined by (seed, dst, binder). The seed is secret."""

    def __init__(self, seed: bytes, dst: bytes, binder: bytes) -> None:
        self._shake = TurboSHAKE128.new(domain=DOMAIN, data=message(seed, dst, binder))

    def __repr__(self) -> str:
        return "XofTurboShake128(<secret>)"

    def next(self, length: int) -> bytes:
        """The next `length` bytes of the stream."""
        return bytes(self._shake.read(length)) if length else b""

    def next_vec(self, length: int) -> Elements:
        """The next `length` elements of Field64: little-endian words; words of p or more are skipped."""
        elements = np.empty(length, np.uint64)
        filled = 0
        while filled < length:  # each turn reads what is missing, so the stream is never read too far
            words = view_words(self.next((length - filled) * ELEMENT_BYTES))
            accepted = words[words < np.uint64(P)]
            elements[filled : filled + len(accepted)] = accepted
            filled += len(accepted)
        return elements

    @classmethod
    def derive_seed(cls, seed: bytes, dst: bytes, binder: bytes) -> bytes:
        """A fresh seed of 32 bytes from another one."""
        return cls(seed, dst, binder).next(SEED_BYTES)
