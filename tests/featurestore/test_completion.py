"""Suggestions for a `where`: they lead to conditions that the grammar takes, and know the columns of the source."""

from __future__ import annotations

import random

import pytest

from featurestore.define import completion
from featurestore.define.completion import MOST, complete, quoted
from featurestore.define.expressions import ColumnType, parse
from featurestore.errors import ExpressionError

COLUMNS: dict[str, ColumnType] = {
    "dep_delay": "number",
    "arr_delay": "number",
    "carrier": "text",
    "late": "boolean",
    "a b": "text",
    "order": "number",
}


def options(text: str, at: int | None = None) -> list[str]:
    return [one.text for one in complete(text, len(text) if at is None else at, COLUMNS).options]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", "dep_delay"),
        ("de", "dep_delay"),
        ("delay", "dep_delay"),
        ("dep_delay ", ">="),
        ("carrier ", "="),
        ("late ", "AND"),
        ("dep_delay >= ", "0"),
        ("carrier = ", "''"),
        ("late = ", "TRUE"),
        ("carrier LIKE ", "'%'"),
        ("dep_delay BETWEEN 1 ", "AND"),
        ("dep_delay BETWEEN 1 AND ", "0"),
        ("carrier IN ", "("),
        ("carrier IN (", "''"),
        ("carrier IN ('a' ", ","),
        ("dep_delay IS ", "NULL"),
        ("dep_delay IS NOT ", "NULL"),
        ("dep_delay NOT ", "IN ("),
        ("dep_delay >= 15 ", "AND"),
        ("dep_delay >= 15 o", "OR"),
        ('"a ', '"a b"'),
    ],
)
def test_a_place_offers_what_may_stand_there(text: str, first: str) -> None:
    assert options(text)[0] == first


@pytest.mark.parametrize(
    "text", ["carrier = 'x", "dep_delay >> ", "dep_delay >= 15 dep_delay ", ") ", "late ) ", "late FROM "]
)
def test_nothing_is_offered_inside_a_text_or_after_a_word_that_does_not_fit(text: str) -> None:
    assert options(text) == []


def test_a_suggestion_replaces_the_begun_word_before_the_place() -> None:
    text = "dep_delay >= 15 AND carr = 'UA'"
    found = complete(text, text.index("carr") + 4, COLUMNS)
    assert text[slice(*found.span)] == "carr"
    assert [one.text for one in found.options] == ["carrier"]


def test_a_bracket_is_closed_only_where_one_is_open() -> None:
    assert ")" not in options("late = TRUE ")
    assert ")" in options("(late = TRUE ")
    assert ")" not in options("(late = TRUE) ")


def test_a_column_is_quoted_where_its_name_is_not_plain() -> None:
    for name in [*COLUMNS, 'say "hi"', "ß", "it's", "time", "date", "end", "current_date"]:
        assert parse(f"{quoted(name)} IS NULL").columns == ((name, "any"),)


def test_every_path_of_suggestions_is_a_condition_of_the_columns_types(simulation_seed: int) -> None:
    """Each text that is made of suggestions alone, and that may end, parses, and uses each column as its type."""
    rng, ended = random.Random(simulation_seed), 0
    for _ in range(150):
        text, words = "", 0
        while words < 40:
            offered = complete(text, len(text), COLUMNS).options
            may_end = any(one.part == "junction" for one in offered) and text.count("(") == text.count(")")
            if words and may_end and rng.random() < 0.4:
                break
            text += rng.choice(offered).text + " "
            words += 1
        else:
            continue
        ended += 1
        for name, used_as in parse(text).columns:
            assert used_as in (COLUMNS[name], "any"), text
    assert ended > 100


def test_a_source_with_many_columns_offers_a_bounded_number() -> None:
    columns: dict[str, ColumnType] = {f"c{number}": "number" for number in range(10_000)}
    assert len(complete("", 0, columns).options) == MOST


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("dep_delay >= ", ">="),
        ("dep_delay >= 15 AND", "AND"),
        ("a > 1\nAND b = = 2", "="),
        ("late AND lower(b) = 'x'", "lower(b) = 'x'"),
        ("(a > 1", "1"),
    ],
)
def test_an_error_names_the_characters_that_it_is_about(text: str, about: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse(text)
    assert refused.value.span is not None
    assert text[slice(*refused.value.span)] == about
    assert refused.value.why in str(refused.value)


def test_of_very_many_columns_only_those_that_are_offered_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    spelled: list[str] = []
    monkeypatch.setattr(completion, "quoted", lambda name: spelled.append(name) or name)
    found = complete("", 0, {f"column_{i}": "number" for i in range(10_000)})
    assert [one.text for one in found.options] == [f"column_{i}" for i in range(MOST)]
    assert len(spelled) == MOST
    found = complete("n_9999", 6, {f"column_{i}": "number" for i in range(10_000)})
    assert [one.text for one in found.options] == ["column_9999"]
