"""The reports that a client may send, defined a second time in plain Python over slots, without bits and fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from featurestore.define.definitions import FeatureView
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds
from tests.strategies import views

Cell = tuple[int, ...]


def collected(view: FeatureView) -> list[ViewFeature]:
    return [feature for feature in view.features if not feature.derive]


def may_be_sent(view: FeatureView, report: Sequence[int]) -> bool:
    """Whether some client's events make this report."""
    width = layout_of(view).slots_per_key
    cells = [tuple(report[at : at + width]) for at in range(0, len(report), width)]
    return all(may_be_cell(view, cell) for cell in cells) and sum(map(any, cells)) <= view.bounds.max_cells


def may_be_cell(view: FeatureView, cell: Cell) -> bool:
    """Whether some number of events, each of which may be null in any feature, makes this cell."""
    return not any(cell) or any(_fits(view, cell, n) for n in _numbers_of_events(view, cell))


def _numbers_of_events(view: FeatureView, cell: Cell) -> set[int]:
    """The numbers of events to try. Without a feature that counts all events, the largest number is enough."""
    slots, most = iter(cell), view.bounds.max_events_per_cell
    numbers = {most}
    for feature in collected(view):
        parts = [next(slots) for _ in range(_width(feature))]
        if isinstance(feature, Count) or (isinstance(feature, Histogram) and feature.nulls):
            numbers &= {sum(parts)}
            numbers |= {sum(parts)} if 1 <= sum(parts) <= most else set()
    return numbers


def _width(feature: ViewFeature) -> int:
    return feature.cells if isinstance(feature, Histogram) else 2 if isinstance(feature, Mean | Rate) else 1


def _fits(view: FeatureView, cell: Cell, events: int) -> bool:
    slots = iter(cell)
    for feature in collected(view):
        match feature:
            case Count():
                fits = next(slots) == events
            case ClientCount():
                fits = next(slots) == 1
            case Mean():
                total, non_null = next(slots), next(slots)
                fits = 0 <= non_null <= events and 0 <= total <= non_null * feature.q_max
            case Rate():
                parts = next(slots), next(slots)
                fits = min(parts) >= 0 and sum(parts) <= events
            case Histogram():
                parts = tuple(next(slots) for _ in range(feature.cells))
                fits = min(parts) >= 0 and (sum(parts) == events if feature.nulls else sum(parts) <= events)
        if not fits:
            return False
    return True


def all_cells(view: FeatureView) -> set[Cell]:
    """Every cell that events can make, event by event."""
    of_one_event = [sum(parts, ()) for parts in product(*map(_outcomes, collected(view)))]
    reached: set[Cell] = {(0,) * layout_of(view).slots_per_key}
    cells = set(reached)
    for _ in range(view.bounds.max_events_per_cell):
        reached = {tuple(a + b for a, b in zip(cell, event, strict=True)) for cell in reached for event in of_one_event}
        cells |= {_one_client(view, cell) for cell in reached}
    return cells


def _outcomes(feature: ViewFeature) -> list[Cell]:
    """What one event can add to the slots of a feature."""
    match feature:
        case Count() | ClientCount():
            return [(1,)]
        case Mean():
            return [(0, 0), *((q, 1) for q in range(feature.q_max + 1))]
        case Rate():
            return [(0, 0), (1, 0), (0, 1)]
        case Histogram():
            cells = [tuple(int(i == cell) for i in range(feature.cells)) for cell in range(feature.cells)]
            return cells if feature.nulls else [(0,) * feature.cells, *cells]


def _one_client(view: FeatureView, cell: Cell) -> Cell:
    clients = {slot.feature for slot in layout_of(view).slots} & {
        feature.name for feature in view.features if isinstance(feature, ClientCount)
    }
    slots = layout_of(view).slots
    return tuple(min(value, 1) if slot.feature in clients else value for value, slot in zip(cell, slots, strict=True))


def random_reports(view: FeatureView, count: int, seed: int) -> npt.NDArray[np.int64]:
    """int64[count, length]: reports that clients may send; the largest and the smallest occur."""
    layout, rng = layout_of(view), np.random.default_rng(seed)
    reports = np.zeros((count, layout.keys, layout.slots_per_key), np.int64)
    for report in reports:
        active = rng.integers(0, min(layout.keys, view.bounds.max_cells) + 1)
        for key in rng.choice(layout.keys, active, replace=False):
            report[key] = _random_cell(view, rng)
    return reports.reshape(count, layout.length)


def _random_cell(view: FeatureView, rng: np.random.Generator) -> list[int]:
    most = view.bounds.max_events_per_cell
    events = int(rng.choice([1, most, rng.integers(1, most + 1)]))
    cell: list[int] = []
    for feature in collected(view):
        non_null = int(rng.choice([0, events, rng.integers(0, events + 1)]))
        match feature:
            case Count():
                cell.append(events)
            case ClientCount():
                cell.append(1)
            case Mean():
                most_of_sum = non_null * feature.q_max
                cell += [int(rng.choice([0, most_of_sum, rng.integers(0, most_of_sum + 1)])), non_null]
            case Rate():
                cell += _divided(non_null, 2, rng)
            case Histogram():
                cell += _divided(events if feature.nulls else non_null, feature.cells, rng)
    return cell


def _divided(events: int, parts: int, rng: np.random.Generator) -> list[int]:
    evenly = rng.multinomial(events, np.full(parts, 1 / parts))
    at_once = np.roll(np.array([events] + [0] * (parts - 1)), rng.integers(parts))
    return (evenly if rng.random() < 0.7 else at_once).tolist()


@st.composite
def wide_views(draw: st.DrawFn) -> FeatureView:
    """Views whose bounds exceed what a few events can fill."""
    drawn, _ = draw(views())
    events = draw(st.one_of(st.integers(1, 9), st.integers(1, 40), st.sampled_from([100, 1_000, 10**6])))
    return replace(drawn, bounds=Bounds(draw(st.integers(1, 4)), events))
