"""Discrete Laplace and Gaussian of Canonne, Kamath and Steinke (2020), Algorithms 1-3, in exact integers: numba kernels.

Random 64-bit words come in as an array and are taken from the front, so the kernels are pure: the same words, the same
samples. No float is involved: every coin is `uniform integer below a bound`, drawn by masks and rejection.

Exactness of the Laplace of scale t/s. A sample is floor((U + t V)/s) with U < t and V a run of coins of exp(-1). `ROOM`
bounds t and s by 2^56, and a run ends at 127, so U + t V < 128 t < 2^63 fits a word. Without that limit a run would reach
127 with probability exp(-127) < 2^-183: this is the only departure from the paper.

Exactness of the Gaussian. With σ² = n/m and t = floor(σ) + 1, a proposal Y of the Laplace of scale t is accepted by a
coin of exp(-γ), γ = (|Y| - σ²/t)² / 2σ² = A²/D where A = | |Y| t m - n | and D = 2 n m t². A must fit a word, D two
words. `ROOM` bounds n and t² m by 2^56 (so |Y| t m < 2^63, A < 2^63, D < 2^113), and proposals of 64 t or more are
refused: the coin would accept them with probability below exp(-1900). This is the only further departure.

An integer σ of up to 2^56 also works, although its square has no room: with t = σ (any t gives the same distribution; t
only changes how many proposals are accepted) γ = (|Y| - σ)²/2σ², so that A = | |Y| - σ | < 2^62 and D = 2σ² < 2^113.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from base.compiled import njit, types

ROOM = 2**56


def gaussian_terms(n: int, m: int) -> tuple[int, int, int, int, int] | None:
    """(t, step, centre, d_one, d_other) of σ² = n/m > 0, in lowest terms; None if it does not fit in `ROOM`."""
    t = isqrt(n // m) + 1
    if max(n, t * t * m) < ROOM:
        return t, t * m, n, 2 * n, t * t * m
    sigma = isqrt(n)
    if m == 1 and sigma**2 == n and sigma < ROOM:
        return sigma, 1, sigma, 2 * sigma, sigma
    return None


_LOW = np.uint64(2**32 - 1)
_32 = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_LONGEST = 127  # the longest run of coins in a Laplace
_FARTHEST = 64  # proposals of so many times t or more are refused

_WORDS_IN = types.Array(types.uint64, 1, "C", readonly=True)
_SAMPLES = types.Array(types.int64, 1, "C")
_CURSOR = types.Array(types.int64, 1, "C")


@njit([types.UniTuple(types.uint64, 2)(types.uint64, types.uint64)], cache=True)
def _product(a, b):  # type: ignore[no-untyped-def]
    """128-bit product as (high, low)."""
    a0, a1, b0, b1 = a & _LOW, a >> _32, b & _LOW, b >> _32
    low = a0 * b0
    cross = a1 * b0 + (low >> _32)
    middle = a0 * b1 + (cross & _LOW)
    return a1 * b1 + (cross >> _32) + (middle >> _32), (low & _LOW) | (middle << _32)


@njit([types.uint64(_WORDS_IN, _CURSOR)], cache=True)
def _word(words, cursor):  # type: ignore[no-untyped-def]
    """The next random word, or 0 once the words have run out. Then the cursor ends the loops, and the sample is discarded."""
    at = cursor[0]
    cursor[0] = at + 1
    return words[at] if at < words.size else _ZERO


@njit([types.uint64(types.uint64)], cache=True)
def _mask(bound):  # type: ignore[no-untyped-def]
    """The smallest 2^k - 1 that is at least `bound`."""
    mask = bound
    for shift in (1, 2, 4, 8, 16, 32):
        mask |= mask >> np.uint64(shift)
    return mask


@njit([types.uint64(types.uint64, _WORDS_IN, _CURSOR)], cache=True)
def _below(bound, words, cursor):  # type: ignore[no-untyped-def]
    """A uniform integer in [0, bound); no word is used for a bound of 1."""
    if bound <= _ONE:
        return _ZERO
    mask = _mask(bound - _ONE)
    draw = _word(words, cursor) & mask
    while draw >= bound:
        draw = _word(words, cursor) & mask
    return draw


@njit([types.boolean(types.uint64, types.uint64, types.uint64, types.uint64, _WORDS_IN, _CURSOR)], cache=True)
def _ratio(a_high, a_low, b_high, b_low, words, cursor):  # type: ignore[no-untyped-def]
    """A coin of a/b <= 1 for 128-bit a and b: a uniform 128-bit integer below b, compared with a."""
    if b_high == _ZERO:
        return _below(b_low, words, cursor) < a_low
    mask = _mask(b_high)
    while True:
        high = _word(words, cursor) & mask
        if high > b_high:
            continue
        if high < b_high and high != a_high:
            return high < a_high  # the low words cannot matter
        low = _word(words, cursor)
        if high < b_high or low < b_low:
            return high < a_high or (high == a_high and low < a_low)


@njit([types.boolean(types.uint64, types.uint64, types.uint64, types.uint64, _WORDS_IN, _CURSOR)], cache=True)
def _exp_small(a_high, a_low, b_high, b_low, words, cursor):  # type: ignore[no-untyped-def]
    """Algorithm 1, first case: a coin of exp(-a/b) for a/b in [0, 1]."""
    k = _ONE
    while _below(k, words, cursor) == _ZERO and _ratio(a_high, a_low, b_high, b_low, words, cursor):
        k += _ONE  # each turn succeeds with probability (a/b)/k
        if cursor[0] > words.size:
            break
    return k & _ONE == _ONE


@njit([types.boolean(types.uint64, types.uint64, types.uint64, types.uint64, _WORDS_IN, _CURSOR)], cache=True)
def _exp(a_high, a_low, b_high, b_low, words, cursor):  # type: ignore[no-untyped-def]
    """Algorithm 1, both cases: a coin of exp(-a/b). Each whole unit of a/b is a coin of exp(-1)."""
    while a_high > b_high or (a_high == b_high and a_low > b_low):
        if not _exp_small(_ZERO, _ONE, _ZERO, _ONE, words, cursor):
            return False
        a_high = a_high - b_high - (_ONE if a_low < b_low else _ZERO)
        a_low -= b_low
    return _exp_small(a_high, a_low, b_high, b_low, words, cursor)


@njit([types.int64(types.uint64, types.uint64, _WORDS_IN, _CURSOR)], cache=True)
def _laplace(s, t, words, cursor):  # type: ignore[no-untyped-def]
    """Algorithm 2: P[Y = y] proportional to exp(-|y| s/t). If the words run out, any integer; the caller discards it."""
    while cursor[0] <= words.size:
        remainder = _below(t, words, cursor)
        if not _exp_small(_ZERO, remainder, _ZERO, t, words, cursor):
            continue
        whole = _ZERO
        while whole < np.uint64(_LONGEST) and _exp_small(_ZERO, _ONE, _ZERO, _ONE, words, cursor):
            whole += _ONE
        size = np.int64((remainder + whole * t) // s)
        negative = _word(words, cursor) & _ONE == _ONE
        if not (negative and size == 0):
            return -size if negative else size
    return 0


@njit(
    [
        types.UniTuple(types.int64, 2)(
            _WORDS_IN, _SAMPLES, types.int64, types.uint64, types.uint64, types.uint64, types.uint64, types.uint64
        )
    ],
    nogil=True,
    cache=True,
)
def discrete_gaussian(words, samples, done, t, step, centre, d_one, d_other):  # type: ignore[no-untyped-def]
    """Algorithm 3: fill `samples[done:]`, as far as the words reach; `gaussian_terms` gives the last five arguments.

    Proposals are Laplace of scale t; A = | |Y|·step - centre |, D = d_one·d_other. Returns (complete samples, words that
    they used). A sample that ran out of words counts as having used none.
    """
    cursor = np.zeros(1, np.int64)
    d_high, d_low = _product(d_one, d_other)
    while done < samples.size:
        start = cursor[0]
        y = 0
        while cursor[0] <= words.size:
            y = _laplace(_ONE, t, words, cursor)
            scaled = np.uint64(abs(y)) * step
            a = scaled - centre if scaled >= centre else centre - scaled
            a_high, a_low = _product(a, a)
            if np.uint64(abs(y)) < np.uint64(_FARTHEST) * t and _exp(a_high, a_low, d_high, d_low, words, cursor):
                break
        if cursor[0] > words.size:
            return done, start
        samples[done] = y
        done += 1
    return done, cursor[0]


@njit(
    [types.UniTuple(types.int64, 2)(_WORDS_IN, _SAMPLES, types.int64, types.uint64, types.uint64)],
    nogil=True,
    cache=True,
)
def discrete_laplace(words, samples, done, s, t):  # type: ignore[no-untyped-def]
    """Algorithm 2: fill `samples[done:]` with the scale t/s, as far as the words reach. Returns as `discrete_gaussian`."""
    cursor = np.zeros(1, np.int64)
    while done < samples.size:
        start = cursor[0]
        y = _laplace(s, t, words, cursor)
        if cursor[0] > words.size:
            return done, start
        samples[done] = y
        done += 1
    return done, cursor[0]
