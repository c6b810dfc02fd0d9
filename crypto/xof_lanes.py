"""TurboSHAKE128 for sixteen messages at once: the numba kernels behind `crypto.xof_batch`.

TurboSHAKE128 (RFC 9861) is Keccak-p[1600, 12 rounds] with a rate of 21 words. One permutation is a chain of dependent
steps and leaves a wide core idle, so sixteen states advance in lockstep: word w of lane i is `state[w * LANES + i]`.
LLVM turns the loop over lanes into AVX-512 (AVX2, SSE2 or NEON elsewhere: slower, the same bytes), but only in this form:
a constant number of lanes, at least 16; the round written out; each round reads one array and writes the other. Other
forms remain scalar, five to ten times slower: look for `zmm` or `ymm` in `inspect_asm()`.

`expand` and `accumulate` take messages of one block that differ from a template in two places, a 32-byte seed and a
big-endian u32 index: plain shares. `absorb` takes messages of any length, a head of bytes and a body of words: proofs.

Words of p or more are not field elements. Their chance is 2^-32 a word, so the kernels do not skip them: they mark the
report (`suspect`), and the caller computes its row again by the reference path. All constants are in this one file,
because numba's `cache=True` does not notice a change in another module.
"""

from __future__ import annotations

import numpy as np

from base.compiled import njit, types

LANES = 16
RATE_WORDS = 21
STATE_WORDS = 25

_P = np.uint64(2**64 - 2**32 + 1)
_LOW = np.uint64(2**32 - 1)
_32 = np.uint64(32)
_64 = np.uint64(64)
_DOMAIN = np.uint64(1)  # of XofTurboShake128
_LAST_BIT = np.uint64(1 << 63)

# The last 12 round constants of Keccak-f[1600].
_ROUND_CONSTANTS = np.array(
    [
        0x000000008000808B,
        0x800000000000008B,
        0x8000000000008089,
        0x8000000000008003,
        0x8000000000008002,
        0x8000000000000080,
        0x000000000000800A,
        0x800000008000000A,
        0x8000000080008081,
        0x8000000000008080,
        0x0000000080000001,
        0x8000000080008008,
    ],
    np.uint64,
)

_WORDS_IN = types.Array(types.uint64, 1, "C", readonly=True)
_SEEDS_IN = types.Array(types.uint64, 2, "C", readonly=True)
_INDICES_IN = types.Array(types.uint32, 1, "C", readonly=True)
_ROWS_IN = types.Array(types.int64, 1, "C", readonly=True)
_MATRIX_IN = types.Array(types.uint64, 2, "C", readonly=True)
_MATRIX = types.Array(types.uint64, 2, "C")
_FLAGS = types.Array(types.uint8, 1, "C")


# The signature is explicit because numba compiles a function once for each literal that it is called with.
@njit([types.uint64(types.uint64, types.uint64)], nogil=True, cache=True)
def _rotl(x, n):  # type: ignore[no-untyped-def]
    return (x << n) | (x >> (_64 - n))


