"""How events are divided over parts: true and false, the cells of a histogram, the lowest and the highest step of a mean.

At most E·unit events, unit being 0 or 1, are divided over c parts, some going to none. As numbers that takes one a part and
one for those that go to none. Two other ways take fewer bits, by products instead. A division starts with some bundles,
maybe none, and goes on with numbers or halves of what is left: the mixture of the fewest bits.

**Bundles.** Of T events a bundle of ⌈T/(c+1)⌉ goes as a whole to one part, or to none: a bit a part, whose sum x is 0 or the
unit, because x·(unit - x) = 0. T less the bundle is left.
*Sound:* the parts get x times the bundle of it, at most unit times. *Complete:* of c + 1 bins (the parts, and what goes to
none) that hold T, the fullest has at least ⌈T/(c+1)⌉, so the bundle fits there, and the rest is the same task with fewer events.
That is c bits for each log2(1 + 1/c) bits of T, against c + 1 for each: fewer for few events, or down to a power of two.

**Halves**, for two parts. Of T events the larger half w = ⌈T/2⌉ goes to one part or to none, as a bundle does, and each
part gets a number l in [0..m] more, m = T - w. If a half went to a part, these are bounded: x·(l_1 + l_2 + s - m) = 0, s in [0..m].
If the unit is 0 there is nothing: (l_1 + l_2)·(1 - unit) = 0.
*Sound:* with x = 1 the parts hold at most w + m, with x = 0 at most 2m <= T. *Complete:* the larger part gives w if it has so
many; the other then has at most T - w = m. If it has fewer, both have at most w - 1 <= m. So the slack is half as wide: one bit
less than numbers.
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
        bundles: their sizes, largest first.
        rest: events that are left.
        halved: whether the rest is divided by halves, else as numbers.
    """

    parts: int
    bundles: tuple[int, ...]
    rest: int
    halved: bool

    @property
    def bits(self) -> int:
        """Bits that it takes."""
        first = self.parts * len(self.bundles)
        if self.halved:
            return first + self.parts + (self.parts + 1) * (self.rest // 2).bit_length()
        return first + (self.parts + 1) * self.rest.bit_length()

    @property
    def products(self) -> int:
        """Products that it takes."""
        return len(self.bundles) + 3 * self.halved


@lru_cache(maxsize=1024)
def shortest_division(events: int, parts: int) -> Division:
    """Of at most `events` >= 0 events, with the fewest bits, and of those with the fewest products."""
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
    """Bits uint8[…, bundles, c] of how bundles go to `parts: int64[…, c]` of at most `events` events. No branch on a value.

    Parts of a larger sum come out as something else: the circuit refuses it, or it stands for other parts.
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
    """The largest of `parts: int64[…, c]` if it has at least `size`: uint8[…, c], all zero where none has."""
    largest = np.arange(parts.shape[-1]) == parts.argmax(axis=-1)[..., None]
    return np.asarray(largest & (parts >= size), np.uint8)
