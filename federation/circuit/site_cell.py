"""The circuit of one cell of a site's report, the sum of at most M clients' cells of one join key in one pane.

The relations are those of one client's cell (cell.py), M times as wide, without the relations that hold only for single
clients. All of them are linear, so if they hold for each client, they hold for the sum. E is `max_events_per_cell`; [a..b]
and bounds are those of `relations`.

    activity c    in [0..M], the number of active clients; or the constant 1, if no form needs it
    count N       with null cells    N = Σ cells
                  with a Count       in [0..M·E]
                  otherwise          N = E·c, or M·E if no form needs c; N only bounds the others
                  N <= E·c, or M·E, if events are counted
    ClientCount   c; and c <= N, if events are counted
    Histogram     cells in [0..M·E], Σ <= N; Σ = N with null cells
    Rate          true and false in [0..M·E], Σ <= N
    Mean          m in [0..M·E], m <= N; Σq in [0..q_max·M·E], Σq <= q_max·m

Without a ClientCount, c is written as the smallest number that the events allow, ⌈most events of any feature / E⌉. This is at
most the number of active clients, so if the site's clients keep their bounds, the sum over all keys is at most M·max_cells.
"""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

import numpy as np

from crypto.ntt_forms import Form
from featurestore.define.encoding import EachClient, EachEvent, Encoding, OffsetSum, OneHot, TrueOrFalse
from featurestore.define.layout import Layout

from .cell import CellCircuit, cell_circuit, collected, count_of, counts_all, has_clients, parts_of
from .forms import ONE, Bits, Counts, added, minus, scaled
from .relations import Relations, Unit


def cell_of(layout: Layout, clients: int) -> CellCircuit:
    """The circuit of every cell of a report that is the sum of at most `clients` clients."""
    return cell_circuit(layout) if clients == 1 else site_cell(layout, clients)


@lru_cache(maxsize=64)
def site_cell(layout: Layout, clients: int) -> CellCircuit:
    """The circuit of every cell of a site's report."""
    features, bounds = collected(layout), layout.view.bounds
    needed = has_clients(features) or layout.keys > bounds.max_cells
    return _SiteCellBuilder(features, bounds.max_events_per_cell, clients, needed).circuit()


class _SiteCellBuilder:
    """The circuit of a cell while it is built: relations, and the slots by their place."""

    def __init__(self, features: dict[int, Encoding], events: int, clients: int, needed: bool) -> None:
        self._features, self._events, self._most = features, events, clients * events
        self._relations = Relations()
        self._slots: dict[int, Form] = {}
        active = self._relations.number(clients, self._active) if needed else None
        self._activity = Unit(ONE if active is None else active)
        self._build(active)

    def circuit(self) -> CellCircuit:
        """The finished circuit."""
        made = self._relations
        slots = tuple(self._slots[i] for i in range(len(self._slots)))
        return CellCircuit(
            made.bits, slots, self._activity, tuple(made.products), tuple(made.equalities), tuple(made.writers)
        )

    def _build(self, active: Form | None) -> None:
        counted = self._counted()
        allowed = Form({}, self._most) if active is None else scaled(active, self._events)
        divided = any(counts_all(feature) for feature in self._features.values())
        if counted is not None and (active is not None or divided):  # else it is in [0..M·E] by its range
            self._relations.bounded(counted, self._most, allowed)
        bound = allowed if counted is None else counted
        for first, feature in self._features.items():
            match feature:
                case EachEvent():
                    self._slots[first] = bound
                case EachClient() if active is not None:
                    self._slots[first] = active
                case OneHot(nulls=True) if first in self._slots:
                    pass  # it is N itself
                case _:
                    self._add(first, feature, bound)
        if counted is not None and active is not None and has_clients(self._features):
            self._relations.bounded(active, self._most, counted)

    def _counted(self) -> Form | None:
        """N, if events are counted."""
        every = next((first for first, feature in self._features.items() if counts_all(feature)), None)
        if every is not None:
            return added(*self._parts(every, self._features[every]))
        count = count_of(self._features)
        return None if count is None else self._relations.number(self._most, lambda slots, _: slots[..., count])

    def _parts(self, first: int, feature: Encoding) -> list[Form]:
        """Add the slots of a feature that divides events over them."""
        read, count = parts_of(first, feature)
        parts = self._relations.numbers(count, self._most, read)
        self._slots |= {first + i: form for i, form in enumerate(parts)}
        return parts

    def _add(self, first: int, feature: Encoding, bound: Form) -> None:
        """Add a feature whose events are at most N, or exactly N."""
        if isinstance(feature, OffsetSum):
            total = feature.q_max * self._most
            q = self._relations.number(total, lambda slots, _: slots[..., first])
            m = self._relations.number(self._most, lambda slots, _: slots[..., first + 1])
            self._relations.bounded(q, total, scaled(m, feature.q_max))
            self._slots |= {first: q, first + 1: m}
            parts = [m]
        else:
            parts = self._parts(first, feature)
        if counts_all(feature):
            self._relations.equalities.append(minus(added(*parts), bound))
        elif bound.terms or len(parts) > 1:  # one part alone is within the constant M·E by its range
            self._relations.bounded(added(*parts), self._most, bound)

    def _active(self, slots: Counts, _: Bits) -> Counts:
        """The values of c to write: int64[R, K]."""
        events = []
        for first, feature in self._features.items():
            match feature:
                case EachClient():
                    return np.asarray(slots[..., first], np.int64)
                case EachEvent():
                    events.append(slots[..., first])
                case OffsetSum():
                    events.append(slots[..., first + 1])
                case OneHot() | TrueOrFalse():
                    events.append(slots[..., first : first + feature.cells].sum(axis=-1))
                case _:
                    assert_never(feature)
        return np.asarray(-(-np.max(events, axis=0) // self._events), np.int64)
