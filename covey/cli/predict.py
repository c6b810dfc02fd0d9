"""`covey predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.fit.predict import Predicted, ServedModel


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A registered model: NAME, or NAME@vN.")],
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="k=v[,k=v]…", help="One k=v (or k=v,k=v) a row: join keys and inputs.")
    ] = None,
    store: Annotated[
        Path, typer.Option("--store", metavar="DIR", help="The store's directory. Default: here.")
    ] = Path(),
    views: Annotated[
        Path | None, typer.Option("--views", metavar="VIEWS.py", help="The file of the on-demand views that it reads.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of rows.")] = False,
) -> None:
    """Predict from the newest values of the online store, through the scaling that was exported with the model.

    A model whose views have another version or definition than those that it was trained on is refused.
    """
    from deployment.inspect.row_keys import key_columns
    from featurestore.define.views_file import load_declared
    from featurestore.store import Store
    from training.fit.predict import ServedModel

    require_torch()
    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    with Store.open(store, on_demand=on_demand) as opened:
        served = ServedModel.open(opened, model, views)
        given = key_columns(served.inputs, keys or [])
        predicted = served.predict(given)
    if as_json:
        typer.echo(json.dumps(_rows(served, given, predicted)))
    else:
        print_predicted(served, given, predicted)


def require_torch() -> None:
    """Its library is an extra. Raises UsageError."""
    from importlib.util import find_spec

    from deployment.errors import UsageError

    if find_spec("torch") is None:
        raise UsageError("this needs PyTorch: pip install 'covey[train]'")


def print_predicted(served: ServedModel, given: Mapping[str, Sequence[Any]], predicted: Predicted) -> None:
    """A table: a row for each feature of each prediction, with its standard error and status."""
    from deployment.printing.console import data_console, folding_table

    table = folding_table("prediction", "of", "feature", "value ± se", "status")
    for row in _rows(served, given, predicted):
        who = ", ".join(f"{name}={row['keys'][name]}" for name in row["keys"]) or "–"
        first = (f"{row['prediction']:.4g}", who)
        for name, one in row["features"].items():
            table.add_row(*first, name, _cell(one["value"], one["se"]), one["status"])
            first = ("", "")
        table.add_section()
    data_console().print(table)


def _cell(value: float | None, se: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" + ("" if se is None else f" ± {se:.3g}")


def _rows(served: ServedModel, given: Mapping[str, Sequence[Any]], predicted: Predicted) -> list[dict[str, Any]]:
    import numpy as np

    from featurestore.define.values import Status

    vectors, names = predicted.vectors, served.model.lineage["names"]
    rows: list[dict[str, Any]] = []
    for i, prediction in enumerate(predicted.values.tolist()):
        features: dict[str, Any] = {}
        for j, name in enumerate(names[: vectors.values.shape[1]]):
            value, se = vectors.values[i, j], vectors.se[i, j]
            features[name] = {
                "value": None if np.isnan(value) else float(value),
                "se": None if np.isnan(se) else float(se),
                "status": Status(vectors.status[i, j]).name,
            }
        for j, name in enumerate(served.columns):
            value = predicted.columns[i, j]
            features[name] = {"value": None if np.isnan(value) else float(value), "se": None, "status": "GIVEN"}
        keys = {name: values[i] for name, values in given.items() if name not in served.columns}
        rows.append({"keys": keys, "prediction": prediction, "features": features})
    return rows
