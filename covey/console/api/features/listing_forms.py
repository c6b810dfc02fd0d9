"""What the list of views says. Times are µs since the epoch."""

from __future__ import annotations

from typing import Literal

from covey.console.api.form import Form
from deployment.inspect.freshness import Freshness

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
        elsewhere: the features of its other versions, as `late_7d@v1`.
    """

    name: str
    version: int
    versions: tuple[int, ...]
    elsewhere: tuple[str, ...]
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
