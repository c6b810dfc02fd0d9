"""Field64 and Field128 in machine words: every loop below `crypto.ntt_field`, written once for both fields.

    Field64    p = 2^64 - 2^32 + 1      an element is a uint64
    Field128   p = 2^128 - 28 2^64 + 1  an element is a pair of uint64, low word first; arrays have a last axis of 2

(draft-irtf-cfrg-vdaf, section 6.1.) Elements are canonical, below p, everywhere. `load`, `store` and the arithmetic
look at types only, so a kernel has two signatures and one body: an array with one axis more than the index holds
elements of Field128.

**Multipliers.** Field128 multiplies as Montgomery does: `times(a, b)` is a b / 2^128. So that elements keep their wire
form, one factor is always *prepared*, i.e. held as b 2^128: twiddles, weights and powers are prepared once, and
times(element, prepared) is the product. After a sum of `times` over two plain elements, one `settle` multiplies by the
missing 2^128. In Field64 an element is its own multiplier and `settle` does nothing. p = 1 mod 2^64 makes the reduction
cheap: the factor of each of its two steps is the low word itself.

**No secret decides a branch or an address**: corrections are masked, loops depend on lengths only.

The arithmetic is LLVM IR because numba has no 128-bit integers; LLVM makes `mulx`, `adc`, `sbb` of it. Field64 multiplies
in 32-bit limbs, which LLVM turns into AVX-512 or AVX2 over a loop (faster than scalar 64-bit products). Where products
are only added up, `gather` reduces once, at the end.

Functions whose Python body is `raise NotImplementedError` are names for `overload`: compiled code uses the body below them
that fits the type of the elements. Nothing calls them uncompiled.

All of it is in one file, because numba's `cache=True` does not notice a change in another module.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from base.compiled import intrinsic, ir, njit, overload, types

from .field_modulus import P128, P

# Polynomials are transformed this many at a time: rows of a constant width are what LLVM vectorises.
COLUMNS = 16

_SETTLE_LOW, _SETTLE_HIGH = (np.uint64(word) for word in divmod(2**256 % P128, 2**64)[::-1])
_LOW, _HIGH = (np.uint64(0),), (np.uint64(1),)
_PAIR = types.UniTuple(types.uint64, 2)
_I64, _I128 = ir.IntType(64), ir.IntType(128)


# ---- arithmetic of elements -------------------------------------------------------------------------------------------


def _intrinsic(emit: Callable[[Any, Any, Any, int], Any]) -> Any:
    """A function of two elements of one field; `emit(builder, x, y, p)` gets them as i64 or i128."""

    def typed(typingctx, x, y):
        wide = isinstance(x, types.UniTuple)

        def codegen(context, builder, signature, args):
            x, y = args
            if not wide:
                return emit(builder, x, y, P)
            words = emit(builder, _joined(builder, x), _joined(builder, y), P128)
            low, high = builder.trunc(words, _I64), builder.trunc(_shifted(builder, words, 64), _I64)
            return context.make_tuple(builder, _PAIR, [low, high])

        element = _PAIR if wide else types.uint64
        return element(element, element), codegen

    return intrinsic(typed)


def _joined(b: Any, pair: Any) -> Any:
    low, high = (b.zext(b.extract_value(pair, i), _I128) for i in (0, 1))
    return b.or_(low, b.shl(high, ir.Constant(_I128, 64)))


def _shifted(b: Any, x: Any, bits: int) -> Any:
    return b.lshr(x, ir.Constant(x.type, bits))


def _difference(b: Any, x: Any, y: Any, p: int) -> Any:
    """x - y, plus p where that borrowed."""
    borrowed = b.sext(b.icmp_unsigned("<", x, y), x.type)
    return b.add(b.sub(x, y), b.and_(borrowed, ir.Constant(x.type, p)))


def _sum(b: Any, x: Any, y: Any, p: int) -> Any:
    """x - (p - y): no 65th or 129th bit to keep."""
    return _difference(b, x, b.sub(ir.Constant(x.type, p), y), p)


def _product(b: Any, x: Any, y: Any, p: int) -> Any:
    return _folded(b, x, y) if p == P else _montgomery(b, x, y)


def _folded(b: Any, x: Any, y: Any) -> Any:
    """x y in Field64: schoolbook in 32-bit limbs, then 2^64 = 2^32 - 1 and 2^96 = -1 (mod p)."""
    low32 = ir.Constant(_I64, 2**32 - 1)
    (x0, x1), (y0, y1) = ((b.and_(v, low32), _shifted(b, v, 32)) for v in (x, y))
    corner = b.mul(x0, y0)
    cross = b.add(b.mul(x1, y0), _shifted(b, corner, 32))  # at most (2^32 - 1)^2 + 2^32 - 1, as the next two
    middle = b.add(b.mul(x0, y1), b.and_(cross, low32))
    high = b.add(b.add(b.mul(x1, y1), _shifted(b, cross, 32)), _shifted(b, middle, 32))
    low = b.or_(b.and_(corner, low32), b.shl(middle, ir.Constant(_I64, 32)))
    # low + 2^64 (h0 + 2^32 h1) = low - h1 + (2^32 - 1) h0; a wrap of 2^64 is worth 2^32 - 1
    h0, h1 = b.and_(high, low32), _shifted(b, high, 32)
    less = b.sub(b.sub(low, h1), b.and_(b.sext(b.icmp_unsigned("<", low, h1), _I64), low32))
    more = b.mul(h0, low32)
    total = b.add(less, more)
    total = b.add(total, b.and_(b.sext(b.icmp_unsigned("<", total, more), _I64), low32))
    return _once_less(b, total, P)


def _montgomery(b: Any, x: Any, y: Any) -> Any:
    """x y / 2^128 in Field128: above -p and below p before the mask."""
    low, high = _wide_product(b, x, y)
    e, f = _quotient(b, low)
    return _difference(b, b.add(high, e), f, P128)


def _word(b: Any, x: Any) -> Any:
    return b.zext(b.trunc(x, _I64), _I128)


def _wide_product(b: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """x y as two i128, the low half first."""
    (x0, x1), (y0, y1) = ((_word(b, v), _shifted(b, v, 64)) for v in (x, y))
    corner, left, right = b.mul(x0, y0), b.mul(x0, y1), b.mul(x1, y0)
    middle = b.add(b.add(_shifted(b, corner, 64), _word(b, left)), _word(b, right))
    high = b.add(b.add(b.mul(x1, y1), _shifted(b, left, 64)), _shifted(b, right, 64))
    low = b.or_(_word(b, corner), b.shl(middle, ir.Constant(_I128, 64)))
    return low, b.add(high, _shifted(b, middle, 64))


def _quotient(b: Any, low: Any) -> tuple[Any, Any]:
    """e and f with low / 2^128 = e - f (mod p), e < 2^70 and f < 2^128.

    With t0 the low word of t, a step takes (t - t0 p) / 2^64 = (t >> 64) + 28 t0 - 2^64 t0; of two steps e gathers the
    multiples of 28, and f the words that were taken.
    """
    c28 = ir.Constant(_I128, 28)
    t0 = _word(b, low)
    step = b.add(_shifted(b, low, 64), b.mul(t0, c28))
    u0 = _word(b, step)
    return b.add(_shifted(b, step, 64), b.mul(u0, c28)), b.or_(b.shl(u0, ir.Constant(_I128, 64)), t0)


plus = _intrinsic(_sum)
minus = _intrinsic(_difference)
times = _intrinsic(_product)


# A sum of products `times(x, y)` that is reduced once, at its end, in any number of terms below 2^32. Field64: sums of the
# products' low and of their high words, 128 bits each. Field128: the products themselves, 320 bits.
_SUMS = {64: types.UniTuple(types.uint64, 4), 128: types.UniTuple(types.uint64, 5)}


def _packed(b: Any, words: Any, first: int, count: int) -> Any:
    """Words of a tuple as one integer."""
    kind = ir.IntType(64 * count)
    value = b.zext(b.extract_value(words, first), kind)
    for i in range(1, count):
        value = b.or_(value, b.shl(b.zext(b.extract_value(words, first + i), kind), ir.Constant(kind, 64 * i)))
    return value


def _unpacked(b: Any, value: Any, count: int) -> list[Any]:
    return [b.trunc(_shifted(b, value, 64 * i), _I64) for i in range(count)]


@intrinsic
def gather(typingctx, total, x, y):
    """The sum with the product of x and y added."""
    wide = isinstance(x, types.UniTuple)
    kind, element = (_SUMS[128], _PAIR) if wide else (_SUMS[64], types.uint64)

    def codegen(context, builder, signature, args):
        words, x, y = args
        if wide:
            low, high = _wide_product(builder, _joined(builder, x), _joined(builder, y))
            whole = ir.IntType(320)
            product = builder.or_(
                builder.zext(low, whole), builder.shl(builder.zext(high, whole), ir.Constant(whole, 128))
            )
            out = _unpacked(builder, builder.add(_packed(builder, words, 0, 5), product), 5)
        else:
            product = builder.mul(builder.zext(x, _I128), builder.zext(y, _I128))
            low = builder.add(_packed(builder, words, 0, 2), _word(builder, product))
            high = builder.add(_packed(builder, words, 2, 2), _shifted(builder, product, 64))
            out = [*_unpacked(builder, low, 2), *_unpacked(builder, high, 2)]
        return context.make_tuple(builder, kind, out)

    return kind(kind, element, element), codegen


@intrinsic
def gathered(typingctx, total):
    """The sum as an element."""
    wide = len(total) == 5

    def codegen(context, builder, signature, args):
        if not wide:
            return _folded_sum(builder, _packed(builder, args[0], 0, 2), _packed(builder, args[0], 2, 2))
        value = _montgomery_sum(builder, *(_packed(builder, args[0], at, n) for at, n in ((0, 2), (2, 2), (4, 1))))
        return context.make_tuple(builder, _PAIR, _unpacked(builder, value, 2))

    return (_PAIR if wide else types.uint64)(total), codegen


def _folded_sum(b: Any, low: Any, high: Any) -> Any:
    """low + 2^64 high in Field64, both below 2^96: by 2^64 = 2^32 - 1 and 2^128 = -2^32 (mod p)."""
    fold, negative = ir.Constant(_I128, 2**32 - 1), ir.Constant(_I128, P - 2**32)
    value = b.add(_word(b, low), b.mul(b.add(_shifted(b, low, 64), _word(b, high)), fold))
    value = b.add(value, b.mul(_shifted(b, high, 64), negative))  # below 2^98
    for _ in range(2):  # below 2^67, then below 2 p
        value = b.add(_word(b, value), b.mul(_shifted(b, value, 64), fold))
    return b.trunc(_once_less(b, value, P), _I64)


def _montgomery_sum(b: Any, low: Any, high: Any, top: Any) -> Any:
    """(low + 2^128 high + 2^256 top) / 2^128 in Field128, top below 2^32: by 2^128 = 28 2^64 - 1 (mod p)."""
    e, f = _quotient(b, low)
    top = b.zext(top, _I128)
    above = b.sub(b.shl(b.mul(top, ir.Constant(_I128, 28)), ir.Constant(_I128, 64)), top)
    value = _sum(b, _sum(b, _once_less(b, high, P128), above, P128), e, P128)
    return _difference(b, value, _once_less(b, f, P128), P128)


def _once_less(b: Any, x: Any, p: int) -> Any:
    """x, or x - p where x is p or more."""
    modulus = ir.Constant(x.type, p)
    return b.sub(x, b.and_(b.sext(b.icmp_unsigned(">=", x, modulus), x.type), modulus))


def no_sum(x):
    """The sum of no products, in x's field."""
    raise NotImplementedError


