"""The columns of a site's events that a view reads, and their use. They follow from the definition alone, without any event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from featurestore.define.definitions import FeatureView
from featurestore.define.encoding import EachClient, EachEvent, OffsetSum, OneHot, TrueOrFalse


@dataclass(frozen=True)
class ColumnsRead:
    """The columns of the events that one view reads, each list sorted.

    Attributes:
        time: the column of an event's time; None: the site's own time column.
        join_keys: the columns that split its counts into cells; empty for a constant entity.
        values: the columns whose values its features sum or count.
        where: the columns that its conditions test.
    """

    time: str | None
    join_keys: tuple[str, ...]
    values: tuple[str, ...]
    where: tuple[str, ...]


def columns_read(view: FeatureView) -> ColumnsRead:
    """The columns that a view reads, without the column that names the client."""
    values: set[str] = set()
    where: set[str] = set()
    for feature in view.pane_features:
        match feature.encoding:
            case OffsetSum(column=column) | OneHot(column=column):
                values.add(column)
            case TrueOrFalse() as condition:
                where |= {column for column, _ in condition.columns}
            case EachEvent() | EachClient():
                pass
            case encoding:
                assert_never(encoding)
    return ColumnsRead(view.time, tuple(sorted(set(view.entity.columns))), tuple(sorted(values)), tuple(sorted(where)))
