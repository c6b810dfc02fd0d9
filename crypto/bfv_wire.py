"""Polynomials as bytes: each coefficient at the bit length of its modulus, so 60 bits are 7.5 bytes, little-endian.

Coefficient i of a polynomial of `bits`-bit coefficients is bits [i bits, (i + 1) bits) of its bytes read as one
little-endian integer. A polynomial of N coefficients takes N bits/8 bytes, and there is no other encoding of it: all
bits are used, and a coefficient of q or more is an error.

`pack` and `unpack` handle whole polynomials: every group of coefficients that ends at a byte has the same shape, so one
strided view of 8-byte words holds the j-th coefficient of all groups. A coefficient may start inside a byte, and one word
must hold all of it: this is so for lengths up to 57 bits, and for 60.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .errors import CoefficientOutOfRange, WrongLength
from .field import BytesLike

Polynomials = npt.NDArray[np.uint64]
"""uint64[..., N]: coefficients below their modulus."""

Octets = npt.NDArray[np.uint8]


def polynomial_bytes(degree: int, moduli: tuple[int, ...]) -> int:
    """Bytes of one polynomial modulo each of the primes."""
    return degree * sum(modulus.bit_length() for modulus in moduli) // 8


def pack(polynomials: Polynomials, moduli: tuple[int, ...]) -> bytes:
    """The bytes of uint64[M, k, N]: polynomial by polynomial, for each prime in turn. The coefficients are in range."""
    count, _, degree = polynomials.shape
    out = np.zeros((count, polynomial_bytes(degree, moduli) + 8), np.uint8)
    start = 0
    for i, modulus in enumerate(moduli):
        for words, shift, j, period in _columns(out, start, degree, modulus.bit_length()):
            words |= polynomials[:, i, j::period] << shift
        start += polynomial_bytes(degree, (modulus,))
    return out[:, :-8].tobytes()


def unpack(data: Octets, count: int, degree: int, moduli: tuple[int, ...], in_ciphertext: int = 2) -> Polynomials:
    """`count` polynomials, uint64[count, k, N], of exactly their number of bytes (the caller has checked the length).

    Raises CoefficientOutOfRange, which counts ciphertexts of `in_ciphertext` polynomials.
    """
    size = polynomial_bytes(degree, moduli)
    padded = np.zeros((count, size + 8), np.uint8)
    padded[:, :size] = data.reshape(count, size)
    out = np.empty((count, len(moduli), degree), np.uint64)
    start = 0
    for i, modulus in enumerate(moduli):
        mask = np.uint64(2 ** modulus.bit_length() - 1)
        for words, shift, j, period in _columns(padded, start, degree, modulus.bit_length()):
            column = out[:, i, j::period]
            np.right_shift(words, shift, out=column)
            column &= mask
        most = out[:, i].max(axis=1)
        if int(most.max()) >= modulus:
            raise CoefficientOutOfRange(int(np.argmax(most >= np.uint64(modulus))) // in_ciphertext)
        start += polynomial_bytes(degree, (modulus,))
    return out


def exactly(what: str, data: BytesLike, need: int) -> Octets:
    """The bytes as uint8[need], no copy. Raises WrongLength."""
    if (size := memoryview(data).nbytes) != need:
        raise WrongLength(what, size, need)
    return np.frombuffer(data, np.uint8)


def _columns(octets: Octets, start: int, degree: int, bits: int) -> list[tuple[Polynomials, np.uint64, int, int]]:
    """For each place j in a group: the words (uint64[M, groups], a view) that hold it, its shift, j and the group's length."""
    period = 8 // math.gcd(bits, 8)
    step = period * bits // 8
    rows, stride = len(octets), octets.strides[0]
    columns = []
    for j in range(period):
        at, shift = divmod(j * bits, 8)
        words = np.ndarray((rows, degree // period), "<u8", octets, start + at, (stride, step))
        columns.append((words, np.uint64(shift), j, period))
    return columns
