"""Which columns of a site's events a view reads, and for what. Follows from the definition alone: no event is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.define.definitions import FeatureView
from featurestore.define.expressions import parse
from featurestore.define.features import Histogram, Mean, Rate


@dataclass(frozen=True)
class ColumnsRead:
    """The columns of the events that one view reads, each list sorted.

    Attributes:
        time: by which it tells an event's day; None: the site's own time column.
        join_keys: by which it splits its counts into cells; none of a constant entity.
        values: whose values its features sum or count.
        where: that its conditions test.
    """

    time: str | None
    join_keys: tuple[str, ...]
    values: tuple[str, ...]
    where: tuple[str, ...]


def columns_read(view: FeatureView) -> ColumnsRead:
    """What a view reads, beside the column that names the client."""
    values = {feature.column for feature in view.features if isinstance(feature, Mean | Histogram)}
    where = {
        column for feature in view.features if isinstance(feature, Rate) for column, _ in parse(feature.where).columns
    }
    return ColumnsRead(view.time, tuple(sorted(set(view.entity.columns))), tuple(sorted(values)), tuple(sorted(where)))
