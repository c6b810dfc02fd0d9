"""`covey get`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer

from .read_options import ServiceOption, StoreOption, ViewsOption, opened_store, references
from .table_options import CsvOption, PlainOption, output_of


def get(
    store: StoreOption,
    refs_and_keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="REF… k=v[,k=v]…", help="Features as view:feature, then one k=v (or k=v,k=v) a row."),
    ] = None,
    service: ServiceOption = None,
    views: ViewsOption = None,
    clamp: Annotated[bool, typer.Option("--clamp", help="Limit counts to 0 or above, and rates to [0, 1].")] = False,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of rows.")] = False,
) -> None:
    """Read the latest values with standard errors and 95 % intervals: covey get dest_delay:arr_delay_mean dest=JFK dest=LAX.

    `__status` says whether a value is usable:

    \b
    OK               the value is there
    ROUGH_SE         the value is there, its standard error is rough: n < 20·se(n); use the interval
    STALE_BUDGET     the last value: a later day had no budget left
    VOID             no value: the pane was not opened, or was retracted
    LOW_COVERAGE     no value: too few panes of the window were opened
    DROWNED          no value, only n: n < max(1, 3·se(n))
    SUPPRESSED       no value: the noised ClientCount is below suppress_below
    OUTSIDE_MAX_AGE  no value: the row is older than the view's ttl
    NOT_FOUND        no value: no such key, or no row yet
    UNDEFINED        no value: the function of an on-demand view returned none
    """
    from deployment.inspect.row_keys import key_columns
    from deployment.printing.rows import print_rows

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    words = refs_and_keys or []
    with opened_store(store, views) as opened:
        refs = references(opened, [word for word in words if "=" not in word], service)
        keys = key_columns(opened.key_types(refs), [word for word in words if "=" in word])
        table = opened.get(refs, keys, clamp=clamp)
    if as_json:
        typer.echo(json.dumps(table.to_pylist(), default=_json_value))
    else:
        print_rows(table, out)


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
