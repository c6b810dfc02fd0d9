"""`covey ledger what-if`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from .store_option import StoreOption
from .table_options import CsvOption, PlainOption, output_of

if TYPE_CHECKING:
    from deployment.inspect.what_if import CostChange

_MOST_DAYS: Final = 3_652

_Value = TypeVar("_Value")

LimitOption = Annotated[
    float | None, typer.Option(metavar="EPSILON", help="Also say for how many days ε stays at most this.")
]


def what_if(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[VIEW]...", help="The views that are collected. Default: all.")
    ] = None,
    store: StoreOption = Path(),
    views: Annotated[
        Path | None,
        typer.Option(metavar="VIEWS.py", help="A Python file that defines the views. Default: the registered views."),
    ] = None,
    rho: Annotated[
        list[str] | None, typer.Option(metavar="VIEW=RHO", help="Another price of a view with Gaussian noise.")
    ] = None,
    epsilon: Annotated[
        list[str] | None, typer.Option(metavar="VIEW=EPSILON", help="Another price of a view with Laplace noise.")
    ] = None,
    pane: Annotated[list[str] | None, typer.Option(metavar="VIEW=PANE", help="Another pane of a view.")] = None,
    days: Annotated[int, typer.Option(min=1, max=_MOST_DAYS, help="For how many days they are collected.")] = 365,
    limit: LimitOption = None,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what views would cost if they were collected every day, and whether each budget pays for it. Nothing is charged."""
    from dataclasses import asdict

    from deployment.errors import UsageError
    from deployment.inspect.budgets_in import budgets_in
    from deployment.inspect.what_if import chosen_views, what_if
    from deployment.printing.what_if import print_what_if
    from deployment.project.project import as_collected_in
    from featurestore.define.views_file import load_views
    from featurestore.store import Store

    require_limit(limit)
    if not store.is_dir():
        raise UsageError(f"there is no directory {store}; --store or --project names an existing one")
    if views is None:
        with Store.open(store) as opened:
            known = tuple(opened.views())
    else:
        known = as_collected_in(store, load_views(views))
    chosen = chosen_views(known, names or [], _changes(rho or [], epsilon or [], pane or []))
    found = what_if(chosen, budgets_in(store), days, limit)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        print_what_if(found, output_of(plain=plain, csv=csv, as_json=as_json))


def require_limit(limit: float | None) -> None:
    """Return if a limit of ε can be used. Raises UsageError."""
    from deployment.errors import UsageError

    if limit is not None and not 0 < limit <= 10_000:
        raise UsageError("--limit: ε is a number above 0, at most 10,000")


def _changes(rho: Iterable[str], epsilon: Iterable[str], pane: Iterable[str]) -> dict[str, CostChange]:
    """The changes of each view. Raises UsageError."""
    from deployment.inspect.what_if import CostChange

    prices, pure, panes = (
        _pairs(rho, "--rho", _price),
        _pairs(epsilon, "--epsilon", _price),
        _pairs(pane, "--pane", str),
    )
    return {view: CostChange(prices.get(view), pure.get(view), panes.get(view)) for view in {**prices, **pure, **panes}}


def _pairs(words: Iterable[str], option: str, read: Callable[[str], _Value]) -> dict[str, _Value]:
    from deployment.errors import UsageError

    found: dict[str, _Value] = {}
    for word in words:
        view, equals, text = word.rpartition("=")
        try:
            value = read(text)
        except ValueError as error:
            raise UsageError(f"{option} {word!r}: {error}") from None
        if not equals or view in found:
            raise UsageError(f"{option} {word!r}: write VIEW=VALUE, once for each view")
        found[view] = value
    return found


def _price(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1_000:
        raise ValueError("a price is a number above 0, at most 1,000")
    return value
