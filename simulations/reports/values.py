"""Write the released values of a collection and their true values to one Parquet file, and summarize the errors.

    view, key, pane_end, feature ── value, se, lo, hi, truth, error, status

Each cell of a histogram is a feature, `<feature>[<cell>]`. `truth` is an aggregate of clients without noise: **secret** outside
a simulation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from base.atomic_files import replaced_file
from featurestore.define.definitions import FeatureView
from featurestore.define.values import ServedFeature, served_features
from featurestore.store import Store
from simulations.levels.collect import STORE, TRUTH, Collected

Floats = npt.NDArray[np.float64]

SCHEMA: Final = pa.schema(
    [
        pa.field("view", pa.string()),
        pa.field("key", pa.string()),
        pa.field("pane_end", pa.timestamp("us", "UTC")),
        pa.field("feature", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("se", pa.float64()),
        pa.field("lo", pa.float64()),
        pa.field("hi", pa.float64()),
        pa.field("truth", pa.float64()),
        pa.field("error", pa.float64()),
        pa.field("status", pa.string()),
    ]
)
"""`value`, `se`, `lo`, `hi`, `truth` and `error` are null if there is no such value; `status` says why."""

Errors = dict[str, dict[str, dict[str, float | None]]]
"""{view: {feature: figures}}."""


def write_values(collected: Collected, views: Sequence[FeatureView], path: Path) -> Errors:
    """Write the values of both stores to `path`, and summarize their errors.

    Returns:
        Per view and feature: `rows`, the number of rows, and `values`, the number of rows with a value in both stores. The
        other figures are of those values: `mean_abs_error`; `rmse`; `served_se`, the root mean square of the served standard
        errors; `rmse_over_se`; `coverage`, the share of truths in the served 95 % intervals; `mean_abs_truth`. A figure without
        values is None.

    Raises:
        StoreNotFound, UnknownView: the folder holds no collection of these views.
    """
    errors: Errors = {}
    with (
        replaced_file(path, private=False, durable=False) as file,
        pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer,
    ):
        for view in views:
            errors[view.name] = {}
            for part in _of_view(collected.directory, view):
                writer.write_table(part.table)
                errors[view.name][part.feature] = summary(part.table)
    return errors


def summary(table: pa.Table) -> dict[str, float | None]:
    """Summarize some rows as `write_values` does."""
    both = table.filter(pc.is_valid(table["error"]))
    error, se, low, high, truth = (both[name].to_numpy() for name in ("error", "se", "lo", "hi", "truth"))
    if not len(error):
        return {"rows": table.num_rows, "values": 0} | dict.fromkeys(
            ("mean_abs_error", "rmse", "served_se", "rmse_over_se", "coverage", "mean_abs_truth")
        )
    rmse, served = float(np.sqrt(np.mean(error**2))), float(np.sqrt(np.mean(se**2)))
    return {
        "rows": table.num_rows,
        "values": len(error),
        "mean_abs_error": float(np.abs(error).mean()),
        "rmse": rmse,
        "served_se": served,
        "rmse_over_se": rmse / served if served else None,
        "coverage": float(((low <= truth) & (truth <= high)).mean()) if served else None,
        "mean_abs_truth": float(np.abs(truth).mean()),
    }


@dataclass(frozen=True, eq=False)
class _Part:
    feature: str
    table: pa.Table


def _of_view(directory: Path, view: FeatureView) -> Iterator[_Part]:
    with Store.open(directory / STORE) as store, Store.open(directory / TRUTH) as truth:
        released, exact = store.history(view.name), truth.history(view.name, intervals=False)
    keys = view.entity.keys
    exact = exact.take(_rows_of(exact, released, [*keys, "pane_end"]))  # a row without a true value becomes null
    name = pa.array([view.name] * released.num_rows, pa.string())
    key = _key(released, keys)
    for served in served_features(view):
        status = released[f"{served.name}__status"].cast(pa.string())
        values, truths = _cells(released, served.name, served), _cells(exact, served.name, served)
        low, high = (_cells(released, f"{served.name}__{end}", served) for end in ("lo", "hi"))
        se = released[f"{served.name}__se"].cast(pa.float64())
        for cell, (value, true, *ends) in enumerate(zip(values, truths, low, high, strict=True)):
            feature = f"{served.name}[{cell}]" if served.is_list else served.name
            named = pa.array([feature] * released.num_rows, pa.string())
            columns = [name, key, released["pane_end"], named, value, se, *ends, true, pc.subtract(value, true), status]
            yield _Part(feature, pa.table(columns, schema=SCHEMA))


def _rows_of(table: pa.Table, wanted: pa.Table, by: Sequence[str]) -> pa.Array:
    """Return int64[wanted]: the row of `table` with the same values in `by`; null if there is no such row."""
    here = table.select(by).append_column("row", pa.array(np.arange(table.num_rows)))
    there = wanted.select(by).append_column("at", pa.array(np.arange(wanted.num_rows)))
    found = there.join(here, list(by), join_type="left outer").sort_by("at")
    return found["row"].combine_chunks()


def _key(table: pa.Table, keys: Sequence[str]) -> pa.ChunkedArray | pa.Array:
    """Return the join key of each row as a text; the text of a constant entity is empty."""
    if not keys:
        return pa.array([""] * table.num_rows, pa.string())
    return pc.binary_join_element_wise(*(table[key].cast(pa.string()) for key in keys), ", ")


def _cells(table: pa.Table, name: str, served: ServedFeature) -> list[pa.Array]:
    """Return float64[N] of a column of a feature, or of each of its cells."""
    column = table[name].combine_chunks()
    if not served.is_list:
        return [column.cast(pa.float64())]
    return [pc.list_element(column, cell).cast(pa.float64()) for cell in range(served.width)]