@overload(no_sum)
def _no_sum(x):
    if isinstance(x, types.UniTuple):
        return lambda x: (np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0))
    return lambda x: (np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0))


def settle(x):
    """x times 2^128 in Field128, x in Field64: makes a sum of `times` over plain elements their sum of products."""
    raise NotImplementedError


@overload(settle)
def _settle(x):
    if isinstance(x, types.UniTuple):
        return lambda x: times(x, (_SETTLE_LOW, _SETTLE_HIGH))
    return lambda x: x


def zero(x):
    """The zero of x's field."""
    raise NotImplementedError


@overload(zero)
def _zero(x):
    if isinstance(x, types.UniTuple):
        return lambda x: (np.uint64(0), np.uint64(0))
    return lambda x: np.uint64(0)


def load(array, *at):
    """The element at a place of one to three indices, none negative."""
    raise NotImplementedError


@overload(load)
def _load(array, *at):
    if array.ndim > len(at):
        return lambda array, *at: (array[_unsigned(at) + _LOW], array[_unsigned(at) + _HIGH])
    return lambda array, *at: array[_unsigned(at)]


def store(array, x, *at):
    """Put the element x at a place."""
    raise NotImplementedError


@overload(store)
def _store(array, x, *at):
    if array.ndim > len(at):

        def pair(array, x, *at):
            array[_unsigned(at) + _LOW] = x[0]
            array[_unsigned(at) + _HIGH] = x[1]

        return pair

    def single(array, x, *at):
        array[_unsigned(at)] = x

    return single


