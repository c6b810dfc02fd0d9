"""Relations between numbers of events, as bits and forms: what the circuit of a cell is put together from.

Every entry is a bit. [a..b] is an integer in the draft's range encoding (`crypto.flp.encoding`), which is in range
whatever its bits are. A relation adds bits, and products and equalities that must be zero, and says how the bits are
written. It is sound because bits are bits, and complete because what is written is in range where the relation holds:

    number             v in [0..most]                        written: v
    bounded            v <= b, b at most `most`:  v + s = b, s in [0..most]      s = b - v
    divided            c parts of a sum of at most N         N = E·unit: bundles (see below), or numbers that are bounded

**Bundles.** At most E·unit events, unit being 0 or 1, are divided over c parts (true and false, the cells of a histogram),
some going to none. Instead of a number a part and a slack, the E events are tied up in bundles of w_1, w_2, … events,
Σw = E, and each bundle goes as a whole to one part, or to none: a bit for each bundle i and part p, of which
x_i = Σ_p bit(i, p) is 0 or the unit, because x_i·(unit - x_i) = 0. Part p holds Σ_i w_i·bit(i, p).
*Sound:* all parts together hold Σ_i w_i·x_i <= E·unit. *Complete:* w_i is ⌈T/(c+1)⌉ of the T events that are left. Of c + 1
bins (the parts, and what goes to none) that hold T, the fullest has at least so many, so the bundle fits there, and the
rest is the same task with fewer events. With E = 1 that is a bit a part; it takes about c·log E / log(1 + 1/c) bits,
against (c + 1)·log2 E for numbers: fewer for few events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from crypto.flp.encoding import range_checked_bits, weights
from crypto.ntt_forms import Form

from .view_forms import NOTHING, Bits, Counts, added, bits_sum, minus, value_of

Read: TypeAlias = Callable[[Counts, Bits], Counts]
"""Numbers to encode, from the slots int64[R, K, S] and the bits uint8[R, K, n] that were written before."""
Write: TypeAlias = Callable[[Counts, Bits], None]


@dataclass(frozen=True)
class Bound:
    """N, which bounds the events of a feature; where N = E·unit for a form `unit` of 0 or 1, that too."""

    count: Form
    unit: Form | None


@dataclass
class Relations:
    """A circuit while it is put together: how many bits, what must be zero, and what writes the bits, in order."""

    bits: int = 0
    products: list[tuple[Form, Form]] = field(default_factory=list)
    equalities: list[Form] = field(default_factory=list)
    writers: list[Write] = field(default_factory=list)

    def take(self, bits: int, read: Callable[[Counts, Bits], Bits]) -> int:
        """Room for so many more bits, which `read` gives: uint8[R, K, …]. Returns the first."""
        first, self.bits = self.bits, self.bits + bits

        def write(slots: Counts, written: Bits) -> None:
            written[..., first : first + bits] = read(slots, written).reshape(*written.shape[:2], bits)

        self.writers.append(write)
        return first

    def multiply(self, left: Form, right: Form) -> None:
        """One of the two is zero."""
        if left.terms:
            self.products.append((left, right))

    def number(self, most: int, read: Read) -> Form:
        """An integer in [0..most]."""
        return self.numbers(1, most, lambda slots, bits: read(slots, bits)[..., None])[0]

    def numbers(self, count: int, most: int, read: Read) -> list[Form]:
        """`count` integers in [0..most]; `read` gives int64[R, K, count]."""
        if most == 0:
            return [NOTHING] * count
        scale = weights(most)
        first = self.take(count * len(scale), lambda slots, bits: range_checked_bits(read(slots, bits), most))
        return [Form({first + i * len(scale) + j: w for j, w in enumerate(scale)}) for i in range(count)]

    def bounded(self, value: Form, most: int, bound: Form) -> None:
        """value <= bound, which is at most `most`."""
        slack = self.number(most, lambda _, bits: value_of(minus(bound, value), bits))
        self.equalities.append(minus(added(value, slack), bound))

    def divided(self, count: int, events: int, bound: Bound, read: Read) -> list[Form]:
        """`count` parts of at most `bound` events, itself at most `events`; `read` gives int64[R, K, count]."""
        if events == 0:
            return [NOTHING] * count
        if bound.unit is not None and _bundled(count, events) <= _numbered(count, events):
            return self._bundles(count, events, bound.unit, read)
        parts = self.numbers(count, events, read)
        self.bounded(added(*parts), events, bound.count)
        return parts

    def _bundles(self, count: int, events: int, unit: Form, read: Read) -> list[Form]:
        sizes = bundle_sizes(events, count)
        first = self.take(count * len(sizes), lambda slots, bits: bundle_bits(read(slots, bits), events))
        for i in range(len(sizes)):
            filled = bits_sum(first + i * count, count)
            self.multiply(filled, minus(unit, filled))
        return [Form({first + i * count + p: size for i, size in enumerate(sizes)}) for p in range(count)]


def divided_bits(count: int, events: int) -> int:
    """Bits of `Relations.divided` where there is a unit."""
    return min(_bundled(count, events), _numbered(count, events))


def _bundled(count: int, events: int) -> int:
    return count * len(bundle_sizes(events, count))


def _numbered(count: int, events: int) -> int:
    return (count + 1) * events.bit_length()


@lru_cache(maxsize=1024)
def bundle_sizes(events: int, parts: int) -> tuple[int, ...]:
    """Sizes of the bundles of `events` >= 0 events for so many parts, largest first."""
    sizes = []
    while events:
        sizes.append(-(-events // (parts + 1)))
        events -= sizes[-1]
    return tuple(sizes)


def bundle_bits(parts: Counts, events: int) -> Bits:
    """Bits uint8[…, bundles, c] of how `parts: int64[…, c]` divide at most `events` events. No branch on a value.

    Parts of a larger sum come out as something else: the circuit refuses it, or it stands for other parts.
    """
    count = parts.shape[-1]
    sizes = bundle_sizes(events, count)
    left = np.concatenate((parts, events - parts.sum(axis=-1, keepdims=True)), axis=-1)
    bits = np.empty((*parts.shape[:-1], len(sizes), count), np.uint8)
    for i, size in enumerate(sizes):
        goes_to = np.arange(count + 1) == left.argmax(axis=-1)[..., None]
        left -= size * goes_to
        bits[..., i, :] = goes_to[..., :count]
    return bits


def first_event_bits(parts: Counts) -> Bits:
    """One event of each that has any, in its largest part: uint8[…, c], all zero of those without events."""
    largest = np.arange(parts.shape[-1]) == parts.argmax(axis=-1)[..., None]
    return np.asarray(largest & (parts > 0), np.uint8)
