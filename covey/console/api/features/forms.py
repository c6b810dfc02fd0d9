"""The requests and answers of this place. Times are µs since the epoch, UTC; the end of a time range is not in it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Query
from pydantic import FailFast, Field

from covey.console.api.form import Body, Form
from deployment.inspect.freshness import Freshness

MAX_MOMENT: Final = 2**53
"""The largest whole number that a page holds exactly: the year 2255 in µs."""
MOST_POINTS: Final = 5_000
MOST_KEYS: Final = 8
"""The most keys that are compared in one chart."""
MOST_CELLS: Final = 250_000
"""The most cells of a heat map."""
MOST_GAPS: Final = 2_000
"""The most gaps in one answer."""
MOST_GAP_PANES: Final = 50_000
"""The most voids and retractions that one answer looks at."""

ViewName: TypeAlias = Annotated[
    str, Path(max_length=200, description="The name of a view, or `view@v<n>` for a pinned version.")
]
Name: TypeAlias = Annotated[str, Query(max_length=200)]
Keys: TypeAlias = Annotated[
    tuple[Annotated[str, Field(max_length=4_000)], ...],
    Query(
        max_length=MOST_KEYS,
        description="Join keys as text; one of several columns is a JSON list, such as [1, true].",
    ),
]
From: TypeAlias = Annotated[int | None, Query(alias="from", ge=-MAX_MOMENT, le=MAX_MOMENT)]
To: TypeAlias = Annotated[int | None, Query(ge=-MAX_MOMENT, le=MAX_MOMENT)]
Cell: TypeAlias = Annotated[int, Query(ge=0, le=2**16, description="The cell of a histogram.")]
KeyKind = Literal["string", "int64", "bool"]
InputKind = Literal["string", "int64", "bool", "float64"]


class FeatureForm(Form):
    """One column that a view serves.

    Attributes:
        feature: of the view; `name` also has the window or the part.
        shape: count: a whole number; ratio: a number with n; list: the cells of a histogram; estimate: a filtered value.
        cells: the label of each cell of a list, else empty.
    """

    name: str
    feature: str
    kind: str
    window: str | None
    shape: Literal["count", "ratio", "list", "estimate"]
    cells: tuple[str, ...]
    description: str


class KeyColumn(Form):
    """A column of the join key."""

    name: str
    type: KeyKind


class ViewForm(Form):
    """A view, as its name serves it.

    Attributes:
        keys: the number of keys in the domain; constant: reads need no key.
        freshness: see `deployment.inspect.freshness`.
        newest_end: the end of the newest pane; due_at: when the next one is due.
    """

    name: str
    version: int
    versions: tuple[int, ...]
    owner: str
    description: str
    tags: dict[str, str]
    entity: tuple[KeyColumn, ...]
    keys: int
    constant: bool
    pane: str
    pane_us: int
    windows: tuple[str, ...]
    ttl_us: int | None
    features: tuple[FeatureForm, ...]
    freshness: Freshness
    first_start: int | None
    newest_end: int | None
    due_at: int | None
    opened: int
    void: int
    missing: int


class OnDemandForm(Form):
    """Features that a read computes from stored features and inputs."""

    name: str
    outputs: tuple[str, ...]
    features: tuple[str, ...]
    inputs: dict[str, InputKind]


class ServiceForm(Form):
    """A named list of references."""

    name: str
    refs: tuple[str, ...]


class FeatureList(Form):
    """All that can be read from the store."""

    now: int
    views: tuple[ViewForm, ...]
    on_demand: tuple[OnDemandForm, ...]
    services: tuple[ServiceForm, ...]


class FoundKeys(Form):
    """Keys whose text begins with what was asked, then those that contain it; `more`: there are others."""

    keys: tuple[str, ...]
    more: bool
    total: int


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


class LookRequest(Body):
    """What did a label at this moment see?

    Attributes:
        features: references, `view:feature`; or a service.
        rows: the join keys and inputs of each label, as text by name.
    """

    features: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=64), FailFast()] = ()
    service: Annotated[str, Field(max_length=64)] | None = None
    rows: Annotated[
        tuple[dict[Annotated[str, Field(max_length=1_000)], Annotated[str, Field(max_length=1_000)]], ...],
        Field(min_length=1, max_length=20),
        FailFast(),
    ]
    moment: Annotated[int, Field(ge=-MAX_MOMENT, le=MAX_MOMENT)]


class NeededRequest(Body):
    """References or a service, of which the needed keys and inputs are asked."""

    features: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=64), FailFast()] = ()
    service: Annotated[str, Field(max_length=64)] | None = None


class NeededColumn(Form):
    """A join key or an input that references need."""

    name: str
    type: InputKind
    is_input: bool


class Needed(Form):
    """What a label needs beside its moment, and the references that it gets."""

    features: tuple[str, ...]
    columns: tuple[NeededColumn, ...]


class SeenPane(Form):
    """The pane whose row a label gets, in its state at the moment of the label; `age`: from the pane's end to the moment."""

    view: str
    start: int
    end: int
    released: int
    state: Literal["opened", "void", "retracted"]
    reason: str | None
    release: str
    age: int


class SeenValue(Form):
    """A value that a label saw. A histogram has several; the error of a computed value is unknown."""

    ref: str
    value: float | list[float] | None
    se: float | None
    low: float | list[float] | None
    high: float | list[float] | None
    n: float | None
    status: str
    pane: SeenPane | None


class SeenRow(Form):
    """What one label saw."""

    keys: dict[str, str]
    values: tuple[SeenValue, ...]


class Look(Form):
    """What the labels saw, the labels as a CSV file, and the command that joins them."""

    moment: int
    rows: tuple[SeenRow, ...]
    labels: str
    command: str


class Usage(Form):
    """How to read the same values elsewhere: commands, and a cell of a notebook."""

    history: str
    get: str | None
    notebook: str
