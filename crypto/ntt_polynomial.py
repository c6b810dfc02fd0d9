"""Polynomials in the Lagrange basis (draft-irtf-cfrg-vdaf, VERSION 18, section 6.1.3): values at the n-th roots of unity.

A polynomial of degree below n, n a power of two, is the list of its values at w^0 .. w^(n-1), w the principal n-th root.
Batches are `[R, n, m]`: R reports, m polynomials each, a polynomial down each column. Shapes count elements, as in
`crypto.ntt_field`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from .ntt_field import Elements, Mask, NttField, kernels


def next_power_of_two(n: int) -> int:
    """The least power of two >= n, for n >= 1."""
    return 1 << (n - 1).bit_length()


@dataclass(frozen=True, eq=False)
class Tables:
    """Multipliers for transforms of n values, and the nodes of their evaluation."""

    roots: Elements  # [max(1, n / 2)]: powers of w
    inverse_roots: Elements  # [max(1, n / 2)]
    twist: Elements  # [n]: s^i / n in bit-reversed order, s^2 = w
    nodes: Elements  # [2 n + 1]: w^i, then w^i / n, then 1


@lru_cache(maxsize=64)
def tables(field: NttField, n: int) -> Tables:
    """The tables for n, a power of two."""
    p = field.modulus
    root, twist, share = field.root(n), field.root(2 * n), field.inverse(n)
    backward = field.inverse(root)
    half = max(1, n // 2)
    nodes = [pow(root, i, p) for i in range(n)]
    bits = n.bit_length() - 1
    order = [int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(n)]
    return Tables(
        field.multipliers(nodes[:half]),
        field.multipliers([pow(backward, i, p) for i in range(half)]),
        field.multipliers([pow(twist, i, p) * share for i in order]),
        field.multipliers([*nodes, *(node * share for node in nodes), 1]),
    )


def double_values(field: NttField, values: Elements) -> Elements:
    """Values `[R, n, m]` at the n-th roots of unity to values `[R, 2 n, m]` at the 2n-th ("double_evaluations")."""
    count, n, width = values.shape[:3]
    t, out = tables(field, n), field.empty(count, 2 * n, width)
    kernels().double_values(
        np.ascontiguousarray(values), t.inverse_roots, t.twist, t.roots, field.empty(n, kernels().COLUMNS), out
    )
    return out


def sum_pair_products(field: NttField, values: Elements) -> Elements:
    """Values `[R, 2 n]` of the sum over j of the products of columns 2 j and 2 j + 1 of `values: [R, n, m]`, m even."""
    count, n = values.shape[:2]
    t, out = tables(field, n), field.empty(count, 2 * n)
    kernels().sum_pair_products(
        np.ascontiguousarray(values), t.inverse_roots, t.twist, t.roots, field.empty(n, kernels().COLUMNS), out
    )
    return out


def weights_at(field: NttField, points: Elements, n: int) -> tuple[Elements, Mask]:
    """The multipliers `[R, n]` of n values that give a polynomial's value at `points: [R]`, and which points are nodes."""
    weights, on_node = field.empty(len(points), n), np.empty(len(points), np.bool_)
    prepared = field.prepare(points).reshape(field.shape(len(points), 1))
    kernels().lagrange(prepared, tables(field, n).nodes, weights, on_node)
    return weights, on_node


def evaluate(field: NttField, values: Elements, weights: Elements) -> Elements:
    """Values `[R, m]` of the polynomials `values: [R, n, m]` at the points of `weights: [R, n]` ("poly_eval_batched")."""
    out = field.empty(len(values), values.shape[2])
    kernels().evaluate(np.ascontiguousarray(values), np.ascontiguousarray(weights), out)
    return out


def weighted_sums(field: NttField, values: Elements, weights: Elements) -> Elements:
    """Sums `[R]` over n of values times multipliers, both `[R, n]`."""
    column = values.reshape(field.shape(*values.shape[:2], 1))
    return evaluate(field, column, weights)[:, 0]


def extend_to_power_of_two(field: NttField, values: Elements) -> Elements:
    """Values `[R, k]` at the first k of the n-th roots of unity, n the next power of two, to all n: `[R, n]`.

    The polynomial is the one of degree below k ("extend_values_to_power_of_2").
    """
    count, k = values.shape[:2]
    n = next_power_of_two(k)
    if n == k:
        return values
    out = field.empty(count, n)
    out[:, :k] = values
    extension = _extension(field, k, n)
    for missing in range(n - k):
        weights = np.broadcast_to(extension[missing], values.shape)
        out[:, k + missing] = weighted_sums(field, values, weights)
    return out


@lru_cache(maxsize=64)
def _extension(field: NttField, k: int, n: int) -> Elements:
    """Multipliers `[n - k, k]`: row q gives the value at node k + q from those at the first k nodes.

    Of n nodes that are all n-th roots of unity, the Lagrange basis over the first k is
    L_i(y) = -(x_i / y) times the product of (x_i - z) / (y - z) over the other missing nodes z, for a missing node y:
    what the nodes that are there contribute follows from the derivative of x^n - 1.
    """
    p = field.modulus
    nodes = [pow(field.root(n), i, p) for i in range(n)]
    rows = []
    for y in nodes[k:]:
        others = [z for z in nodes[k:] if z != y]
        below = field.inverse(y * prod((y - z for z in others), start=1) % p)
        rows += [-x * prod((x - z for z in others), start=below) for x in nodes[:k]]
    return field.multipliers(rows).reshape(field.shape(n - k, k))
