"""results.parquet of a sweep: one row a run, with its number, status, error, swept settings and flattened summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from base.atomic_files import replaced_file

from .config import flattened

_OF_ATTACK = ("effect", "epsilon")


def row_of(number: int, swept: dict[str, str], run: dict[str, Any]) -> dict[str, Any]:
    """Make the row of a run; the row of an attack has its numbers without its curves."""
    row: dict[str, Any] = {"run": number, "status": run["status"], "error": run["error"], "seconds": run["seconds"]}
    row |= {name: _typed(value) for name, value in swept.items()}
    row |= flattened({key: value for key, value in (run["summary"] or {}).items() if value is not None}, "summary.")
    for side, result in (run["attack"] or {}).items():
        plain = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
        row |= flattened(plain | {key: result[key] or {} for key in _OF_ATTACK}, f"attack.{side}.")
    for view in (run.get("lie") or {"views": ()})["views"]:
        counts = {key: value for key, value in view.items() if key != "view" and not isinstance(value, list | dict)}
        row |= flattened(counts, f"lie.{view['view']}.")
    return row


def write_results(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write rows with the columns of all rows. A column with texts and numbers becomes text."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    with replaced_file(path, private=False, durable=False) as file:
        pq.write_table(pa.table(columns), file)


def _typed(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if len(kinds) > 1:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values, pa.string() if not kinds else None)
