"""`covey predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .store_option import store_directory


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A registered model: NAME, or NAME@vN.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of rows.")] = False,
) -> None:
    """Predict from the newest values of the online store, with the scaling that was exported with the model.

    A model is refused if its views have changed their version or definition since the training.
    """
    require_torch()
    from deployment.inspect.row_keys import key_columns
    from featurestore.define.views_file import load_declared
    from featurestore.store import Store
    from training.fit.predictions import prediction_rows, print_predicted
    from training.fit.served_model import ServedModel

    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    with Store.open(store, on_demand=on_demand) as opened:
        served = ServedModel.open(opened, model, views)
        given = key_columns(served.inputs, keys or [])
        predicted = served.predict(given)
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