def _unsigned(at):
    """Indices as unsigned integers: numba's test for negative indices would keep LLVM from vectorising."""
    raise NotImplementedError


@overload(_unsigned)
def _as_unsigned(at):
    if len(at) == 1:
        return lambda at: (np.uint64(at[0]),)
    if len(at) == 2:
        return lambda at: (np.uint64(at[0]), np.uint64(at[1]))
    return lambda at: (np.uint64(at[0]), np.uint64(at[1]), np.uint64(at[2]))


def at_most(x, most):
    """Whether x, perhaps not canonical, is `most` or less."""
    raise NotImplementedError


@overload(at_most)
def _at_most(x, most):
    if isinstance(x, types.UniTuple):
        return lambda x, most: (x[1] < most[1]) | ((x[1] == most[1]) & (x[0] <= most[0]))
    return lambda x, most: x <= most


# ---- kernels ----------------------------------------------------------------------------------------------------------
#
# Shapes below are in elements: `[R, n]` is uint64[R, n] in Field64 and uint64[R, n, 2] in Field128. R counts reports.


def _in(axes: int) -> Callable[[int], Any]:
    return lambda words: types.Array(types.uint64, axes + words, "C", readonly=True)


def _out(axes: int) -> Callable[[int], Any]:
    return lambda words: types.Array(types.uint64, axes + words, "C")


