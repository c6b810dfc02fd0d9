"""The circuit of one cell of a report, i.e. of one join key in one pane, over a few bits.

Every entry of the encoded measurement is a bit. Over these bits, a cell has linear forms (including its slots), pairs of
forms whose product must be zero, and forms that must be zero. Bits that satisfy them exist exactly for the slots that a
client may send. All values are integers far below p, so zero mod p means zero.

E is `max_events_per_cell`; [a..b], bounds, units and divisions are those of `relations`. The right column says which values
are written.

    activity e    a bit; or from a feature; or the constant 1                    e = 1 if any slot is not zero
    count N       with null cells    N = Σ cells, divided under E·e
                  with a Count       N = e + n', n' in [0..E-1], n'·(1 - e) = 0  n' = N - e
                  otherwise          N = E·e, which only bounds the others
    ClientCount   e
    Histogram     cells, Σ = N with null cells, otherwise divided under N
    Rate          true and false, divided under N
    Mean          z a bit, 1 if one event has a value of its own; h and g events at the ends of the clip range
                  m = z + h + g <= N, Σq = q_max·h + r
      any first   r in [0..q_max], r·(1 - z) = 0                                 z = 1 if m > 0, h = ⌈Σq/q_max⌉ - 1, or 0
                  (h, g) divided under (E-1)·z, z <= e; where N is a form        r = Σq - q_max·h, g = m - z - h
                  h, g in [0..E-1], m bounded by N
      remainder   r = z + t, t in [0..q_max-2], t·(1 - z) = 0                    z = 1 if r > 0, h = ⌊Σq/q_max⌋
                  h, g in [0..E], m within E·e or bounded by N                   t = r - z, g = m - z - h

So Σq <= q_max·(h + z) <= m·q_max, without a second number as wide as Σq for the difference. If Σq <= m·q_max, the written
values are in range: if m > 0, ⌈Σq/q_max⌉ <= m; and if r > 0, ⌊Σq/q_max⌋ <= m - 1. The shorter of the two forms of a Mean is
used. A Mean of one step (q_max = 1) is ones and zeros, divided like a Rate.

If no form needs e (all keys fit into `max_cells`, and there is no ClientCount), it is 1. Otherwise a feature may give the
activity in place of a bit of its own. Every such circuit is tried, and the shortest is used:

    slack         e is the unit (`unit_of`) of the sum of a feature's parts, or of a Mean's z, h and g
    first event   each part has a bit, and one of the bits is set if any part is not zero. e is the sum of the bits, and the
                  other events are divided under (E-1)·e. For a Mean in the form "any first", e = z

A Histogram with null cells counts all events. Beside a Count, any other feature counts all events too, if its nulls are one
more part. (A Mean then has a first event, which is a null only if all events are, and nulls among the other events.) N is
then the sum of all parts, which takes no bit. A feature has a first event exactly if the cell is active only if it counts
all events, or is the only feature. Beside a feature with null cells, no other feature gives the activity. A ClientCount is a
slot, so with a ClientCount e must be a form that is 0 or 1, which excludes "slack". Where events are counted, e must be 1
only if there is an event, which excludes a bit of its own beside null cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, assert_never

import numpy as np

from crypto.ntt_forms import Form
from featurestore.define.encoding import EachClient, EachEvent, Encoding, OffsetSum, OneHot, TrueOrFalse
from featurestore.define.layout import Layout

from .division import shortest_division
from .forms import ONE, Bits, Counts, added, minus, scaled, value_of
from .relations import Read, Relations, Unit, Write, any_slot

ActivitySource: TypeAlias = tuple[int, Literal["slack", "first event"]]
"""The first slot of the feature that gives the activity, and the way in which it does."""


@dataclass(frozen=True, eq=False)
class CellCircuit:
    """The circuit of one cell; forms are over its own bits.

    Attributes:
        bits: the number of bits.
        slots: the raw slots, in the layout's order; no constants.
        activity: 0 or 1, and 1 if any slot is not zero; or the constant 1.
        products: pairs of forms; one form of each pair must be zero.
        equalities: forms that must be zero.
        writers: functions that write the bits, in this order.
    """

    bits: int
    slots: tuple[Form, ...]
    activity: Unit
    products: tuple[tuple[Form, Form], ...]
    equalities: tuple[Form, ...]
    writers: tuple[Write, ...]

    def encode(self, slots: Counts) -> Bits:
        """Bits uint8[R, K, bits] of the slots int64[R, K, S] of K cells. No branch and no address depends on a slot.

        For slots that no client may send, the circuit refuses the bits, or they encode other slots.
        """
        bits = np.zeros((*slots.shape[:2], self.bits), np.uint8)
        for write in self.writers:
            write(slots, bits)
        return bits


@lru_cache(maxsize=64)
def cell_circuit(layout: Layout) -> CellCircuit:
    """The circuit of every cell of a layout: the first of `cell_circuits` with the fewest bits, and then products."""
    return min(cell_circuits(layout), key=lambda cell: (cell.bits, len(cell.products)))


def cell_circuits(layout: Layout) -> list[CellCircuit]:
    """The possible circuits of a cell: one for each source of the activity."""
    features = collected(layout)
    needed = has_clients(features) or layout.keys > layout.view.bounds.max_cells
    events = layout.view.bounds.max_events_per_cell
    sources = _activity_sources(features) if needed else (None,)
    return [_CellBuilder(features, events, needed, source).circuit() for source in sources]


def _activity_sources(features: dict[int, Encoding]) -> Iterator[ActivitySource | None]:
    """The possible sources of the activity; None is a bit of its own. The module's text has the rules."""
    counted, clients = count_of(features) is not None, has_clients(features)
    others = {first: feature for first, feature in features.items() if not isinstance(feature, EachEvent | EachClient)}
    all_events = {first: feature for first, feature in others.items() if counts_all(feature)}
    if not (clients and all_events):
        yield None
    for first, feature in (all_events or others).items():
        if not clients:
            yield first, "slack"
        if counted or counts_all(feature) or (len(others) == 1 and not clients):
            yield first, "first event"