@njit(nogil=True, cache=True)
def _round(a, b, constant):  # type: ignore[no-untyped-def]
    """One round of Keccak-p from `a` to `b`: theta (c, d), rho and pi (r), chi and iota."""
    for i in range(LANES):
        a0 = a[0 * LANES + i]
        a1 = a[1 * LANES + i]
        a2 = a[2 * LANES + i]
        a3 = a[3 * LANES + i]
        a4 = a[4 * LANES + i]
        a5 = a[5 * LANES + i]
        a6 = a[6 * LANES + i]
        a7 = a[7 * LANES + i]
        a8 = a[8 * LANES + i]
        a9 = a[9 * LANES + i]
        a10 = a[10 * LANES + i]
        a11 = a[11 * LANES + i]
        a12 = a[12 * LANES + i]
        a13 = a[13 * LANES + i]
        a14 = a[14 * LANES + i]
        a15 = a[15 * LANES + i]
        a16 = a[16 * LANES + i]
        a17 = a[17 * LANES + i]
        a18 = a[18 * LANES + i]
        a19 = a[19 * LANES + i]
        a20 = a[20 * LANES + i]
        a21 = a[21 * LANES + i]
        a22 = a[22 * LANES + i]
        a23 = a[23 * LANES + i]
        a24 = a[24 * LANES + i]
        c0 = a0 ^ a5 ^ a10 ^ a15 ^ a20
        c1 = a1 ^ a6 ^ a11 ^ a16 ^ a21
        c2 = a2 ^ a7 ^ a12 ^ a17 ^ a22
        c3 = a3 ^ a8 ^ a13 ^ a18 ^ a23
        c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24
        d0 = c4 ^ _rotl(c1, 1)
        d1 = c0 ^ _rotl(c2, 1)
        d2 = c1 ^ _rotl(c3, 1)
        d3 = c2 ^ _rotl(c4, 1)
        d4 = c3 ^ _rotl(c0, 1)
        r0 = a0 ^ d0
        r1 = _rotl(a6 ^ d1, 44)
        r2 = _rotl(a12 ^ d2, 43)
        r3 = _rotl(a18 ^ d3, 21)
        r4 = _rotl(a24 ^ d4, 14)
        b[0 * LANES + i] = r0 ^ (~r1 & r2) ^ constant
        b[1 * LANES + i] = r1 ^ (~r2 & r3)
        b[2 * LANES + i] = r2 ^ (~r3 & r4)
        b[3 * LANES + i] = r3 ^ (~r4 & r0)
        b[4 * LANES + i] = r4 ^ (~r0 & r1)
        r0 = _rotl(a3 ^ d3, 28)
        r1 = _rotl(a9 ^ d4, 20)
        r2 = _rotl(a10 ^ d0, 3)
        r3 = _rotl(a16 ^ d1, 45)
        r4 = _rotl(a22 ^ d2, 61)
        b[5 * LANES + i] = r0 ^ (~r1 & r2)
        b[6 * LANES + i] = r1 ^ (~r2 & r3)
        b[7 * LANES + i] = r2 ^ (~r3 & r4)
        b[8 * LANES + i] = r3 ^ (~r4 & r0)
        b[9 * LANES + i] = r4 ^ (~r0 & r1)
        r0 = _rotl(a1 ^ d1, 1)
        r1 = _rotl(a7 ^ d2, 6)
        r2 = _rotl(a13 ^ d3, 25)
        r3 = _rotl(a19 ^ d4, 8)
        r4 = _rotl(a20 ^ d0, 18)
        b[10 * LANES + i] = r0 ^ (~r1 & r2)
        b[11 * LANES + i] = r1 ^ (~r2 & r3)
        b[12 * LANES + i] = r2 ^ (~r3 & r4)
        b[13 * LANES + i] = r3 ^ (~r4 & r0)
        b[14 * LANES + i] = r4 ^ (~r0 & r1)
        r0 = _rotl(a4 ^ d4, 27)
        r1 = _rotl(a5 ^ d0, 36)
        r2 = _rotl(a11 ^ d1, 10)
        r3 = _rotl(a17 ^ d2, 15)
        r4 = _rotl(a23 ^ d3, 56)
        b[15 * LANES + i] = r0 ^ (~r1 & r2)
        b[16 * LANES + i] = r1 ^ (~r2 & r3)
        b[17 * LANES + i] = r2 ^ (~r3 & r4)
        b[18 * LANES + i] = r3 ^ (~r4 & r0)
        b[19 * LANES + i] = r4 ^ (~r0 & r1)
        r0 = _rotl(a2 ^ d2, 62)
        r1 = _rotl(a8 ^ d3, 55)
        r2 = _rotl(a14 ^ d4, 39)
        r3 = _rotl(a15 ^ d0, 41)
        r4 = _rotl(a21 ^ d1, 2)
        b[20 * LANES + i] = r0 ^ (~r1 & r2)
        b[21 * LANES + i] = r1 ^ (~r2 & r3)
        b[22 * LANES + i] = r2 ^ (~r3 & r4)
        b[23 * LANES + i] = r3 ^ (~r4 & r0)
        b[24 * LANES + i] = r4 ^ (~r0 & r1)


@njit(nogil=True, cache=True)
def _permute(state, other):  # type: ignore[no-untyped-def]
    for turn in range(0, 12, 2):
        _round(state, other, _ROUND_CONSTANTS[turn])
        _round(other, state, _ROUND_CONSTANTS[turn + 1])