def _plain(numba_type: Any) -> Callable[[int], Any]:
    return lambda _words: numba_type


_INDICES = _plain(types.Array(types.int64, 1, "C", readonly=True))
_FLAGS_IN = _plain(types.Array(types.boolean, 1, "C", readonly=True))
_FLAGS = _plain(types.Array(types.boolean, 1, "C"))
_SIZE = _plain(types.int64)


class Kernel:
    """A loop with two signatures, for Field64 and for Field128. numba compiles it, or loads it from its cache, in its first call.

    Not at import, as other kernels: to compile all of them takes a quarter of a minute, and most processes check no proof.
    """

    def __init__(self, body: Callable[..., None], signatures: list[Any]) -> None:
        self._body, self._signatures = body, signatures

    def __call__(self, *arguments: Any) -> None:
        """Run the compiled loop."""
        self.compiled(*arguments)

    @cached_property
    def compiled(self) -> Any:
        """numba's dispatcher."""
        return njit(self._signatures, nogil=True, cache=True)(self._body)


def _kernel(*arguments: Callable[[int], Any]) -> Callable[[Callable[..., None]], Kernel]:
    """The decorator of a kernel, by the types of its arguments."""
    signatures = [types.void(*(of(words) for of in arguments)) for words in (0, 1)]
    return lambda body: Kernel(body, signatures)


