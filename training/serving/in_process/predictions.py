"""Format predictions as a table and as JSON, with their features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from deployment.printing.output import Output
from deployment.printing.tables import Table
from featurestore.define.decoded import Status

from .opened_model import OpenedModel, Predictions


def print_predicted(served: OpenedModel, given: Mapping[str, Sequence[Any]], predicted: Predictions) -> None:
    """Print a table with a row for each feature of each prediction, with standard error and status."""
    table = Table("prediction", "of", "feature", "value ± se", "status")
    for row in prediction_rows(served, given, predicted):
        who = ", ".join(f"{name}={row['keys'][name]}" for name in row["keys"]) or "–"
        first = (f"{row['prediction']:.4g}{_ends(row)}", who)
        for name, one in row["features"].items():
            table.add_row(*first, name, _cell(one["value"], one["se"]), one["status"])
            first = ("", "")
        table.add_section()
    Output().table(table)


def _ends(row: Mapping[str, Any]) -> str:
    if "interval" not in row:
        return ""
    ends = row["interval"]
    return " (no interval)" if ends is None else f" [{ends['lo']:.4g}, {ends['hi']:.4g}]"


def _cell(value: float | None, se: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" + ("" if se is None else f" ± {se:.3g}")


def prediction_rows(
    served: OpenedModel, given: Mapping[str, Sequence[Any]], predicted: Predictions
) -> list[dict[str, Any]]:
    """Convert predictions to JSON values: join keys, value, and each feature with standard error and status.

    If intervals were asked for, a row has `interval`, which is null where the prediction has none.
    """
    used, rows = predicted.used, list[dict[str, Any]]()
    statuses = [[Status(code).name for code in codes] for codes in used.status.tolist()]
    for i, prediction in enumerate(predicted.values.tolist()):
        shown = [*statuses[i], *["GIVEN"] * (len(used.names) - len(statuses[i]))]
        features = {
            name: {"value": _number(value), "se": _number(se), "status": status}
            for name, value, se, status in zip(
                used.names, used.values[i].tolist(), used.se[i].tolist(), shown, strict=True
            )
        }
        keys = {name: values[i] for name, values in given.items() if name not in served.columns}
        row: dict[str, Any] = {"keys": keys, "prediction": prediction, "features": features}
        if predicted.interval is not None:
            low, high = (float(ends[i]) for ends in predicted.interval)
            row["interval"] = None if math.isnan(low) else {"lo": low, "hi": high}
        rows.append(row)
    return rows


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
