"""The options that choose how tables are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from deployment.printing.output import Output

PlainOption: TypeAlias = Annotated[
    bool, typer.Option("--plain", help="Print tables as aligned columns without frames, one line a row.")
]
CsvOption: TypeAlias = Annotated[bool, typer.Option("--csv", help="Print the table as CSV, with unrounded numbers.")]


def output_of(*, plain: bool, csv: bool, as_json: bool) -> Output:
    """Where a command prints its tables. Raises UsageError: more than one form was given."""
    from deployment.errors import UsageError
    from deployment.printing.output import Output, TableForm

    if plain + csv + as_json > 1:
        raise UsageError("give one of --plain, --csv and --json")
    return Output(TableForm.CSV if csv else TableForm.PLAIN if plain else TableForm.DRAWN)