@_kernel(_in(1), _in(1), _out(1))
def add_elements(a, b, out):
    """Write a + b to `out`; all three [n]."""
    for i in range(out.shape[0]):
        store(out, plus(load(a, i), load(b, i)), i)


@_kernel(_in(1), _in(1), _out(1))
def subtract_elements(a, b, out):
    """Write a - b to `out`; all three [n]."""
    for i in range(out.shape[0]):
        store(out, minus(load(a, i), load(b, i)), i)


@_kernel(_in(1), _in(1), _out(1))
def multiply_elements(a, b, out):
    """Write a b to `out`; all three [n], plain elements."""
    for i in range(out.shape[0]):
        store(out, settle(times(load(a, i), load(b, i))), i)


@_kernel(_in(1), _in(1), _out(1))
def scale_elements(a, multiplier, out):
    """Write `multiplier[0]` (prepared) times a to `out`; a and out are [n]."""
    for i in range(out.shape[0]):
        store(out, times(load(a, i), load(multiplier, 0)), i)


@_kernel(_in(2), _in(1), _FLAGS)
def check_rows(elements, largest, canonical):
    """Write to `canonical` which rows of `elements: [R, n]` are at most `largest[0]` = p - 1 throughout."""
    count, length = elements.shape[0], elements.shape[1]
    most = load(largest, 0)
    for r in range(count):
        good = True
        for i in range(length):
            good &= at_most(load(elements, r, i), most)
        canonical[r] = good


@_kernel(_in(2), _FLAGS_IN, _out(1))
def add_rows(elements, selected, totals):
    """Add the rows r of `elements: [R, n]` with `selected[r]` to `totals: [n]`."""
    for r in range(elements.shape[0]):
        if selected[r]:
            for i in range(totals.shape[0]):
                store(totals, plus(load(totals, i), load(elements, r, i)), i)


@_kernel(_in(2), _INDICES, _INDICES, _in(1), _in(1), _out(2))
def apply_forms(vectors, indptr, columns, coefficients, constants, out):
    """Write form i of vector r, `constants[i]` + sum of coefficients times entries, to `out[r, i]`.

    `vectors: [R, n]`; the forms are rows of a sparse matrix (CSR: `indptr: int64[m + 1]`, `columns: int64[e]` < n,
    `coefficients: [e]` prepared), `constants: [m]`, `out: [R, m]`.
    """
    for r in range(out.shape[0]):
        for i in range(out.shape[1]):
            constant = load(constants, i)
            total = no_sum(constant)
            for e in range(indptr[i], indptr[i + 1]):
                total = gather(total, load(vectors, r, columns[e]), load(coefficients, e))
            store(out, plus(constant, gathered(total)), r, i)


@_kernel(_in(2), _in(2), _in(2), _in(2), _in(1), _in(1), _SIZE, _out(1), _out(3))
def pair_wires(vectors, left, right, randomness, prepare, share_of_one, bits, powers, wires):
    """Fill rows 1 .. K of `wires: [R, p, 2 C]`: call k checks the pairs (k - 1) C .. k C, pair j of it weighted r_k^(j+1).

    The pairs are (b, b - 1) for the first `bits` entries b of `vectors: [R, n]`, then (u, v) for the columns of
    `left, right: [R, m]`; what is left of the last call is (0, -1). The first of a pair carries the weight.
    `randomness: [R, K]`, `prepare: [1]` turns an element into a multiplier, `share_of_one: [1]` = 1 / shares,
    `powers: [C]` is scratch.
    """
    count, calls, chunk = wires.shape[0], randomness.shape[1], powers.shape[0]
    one = load(share_of_one, 0)
    nought = zero(one)
    pairs = bits + left.shape[1]
    for r in range(count):
        for k in range(calls):
            # Powers by doubling: each pass multiplies what is there by the last of it, with no chain through the row.
            store(powers, times(load(randomness, r, k), load(prepare, 0)), 0)
            filled = 1
            while filled < chunk:
                last = load(powers, filled - 1)
                for j in range(min(filled, chunk - filled)):
                    store(powers, times(load(powers, j), last), filled + j)
                filled *= 2
            first = k * chunk
            of_bits = max(0, min(chunk, bits - first))
            of_products = max(of_bits, min(chunk, pairs - first))
            for j in range(of_bits):
                b = load(vectors, r, first + j)
                store(wires, times(b, load(powers, j)), r, k + 1, 2 * j)
                store(wires, minus(b, one), r, k + 1, 2 * j + 1)
            for j in range(of_bits, of_products):
                store(wires, times(load(left, r, first + j - bits), load(powers, j)), r, k + 1, 2 * j)
                store(wires, load(right, r, first + j - bits), r, k + 1, 2 * j + 1)
            for j in range(of_products, chunk):
                store(wires, nought, r, k + 1, 2 * j)
                store(wires, minus(nought, one), r, k + 1, 2 * j + 1)


