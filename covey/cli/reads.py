"""`covey get`, `covey history` and `covey join`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pyarrow as pa

    from deployment.in_process.run import Progress
    from featurestore.define.entities import ColumnType
    from featurestore.remote.store import RemoteStore
    from featurestore.store import Store

_StoreOption = Annotated[
    str,
    typer.Option(
        "--store", metavar="DIR|URL", help="The store's directory, or the URL of its server: http://…, grpc://…."
    ),
]
_ViewsOption = Annotated[
    Path | None, typer.Option("--views", metavar="VIEWS.py", help="A file whose on-demand views may be asked for, too.")
]
_ServiceOption = Annotated[
    str | None, typer.Option("--service", metavar="NAME", help="Ask for a feature service instead of single features.")
]
_OutOption = Annotated[Path, typer.Option("--out", help="Where to write: a .parquet or .csv file.")]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")]
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]


def get(
    store: _StoreOption,
    refs_and_keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="REF… k=v[,k=v]…", help="Features as view:feature, then one k=v (or k=v,k=v) a row."),
    ] = None,
    service: _ServiceOption = None,
    views: _ViewsOption = None,
    clamp: Annotated[bool, typer.Option("--clamp", help="Hold counts at 0 and rates in [0, 1].")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of rows.")] = False,
) -> None:
    """Read the latest values with their standard errors: covey get dest_delay:arr_delay_mean dest=JFK dest=LAX.

    `__status` says whether a value is usable:

    \b
    OK               the value is there
    ROUGH_SE         it is there, its standard error is rough: n < 20·se(n)
    STALE_BUDGET     the last value: the budget of a later client-day was gone
    VOID             no value: the pane was not opened, or was retracted
    LOW_COVERAGE     no value: too few panes of the window were opened
    DROWNED          no value, only n: n < max(1, 3·se(n))
    SUPPRESSED       no value: the noised ClientCount is below suppress_below
    OUTSIDE_MAX_AGE  no value: the row is older than the view's ttl
    NOT_FOUND        no value: no such key, or no row yet
    UNDEFINED        no value: the function of an on-demand view gave none
    """
    words = refs_and_keys or []
    with _opened(store, views) as opened:
        refs = _asked(opened, [word for word in words if "=" not in word], service)
        keys = _keys(opened, refs, [word for word in words if "=" in word])
        table = opened.get(refs, keys, clamp=clamp)
    if as_json:
        typer.echo(json.dumps(table.to_pylist(), default=_json_value))
    else:
        _print(table)


def history(
    view: Annotated[str, typer.Argument(metavar="VIEW", help="The view's name.")],
    store: _StoreOption,
    out: _OutOption,
    start: Annotated[datetime | None, typer.Option("--from", formats=_DATES, help="First pane start (UTC).")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_DATES, help="Pane starts before this (UTC).")] = None,
    as_json: _JsonOption = False,
) -> None:
    """Write every row of a view: one for each join key and closed pane. `covey get --help` explains each __status."""
    _check_out(out)
    with _opened(store, None) as opened:
        table = opened.history(view, start, end)
    _tell(_write([table], table.schema, out), out, as_json=as_json)


def join(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="A .parquet or .csv file with join keys and times.")],
    time: Annotated[str, typer.Option("--time", help="The labels' time column.")],
    store: _StoreOption,
    out: _OutOption,
    features: Annotated[
        list[str] | None, typer.Option("-f", "--feature", metavar="REF", help="A feature; may be repeated.")
    ] = None,
    service: _ServiceOption = None,
    views: _ViewsOption = None,
    full_names: Annotated[bool, typer.Option("--full-names", help="Name the columns view__feature.")] = False,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            "--memory-limit",
            metavar="SIZE",
            help="Of this process, such as 1GiB; by default what it uses and half of what is available.",
        ),
    ] = None,
    as_json: _JsonOption = False,
) -> None:
    """Point-in-time join: to every label the values that were released at its time, and nothing later.

    `covey get --help` explains each __status; here it is the one of the label's time. Labels and history may be larger
    than the memory limit: what does not fit goes by way of temporary files in TMPDIR.
    """
    from deployment.errors import UsageError
    from featurestore.store import Store

    from .talk import progress_bars, talk_console

    _check_out(out)
    with _opened(store, views) as opened:
        asked = _asked(opened, features or [], service)
        if isinstance(opened, Store):
            reader = opened.join(labels, asked, time, full_names=full_names, memory_limit=memory_limit)
        elif memory_limit is not None:
            raise UsageError("--memory-limit is for a store's directory; a server joins within its own memory")
        else:
            reader = opened.join(labels, asked, time, full_names=full_names)
        if as_json:
            rows = _write(reader, reader.schema, out)
        else:
            with progress_bars(talk_console()) as progress:
                rows = _write(_counted(reader, _stored_rows(labels), progress), reader.schema, out)
    _tell(rows, out, as_json=as_json)


def _opened(store: str, views: Path | None) -> Store | RemoteStore:
    """A store by its directory or URL, with the on-demand views of a file."""
    from deployment.errors import UsageError
    from featurestore.define.views_file import load_declared
    from featurestore.store import Store

    if views is not None and "://" in store:
        raise UsageError("--views is for a store's directory; a server has its own (`covey serve --views`)")
    return Store.open(store, on_demand=() if views is None else load_declared(views, need_views=False).on_demand)


def _asked(store: Store | RemoteStore, refs: list[str], service: str | None) -> list[str]:
    """The references that are asked for, by themselves or by the name of a service."""
    from deployment.errors import UsageError

    if service is None:
        return refs
    if refs:
        raise UsageError("--service names all features; leave the single ones out")
    return list(store.service(service).refs)


def _keys(store: Store | RemoteStore, refs: list[str], words: list[str]) -> dict[str, list[Any]]:
    """Columns of join keys from `k=v[,k=v]` words, typed as the views' entities say."""
    return key_columns(store.key_types(refs), words)


