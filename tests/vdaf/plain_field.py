"""Fields, vectors and polynomials of the draft as plain Python integers (draft-irtf-cfrg-vdaf, VERSION 18, "Finite
Fields" with its subsections).

An element is an int in [0, modulus); whoever computes one reduces it. A polynomial is a list of its values at the first
powers of a root of unity (the draft's Lagrange basis), never a list of coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tests.vdaf.plain_errors import Malformed, require, require_size


@dataclass(frozen=True)
class Field:
    """A row of the table under "Parameters". `generator` has the order `gen_order`, a power of two."""

    name: str
    modulus: int
    encoded_size: int
    generator: int
    gen_order: int

    def inverse(self, x: int) -> int:
        """1/x; x is not 0."""
        return pow(x, -1, self.modulus)

    def nth_root(self, n: int) -> int:
        """The principal n-th root of unity, generator ** (gen_order / n)."""
        require(1 <= n <= self.gen_order and n & (n - 1) == 0, f"no principal root of unity of order {n}")
        return pow(self.generator, self.gen_order // n, self.modulus)

    def root_powers(self, n: int, count: int) -> list[int]:
        """The first `count` powers of the principal n-th root of unity, from the 0th."""
        root = self.nth_root(n)
        return [pow(root, k, self.modulus) for k in range(count)]

    def encode_vec(self, vec: Sequence[int]) -> bytes:
        """The elements one after the other, little-endian."""
        return b"".join(x.to_bytes(self.encoded_size, "little") for x in vec)

    def decode_vec(self, encoded: bytes) -> list[int]:
        """The inverse of `encode_vec`. Raises Malformed for part of an element, or for one that is not below p."""
        require(len(encoded) % self.encoded_size == 0, f"{len(encoded)} bytes are no whole number of {self.name}")
        vec = []
        for start in range(0, len(encoded), self.encoded_size):
            x = int.from_bytes(encoded[start : start + self.encoded_size], "little")
            require(x < self.modulus, f"bytes {start} on are no element of {self.name}")
            vec.append(x)
        return vec

    def add_vec(self, left: Sequence[int], right: Sequence[int]) -> list[int]:
        """Element by element; both of one length."""
        require_size("right operand", len(right), len(left))
        return [(a + b) % self.modulus for a, b in zip(left, right, strict=True)]

    def sub_vec(self, left: Sequence[int], right: Sequence[int]) -> list[int]:
        """Element by element; both of one length."""
        require_size("right operand", len(right), len(left))
        return [(a - b) % self.modulus for a, b in zip(left, right, strict=True)]

    def dot(self, left: Sequence[int], right: Sequence[int]) -> int:
        """The sum of the products."""
        return sum(a * b for a, b in zip(left, right, strict=True)) % self.modulus

    def lagrange_weights(self, n: int, count: int, x: int) -> list[int]:
        """The weights that turn values into the value at x.

        For the polynomial f of degree below `count`, with values f(w^0) … f(w^(count-1)) at powers of the principal
        n-th root w, f(x) = dot(weights, values). It is Lagrange's formula: weight i is the product, over the other nodes
        j, of (x - node j) / (node i - node j). The draft gives faster ways ("Lagrange Basis"); the value is the same.
        """
        nodes, denominators = _nodes(self, n, count)
        if x in nodes:
            return [int(node == x) for node in nodes]
        everything = 1
        for node in nodes:
            everything = everything * (x - node) % self.modulus
        return [
            everything * self.inverse((x - node) * denominator % self.modulus) % self.modulus
            for node, denominator in zip(nodes, denominators, strict=True)
        ]


@lru_cache(maxsize=64)
def _nodes(field: Field, n: int, count: int) -> tuple[list[int], list[int]]:
    """The nodes, and for each of them the product of its differences to the others: fixed by the lengths alone."""
    if not 1 <= count <= n:
        raise Malformed(f"{count} values at the powers of a root of order {n}")
    nodes = field.root_powers(n, count)
    denominators = []
    for i, node in enumerate(nodes):
        product = 1
        for j, other in enumerate(nodes):
            if i != j:
                product = product * (node - other) % field.modulus
        denominators.append(product)
    return nodes, denominators


def _ntt_field(name: str, encoded_size: int, log_order: int, cofactor: int) -> Field:
    modulus = 2**log_order * cofactor + 1
    return Field(name, modulus, encoded_size, pow(7, cofactor, modulus), 2**log_order)


FIELD64 = _ntt_field("Field64", 8, 32, 4294967295)
FIELD128 = _ntt_field("Field128", 16, 66, 4611686018427387897)


def next_power_of_2(n: int) -> int:
    """The smallest power of two that is at least n (n > 0)."""
    return 1 << (n - 1).bit_length()
