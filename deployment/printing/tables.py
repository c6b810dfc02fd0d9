"""Tables as rows of cells, and the widths and lines by which no word of them is broken."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from rich.cells import cell_len

GAP: Final = "  "
"""Between aligned columns."""
_LEAST_TEXT: Final = 20
"""Columns of text beside a name, however narrow the terminal."""


@dataclass(frozen=True)
class Cell:
    """A cell whose text for people differs from its value for programs."""

    text: str
    value: object


CellLike = Cell | str | int | float | None
"""A number is printed with thousands separators or four digits, and None as a dash; CSV gets the number, or nothing."""


class Table:
    """Rows of cells under headers.

    Args:
        title, caption: sentences above and below the table.
        light: draw a line below the headers only.
        of: a header and a value, what all rows belong to; CSV has it as the first column.
    """

    def __init__(
        self,
        *headers: str,
        title: str | None = None,
        caption: str | None = None,
        light: bool = False,
        of: tuple[str, str] | None = None,
    ) -> None:
        self.headers, self.title, self.caption, self.light, self.of = headers, title, caption, light, of
        self.rows: list[tuple[Cell, ...]] = []
        self.sections: set[int] = set()

    def add_row(self, *cells: CellLike) -> None:
        """Add a row with a cell for each header."""
        row = tuple(map(_cell, cells))
        if len(row) != len(self.headers):
            raise ValueError(f"{len(row)} cells under {len(self.headers)} headers")
        self.rows.append(row)

    def add_section(self) -> None:
        """Draw a line below the rows so far."""
        self.sections.add(len(self.rows))


def column_widths(table: Table, width: int | None) -> list[int] | None:
    """The width of each column, so that no word is broken.

    Args:
        width: columns of the terminal; None: any number.

    Returns:
        None: the terminal is too narrow for the longest word of each column.
    """
    texts = [[head, *(row[at].text for row in table.rows)] for at, head in enumerate(table.headers)]
    most = [max((cell_len(line) for text in of for line in text.splitlines()), default=0) for of in texts]
    if width is None or sum(most) + frame_width(table) <= width:
        return most
    least = [max((cell_len(word) for text in of for word in text.split()), default=0) for of in texts]
    room = width - frame_width(table)
    if sum(least) > room:
        return None
    limit = next(cap for cap in range(room, 0, -1) if sum(_limited(least, most, cap)) <= room)
    return _limited(least, most, limit)


def _limited(least: Sequence[int], most: Sequence[int], limit: int) -> list[int]:
    """The widths if no column is wider than `limit` unless a word is."""
    return [max(few, min(many, limit)) for few, many in zip(least, most, strict=True)]


def frame_width(table: Table) -> int:
    """Columns that the frame takes."""
    return 2 * len(table.headers) - 1 if table.light else 3 * len(table.headers) + 1


def row_by_row(table: Table, width: int | None) -> Iterator[str]:
    """The lines of a table with each cell beside its header; an empty line parts two rows."""
    indent = max((cell_len(head) for head in table.headers), default=0)
    for number, row in enumerate(table.rows):
        if number:
            yield ""
        for head, cell in zip(table.headers, row, strict=True):
            first, *rest = wrapped(cell.text, beside(width, indent))
            yield f"{head.ljust(indent)}{GAP}{first}".rstrip()
            yield from (" " * (indent + len(GAP)) + line for line in rest)


def beside(width: int | None, indent: int) -> int | None:
    """The width that is left beside names of `indent` columns."""
    return None if width is None else max(_LEAST_TEXT, width - indent - len(GAP))


def wrapped(text: str, width: int | None) -> list[str]:
    """The lines of a text; at least one."""
    if width is None:
        return text.splitlines() or [""]
    wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False).wrap
    return [line for part in text.splitlines() for line in wrap(part)] or [""]


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of aligned columns, one for each row."""
    flat = [[", ".join(text.splitlines()) for text in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*flat, strict=True)]
    for row in flat:
        yield GAP.join(text + " " * (size - cell_len(text)) for text, size in zip(row, widths, strict=True)).rstrip()


def _cell(given: CellLike) -> Cell:
    match given:
        case Cell():
            return given
        case None:
            return Cell("–", None)
        case str():
            return Cell(given, given)
        case int():
            return Cell(f"{given:,}", given)
        case float():
            return Cell(f"{given:.4g}", given)
        case _:
            assert_never(given)
