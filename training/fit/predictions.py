"""Format predictions as a table and as JSON, with their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deployment.printing.output import Output
from deployment.printing.tables import Table
from featurestore.define.decoded import Status

from .served_model import Predictions, ServedModel


def print_predicted(served: ServedModel, given: Mapping[str, Sequence[Any]], predicted: Predictions) -> None:
    """Print a table with a row for each feature of each prediction, with standard error and status."""
    table = Table("prediction", "of", "feature", "value ± se", "status")
    for row in prediction_rows(served, given, predicted):
        who = ", ".join(f"{name}={row['keys'][name]}" for name in row["keys"]) or "–"
        first = (f"{row['prediction']:.4g}", who)
        for name, one in row["features"].items():
            table.add_row(*first, name, _cell(one["value"], one["se"]), one["status"])
            first = ("", "")
        table.add_section()
    Output().table(table)


def _cell(value: float | None, se: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" + ("" if se is None else f" ± {se:.3g}")


def prediction_rows(
    served: ServedModel, given: Mapping[str, Sequence[Any]], predicted: Predictions
) -> list[dict[str, Any]]:
    """Convert predictions to JSON values: join keys, value, and each feature with standard error and status."""
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
