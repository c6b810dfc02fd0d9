"""Plans over the panes of days, and what is expected of a source that is read for them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from edge_client.events import Events
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean
from featurestore.define.privacy import Bounds, Privacy
from federation.plan import PlannedView

DAY = 86_400 * 10**6
FIRST = 15_706 * DAY
"""2013-01-01, µs since the epoch."""


def view(pane: str = "1d", time: str | None = None, column: str = "x") -> FeatureView:
    return FeatureView(
        f"by_{pane}_{time or 't'}",
        entity=Entity("k", domain=["a", "b"]),
        pane=pane,
        features=(Mean(column, clip=(0, 9)),),
        bounds=Bounds(1),
        privacy=Privacy(rho=0.1),
        time=time,
    )


def planned(panes: Iterable[int], of: FeatureView | None = None) -> PlannedView:
    """A view with these panes, counted from the first one of 2013-01-01."""
    of = of or view()
    starts = FIRST + np.array(sorted(panes), np.int64) * of.pane_us
    return PlannedView(of, starts, min_clients=1)


def day(number: int, second: float = 0) -> dt.datetime:
    """A time without a zone: a number of days after 2013-01-01, and seconds."""
    return dt.datetime(2013, 1, 1) + dt.timedelta(number, second)


def us(time: dt.datetime) -> int:
    return (time - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)


def counted(events: Events, of: FeatureView) -> dict[int, int]:
    """The counts of all panes, by their number from 2013-01-01 on."""
    assert events.counted is not None
    panes, counts = events.counted(of)
    assert (np.diff(panes) > 0).all()
    return {(int(pane) - FIRST) // of.pane_us: int(count) for pane, count in zip(panes, counts, strict=True)}


def naive_counts(rows: Sequence[dict[str, Any]], of: FeatureView, time: str = "t") -> dict[int, int]:
    """The same from rows of Python."""
    times = [row[of.time or time] for row in rows if row["c"] is not None and row[of.time or time] is not None]
    return dict(Counter((us(one) - FIRST) // of.pane_us for one in times))


def naive_rows(rows: Sequence[dict[str, Any]], plan: Sequence[PlannedView], time: str = "t") -> list[dict[str, Any]]:
    """The rows with a client that are in a pane of the plan."""

    def is_asked(row: dict[str, Any]) -> bool:
        for one in plan:
            at = row[one.view.time or time]
            if at is not None and us(at) - us(at) % one.view.pane_us in one.pane_starts.tolist():
                return True
        return False

    return [row for row in rows if row["c"] is not None and is_asked(row)]


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    fields = [
        ("c", pa.string()),
        ("t", pa.timestamp("us")),
        ("u", pa.timestamp("us")),
        ("k", pa.string()),
        ("x", pa.float64()),
    ]
    return pa.Table.from_pylist(list(rows), pa.schema(fields))


def row(
    client: str | None,
    time: dt.datetime | None,
    x: float | None = 1.0,
    key: str | None = "a",
    u: dt.datetime | None = None,
) -> dict[str, Any]:
    return {"c": client, "t": time, "u": u, "k": key, "x": x}
