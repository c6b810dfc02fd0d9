"""The views and feature services of a store."""

from __future__ import annotations

from typing import Any

from base.times import utc_text
from featurestore.define.definitions import FeatureView
from featurestore.define.services import FeatureService
from featurestore.online.view_rows import ViewHeader

from .output import Output
from .tables import Cell, Table


def view_to_json(view: FeatureView, header: ViewHeader) -> dict[str, Any]:
    """A served view as JSON: join keys, panes, columns, and the age of its rows."""
    return {
        "name": view.name,
        "version": header.version,
        "join_keys": dict(zip(header.keys, header.key_types, strict=True)),
        "keys": header.size,
        "constant": header.constant is not None,
        "pane": view.pane,
        "windows": list(view.windows),
        "features": [column.name for column in header.columns if column.kind in ("value", "list")],
        "columns": [column.name for column in header.columns],
        "pane_end": _moment(header.pane_end),
        "released_at": _moment(header.released_at),
    }


def print_views(headers: list[tuple[FeatureView, ViewHeader]], services: list[FeatureService], out: Output) -> None:
    """Print a table of views, and a table of feature services if there are any. CSV has the views."""
    shown = Table("view", "join keys", "pane", "windows", "features", "newest pane ends")
    for view, header in headers:
        keys = "none (constant)" if header.constant is not None else f"{', '.join(header.keys)} ({header.size:,})"
        features = " ".join(column.name for column in header.columns if column.kind in ("value", "list"))
        newest = _moment(header.pane_end)
        shown.add_row(
            f"{view.name}@v{header.version}",
            Cell(keys, [] if header.constant is not None else list(header.keys)),
            view.pane,
            " ".join(view.windows),
            features,
            Cell(newest or "no release yet", newest),
        )
    out.table(shown)
    if services:
        table = Table("feature service", "features")
        for one in services:
            table.add_row(one.name, " ".join(one.refs))
        out.table(table, aside=True)


def _moment(us: int | None) -> str | None:
    return None if us is None else utc_text(us)
