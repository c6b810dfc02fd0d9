"""Relations between numbers of events, as bits and forms: the parts from which the circuit of a cell is built.

Every entry is a bit. [a..b] is an integer in the draft's range encoding (`crypto.flp.encoding`), which is in range
for any bits. A relation adds bits, products and equalities that must be zero, and a rule that writes the bits. It is sound
because every entry is proven to be a bit. It is complete because the written integers are in range if the relation holds:

    number      v in [0..most]                                                  written: v
    bounded     v <= b, b at most `most`:       v + s = b, s in [0..most]       s = b - v
    within      v <= most·unit                  v + s = most·unit               s = most·unit - v
    unit_of     v <= most·unit for a new unit   F = v + s, F·(F - most) = 0     s = most - v, or 0 if no slot is set
    divided     parts of a sum of at most E·unit                                see `division`

**Units.** A unit is 0 or 1, and it is 1 if anything that it bounds is not zero. It is represented by a form that is 0 or
`size`, so that no division is needed: for unit, 1 and v, the relations above use F, `size` and size·v. `unit_of` makes a unit
that takes no bit: F/most, since v <= F, and v = 0 if F = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from crypto.flp.encoding import range_checked_bits, weights
from crypto.ntt_forms import Form

from .division import Division, bundle_bits, largest_bits
from .forms import NOTHING, ONE, Bits, Counts, added, bits_sum, minus, scaled, value_of

Read: TypeAlias = Callable[[Counts, Bits], Counts]
"""Computes numbers to encode, from the slots int64[R, K, S] and the bits uint8[R, K, n] that are written already."""
Write: TypeAlias = Callable[[Counts, Bits], None]


@dataclass(frozen=True)
class Unit:
    """0 or 1: a form that is 0 or `size`."""

    form: Form
    size: int = 1

    def zero_less(self, form: Form) -> Form:
        """size·(unit - form)."""
        return minus(self.form, scaled(form, self.size))

    @property
    def missing(self) -> Form:
        """size·(1 - unit); no terms if the unit is the constant 1."""
        return minus(scaled(ONE, self.size), self.form)

    def read(self, _: Counts, bits: Bits) -> Counts:
        """Its value, as bits are written."""
        return np.asarray(value_of(self.form, bits) != 0, np.int64)


@dataclass
class Relations:
    """A circuit while it is built: its number of bits, the forms that must be zero, and the writers of its bits, in order."""

    bits: int = 0
    products: list[tuple[Form, Form]] = field(default_factory=list)
    equalities: list[Form] = field(default_factory=list)
    writers: list[Write] = field(default_factory=list)

    def take(self, bits: int, read: Callable[[Counts, Bits], Bits]) -> int:
        """Add `bits` bits, which `read` computes: uint8[R, K, …]. Returns the index of the first."""
        first, self.bits = self.bits, self.bits + bits

        def write(slots: Counts, written: Bits) -> None:
            written[..., first : first + bits] = read(slots, written).reshape(*written.shape[:2], bits)

        self.writers.append(write)
        return first

    def multiply(self, left: Form, right: Form) -> None:
        """Require that one of the two is zero."""
        if left.terms and (right.terms or right.constant):
            self.products.append((left, right))

    def number(self, most: int, read: Read) -> Form:
        """A new integer in [0..most]."""
        return self.numbers(1, most, lambda slots, bits: read(slots, bits)[..., None])[0]

    def numbers(self, count: int, most: int, read: Read) -> list[Form]:
        """`count` new integers in [0..most]; `read` computes int64[R, K, count]."""
        if most == 0:
            return [NOTHING] * count
        scale = weights(most)
        first = self.take(count * len(scale), lambda slots, bits: range_checked_bits(read(slots, bits), most))
        return [Form({first + i * len(scale) + j: w for j, w in enumerate(scale)}) for i in range(count)]

    def bounded(self, value: Form, most: int, bound: Form) -> None:
        """Require value <= bound; the bound is at most `most`."""
        slack = self.number(most, lambda _, bits: value_of(minus(bound, value), bits))
        self.equalities.append(minus(added(value, slack), bound))

    def within(self, value: Form, most: int, unit: Unit) -> None:
        """Require value <= most·unit."""
        filled = self._filled(value, most, unit.read)
        self.equalities.append(minus(scaled(filled, unit.size), scaled(unit.form, most)))

    def unit_of(self, value: Form, most: int) -> Unit:
        """A new unit with value <= most·unit; it is 1 if any slot is not zero; `most` > 0."""
        filled = self._filled(value, most, any_slot)
        self.multiply(filled, minus(filled, scaled(ONE, most)))
        return Unit(filled, most)

    def divided(self, division: Division, unit: Unit, read: Read) -> list[Form]:
        """Parts with a sum of at most `unit` times the division's events; `read` computes int64[R, K, parts]."""
        count, sizes = division.parts, division.bundles
        events = sum(sizes) + division.rest
        first = self.take(len(sizes) * count, lambda slots, bits: bundle_bits(read(slots, bits), events, sizes))
        for i in range(len(sizes)):
            self._at_most_one(first + i * count, count, unit)
        bundled = [Form({first + i * count + part: size for i, size in enumerate(sizes)}) for part in range(count)]

        def rest(slots: Counts, bits: Bits) -> Counts:
            return read(slots, bits) - np.stack([value_of(form, bits) for form in bundled], axis=-1)

        if division.halved:
            further = self._halved(count, division.rest, unit, rest)
        else:
            further = self.numbers(count, division.rest, rest)
            if division.rest:
                self.within(added(*further), division.rest, unit)
        return [added(*forms) for forms in zip(bundled, further, strict=True)]

    def first_event(self, count: int, read: Read) -> tuple[list[Form], Unit]:
        """The first event of some parts: a bit for each part; one bit is set if any part is not zero. Their sum is a unit."""
        first = self.take(count, lambda slots, bits: largest_bits(read(slots, bits), 1))
        return [Form({first + part: 1}) for part in range(count)], self._at_most_one(first, count, Unit(ONE))

    def _halved(self, count: int, events: int, unit: Unit, read: Read) -> list[Form]:
        most = events // 2
        half = events - most
        first = self.take(count, lambda slots, bits: largest_bits(read(slots, bits), half))
        taken = self._at_most_one(first, count, unit)
        parts = self.numbers(
            count,
            most,
            lambda slots, bits: read(slots, bits) - half * bits[..., first : first + count].astype(np.int64),
        )
        total = added(*parts)
        slack = self.number(most, lambda slots, bits: taken.read(slots, bits) * (most - value_of(total, bits)))
        self.multiply(taken.form, minus(added(total, slack), scaled(ONE, most)))
        self.multiply(total, unit.missing)
        return [added(Form({first + i: half}), part) for i, part in enumerate(parts)]

    def _at_most_one(self, first: int, count: int, unit: Unit) -> Unit:
        """Require that at most one of `count` bits from `first` on is set, and none if the unit is 0. Returns their sum."""
        filled = bits_sum(first, count)
        self.multiply(filled, unit.zero_less(filled))
        return Unit(filled)

    def _filled(self, value: Form, most: int, unit: Read) -> Form:
        """value + s with s in [0..most]; s is written so that the sum is most·unit."""
        slack = self.number(most, lambda slots, bits: most * unit(slots, bits) - value_of(value, bits))
        return added(value, slack)


def any_slot(slots: Counts, _: Bits) -> Counts:
    """1 if any slot of a cell is not zero: int64[R, K]."""
    return np.asarray((slots != 0).any(axis=-1), np.int64)
