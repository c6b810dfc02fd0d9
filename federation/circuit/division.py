"""Division of events over parts: true and false, the cells of a histogram, the lowest and the highest step of a mean.

At most E·unit events, where unit is 0 or 1, are divided over c parts; some events may go to no part. As plain numbers this
takes one number for each part, and one for the events that go to no part. Two other ways use products and take fewer bits. A
division starts with zero or more bundles, and divides the remaining events as numbers or halves, whichever takes the fewest
bits.

**Bundles.** Of T events, a bundle of ⌈T/(c+1)⌉ goes as a whole to one part, or to none. This takes a bit a part; the sum x of
these bits is 0 or the unit, because x·(unit - x) = 0. T minus the bundle remains.
*Sound:* the parts get x times the bundle, at most unit times. *Complete:* of c + 1 bins (the parts, and the events of no
part) that hold T, the fullest has at least ⌈T/(c+1)⌉. So the bundle fits there, and the rest is the same task with fewer
events. This takes c bits for each log2(1 + 1/c) bits of T; numbers take c + 1 bits for each bit of T. So bundles take fewer
bits for few events, or down to a power of two.

**Halves**, for two parts. Of T events, the larger half w = ⌈T/2⌉ goes to one part or to none, like a bundle. Each part gets
a further number l in [0..m], m = T - w. If a half went to a part, these are bounded: x·(l_1 + l_2 + s - m) = 0, s in [0..m].
If the unit is 0, they are 0: (l_1 + l_2)·(1 - unit) = 0.
*Sound:* with x = 1 the parts hold at most w + m, with x = 0 at most 2m <= T. *Complete:* if the larger part has at least w, it
gets the half, and the other has at most T - w = m. Otherwise both have at most w - 1 <= m. So the slack is half as wide: one
bit less than as numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .forms import Bits, Counts


@dataclass(frozen=True)
class Division:
    """A way to divide events over `parts` parts.

    Attributes:
        bundles: the sizes of the bundles, largest first.
        rest: the events that remain after the bundles.
        halved: whether the rest is divided by halves, or else as numbers.
    """

    parts: int
    bundles: tuple[int, ...]
    rest: int
    halved: bool

    @property
    def bits(self) -> int:
        """The number of bits of this division."""
        first = self.parts * len(self.bundles)
        if self.halved:
            return first + self.parts + (self.parts + 1) * (self.rest // 2).bit_length()
        return first + (self.parts + 1) * self.rest.bit_length()

    @property
    def products(self) -> int:
        """The number of products of this division."""
        return len(self.bundles) + 3 * self.halved


@lru_cache(maxsize=1024)
def shortest_division(events: int, parts: int) -> Division:
    """The division of at most `events` >= 0 events with the fewest bits, and then with the fewest products."""
    best = Division(parts, (), events, halved=False)
    sizes: tuple[int, ...] = ()
    left = events
    while True:
        for halved in (False, True) if parts == 2 and left > 1 else (False,):
            best = min(best, Division(parts, sizes, left, halved), key=lambda way: (way.bits, way.products))
        if not left or parts * len(sizes) >= best.bits:
            return best
        sizes = (*sizes, -(-left // (parts + 1)))
        left -= sizes[-1]


def bundle_bits(parts: Counts, events: int, sizes: tuple[int, ...]) -> Bits:
    """Bits uint8[…, bundles, c] that assign bundles to `parts: int64[…, c]` with a sum of at most `events`; no branch on values.

    If the parts have a larger sum, the circuit refuses the bits, or they encode other parts.
    """
    count = parts.shape[-1]
    left = np.concatenate((parts, events - parts.sum(axis=-1, keepdims=True)), axis=-1)
    bits = np.empty((*parts.shape[:-1], len(sizes), count), np.uint8)
    for i, size in enumerate(sizes):
        goes_to = np.arange(count + 1) == left.argmax(axis=-1)[..., None]
        left -= size * goes_to
        bits[..., i, :] = goes_to[..., :count]
    return bits


def largest_bits(parts: Counts, size: int) -> Bits:
    """Marks the largest of `parts: int64[…, c]` if it has at least `size`: uint8[…, c], all zero if none has."""
    largest = np.arange(parts.shape[-1]) == parts.argmax(axis=-1)[..., None]
    return np.asarray(largest & (parts >= size), np.uint8)