@_kernel(_in(2), _in(1), _out(2), _FLAGS)
def lagrange(points, nodes, weights, on_node):
    """Write to `weights: [R, n]`, prepared, the factors of a polynomial's n values in its value at t_r.

    `points: [R, 1]` (t_r) and `nodes: [2 n + 1]` are prepared: the n nodes x_i, the n x_i / n, and 1. The weight is
    (t^n - 1) / n x_i / (t - x_i) = x_i / n times the product of all t - x_j, j != i: products of prefixes and suffixes,
    no division. `on_node[r]` says whether t_r is a node (an n-th root of unity).
    """
    count, n = weights.shape[0], weights.shape[1]
    for r in range(count):
        t = load(points, r, 0)
        nought = zero(t)
        prefix = load(nodes, 2 * n)
        hit = False
        for i in range(n):
            store(weights, times(prefix, load(nodes, n + i)), r, i)
            difference = minus(t, load(nodes, i))
            hit |= difference == nought
            prefix = times(prefix, difference)
        on_node[r] = hit
        suffix = load(nodes, 2 * n)
        for i in range(n - 1, -1, -1):
            store(weights, times(load(weights, r, i), suffix), r, i)
            suffix = times(suffix, minus(t, load(nodes, i)))


@_kernel(_in(3), _in(2), _out(2))
def evaluate(values, weights, out):
    """Write sum over k of weights[r, k] (prepared) values[r, k, j] to `out[r, j]`; `values: [R, n, m]`, `out: [R, m]`."""
    count, n, m = values.shape[0], values.shape[1], values.shape[2]
    for r in range(count):
        weight = load(weights, r, 0)
        for j in range(m):
            store(out, times(load(values, r, 0, j), weight), r, j)
        for k in range(1, n):
            weight = load(weights, r, k)
            for j in range(m):
                store(out, plus(load(out, r, j), times(load(values, r, k, j), weight)), r, j)


@njit(nogil=True, cache=True)
def _exchange(x, a, b):
    """The butterfly whose root is 1: n - 1 of a transform's n/2 log n, more than a quarter at n = 128."""
    for j in range(COLUMNS):
        first, second = load(x, a, j), load(x, b, j)
        store(x, plus(first, second), a, j)
        store(x, minus(first, second), b, j)


@njit(nogil=True, cache=True)
def _butterflies_down(x, n, roots):
    """COLUMNS polynomials at once: n values each (`x: [n, COLUMNS]`, row by row) to n times their coefficients.

    The coefficients come in bit-reversed order. `roots: [n / 2]` are powers of the inverse root, prepared.
    """
    half = n // 2
    while half:
        step = n // 2 // half
        for start in range(0, n, 2 * half):
            _exchange(x, start, start + half)
            for i in range(1, half):
                a, b = start + i, start + i + half
                root = load(roots, i * step)
                for j in range(COLUMNS):
                    first, second = load(x, a, j), load(x, b, j)
                    store(x, plus(first, second), a, j)
                    store(x, times(minus(first, second), root), b, j)
        half //= 2


