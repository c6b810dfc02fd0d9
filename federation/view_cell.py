"""What is proven of one cell of a report, i.e. of one join key in one pane: a circuit over a few bits.

Every entry of the encoded measurement is a bit. Over them a cell has linear forms (its slots among them), pairs of forms
whose product must be zero, and forms that must be zero themselves. With a suitable choice of bits they hold exactly for
the slots that a client may send. All of them are integers far below p, so zero mod p means zero.

E is `max_events_per_cell`; [a..b], bounds and divisions are those of `view_relations`. At the right what is written.

    activity e    a bit; or read off a feature, or the constant 1                e = 1 if any slot is not zero
    count N       with a Count       N = e + n', n' in [0..E-1], n'·(1 - e) = 0  n' = N - e
                  with null cells    N = Σ cells, divided under E·e
                  otherwise          N = E·e: it only bounds the others
    ClientCount   e
    Histogram     cells, Σ = N with null cells, otherwise divided under N
    Rate          true and false, divided under N
    Mean          z a bit; h, g in [0..E-1]; r in [0..q_max], r·(1 - z) = 0      z = 1 if m > 0
                  m = z + h + g, Σq = q_max·h + r                                h = ⌈Σq/q_max⌉ - 1, or 0
                  m <= N; where N = E·e: h + g <= (E-1)·z, z·(1 - e) = 0         r = Σq - q_max·h, g = m - z - h

So Σq <= q_max·(h + z) <= m·q_max, without a second number as wide as Σq for the difference: that keeps the proof within
1½ times that of the bare slots. If m > 0 and Σq <= m·q_max, what is written is in range: h <= m - 1. A Mean of one
step (q_max = 1) is ones and zeros, divided like a Rate. With E = 1 no number is left: N = e, each part a bit, q·(1 - m) = 0.

Where nobody asks for e (all keys fit into `max_cells`, and there is no ClientCount) it is 1. Where one feature tells who is
active, e is read off it and costs no bit: a Mean's z; of parts, x = Σ bits of the cell's first event, with x·(1 - x) = 0,
the other events being divided under (E-1)·x. That feature is the only one, or one with null cells, which counts all events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from crypto.ntt_forms import Form
from featurestore.features import ClientCount, Count, Feature, Histogram, Mean, Rate
from featurestore.layout import Layout

from .view_forms import ONE, Bits, Counts, added, bits_sum, minus, scaled, value_of
from .view_relations import Bound, Read, Relations, Write, divided_bits, first_event_bits


@dataclass(frozen=True, eq=False)
class CellCircuit:
    """The circuit of one cell; forms are over its own bits.

    Attributes:
        bits: how many.
        slots: the raw slots, in the layout's order; no constants.
        activity: 0 or 1, and 1 where any slot is not zero; or the constant 1.
        products: pairs of forms, one of each zero.
        equalities: forms that are zero.
        writers: fill the bits, in this order.
    """

    bits: int
    slots: tuple[Form, ...]
    activity: Form
    products: tuple[tuple[Form, Form], ...]
    equalities: tuple[Form, ...]
    writers: tuple[Write, ...]

    def encode(self, slots: Counts) -> Bits:
        """Bits uint8[R, K, bits] of the slots int64[R, K, S] of K cells. No branch, no address depends on a slot.

        Of slots that no client may send the bits are some that the circuit refuses, or that stand for other slots.
        """
        bits = np.zeros((*slots.shape[:2], self.bits), np.uint8)
        for write in self.writers:
            write(slots, bits)
        return bits


@lru_cache(maxsize=64)
def cell_circuit(layout: Layout) -> CellCircuit:
    """The circuit of every cell of a layout."""
    return _Cell(layout).circuit()


class _Cell:
    """The circuit of a cell while it is put together: relations, and the slots by their place."""

    def __init__(self, layout: Layout) -> None:
        self._events = layout.view.bounds.max_events_per_cell
        self._relations = Relations()
        self._slots: dict[int, Form] = {}
        self._activity = self._build(layout)

    def circuit(self) -> CellCircuit:
        """As it is now."""
        made = self._relations
        slots = tuple(self._slots[i] for i in range(len(self._slots)))
        return CellCircuit(
            made.bits, slots, self._activity, tuple(made.products), tuple(made.equalities), tuple(made.writers)
        )

    def _build(self, layout: Layout) -> Form:
        """All features; returns the activity."""
        features = _collected(layout)
        clients = any(isinstance(feature, ClientCount) for feature in features.values())
        asked = clients or layout.keys > layout.view.bounds.max_cells
        counts = [first for first, feature in features.items() if isinstance(feature, Count)]
        leading = None if counts else _leading(features)
        tells = asked and leading is not None and self._tells_activity(features[leading], clients)
        e = self._relations.number(1, _any_slot) if asked and not tells else ONE
        bound = self._count(counts[0], e, asked) if counts else Bound(scaled(e, self._events), e)
        if leading is not None:
            feature = features.pop(leading)
            if tells:
                e = self._add_telling(leading, feature)
            else:
                self._add(leading, feature, bound)
            if _counts_all(feature):
                total = added(*self._slots.values())
                bound = Bound(total, total if self._events == 1 else None)
        for first, feature in features.items():
            match feature:
                case Count():
                    self._slots[first] = bound.count
                case ClientCount():
                    self._slots[first] = e
                case Histogram(nulls=True):
                    self._add_all_events(first, feature, bound)
                case Histogram() | Mean() | Rate():
                    self._add(first, feature, bound)
        return e

    def _count(self, first: int, e: Form, asked: bool) -> Bound:
        """N of a view with a Count."""
        if asked:
            further = self._relations.number(
                self._events - 1, lambda slots, bits: slots[..., first] - value_of(e, bits)
            )
            self._relations.multiply(further, minus(ONE, e))
            count = added(e, further)
        else:
            count = self._relations.number(self._events, lambda slots, _: slots[..., first])
        return Bound(count, count if self._events == 1 else None)

    def _add(self, first: int, feature: Feature, bound: Bound) -> None:
        """A feature whose events are at most N."""
        if _has_steps(feature):
            self._add_mean(first, feature, bound)
        else:
            read, count = _parts(first, feature)
            self._place(first, feature, self._relations.divided(count, self._events, bound, read))

    def _add_all_events(self, first: int, feature: Histogram, bound: Bound) -> None:
        """A feature whose events are exactly N."""
        read, count = _parts(first, feature)
        parts = self._relations.numbers(count, self._events, read)
        self._relations.equalities.append(minus(added(*parts), bound.count))
        self._place(first, feature, parts)

    def _tells_activity(self, feature: Feature, clients: bool) -> bool:
        """Whether the activity is read off this feature: if it counts all events, or if that takes no more bits.

        Beside a ClientCount it has to count all events: a client may be active though its every value is null.
        """
        if clients or _counts_all(feature):
            return _counts_all(feature)
        if _has_steps(feature):
            return True
        _, count = _parts(0, feature)
        return count + divided_bits(count, self._events - 1) <= 1 + divided_bits(count, self._events)

    def _add_telling(self, first: int, feature: Feature) -> Form:
        """A feature that tells the activity, which is returned."""
        if _has_steps(feature):
            return self._add_mean(first, feature, Bound(scaled(ONE, self._events), ONE))
        read, count = _parts(first, feature)
        at = self._relations.take(count, lambda slots, bits: first_event_bits(read(slots, bits)))
        active = bits_sum(at, count)
        self._relations.multiply(active, minus(ONE, active))
        rest = self._relations.divided(
            count,
            self._events - 1,
            Bound(scaled(active, self._events - 1), active),
            lambda slots, bits: read(slots, bits) - bits[..., at : at + count],
        )
        self._place(first, feature, [added(Form({at + i: 1}), form) for i, form in enumerate(rest)])
        return active

    def _add_mean(self, first: int, feature: Feature, bound: Bound) -> Form:
        """A Mean, as the module's text has it; returns its z."""
        relations, q_max, most = self._relations, _q_max(feature), self._events - 1
        z = relations.number(1, lambda slots, _: np.minimum(slots[..., first + 1], 1))
        h = relations.number(most, lambda slots, _: np.maximum(slots[..., first] - 1, 0) // q_max)
        g = relations.number(most, lambda slots, bits: slots[..., first + 1] - value_of(added(z, h), bits))
        r = relations.number(q_max, lambda slots, bits: slots[..., first] - q_max * value_of(h, bits))
        relations.multiply(r, minus(ONE, z))
        further = added(h, g)
        self._slots |= {first: added(scaled(h, q_max), r), first + 1: added(z, further)}
        if bound.unit is None:
            relations.bounded(added(z, further), self._events, bound.count)
            return z
        if most:
            relations.bounded(further, most, scaled(z, most))
        if bound.unit.terms:
            relations.multiply(z, minus(ONE, bound.unit))
        return z

    def _place(self, first: int, feature: Feature, parts: Sequence[Form]) -> None:
        """Parts as slots: as they are; of a Mean of one step their ones, and all."""
        if isinstance(feature, Mean):
            parts = [parts[0], added(*parts)]
        self._slots |= {first + i: form for i, form in enumerate(parts)}


def _collected(layout: Layout) -> dict[int, Feature]:
    """The features that take slots of a key, by the first of them."""
    names = [slot.feature for slot in layout.slots]
    return {names.index(feature.name): feature for feature in layout.view.features if not feature.derive}


def _leading(features: dict[int, Feature]) -> int | None:
    """The first slot of the feature that comes before the others: one that counts all events, or the only one."""
    others = {first: feature for first, feature in features.items() if not isinstance(feature, ClientCount)}
    for first, feature in others.items():
        if len(others) == 1 or _counts_all(feature):
            return first
    return None


def _counts_all(feature: Feature) -> bool:
    """Whether its cells count every event, null or not."""
    return isinstance(feature, Histogram) and feature.nulls


def _has_steps(feature: Feature) -> bool:
    """Whether its events count for more than one each: a Mean of more than one step."""
    return isinstance(feature, Mean) and feature.q_max > 1


def _q_max(feature: Feature) -> int:
    return feature.q_max if isinstance(feature, Mean) else 1


def _parts(first: int, feature: Feature) -> tuple[Read, int]:
    """The parts that a feature divides events over, and how many: cells; true and false; a Mean's ones and zeros."""
    match feature:
        case Histogram():
            return lambda slots, _: slots[..., first : first + feature.cells], feature.cells
        case Rate():
            return lambda slots, _: slots[..., first : first + 2], 2
        case Mean():
            return lambda slots, _: np.stack((slots[..., first], slots[..., first + 1] - slots[..., first]), axis=-1), 2
        case _:
            raise TypeError(f"{feature.kind} has no parts")


def _any_slot(slots: Counts, _: Bits) -> Counts:
    return np.asarray((slots != 0).any(axis=-1), np.int64)
