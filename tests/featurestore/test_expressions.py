from __future__ import annotations

import logging
import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.expressions import parse
from featurestore.errors import ExpressionError

HOSTILE = [
    "read_csv('/etc/passwd') = 1",
    "x > (SELECT 1)",
    "x IN (SELECT a FROM t)",
    "x IN ()",
    "x NOT IN ()",
    "CALL f()",
    "x = '\ud800'",
    "EXISTS (SELECT 1)",
    "x = (SELECT content FROM read_text('/etc/passwd'))",
    "x > 1; DROP TABLE events",
    "x > 1 UNION SELECT * FROM events",
    "SELECT 1",
    "COPY events TO 'out.csv'",
    "ATTACH 'x.db'",
    "x = getenv('HOME')",
    "x + 1 > 2",
    "abs(x) > 1",
    "CAST(x AS INTEGER) = 1",
    "x::int = 1",
    "t.x = 1",
    "x = $1",
    "x > ALL (SELECT 1)",
    "CASE WHEN x > 1 THEN true END",
    "x[1] = 1",
    "COLUMNS(*) > 1",
    "* > 1",
    "x = current_user",
    "x = 1 ESCAPE '!'",
    "y LIKE 'a' ESCAPE '!'",
    "y ILIKE 'a'",
    "x = INTERVAL '1' DAY",
    "x = NULL",
    "1 = 1",
    "true",
    "x BETWEEN y AND z",
    "x = 1e999",
    "y = 'a' COLLATE nocase",
    "y ~ 'a'",
    "(" * 300 + "x > 1" + ")" * 300,
    " AND ".join(["x > 1"] * 600),
    "x > 1\0",
    "",
    "   ",
    "x >",
]


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("is ok", "'ok' follows without AND or OR; a name with a space needs double quotes"),
        ("a > 1 AN", "'AN' follows without AND or OR"),
        ("shop-name = 1", "a name with a dash or a space needs double quotes"),
        ("lower(a) = 1", "a comparison needs a plain column on one side"),
        ('"Pre', "a text or a name has no closing quote"),
        ("a = 'x", "a text or a name has no closing quote"),
    ],
)
def test_a_usual_mistake_is_named_in_plain_words(where: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(why)):
        parse(where)


@pytest.mark.parametrize("where", HOSTILE)
def test_whatever_is_outside_the_grammar_is_refused_by_name_and_nothing_is_logged(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ExpressionError):
        parse(where)
    assert not caplog.records
    assert not logging.getLogger("sqlglot").filters


@pytest.mark.parametrize(
    ("where", "columns"),
    [
        ("x >= 15", {"x": "number"}),
        ("15 <= x", {"x": "number"}),
        ("NOT late AND x IS NOT NULL", {"late": "boolean", "x": "any"}),
        ("late = TRUE OR y LIKE 'a%'", {"late": "boolean", "y": "text"}),
        ("x IN (1, 2.5) AND y NOT IN ('a')", {"x": "number", "y": "text"}),
        ("x NOT BETWEEN -1 AND 2", {"x": "number"}),
        ("a = b", {"a": "number", "b": "number"}),
        ("a = b AND b = c AND c = 'x'", {"a": "text", "b": "text", "c": "text"}),
        ('"Odd Name" > 1', {"Odd Name": "number"}),
        ('"q""uote" > 1', {'q"uote': "number"}),
    ],
)
def test_a_columns_type_follows_from_its_use(where: str, columns: dict[str, str]) -> None:
    assert dict(parse(where).columns) == columns


@pytest.mark.parametrize(
    "where", ["x > 1 AND x = 'a'", "x AND x > 1", "x IN (1, 'a')", "a = b AND a > 1 AND b LIKE 'x'"]
)
def test_two_uses_of_one_column_are_an_error(where: str) -> None:
    with pytest.raises(ExpressionError, match="as one type"):
        parse(where)


def test_a_mirrored_comparison_is_the_same_predicate() -> None:
    assert parse("15 <= x").root == parse("x >= 15").root


@given(
    st.recursive(
        st.sampled_from(
            [
                "x > 1",
                "x IS NULL",
                "y LIKE 'a%'",
                "y NOT LIKE 'a%'",
                "x NOT IN (1)",
                "x NOT BETWEEN 1 AND 2",
                "x IS NOT NULL",
                "x IN (1, 2)",
                "b",
                "x BETWEEN 0 AND 2",
                "y = 'it''s'",
            ]
        ),
        lambda part: st.one_of(
            st.tuples(part, st.sampled_from(["AND", "OR"]), part).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
            part.map(lambda p: f"NOT ({p})"),
        ),
        max_leaves=8,
    )
)
def test_the_rendered_sql_means_what_the_text_meant(where: str) -> None:
    rows = "(VALUES (1.0, 'ab', true), (2.0, 'it''s', false), (NULL, NULL, NULL), (0.5, 'b', true)) t(x, y, b)"
    predicate = parse(where)
    rendered = predicate.sql({name: f'"{name}"' for name, _ in predicate.columns})
    assert (
        duckdb.sql(f"SELECT {where} FROM {rows}").fetchall() == duckdb.sql(f"SELECT {rendered} FROM {rows}").fetchall()
    )