@njit(nogil=True, cache=True)
def _butterflies_up(x, n, roots):
    """The way back: coefficients in bit-reversed order to n values. `roots: [n / 2]` are powers of the root."""
    half = 1
    while half < n:
        step = n // 2 // half
        for start in range(0, n, 2 * half):
            _exchange(x, start, start + half)
            for i in range(1, half):
                a, b = start + i, start + i + half
                root = load(roots, i * step)
                for j in range(COLUMNS):
                    first, second = load(x, a, j), times(load(x, b, j), root)
                    store(x, plus(first, second), a, j)
                    store(x, minus(first, second), b, j)
        half *= 2


@njit(nogil=True, cache=True)
def _to_odd_values(x, n, inverse_roots, twist, roots):
    """Values at the n-th roots of unity to values at the other 2n-th ones: p(s w^i) for s^2 = w.

    `twist: [n]`, prepared and in bit-reversed order, is s^i / n.
    """
    _butterflies_down(x, n, inverse_roots)
    for i in range(n):
        factor = load(twist, i)
        for j in range(COLUMNS):
            store(x, times(load(x, i, j), factor), i, j)
    _butterflies_up(x, n, roots)


@njit(nogil=True, cache=True)
def _load_columns(values, r, first, x):
    """Copy the columns `first` .. `first + COLUMNS` of `values[r]: [n, m]` to the rows of `x`; zeros beyond m."""
    n, width = values.shape[1], min(COLUMNS, values.shape[2] - first)
    for i in range(n):
        for j in range(width):
            store(x, load(values, r, i, first + j), i, j)
        for j in range(width, COLUMNS):
            store(x, zero(load(x, 0, 0)), i, j)
    return width


@_kernel(_in(3), _in(1), _in(1), _in(1), _out(2), _out(3))
def double_values(values, inverse_roots, twist, roots, x, out):
    """Values of polynomials at the n-th roots of unity to values at the 2n-th ("double_evaluations").

    `values: [R, n, m]`, `out: [R, 2 n, m]`; `x: [n, COLUMNS]` is scratch; the tables are those of `_to_odd_values`.
    """
    count, n, m = values.shape[0], values.shape[1], values.shape[2]
    for r in range(count):
        for first in range(0, m, COLUMNS):
            width = _load_columns(values, r, first, x)
            for i in range(n):
                for j in range(width):
                    store(out, load(x, i, j), r, 2 * i, first + j)
            _to_odd_values(x, n, inverse_roots, twist, roots)
            for i in range(n):
                for j in range(width):
                    store(out, load(x, i, j), r, 2 * i + 1, first + j)


@njit(nogil=True, cache=True)
def _add_pairs(x, i, total):
    """Add the products of the pairs in row i of `x`, not settled."""
    products = no_sum(total)
    for j in range(0, COLUMNS, 2):
        products = gather(products, load(x, i, j), load(x, i, j + 1))
    return plus(total, gathered(products))


@_kernel(_in(3), _in(1), _in(1), _in(1), _out(2), _out(2))
def sum_pair_products(wires, inverse_roots, twist, roots, x, out):
    """Write the values of sum over j of w_2j w_(2j+1) at the 2n-th roots of unity: the prover's gadget polynomial.

    `wires: [R, n, m]`, m even, are values of w_j at the n-th roots; `out: [R, 2 n]`; the rest as in `double_values`.
    """
    count, n, m = wires.shape[0], wires.shape[1], wires.shape[2]
    for r in range(count):
        for i in range(2 * n):
            store(out, zero(load(x, 0, 0)), r, i)
        for first in range(0, m, COLUMNS):
            _load_columns(wires, r, first, x)
            for i in range(n):
                store(out, _add_pairs(x, i, load(out, r, 2 * i)), r, 2 * i)
            _to_odd_values(x, n, inverse_roots, twist, roots)
            for i in range(n):
                store(out, _add_pairs(x, i, load(out, r, 2 * i + 1)), r, 2 * i + 1)
        for i in range(2 * n):
            store(out, settle(load(out, r, i)), r, i)