@njit(nogil=True, cache=True)
def _patch(state, lane, at, value, size):  # type: ignore[no-untyped-def]
    """Add `size` <= 8 little-endian bytes of `value` to a lane's block from byte `at` on; they may straddle words."""
    word = at // 8 * LANES + lane
    shift = np.uint64(at % 8 * 8)
    state[word] ^= value << shift
    if at % 8 + size > 8:
        state[word + LANES] ^= value >> (_64 - shift)


@njit(nogil=True, cache=True)
def _absorb(state, template, seed_at, index_at, seeds, indices, first, active):  # type: ignore[no-untyped-def]
    """Start the lanes of the reports `first ..` `first + active`; idle lanes run the bare template."""
    for w in range(STATE_WORDS):
        for i in range(LANES):
            state[w * LANES + i] = template[w]
    for i in range(active):
        for k in range(4):
            _patch(state, i, seed_at + 8 * k, seeds[first + i, k], 8)
        _patch(state, i, index_at, np.uint64(indices[first + i]), 4)


@njit(nogil=True, cache=True)
def _add(a, x):  # type: ignore[no-untyped-def]
    borrow = _P - x
    difference = a - borrow
    return difference + _P if a < borrow else difference


@njit(
    [
        types.void(
            _WORDS_IN, types.int64, types.int64, _SEEDS_IN, _INDICES_IN, types.boolean, types.uint64, _MATRIX, _FLAGS
        )
    ],
    nogil=True,
    cache=True,
)
def expand(  # type: ignore[no-untyped-def]
    template, seed_at, index_at, seeds, indices, negated, suspect_from, out, suspect
):
    """Write each report's stream, or its negation mod p, to a row of `out`.

    `template: uint64[25]` the padded block with both places zero, at the bytes `seed_at` and `index_at`;
    `seeds: uint64[B, 4]` little-endian words; `indices: uint32[B]` with bytes swapped; `out: uint64[B, d]`;
    `suspect: uint8[B]` becomes 1 where some word of the row was `suspect_from` (p, but for tests) or more.
    """
    state = np.empty(STATE_WORDS * LANES, np.uint64)
    other = np.empty(STATE_WORDS * LANES, np.uint64)
    largest = np.empty(LANES, np.uint64)
    count, length = out.shape
    for first in range(0, count, LANES):
        active = min(LANES, count - first)
        _absorb(state, template, seed_at, index_at, seeds, indices, first, active)
        largest[:] = 0
        for offset in range(0, length, RATE_WORDS):
            _permute(state, other)
            words = min(RATE_WORDS, length - offset)
            for w in range(words):
                for i in range(LANES):
                    x = state[w * LANES + i]
                    largest[i] = max(largest[i], x)
                    other[w * LANES + i] = _P - x if negated and x else x
            for i in range(active):
                for w in range(words):
                    out[first + i, offset + w] = other[w * LANES + i]
        for i in range(active):
            suspect[first + i] = largest[i] >= suspect_from


@njit(
    [types.void(_WORDS_IN, types.int64, types.int64, _SEEDS_IN, _INDICES_IN, _ROWS_IN, types.uint64, _MATRIX, _FLAGS)],
    nogil=True,
    cache=True,
)
def accumulate(  # type: ignore[no-untyped-def]
    template, seed_at, index_at, seeds, indices, rows, suspect_from, totals, suspect
):
    """Add each report's stream, its words taken mod p, to totals[rows[b]]; no stream is stored.

    `rows: int64[B]` < C (checked by the caller), `totals: uint64[C, d]` canonical; the rest as in `expand`.
    Where all lanes go to one row, they are summed across first, as exact sums of 32-bit halves.
    """
    state = np.empty(STATE_WORDS * LANES, np.uint64)
    other = np.empty(STATE_WORDS * LANES, np.uint64)
    largest = np.empty(LANES, np.uint64)
    count, length = rows.size, totals.shape[1]
    for first in range(0, count, LANES):
        active = min(LANES, count - first)
        _absorb(state, template, seed_at, index_at, seeds, indices, first, active)
        largest[:] = 0
        row = rows[first]
        together = active == LANES
        for i in range(active):
            together &= rows[first + i] == row
        for offset in range(0, length, RATE_WORDS):
            _permute(state, other)
            words = min(RATE_WORDS, length - offset)
            for w in range(words):
                for i in range(LANES):
                    largest[i] = max(largest[i], state[w * LANES + i])
            if together:
                for w in range(words):
                    low = np.uint64(0)
                    high = np.uint64(0)
                    for i in range(LANES):
                        x = state[w * LANES + i]
                        low += x & _LOW
                        high += x >> _32
                    # low + 2^32 high with both below 2^36, and 2^64 = 2^32 - 1: two canonical terms.
                    total = _add((high & _LOW) << _32, low + (high >> _32) * _LOW)
                    totals[row, offset + w] = _add(totals[row, offset + w], total)
            else:
                for i in range(active):
                    row = rows[first + i]
                    for w in range(words):
                        x = state[w * LANES + i]
                        totals[row, offset + w] = _add(totals[row, offset + w], x - _P if x >= _P else x)
        for i in range(active):
            suspect[first + i] = largest[i] >= suspect_from


