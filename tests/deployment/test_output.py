"""Tables on stdout: no form breaks a word, each row of a pipe is one line, and CSV has the values."""

from __future__ import annotations

import csv
import io
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from base.times import DAY_US, SECOND_US
from deployment.printing.console import pane_ranges
from deployment.printing.output import Output, TableForm
from deployment.printing.tables import Cell, Table, aligned, beside, column_widths, row_by_row, wrapped

WORD = st.text("abc_-:±日", min_size=1, max_size=30)
CELL = st.lists(WORD, max_size=5).map(" ".join)
ROWS = st.integers(1, 6).flatmap(lambda size: st.lists(st.tuples(*[CELL] * size), min_size=1, max_size=5))


def table_of(*rows: tuple[str, ...], light: bool = False) -> Table:
    head, *rest = rows
    table = Table(*head, light=light)
    for row in rest:
        table.add_row(*row)
    return table


def printed(capsys: pytest.CaptureFixture[str], table: Table, form: TableForm = TableForm.DRAWN) -> list[str]:
    Output(form).table(table)
    return capsys.readouterr().out.splitlines()


@given(ROWS, st.integers(20, 200), st.booleans())
def test_columns_fit_the_terminal_and_each_word_or_the_table_is_printed_row_by_row(
    rows: list[tuple[str, ...]], width: int, light: bool
) -> None:
    table = table_of(*rows, light=light)
    widths = column_widths(table, width)
    least = [max(cell_len(word) for row in rows for word in row[at].split() or [""]) for at in range(len(rows[0]))]
    frame = 2 * len(least) - 1 if light else 3 * len(least) + 1
    if widths is None:
        assert sum(least) + frame > width
        words = [
            word
            for row in rows[1:]
            for head, cell in zip(rows[0], row, strict=True)
            for word in f"{head} {cell}".split()
        ]
        assert " ".join(row_by_row(table, width)).split() == words
    else:
        assert sum(widths) + frame <= width
        assert all(few <= size for few, size in zip(least, widths, strict=True))


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("width", ["44", "60", "80"])
def test_a_drawn_table_is_as_wide_as_its_columns_say_and_keeps_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str, light: bool
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    table = table_of(
        ("view", "spent_mean_of_the_day", "days"),
        ("dest_delay", "2013-01-01 … 2013-12-31", "7 days in all"),
        light=light,
    )
    lines = printed(capsys, table)
    assert max(map(len, lines)) <= int(width)
    text = " ".join(lines)
    assert all(
        word in text.split()
        for word in ["view", "spent_mean_of_the_day", "days", "dest_delay", "2013-01-01", "…", "in", "all"]
    )


def test_a_terminal_that_is_too_narrow_for_the_words_gets_one_line_a_cell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = table_of(("key", "a_long_name_of_a_feature"), ("a", "x " * 20 + "y" * 60), ("b", "1"))
    assert printed(capsys, table) == [
        "key                       a",
        "a_long_name_of_a_feature  x x x x x x x x x x",
        "                          x x x x x x x x x x",
        "                          " + "y" * 60,
        "",
        "key                       b",
        "a_long_name_of_a_feature  1",
    ]


def test_a_row_of_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = table_of(("view", "features"), ("v", "feature " * 40))
    for form, lines in ((TableForm.DRAWN, 5), (TableForm.PLAIN, 2)):
        found = printed(capsys, table, form)
        assert len(found) == lines
        assert sum("feature " * 39 in line for line in found) == 1


def test_plain_columns_are_aligned_without_frames(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("view", "opened", "spent by view", title="all", caption="so far")
    table.add_row("日本", 1_200, Cell("a 1\nb 2", {"a": 1}))
    table.add_row("visits", None, "–")
    assert printed(capsys, table, TableForm.PLAIN) == [
        "all",
        "view    opened  spent by view",
        "日本    1,200   a 1, b 2",
        "visits  –       –",
        "so far",
    ]
    assert list(aligned([("a",), ("",)])) == ["a", ""]


def test_csv_has_the_values_of_one_table_and_no_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(TableForm.CSV)
    out.heading("a heading")
    out.print("a sentence")
    out.facts([("name", "fact")])
    for owner in ("x", "y"):
        table = Table("days", "number", "share", "at", "by", "is", of=("ledger", owner), title="t", caption="c")
        when = datetime(2020, 5, 1, tzinfo=UTC)
        table.add_row(Cell("1, 2", "1/2"), 1_234, math.pi, Cell("May", when), Cell("a 1", {"a": 1}), Cell("yes", True))
        table.add_row('quoted "," text', None, 0.5, None, Cell("", [1, None]), None)
        out.table(table)
        out.table(Table("other"), aside=True)
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["ledger", "days", "number", "share", "at", "by", "is"],
        *(
            row
            for owner in "xy"
            for row in (
                [owner, "1/2", "1234", repr(math.pi), "2020-05-01T00:00:00+00:00", '{"a": 1}', "true"],
                [owner, 'quoted "," text', "", "0.5", "", "[1, null]", ""],
            )
        ),
    ]


def test_sentences_and_facts_keep_their_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out, path = Output(), "/a/path/that/is/longer/than/the/terminal/is/wide.db"
    out.print(f"the ledger {path} is intact, as far as it goes")
    out.facts([("plan", path), ("content", "a hash and more words than there is room for")])
    assert capsys.readouterr().out.splitlines() == [
        "the ledger",
        path,
        "is intact, as far as it goes",
        f"plan     {path}",
        "content  a hash and more words than",
        "         there is room for",
    ]
    assert wrapped("", 10) == [""]
    assert beside(10, 30) == 20


def test_a_row_has_a_cell_for_each_header() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 headers"):
        Table("a", "b").add_row("x")


@pytest.mark.parametrize(
    ("starts", "text"),
    [
        ([0, DAY_US], "1970-01-01 … 1970-01-02"),
        ([60, 120], "1970-01-01T00:01Z … 1970-01-01T00:02Z"),
        ([55, 60, 70], "1970-01-01T00:00:55Z … 1970-01-01T00:01:00Z, 1970-01-01T00:01:10Z"),
        ([5], "1970-01-01T00:00:05Z"),
    ],
)
def test_panes_are_named_to_the_second_where_minutes_would_name_two_alike(starts: list[int], text: str) -> None:
    assert pane_ranges([start if start == DAY_US else start * SECOND_US for start in starts]) == text
