"""What a command prints on stdout: sentences, and tables in one of three forms. No form breaks a word.

A terminal that is too narrow for a table's longest words gets the table row by row, as `psql` does with `\\x auto`. Output that
is no terminal has no width, so each row is one line; the variable COLUMNS gives it one.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import assert_never

import rich.box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column
from rich.table import Table as Frame
from rich.text import Text

from .console import data_console
from .tables import GAP, Table, aligned, beside, column_widths, frame_width, row_by_row, wrapped


def printable(text: str) -> str:
    """Text of somebody else without characters that a terminal obeys."""
    return "".join(one if one.isprintable() else "�" for one in text)


class TableForm(StrEnum):
    """How tables are printed: `drawn` with frames, `plain` in aligned columns of one line a row, or as `csv`."""

    DRAWN = "drawn"
    PLAIN = "plain"
    CSV = "csv"


class Output:
    """What a command prints on stdout.

    Args:
        form: the form of tables. CSV has one table, and no sentence.
    """

    def __init__(self, form: TableForm = TableForm.DRAWN) -> None:
        self._form, self._console = form, data_console()
        self._width = self._console.width if self._console.is_terminal or os.environ.get("COLUMNS") else None
        self._is_headed = False

    def print(self, text: str = "", style: str | None = None) -> None:
        """Print a sentence."""
        match self._form:
            case TableForm.DRAWN:
                for line in wrapped(text, self._width):
                    self._console.print(Text(line, style or ""), soft_wrap=True)
            case TableForm.PLAIN:
                self._line(text)
            case TableForm.CSV:
                pass
            case form:
                assert_never(form)

    def heading(self, text: str) -> None:
        """Print a heading with a line across the output."""
        if self._form is TableForm.DRAWN:
            self._console.rule(Text(text, style="bold"))
        else:
            self.print(text)

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Print names in bold with sentences beside them."""
        indent = max((cell_len(name) for name, _ in facts), default=0)
        for name, fact in facts:
            if self._form is TableForm.DRAWN:
                first, *rest = wrapped(fact, beside(self._width, indent))
                self._console.print(Text.assemble((name.ljust(indent), "bold"), GAP, first), soft_wrap=True)
                for line in rest:
                    self._line(" " * (indent + len(GAP)) + line)
            else:
                self.print(f"{name.ljust(indent)}{GAP}{fact}")

    @property
    def is_csv(self) -> bool:
        """Whether a program reads the table."""
        return self._form is TableForm.CSV

    def fits(self, table: Table) -> bool:
        """Whether the output is wide enough for each word of a table."""
        return self._form is not TableForm.DRAWN or column_widths(table, self._width) is not None

    def lines(self, table: Table) -> None:
        """Print a long table: plain, also where other tables are drawn."""
        if self.is_csv:
            self._write_csv(table)
        else:
            self._print_plain(table)

    def table(self, table: Table, *, aside: bool = False) -> None:
        """Print a table.

        Args:
            aside: the table is not the one that CSV has.
        """
        match self._form:
            case TableForm.DRAWN:
                self._draw(table)
            case TableForm.PLAIN:
                self._print_plain(table)
            case TableForm.CSV:
                if not aside:
                    self._write_csv(table)
            case form:
                assert_never(form)

    def _print_plain(self, table: Table) -> None:
        self._around(table.title)
        for line in aligned([table.headers, *([cell.text for cell in row] for row in table.rows)]):
            self._line(line)
        self._around(table.caption)

    def _draw(self, table: Table) -> None:
        self._around(table.title)
        widths = column_widths(table, self._width)
        if widths is None:
            for line in row_by_row(table, self._width):
                self._line(line)
        else:
            columns = [
                Column(head, width=size, overflow="fold") for head, size in zip(table.headers, widths, strict=True)
            ]
            frame = Frame(*columns)
            if table.light:
                frame.box, frame.show_edge, frame.pad_edge, frame.padding = (
                    rich.box.SIMPLE_HEAD,
                    False,
                    False,
                    (0, 1, 0, 0),
                )
            for number, row in enumerate(table.rows, 1):
                frame.add_row(*(Text(cell.text) for cell in row), end_section=number in table.sections)
            console = self._console
            if self._width is None:
                console = Console(width=sum(widths) + frame_width(table), highlight=False, markup=False, emoji=False)
            console.print(frame)
        self._around(table.caption)

    def _around(self, text: str | None) -> None:
        if text is not None:
            self.print(text, style="italic")

    def _write_csv(self, table: Table) -> None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        first = [] if table.of is None else [table.of]
        if not self._is_headed:
            writer.writerow([*(name for name, _ in first), *table.headers])
            self._is_headed = True
        for row in table.rows:
            writer.writerow([*(value for _, value in first), *(_field(cell.value) for cell in row)])

    def _line(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def _field(value: object) -> object:
    """A value as CSV has it: ISO 8601 for times, JSON text for lists and mappings, `true` or `false` for booleans."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple | bool):
        return json.dumps(value, ensure_ascii=False)
    return value