class _CellBuilder:
    """The circuit of a cell while it is built: relations, and the slots by their place."""

    def __init__(self, features: dict[int, Encoding], events: int, needed: bool, source: ActivitySource | None) -> None:
        self._events = events
        self._relations = Relations()
        self._slots: dict[int, Form] = {}
        self._activity = self._build(dict(features), needed, source)

    def circuit(self) -> CellCircuit:
        """The finished circuit."""
        made = self._relations
        slots = tuple(self._slots[i] for i in range(len(self._slots)))
        return CellCircuit(
            made.bits, slots, self._activity, tuple(made.products), tuple(made.equalities), tuple(made.writers)
        )

    def _build(self, features: dict[int, Encoding], needed: bool, source: ActivitySource | None) -> Unit:
        """Add all features; returns the activity."""
        if source is not None:
            first, by = source
            e, bound = self._add_source(first, features.pop(first), by, count_of(features))
        else:
            e = Unit(self._relations.number(1, any_slot) if needed else ONE)
            bound = self._bound(features, e)
        for first, feature in features.items():
            match feature:
                case EachEvent():
                    self._slots[first] = _form_of(bound)
                case EachClient():
                    self._slots[first] = e.form
                case OneHot(nulls=True):
                    self._add_all_events(first, feature, bound)
                case OneHot() | TrueOrFalse() | OffsetSum():
                    self._add(first, feature, bound)
                case _:
                    assert_never(feature)
        return e

    def _bound(self, features: dict[int, Encoding], e: Unit) -> Form | Unit:
        """N: a form, or a unit with N = E·unit. If N is the sum of a feature's slots, that feature is removed from `features`."""
        all_events = [first for first, feature in features.items() if counts_all(feature)]
        if all_events:
            self._add(all_events[0], features.pop(all_events[0]), e)
            return self._all_events(added(*self._slots.values()))
        count = count_of(features)
        return e if count is None else self._count(count, e)

    def _count(self, first: int, e: Unit) -> Form | Unit:
        """N of a view with a Count."""
        if e.form.terms:
            further = self._relations.number(
                self._events - 1, lambda slots, bits: slots[..., first] - e.read(slots, bits)
            )
            self._relations.multiply(further, e.missing)
            return self._all_events(added(e.form, further))
        return self._all_events(self._relations.number(self._events, lambda slots, _: slots[..., first]))

    def _all_events(self, count: Form) -> Form | Unit:
        """N as a form; with one event a cell, as a unit."""
        return Unit(count) if self._events == 1 else count

    def _add(self, first: int, feature: Encoding, bound: Form | Unit) -> None:
        """Add a feature whose events are at most N."""
        if _has_steps(feature):
            self._add_mean(first, feature, bound)
            return
        read, count = parts_of(first, feature)
        if isinstance(bound, Unit):
            parts = self._relations.divided(shortest_division(self._events, count), bound, read)
        else:
            parts = self._relations.numbers(count, self._events, read)
            self._relations.bounded(added(*parts), self._events, bound)
        self._place(first, feature, parts)

    def _add_all_events(self, first: int, feature: OneHot, bound: Form | Unit) -> None:
        """Add a feature whose events are exactly N."""
        read, count = parts_of(first, feature)
        parts = self._relations.numbers(count, self._events, read)
        self._relations.equalities.append(minus(added(*parts), _form_of(bound)))
        self._place(first, feature, parts)

    def _add_source(self, first: int, feature: Encoding, by: str, count: int | None) -> tuple[Unit, Form | Unit]:
        """Add a feature that gives the activity; beside a Count its nulls are one more part. Returns e and N."""
        with_nulls = None if counts_all(feature) else count
        add = self._add_source_mean if _has_steps(feature) else self._add_source_parts
        e, total = add(first, feature, by, with_nulls)
        return e, self._all_events(total) if counts_all(feature) or count is not None else e

    def _add_source_parts(self, first: int, feature: Encoding, by: str, count: int | None) -> tuple[Unit, Form]:
        """The same for parts, with their nulls if a Count is given. Returns e and the sum."""
        read, own = parts_of(first, feature)
        every = own
        if count is not None:
            read, every = _and_nulls(read, count), own + 1
        if by == "slack":
            parts = self._relations.numbers(every, self._events, read)
            e = self._relations.unit_of(added(*parts), self._events)
        else:
            of_first, e = self._relations.first_event(every, read)
            further = self._relations.divided(
                shortest_division(self._events - 1, every),
                e,
                lambda slots, bits: read(slots, bits) - np.stack([value_of(form, bits) for form in of_first], axis=-1),
            )
            parts = [added(*forms) for forms in zip(of_first, further, strict=True)]
        self._place(first, feature, parts[:own])
        return e, added(*parts)

    def _add_source_mean(self, first: int, feature: Encoding, by: str, count: int | None) -> tuple[Unit, Form]:
        """The same for a Mean."""
        if by == "slack":
            total = self._add_mean_of_remainder(first, feature)
            if count is not None:
                nulls = self._relations.number(self._events, lambda slots, _: slots[..., count] - slots[..., first + 1])
                total = added(total, nulls)
            return self._relations.unit_of(total, self._events), total
        if count is None:
            e = self._add_mean_of_any_first(first, feature, Unit(ONE))
            return e, self._slots[first + 1]
        return self._add_mean_and_nulls_of_any_first(first, feature, count)

    def _add_mean(self, first: int, feature: Encoding, bound: Form | Unit) -> None:
        """Add a Mean in the shorter of its two forms."""
        q_max, most = _q_max(feature), self._events - 1
        unit = isinstance(bound, Unit)
        ends = shortest_division(most, 2).bits if unit else 2 * most.bit_length() + self._events.bit_length()
        if q_max.bit_length() + ends <= (q_max - 2).bit_length() + 3 * self._events.bit_length():
            self._add_mean_of_any_first(first, feature, bound)
            return
        non_null = self._add_mean_of_remainder(first, feature)
        if isinstance(bound, Unit):
            self._relations.within(non_null, self._events, bound)
        else:
            self._relations.bounded(non_null, self._events, bound)

    def _add_mean_of_any_first(self, first: int, feature: Encoding, bound: Form | Unit) -> Unit:
        """Add a Mean in the form "any first" of the module's text; returns its z."""
        relations, most = self._relations, self._events - 1
        z = relations.number(1, lambda slots, _: np.minimum(slots[..., first + 1], 1))
        ends = _ends(first, _q_max(feature), z)
        if isinstance(bound, Unit):
            h, g = relations.divided(shortest_division(most, 2), Unit(z), ends)
            relations.multiply(z, bound.missing)
        else:
            h, g = relations.numbers(2, most, ends)
            relations.bounded(added(z, h, g), self._events, bound)
        self._place_steps(first, feature, z, h, g)
        return Unit(z)

    def _add_mean_and_nulls_of_any_first(self, first: int, feature: Encoding, count: int) -> tuple[Unit, Form]:
        """Add a Mean in the form "any first" with its nulls, so that all events are counted; returns e and N."""

        def first_event(slots: Counts, _: Bits) -> Counts:
            non_null = slots[..., first + 1]
            return np.stack((non_null, slots[..., count] * (non_null == 0)), axis=-1)

        (z, null), e = self._relations.first_event(2, first_event)
        ends = _ends(first, _q_max(feature), z)

        def others(slots: Counts, bits: Bits) -> Counts:
            further = slots[..., count] - slots[..., first + 1] - value_of(null, bits)
            return np.concatenate((ends(slots, bits), further[..., None]), axis=-1)

        h, g, nulls = self._relations.divided(shortest_division(self._events - 1, 3), e, others)
        self._place_steps(first, feature, z, h, g)
        return e, added(z, null, h, g, nulls)

    def _place_steps(self, first: int, feature: Encoding, z: Form, h: Form, g: Form) -> None:
        """Set the slots of a Mean in the form "any first", and add its r."""
        q_max = _q_max(feature)
        r = self._relations.number(q_max, lambda slots, bits: slots[..., first] - q_max * value_of(h, bits))
        self._relations.multiply(r, minus(ONE, z))
        self._slots |= {first: added(scaled(h, q_max), r), first + 1: added(z, h, g)}

    def _add_mean_of_remainder(self, first: int, feature: Encoding) -> Form:
        """Add a Mean in the form "remainder" of the module's text; returns its m, which the caller must bound."""
        relations, q_max = self._relations, _q_max(feature)
        h = relations.number(self._events, lambda slots, _: slots[..., first] // q_max)
        z = relations.number(1, lambda slots, _: np.minimum(slots[..., first] % q_max, 1))
        t = relations.number(q_max - 2, lambda slots, bits: slots[..., first] % q_max - value_of(z, bits))
        relations.multiply(t, minus(ONE, z))
        non_null = added(z, h)
        g = relations.number(self._events, lambda slots, bits: slots[..., first + 1] - value_of(non_null, bits))
        non_null = added(non_null, g)
        self._slots |= {first: added(scaled(h, q_max), z, t), first + 1: non_null}
        return non_null

    def _place(self, first: int, feature: Encoding, parts: Sequence[Form]) -> None:
        """Set parts as slots. The slots of a Mean of one step are its ones, and the sum of ones and zeros."""
        if isinstance(feature, OffsetSum):
            parts = [parts[0], added(*parts)]
        self._slots |= {first + i: form for i, form in enumerate(parts)}


def collected(layout: Layout) -> dict[int, Encoding]:
    """The encoding of each feature that has slots of its own, by the first of its slots of a key."""
    names = [slot.feature for slot in layout.slots]
    return {names.index(one.name): one.encoding for one in layout.view.collected}


def count_of(features: dict[int, Encoding]) -> int | None:
    """The slot of the first Count; None if there is none."""
    return next((first for first, feature in features.items() if isinstance(feature, EachEvent)), None)


def has_clients(features: dict[int, Encoding]) -> bool:
    """Whether one of them counts clients."""
    return any(isinstance(feature, EachClient) for feature in features.values())


def counts_all(feature: Encoding) -> bool:
    """Whether its cells count every event, null or not."""
    return isinstance(feature, OneHot) and feature.counts_all


def _has_steps(feature: Encoding) -> bool:
    """Whether one event may add more than 1: a Mean of more than one step."""
    return isinstance(feature, OffsetSum) and feature.q_max > 1


def _q_max(feature: Encoding) -> int:
    return feature.q_max if isinstance(feature, OffsetSum) else 1


def _form_of(bound: Form | Unit) -> Form:
    """N as a form, if events are counted. If it is a unit, E is 1, and the unit's form is N."""
    return bound.form if isinstance(bound, Unit) else bound


def parts_of(first: int, feature: Encoding) -> tuple[Read, int]:
    """The parts over which a feature divides events, and their number: cells; true and false; a Mean's ones and zeros."""
    match feature:
        case OneHot() | TrueOrFalse():
            return lambda slots, _: slots[..., first : first + feature.cells], feature.cells
        case OffsetSum():
            return lambda slots, _: np.stack((slots[..., first], slots[..., first + 1] - slots[..., first]), axis=-1), 2
        case EachEvent() | EachClient():
            raise TypeError(f"{type(feature).__name__} has no parts")
        case _:
            assert_never(feature)


def _and_nulls(read: Read, count: int) -> Read:
    """The parts, and one more: the events of the Count in slot `count` that are in no part."""

    def parts_and_nulls(slots: Counts, bits: Bits) -> Counts:
        parts = read(slots, bits)
        return np.concatenate((parts, slots[..., count, None] - parts.sum(axis=-1, keepdims=True)), axis=-1)

    return parts_and_nulls


def _ends(first: int, q_max: int, z: Form) -> Read:
    """h and g of a Mean in the form "any first"."""

    def ends(slots: Counts, bits: Bits) -> Counts:
        high = np.maximum(slots[..., first] - 1, 0) // q_max
        return np.stack((high, slots[..., first + 1] - value_of(z, bits) - high), axis=-1)

    return ends
