"""Values of the columns of simulated events, chosen so that they reach all cells and clips of a view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edge_client.events import column_types
from featurestore.define.definitions import FeatureView
from featurestore.define.encoding import EachClient, EachEvent, OffsetSum, OneHot, TrueOrFalse
from featurestore.define.expressions import Between, Compare, In, Junction, Like, Node, Not, parse

Floats = npt.NDArray[np.float64]

TRUE_PART: Final = 0.3
OTHER_WORD: Final = "other"
KEY_EFFECT, HOUR_EFFECT = 0.4, 0.4
"""The effect of key and hour on a value, in units of its spread."""


@dataclass(frozen=True)
class GeneratedColumn:
    """A value column.

    Attributes:
        kind: number, text, boolean, or any: then only null matters.
        low, high: the range of numbers that the views distinguish.
        words: the texts that the views compare with, and one other text.
    """

    name: str
    kind: str
    low: float = 0.0
    high: float = 1.0
    words: tuple[str, ...] = ()

    def draw(self, rng: np.random.Generator, effect: Floats, nulls: float) -> pa.Array:
        """Draw one value an event, moved by `effect` (float64[N], in spreads), and skewed to the right like delays."""
        count = len(effect)
        missing = rng.random(count) < nulls
        z = rng.standard_normal(count) + effect
        if self.kind == "text":
            at = rng.integers(0, len(self.words), count)
            return pa.DictionaryArray.from_arrays(pa.array(at, pa.int32(), mask=missing), pa.array(self.words))
        if self.kind == "boolean":
            return pa.array(rng.random(count) < TRUE_PART + 0.1 * effect, mask=missing)
        spread = (self.high - self.low) / 5
        value = self.low + 0.3 * (self.high - self.low) + spread * (z + 0.35 * np.maximum(z, 0) ** 2)
        return pa.array(np.round(value, 2), mask=missing)


def columns_of(views: Sequence[FeatureView]) -> tuple[GeneratedColumn, ...]:
    """Return the value columns that these views read, sorted by name."""
    kinds: dict[str, str] = {}
    for view in views:
        for name, kind in column_types(view).items():
            kinds[name] = kind if kinds.get(name, "any") == "any" else kinds[name]
    return tuple(_column(name, kinds[name], views) for name in sorted(kinds))


def _column(name: str, kind: str, views: Sequence[FeatureView]) -> GeneratedColumn:
    met = list(_met(name, views))
    numbers = sorted({float(value) for value in met if not isinstance(value, str)})
    words = tuple(sorted({value for value in met if isinstance(value, str)} | {OTHER_WORD}))
    if not numbers:
        return GeneratedColumn(name, kind, words=words)
    low, high = numbers[0], numbers[-1]
    return GeneratedColumn(name, kind, low, high if high > low else low + max(1.0, abs(low)), words)


def _met(name: str, views: Sequence[FeatureView]) -> Iterator[float | str]:
    """Yield the values that the features compare a column with."""
    for view in views:
        for feature in view.pane_features:
            match feature.encoding:
                case OffsetSum(column=column, low=low, high=high) if column == name:
                    yield from (low, high)
                case OneHot(column=column, edges=edges) if column == name:
                    yield from edges
                case TrueOrFalse(where=where):
                    yield from _literals(parse(where).root, name)
                case OffsetSum() | OneHot() | EachEvent() | EachClient():
                    pass
                case encoding:
                    assert_never(encoding)


def _literals(node: Node, name: str) -> Iterator[float | str]:
    """Yield the numbers and texts that a predicate compares a column with."""
    match node:
        case Compare(left=column, right=value) if column.name == name:
            found: tuple[object, ...] = (value,)
        case In(column=column, values=values) if column.name == name:
            found = values
        case Between(column=column, low=low, high=high) if column.name == name:
            found = low, high
        case Like(column=column, pattern=pattern) if column.name == name:
            found = (pattern.replace("%", "").replace("_", "x"),)
        case Not(part=part):
            return (yield from _literals(part, name))
        case Junction(left=left, right=right):
            yield from _literals(left, name)
            return (yield from _literals(right, name))
        case _:
            return None
    yield from (value for value in found if isinstance(value, int | float | str) and not isinstance(value, bool))