def key_columns(types: Mapping[str, ColumnType], words: list[str]) -> dict[str, list[Any]]:
    """Columns from `k=v[,k=v]` words, one word a row."""
    from featurestore.errors import BadReference

    if not types and words:
        raise BadReference("these features have a constant entity: they need no key")
    cut = re.compile(",(?=(?:" + "|".join(map(re.escape, types)) + ")=)")
    columns: dict[str, list[Any]] = {name: [] for name in types}
    for word in words:
        parts = dict(part.partition("=")[::2] for part in cut.split(word))
        if set(parts) != set(types):
            raise BadReference(f"{word!r} must give {', '.join(types)}, as {','.join(f'{name}=…' for name in types)}")
        for name, text in parts.items():
            columns[name].append(_typed(name, text, types[name]))
    if types and not words:
        raise BadReference(f"which rows? add {','.join(f'{name}=…' for name in types)} for each")
    return columns


def _typed(name: str, text: str, kind: str) -> str | int | float | bool:
    from featurestore.errors import BadReference

    if kind == "int64":
        try:
            return int(text)
        except ValueError:
            raise BadReference(f"{name} is a whole number, got {text!r}") from None
    if kind == "float64":
        try:
            return float(text)
        except ValueError:
            raise BadReference(f"{name} is a number, got {text!r}") from None
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise BadReference(f"{name} is true or false, got {text!r}")
        return text.lower() == "true"
    return text


def _print(table: pa.Table) -> None:
    """A table for people: each feature with its standard error in one cell, its n and, if it is not OK, its status."""
    from .talk import data_console, folding_table

    companions = [name for name in table.column_names if name.endswith(("__se", "__n", "__status"))]
    names = [name for name in table.column_names if name not in companions]
    shown = folding_table(*names)
    for row in table.to_pylist():
        shown.add_row(*(_feature_cell(row, name) if f"{name}__status" in row else _cell(row[name]) for name in names))
    data_console().print(shown)


def _feature_cell(row: dict[str, Any], name: str) -> str:
    value, se, n, status = (row.get(column) for column in (name, f"{name}__se", f"{name}__n", f"{name}__status"))
    count = "" if n is None else f"  (n = {n:,})"
    if value is None:
        return f"– {status}{count}"
    return f"{_cell(value)} ± {_cell(se)}{count}" + ("" if status == "OK" else f"  {status}")


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.4g}"
        case list():
            return " ".join(map(str, value))
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
    return str(value)


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _stored_rows(labels: Path) -> int:
    """How many rows a Parquet file says it has; 0 of others."""
    import pyarrow.parquet as pq

    return pq.read_metadata(labels).num_rows if labels.suffix.lower() == ".parquet" else 0


def _counted(batches: Iterable[pa.RecordBatch], total: int, progress: Progress) -> Iterator[pa.RecordBatch]:
    """The batches, told to a bar once they are written; where the total is not known, it is what there was so far."""
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        progress("labels", "join", done, max(total, done))


def _tell(rows: int, out: Path, *, as_json: bool) -> None:
    """Say what was written: on stderr, or as JSON on stdout."""
    from .talk import talk_console

    if as_json:
        typer.echo(json.dumps({"rows": rows, "path": str(out)}))
    else:
        talk_console().print(f"{rows:,} rows written to {out}", soft_wrap=True)


def _check_out(out: Path) -> None:
    """Refuse a file that cannot be written, before anything is read."""
    from deployment.errors import UsageError

    if out.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"--out writes .parquet or .csv, not {out.suffix or out.name!r}")
    if out.is_dir():
        raise UsageError(f"--out: {out} is a directory; name a file in it")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out: no directory {out.absolute().parent}")


def _write(batches: Any, schema: pa.Schema, out: Path) -> int:
    """Write tables or record batches to a new file that appears only when it is whole; returns the number of rows."""
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    is_parquet = out.suffix.lower() == ".parquet"
    partial = out.with_name(f".{out.name}.partial")
    rows = 0
    try:
        flat = schema if is_parquet else _flat_schema(schema)
        writer = pq.ParquetWriter(partial, flat) if is_parquet else csv.CSVWriter(partial, flat)
        with writer:
            for batch in batches:
                rows += batch.num_rows
                table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
                # as a table a batch is a row group of its own: nothing waits in memory for a larger one
                writer.write_table(table if flat is schema else _flat(table, flat))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _flat_schema(schema: pa.Schema) -> pa.Schema:
    """CSV has no lists: they become JSON text."""
    import pyarrow as pa

    return pa.schema([pa.field(f.name, pa.string() if pa.types.is_nested(f.type) else _plain(f.type)) for f in schema])


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _flat(batch: Any, schema: pa.Schema) -> Any:
    import pyarrow as pa

    columns = [
        pa.array([None if v is None else json.dumps(v) for v in column.to_pylist()], pa.string())
        if pa.types.is_nested(column.type)
        else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return type(batch).from_arrays(columns, schema=schema)
