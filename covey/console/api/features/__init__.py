"""Features: values with their errors over time, by key; what a label saw; files, commands and notebooks with the same values."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from covey.console.console import Console
from covey.console.roles import Reader
from deployment.inspect.row_stream import row_stream

from .chart_forms import HeatMap, SeriesForm
from .charts import Charts, answer
from .keys import KeySearch, place_of
from .listing import feature_list, view_form
from .listing_forms import FeatureList, FoundKeys, ViewForm
from .look import look, needed
from .look_forms import Look, LookRequest, Needed, NeededRequest
from .parameters import MOST_POINTS, Cell, From, Keys, Name, To, ViewName
from .usage import Usage, usage

_MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    routes = APIRouter(prefix="/features", tags=["features"])
    store, directory = console.store, console.directory
    search = KeySearch()
    charts = Charts(store, search)

    @routes.get("", operation_id="listFeatures")
    def list_all() -> FeatureList:
        """Views, on-demand views and services."""
        return feature_list(store, console.clock())

    @routes.post("/needed", operation_id="neededColumns")
    def needed_columns(body: NeededRequest, user: Reader) -> Needed:
        """The join keys and inputs that references need."""
        return needed(store, body)

    @routes.post("/look", operation_id="lookAtMoment")
    def look_at_moment(body: LookRequest, user: Reader) -> Look:
        """What labels at a moment see: the values that were released by then."""
        return look(directory, store, body)

    @routes.get("/{view}", operation_id="readView")
    def read_view(view: ViewName) -> ViewForm:
        """One view, or `view@v<n>`."""
        return view_form(store, view, console.clock())

    @routes.get("/{view}/keys", operation_id="findKeys")
    def find_keys(
        view: ViewName,
        text: Annotated[str, Query(max_length=1_000)] = "",
        most: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> FoundKeys:
        """Keys whose text begins with a text, then those that contain it."""
        definition = store.view(view)
        keys, more = search.find(definition, text, most)
        return FoundKeys(keys=tuple(keys), more=more, total=len(definition.entity.domain))

    @routes.get("/{view}/series", operation_id="readSeries", response_model=SeriesForm)
    def read_series(
        view: ViewName,
        feature: Name,
        key: Keys = (),
        cell: Cell = 0,
        start: From = None,
        to: To = None,
        at_most: Annotated[int, Query(ge=2, le=MOST_POINTS)] = MOST_POINTS,
    ) -> Response:
        """One feature of some keys over time, with 95 % intervals and statuses."""
        return answer(charts.series(view, feature, key, cell, (start, to), at_most))

    @routes.get("/{view}/heat", operation_id="readHeatMap", response_model=HeatMap)
    def read_heat_map(
        view: ViewName,
        feature: Name,
        cell: Cell = 0,
        start: From = None,
        to: To = None,
        first: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        keys: Annotated[int, Query(ge=1, le=500)] = 200,
    ) -> Response:
        """One feature of many keys over time."""
        return answer(charts.heat_map(view, feature, cell, (start, to), first, keys))

    @routes.get("/{view}/usage", operation_id="readUsage")
    def read_usage(
        view: ViewName,
        feature: Name,
        key: Keys = (),
        cell: Cell = 0,
        start: From = None,
        to: To = None,
    ) -> Usage:
        """Commands and Python that read the same values."""
        return usage(directory, store, view, feature, cell, key, (start, to))

    @routes.get("/{view}/export", operation_id="exportRows", response_class=StreamingResponse)
    def export_rows(
        view: ViewName,
        kind: Annotated[Literal["csv", "parquet"], Query(alias="format")] = "csv",
        key: Keys = (),
        start: From = None,
        to: To = None,
    ) -> StreamingResponse:
        """The rows of a view, or of some of its keys, as a file. Texts that a spreadsheet would run are quoted in CSV."""
        definition = store.view(view)
        places = sorted({place_of(definition, text) for text in key})
        schema, parts = store.history_parts(view, (start, to), intervals=True)
        rows = (_of_keys(part, len(definition.entity.domain), places) for part in parts) if places else parts
        name = f"{view.replace('@', '-')}.{kind}"
        stream = row_stream(rows, schema, kind)
        first = next(stream)  # so that a damaged file is a problem; a later one ends the download early
        return StreamingResponse(
            chain([first], stream),
            media_type=_MEDIA[kind],
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    return routes


def _of_keys(rows: pa.Table, keys: int, places: list[int]) -> pa.Table:
    """The rows of some keys. A history has all keys of a pane one after the other, in the domain's order."""
    panes = np.arange(0, rows.num_rows, keys)
    return rows.take(pa.array((panes[:, None] + np.array(places)).reshape(-1)))
