"""The requests and answers of a look at a moment. Times are µs since the epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from covey.console.api.form import Body, Form

from .listing_forms import InputKind
from .parameters import MAX_MOMENT


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
