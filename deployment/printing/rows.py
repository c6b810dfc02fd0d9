"""Rows of features as a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

from .output import Output
from .tables import Cell, Table


def print_rows(table: pa.Table, out: Output) -> None:
    """Print a table: each cell has a value, its standard error, its 95 % interval (of one number), its n and, if it is not OK,
    its status.

    CSV has each of them as a column of its own.
    """
    if out.is_csv:
        shown = Table(*table.column_names)
        for row in table.to_pylist():
            shown.add_row(*(Cell(str(value), value) for value in row.values()))
        out.table(shown)
        return
    companions = [name for name in table.column_names if name.endswith(("__se", "__lo", "__hi", "__n", "__status"))]
    names = [name for name in table.column_names if name not in companions]
    shown = Table(*names)
    for row in table.to_pylist():
        shown.add_row(*(_feature_cell(row, name) if f"{name}__status" in row else _cell(row[name]) for name in names))
    out.table(shown)


def _feature_cell(row: dict[str, Any], name: str) -> str:
    value, se, n, status = (row.get(column) for column in (name, f"{name}__se", f"{name}__n", f"{name}__status"))
    count = "" if n is None else f"  (n = {n:,})"
    if value is None:
        return f"– {status}{count}"
    low, high = row[f"{name}__lo"], row[f"{name}__hi"]
    interval = "" if low is None or isinstance(low, list) else f"  [{_cell(low)}, {_cell(high)}]"
    return f"{_cell(value)} ± {_cell(se)}{interval}{count}" + ("" if status == "OK" else f"  {status}")


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.4g}"
        case list():
            return " ".join(map(str, value))
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S" if value.second else "%Y-%m-%d %H:%M")
    return str(value)
