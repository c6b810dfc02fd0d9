"""What did a label at this moment see? The join that `covey join` runs, with a few labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from base.times import utc_text
from covey.console.commands import command
from deployment.inspect.row_keys import typed_value
from featurestore.define.entities import ColumnType
from featurestore.define.keys import arrow_type
from featurestore.define.schema import TIMESTAMP
from featurestore.errors import BadReference
from featurestore.store import Store

from .look_forms import Look, LookRequest, Needed, NeededColumn, NeededRequest, SeenPane, SeenRow, SeenValue

_TIME: Final = "moment"


def needed(store: Store, request: NeededRequest) -> Needed:
    """What a label needs beside its moment. Raises BadReference, UnknownView, UnknownFeature, UnknownFeatureService."""
    refs = _refs(store, request.features, request.service)
    views = {ref.partition(":")[0] for ref in refs}
    inputs = {name for one in store.on_demand.values() if one.name in views for name in one.inputs}
    columns = [
        NeededColumn(name=name, type=kind, is_input=name in inputs) for name, kind in store.key_types(refs).items()
    ]
    return Needed(features=refs, columns=tuple(columns))


def look(directory: Path, store: Store, request: LookRequest) -> Look:
    """What some labels see.

    Raises:
        BadReference: a label lacks a key or an input, or has another one. UnknownView, UnknownVersion, UnknownFeature,
        UnknownFeatureService, OnDemandFailed.
    """
    refs = _refs(store, request.features, request.service)
    types = store.key_types(refs)
    time = _TIME
    while time in types:
        time += "_"
    labels = _labels(request.rows, types, time, request.moment)
    found = store.join(labels, refs, time, full_names=True).read_all().to_pylist()
    panes = {name: _pane(store, name, request.moment) for name in _views(store, refs)}
    rows = [
        SeenRow(keys=dict(given), values=tuple(_value(ref, row, panes.get(ref.partition(":")[0])) for ref in refs))
        for given, row in zip(request.rows, found, strict=True)
    ]
    options = (
        [word for ref in refs for word in ("--feature", ref)]
        if request.service is None
        else ["--service", request.service]
    )
    line = command(
        "covey", "join", "labels.csv", "--time", time, "--store", str(directory), "--full-names", *options,
        "--out", "joined.parquet",
    )  # fmt: skip
    return Look(
        moment=request.moment, rows=tuple(rows), labels=_csv(request.rows, types, time, request.moment), command=line
    )


def _refs(store: Store, features: Sequence[str], service: str | None) -> tuple[str, ...]:
    if service is None:
        return tuple(features)
    if features:
        raise BadReference("a service names all features; leave out the single features")
    return store.service(service).refs


def _views(store: Store, refs: Sequence[str]) -> list[str]:
    """The stored views that references name, as they spell them."""
    return [name for name in dict.fromkeys(ref.partition(":")[0] for ref in refs) if name not in store.on_demand]


def _labels(rows: Sequence[Mapping[str, str]], types: Mapping[str, ColumnType], time: str, moment: int) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for row in rows:
        if set(row) != set(types):
            needs = ", ".join(types) or "none, because the entity is constant"
            raise BadReference(f"a label has the columns {', '.join(row) or 'none'}; these features need: {needs}")
    for name, kind in types.items():
        values = [typed_value(name, row[name], kind) for row in rows]
        try:
            columns[name] = pa.array(values, arrow_type(kind))
        except (pa.ArrowInvalid, OverflowError):
            raise BadReference(f"{name} must be a whole number of 64 bits") from None
    columns[time] = pa.array([moment] * len(rows), pa.int64()).cast(TIMESTAMP)
    return pa.table(columns)


def _pane(store: Store, view: str, moment: int) -> SeenPane | None:
    pane = store.panes.newest_at(view, moment)
    if pane is None:
        return None
    return SeenPane(
        view=view,
        start=pane.pane_start,
        end=pane.pane_end,
        released=pane.released_at,
        state=pane.state,
        reason=pane.reason,
        release=pane.release_id.hex(),
        age=moment - pane.pane_end,
    )


def _value(ref: str, row: Mapping[str, Any], pane: SeenPane | None) -> SeenValue:
    column = ref.replace(":", "__")
    return SeenValue(
        ref=ref,
        value=row[column],
        se=row[f"{column}__se"],
        low=row[f"{column}__lo"],
        high=row[f"{column}__hi"],
        n=row.get(f"{column}__n"),
        status=row[f"{column}__status"],
        pane=pane,
    )


def _csv(rows: Sequence[Mapping[str, str]], names: Mapping[str, ColumnType], time: str, moment: int) -> str:
    """The labels as the file that the command takes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, time])
    writer.writerows([*(row[name] for name in names), utc_text(moment)] for row in rows)
    return text.getvalue()
