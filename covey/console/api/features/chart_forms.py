"""What charts show, in columns. Times are µs since the epoch."""

from __future__ import annotations

from typing import Final, Literal

from covey.console.api.form import Form

MOST_CELLS: Final = 250_000
"""The most cells of a heat map."""
MOST_GAPS: Final = 2_000
"""The most gaps in one answer."""
MOST_GAP_PANES: Final = 50_000
"""The most voids and retractions that one answer looks at."""


class KeySeries(Form):
    """The values of one key; null where the status has no value."""

    key: str
    value: list[float | None]
    se: list[float | None]
    low: list[float | None]
    high: list[float | None]
    n: list[float | None] | None
    status: list[int]


class Gap(Form):
    """Panes one after the other that were not opened, or were retracted, for one reason; `release` is of the first."""

    start: int
    end: int
    panes: int
    state: Literal["void", "retracted"]
    reason: str
    release: str


class SeriesForm(Form):
    """One feature of some keys over time, in columns.

    Attributes:
        every: 1: every pane is here; n: every n-th, because there are more panes than were asked for.
        panes: how many panes there are in the time range.
        moments, released: the start of each pane, and when its row was released.
        statuses: the name of each code in `status`.
        gaps: voids and retractions in the time range; `more_gaps`: later ones are left out.
    """

    view: str
    feature: str
    cell: int | None
    pane_us: int
    every: int
    panes: int
    moments: list[int]
    released: list[int]
    releases: list[str]
    keys: list[KeySeries]
    statuses: tuple[str, ...]
    gaps: list[Gap]
    more_gaps: bool


class HeatMap(Form):
    """One feature of many keys: numbers in rows of keys, each with a column for each pane; rounded to 7 digits.

    Attributes:
        first: the place of the first key here in the domain, which has `total` keys.
    """

    view: str
    feature: str
    cell: int | None
    pane_us: int
    every: int
    panes: int
    first: int
    total: int
    keys: list[str]
    moments: list[int]
    value: list[float | None]
    se: list[float | None]
    status: list[int]
    statuses: tuple[str, ...]
