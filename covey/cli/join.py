"""`covey join`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .read_options import (
    JsonOption,
    OutOption,
    ServiceOption,
    StoreOption,
    ViewsOption,
    opened_store,
    references,
    report_written,
)
from .release_clock import ReleaseClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore.define.entities import ColumnType
    from featurestore.define.release import Clock
    from featurestore.join.labels import Labels


def join(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="A .parquet or .csv file with join keys and times.")],
    time: Annotated[str, typer.Option("--time", help="The labels' time column.")],
    store: StoreOption,
    out: OutOption,
    features: Annotated[
        list[str] | None, typer.Option("-f", "--feature", metavar="REF", help="A feature; may be repeated.")
    ] = None,
    service: ServiceOption = None,
    views: ViewsOption = None,
    full_names: Annotated[bool, typer.Option("--full-names", help="Name the columns view__feature.")] = False,
    intervals: Annotated[
        bool, typer.Option("--intervals/--no-intervals", help="Whether OUT has 95 % intervals, __lo and __hi.")
    ] = True,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            "--memory-limit",
            metavar="SIZE",
            help="The memory of this process, such as 1GiB. Default: the memory in use plus half of what is available.",
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename",
            metavar="COLUMN=NAME",
            help="Give a column of LABELS the name of a join key or of the time; may be repeated.",
        ),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(
            "--constant", metavar="KEY=VALUE", help="A join key that is the same in every row; may be repeated."
        ),
    ] = None,
    clock: Annotated[
        ReleaseClock | None,
        typer.Option(help="Join only releases of this clock, live or replayed (back-filled) ones. Default: both."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Join every label with the values that were released at its time (point-in-time join).

    `covey get --help` explains each __status; here it holds at the label's time. Labels and history may be larger
    than the memory limit: what does not fit goes through temporary files in TMPDIR.
    """
    from deployment.errors import UsageError
    from deployment.inspect.row_file import counted, require_writable, stored_rows, write_rows
    from deployment.printing.console import progress_bars, talk_console
    from featurestore.join.mixed_clocks import mixed_clocks
    from featurestore.store import Store

    require_writable(out, labels)
    kind: Clock | None = clock.value if clock else None
    with opened_store(store, views) as opened:
        refs = references(opened, features or [], service)
        named = rename or constant
        given = _labels(labels, opened.key_types(refs), rename or [], constant or [], time) if named else labels
        if isinstance(opened, Store):
            reader = opened.join(
                given, refs, time, full_names=full_names, intervals=intervals, memory_limit=memory_limit, clock=kind
            )
        elif memory_limit is not None:
            raise UsageError("--memory-limit is for a store's directory; a server joins within its own memory")
        else:
            reader = opened.join(given, refs, time, full_names=full_names, intervals=intervals, clock=kind)
        if kind is None:
            for text in mixed_clocks(opened.clocks(refs)):
                line = f"warning: {text} --clock live or --clock replay joins one kind"
                talk_console().print(line, style="yellow", soft_wrap=True)
        if as_json:
            rows = write_rows(reader, reader.schema, out)
        else:
            with progress_bars(talk_console()) as progress:
                rows = write_rows(counted(reader, stored_rows(labels), progress), reader.schema, out)
    report_written(rows, out, as_json=as_json)


def _labels(
    labels: Path, types: Mapping[str, ColumnType], rename: Sequence[str], constant: Sequence[str], time: str
) -> Labels:
    """The labels of a file, under the names that the join needs."""
    from deployment.inspect.row_keys import constant_keys, renamed_columns
    from featurestore.errors import BadReference
    from featurestore.join.labels import open_labels

    renamed = renamed_columns(rename)
    for column, name in renamed.items():
        if name not in types and name != time:
            needed = ", ".join([*types, time])
            raise BadReference(f"{column}={name}: {name!r} is neither a join key nor the time; needed are: {needed}")
    columns = {name: column for column, name in renamed.items()}
    stored = {columns.get(name, name): kind for name, kind in types.items()}
    return open_labels(labels, stored).named(renamed, constant_keys(types, constant))
