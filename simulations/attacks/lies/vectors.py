"""The report vector of each kind of lie, as elements of Field64.

Every kind except `plausible` makes a vector that no events can make. A lie concerns one join key (`too-many-keys` and
`plausible`: that key and the following keys), and every feature that it applies to. All other values are consistent and as
large as the bounds allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, assert_never

import numpy as np

from crypto.field import Elements
from crypto.field_modulus import P
from featurestore.define.encoding import EachClient, EachEvent, Encoding, OffsetSum, OneHot, TrueOrFalse
from featurestore.define.layout import Layout
from simulations.errors import LieInapplicable

from .kinds import KINDS

HUGE: Final = 2**63
NEGATIVE: Final = -(10**6)
HALF: Final = (P + 1) // 2
NAN: Final = 0x7FF8_0000_0000_0000
WRAPPED: Final = 2**40
"""The value that `wrap-around` adds to one slot and subtracts from the next."""

Cell = list[int]
"""The slots of one join key, integers mod p."""


def vector_of(kind: str, layout: Layout, key: int = 0) -> Elements:
    """Return uint64[slots]: the report of a client that lies about the join key of this index.

    Raises:
        LieInapplicable: the lie does not apply to the view, the kind is unknown, or it is `copied-proof`, which has no vector
            of its own.
    """
    require_applicable(kind, layout)
    bounds, events = layout.view.bounds, layout.view.bounds.max_events_per_cell
    cell, keys = cell_of(layout, events), 1
    match kind:
        case "huge":
            _on_first_slots(layout, cell, lambda value: value + HUGE)
        case "negative":
            _on_first_slots(layout, cell, lambda _: NEGATIVE)
        case "fractional":
            _on_first_slots(layout, cell, lambda _: HALF)
        case "not-a-number":
            _on_first_slots(layout, cell, lambda _: NAN)
        case "count-without-histogram":
            for first, histogram in _histograms(layout):
                cell[first : first + histogram.cells] = [0] * histogram.cells
        case "two-cells":
            for first, _ in _histograms(layout):
                cell[first] += 1
        case "too-many-events":
            cell = cell_of(layout, events + 1)
        case "wrap-around":
            for first, encoding in _encodings(layout):
                if isinstance(encoding, OneHot | TrueOrFalse):
                    cell[first] += WRAPPED
                    cell[first + 1] -= WRAPPED
        case "too-many-keys":
            keys = bounds.max_cells + 1
        case "plausible":
            keys = min(bounds.max_cells, layout.keys)
        case _:
            raise LieInapplicable(layout.view.name, kind, "another client's report: it has no vector of its own")
    vector = np.zeros((layout.keys, layout.slots_per_key), np.uint64)
    for at in range(key, key + keys):
        vector[at % layout.keys] = [value % P for value in cell]
    return vector.reshape(-1)


def require_applicable(kind: str, layout: Layout) -> None:
    """Check that a lie applies to a view. Raises LieInapplicable, which names what the view needs."""
    if kind not in KINDS:
        raise LieInapplicable(layout.view.name, kind, f"to be one of {', '.join(KINDS)}")
    encodings = [encoding for _, encoding in _encodings(layout)]
    all_events = any(histogram.nulls for _, histogram in _histograms(layout))
    needs = {
        "count-without-histogram": (
            "a Count of its own beside a Histogram(…, nulls=True)",
            all_events and any(isinstance(encoding, EachEvent) for encoding in encodings),
        ),
        "two-cells": ("a Histogram", any(_histograms(layout))),
        "too-many-keys": ("more join keys than max_cells", layout.keys > layout.view.bounds.max_cells),
        "too-many-events": (
            "a feature beside ClientCount",
            not all(isinstance(encoding, EachClient) for encoding in encodings),
        ),
        "wrap-around": (
            "a Histogram or a Rate",
            any(isinstance(encoding, OneHot | TrueOrFalse) for encoding in encodings),
        ),
    }
    what, is_there = needs.get(kind, ("", True))
    if not is_there:
        raise LieInapplicable(layout.view.name, kind, what)


def cell_of(layout: Layout, events: int) -> Cell:
    """Return the slots of one key of a client with this number of events, each as large as possible."""
    cell: Cell = []
    for _, encoding in _encodings(layout):
        match encoding:
            case EachEvent():
                cell.append(events)
            case EachClient():
                cell.append(1)
            case OneHot(nulls=nulls):
                last = encoding.cells - 1 - nulls
                cell += [events if part == last else 0 for part in range(encoding.cells)]
            case OffsetSum():
                cell += [events * encoding.q_max, events]
            case TrueOrFalse():
                cell += [events, 0]
            case _:
                assert_never(encoding)
    return cell


def _encodings(layout: Layout) -> list[tuple[int, Encoding]]:
    """Return (first slot of a key, encoding) of each feature with slots of its own."""
    names = [slot.feature for slot in layout.slots]
    return [
        (names.index(feature.name), feature.encoding) for feature in layout.view.pane_features if not feature.derive
    ]


def _histograms(layout: Layout) -> list[tuple[int, OneHot]]:
    return [(first, encoding) for first, encoding in _encodings(layout) if isinstance(encoding, OneHot)]


def _on_first_slots(layout: Layout, cell: Cell, change: Callable[[int], int]) -> None:
    """Change the first slot of every feature."""
    for first, _ in _encodings(layout):
        cell[first] = change(cell[first])