@njit(nogil=True, cache=True)
def _message_word(heads, shift, bodies, row, i):  # type: ignore[no-untyped-def]
    """Word i of a message: the head, `shift` bits into its last word, then the body, then zeros."""
    full = heads.shape[1] - 1
    word = heads[row, i] if i <= full else np.uint64(0)
    at = i - full  # the body's word whose first bytes fill the rest of this word
    if 0 <= at < bodies.shape[1]:
        word |= bodies[row, at] << shift
    if 0 < at <= bodies.shape[1]:
        word |= (bodies[row, at - 1] >> np.uint64(1)) >> (np.uint64(63) - shift)  # in two steps: a shift is below 64
    return word


@njit(
    [types.void(_MATRIX_IN, types.int64, _MATRIX_IN, _WORDS_IN, _MATRIX, _FLAGS)],
    nogil=True,
    cache=True,
)
def absorb(heads, head_bytes, bodies, most, out, suspect):  # type: ignore[no-untyped-def]
    """Write the first words of each message's stream to a row of `out: uint64[B, d]`.

    A message is the first `head_bytes` bytes of a row of `heads: uint64[B, h]`, h = head_bytes // 8 + 1, the rest of it
    zeros, followed by a row of `bodies: uint64[B, n]`; words are little-endian. `suspect: uint8[B]` becomes 1 where some
    word w of the row was above `most[w % 2]`: in Field128 low and high words alternate.
    """
    state = np.empty(STATE_WORDS * LANES, np.uint64)
    other = np.empty(STATE_WORDS * LANES, np.uint64)
    largest = np.empty(2 * LANES, np.uint64)
    count, length = out.shape
    words = bodies.shape[1]
    full = head_bytes // 8
    shift = np.uint64(head_bytes % 8 * 8)
    size = head_bytes + 8 * words
    blocks = size // (8 * RATE_WORDS) + 1
    for first in range(0, count, LANES):
        active = min(LANES, count - first)
        state[:] = 0
        for block in range(blocks):
            start = block * RATE_WORDS
            if start > full and start + RATE_WORDS <= full + words:
                at = start - full
                for i in range(active):
                    before = bodies[first + i, at - 1]
                    for w in range(RATE_WORDS):
                        word = bodies[first + i, at + w]
                        state[w * LANES + i] ^= (word << shift) | ((before >> np.uint64(1)) >> (np.uint64(63) - shift))
                        before = word
            else:
                for i in range(active):
                    for w in range(RATE_WORDS):
                        state[w * LANES + i] ^= _message_word(heads, shift, bodies, first + i, start + w)
            if block == blocks - 1:
                end = size - 8 * start  # the byte after the message: the domain, and the block's last bit
                for i in range(LANES):
                    state[end // 8 * LANES + i] ^= _DOMAIN << np.uint64(end % 8 * 8)
                    state[(RATE_WORDS - 1) * LANES + i] ^= _LAST_BIT
            _permute(state, other)
        largest[:] = 0
        for offset in range(0, length, RATE_WORDS):
            if offset:
                _permute(state, other)
            due = min(RATE_WORDS, length - offset)
            for w in range(due):
                side = (offset + w) % 2 * LANES
                for i in range(LANES):
                    largest[side + i] = max(largest[side + i], state[w * LANES + i])
            for i in range(active):
                for w in range(due):
                    out[first + i, offset + w] = state[w * LANES + i]
        for i in range(active):
            suspect[first + i] = (largest[i] > most[0]) | (largest[LANES + i] > most[1])
