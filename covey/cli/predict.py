"""`covey predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .predict_file import FileScoring, require_no_file_options, require_no_interval
from .release_clock import ReleaseClock
from .store_option import store_directory


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A registered model: NAME@vN, or NAME for its version with the largest share."
        ),
    ],
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="k=v[,k=v]…", help="One k=v (or k=v,k=v) a row: join keys and inputs.")
    ] = None,
    store: Annotated[
        Path,
        typer.Option("--store", metavar="DIR", callback=store_directory, help="The store's directory. Default: here."),
    ] = Path(),
    views: Annotated[
        Path | None, typer.Option("--views", metavar="VIEWS.py", help="The file of the model's on-demand views.")
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="LEVEL", help="The level of an interval of each prediction, such as 0.9 (not with --labels)."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Predict for each row of a .parquet or .csv file with join keys, into --out."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the rows of --labels: a .parquet or .csv file.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The time column: each row of --labels gets the values of its time."),
    ] = None,
    newest: Annotated[
        bool,
        typer.Option("--newest", help="Predict for the rows of --labels from the newest values, instead of --time."),
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column of --labels that --out keeps; may be repeated. Default: all."),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=KEY", help="A column of --labels that holds a join key; may be repeated."),
    ] = None,
    clock: Annotated[
        ReleaseClock | None,
        typer.Option(help="Use only releases of this clock, live or replayed (back-filled) ones. Default: both."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, metavar="N", help="Rows that the model gets at a time.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load a model that may run code, as a registered foreign one does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of rows, or what was written.")] = False,
) -> None:
    """Predict from the newest values of the online store, with the scaling that was exported with the model.

    With --labels, predict for every row of a file, in batches. A model is refused if its views have changed their version or
    definition since the training.
    """
    require_torch()
    if labels is not None:
        require_no_interval(interval)
        scoring = FileScoring(labels, out, time, newest, tuple(keep or ()), tuple(rename or ()), clock, batch, force)
        scoring.run(store, model, views, keys or [], trust=trust, as_json=as_json)
        return
    require_no_file_options(out, time, keep, rename, clock, batch, newest=newest, force=force)
    from deployment.inspect.row_keys import key_columns
    from featurestore.define.views_file import load_declared
    from featurestore.store import Store
    from training.serving.in_process.opened_model import OpenedModel
    from training.serving.in_process.predictions import prediction_rows, print_predicted

    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    with (
        Store.open(store, on_demand=on_demand) as opened,
        OpenedModel.open(opened, model, views, trust=trust) as served,
    ):
        given = key_columns(served.inputs, keys or [])
        predicted = served.predict(given, interval)
    if as_json:
        typer.echo(json.dumps(prediction_rows(served, given, predicted)))
    else:
        print_predicted(served, given, predicted)


def require_torch() -> None:
    """Return if PyTorch, an extra, is installed. Raises UsageError."""
    from importlib.util import find_spec

    from deployment.errors import UsageError

    if find_spec("torch") is None:
        raise UsageError("this needs PyTorch: pip install 'covey[train]'")
