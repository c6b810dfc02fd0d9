"""A condition as one types it: errors with their place, suggestions, and places as browsers count."""

from __future__ import annotations

from typing import Any

import pytest

from tests.covey.console.asking import Api, console_of

COLUMNS = [{"name": "dep_delay", "type": "number"}, {"name": "carrier", "type": "text"}, {"name": "at", "type": "time"}]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with console_of(tmp_path_factory.mktemp("store")) as console:
        yield Api(console, "reader")


def asked(api: Api, where: str, position: int | None = None) -> Any:
    at = len(where.encode("utf-16-le")) // 2 if position is None else position
    return api.post("/composer/condition", {"where": where, "position": at, "columns": COLUMNS})


def test_a_condition_is_valid_and_its_columns_are_those_of_the_source(api: Api) -> None:
    found = asked(api, "dep_delay >= 15 AND carrier = 'UA'")
    assert (found["valid"], found["message"], found["warning"]) == (True, "", "")
    assert "no column 'arr_delay'" in asked(api, "arr_delay >= 15")["warning"]
    assert "as a number" in asked(api, "carrier >= 15")["warning"]
    assert "as a time" in asked(api, "at = 'x'")["warning"]


@pytest.mark.parametrize(
    ("where", "about"),
    [("dep_delay >= ", ">="), ("carrier = '😀' AND lower(carrier) = 'x'", "lower(carrier) = 'x'"), ("", "")],
)
def test_an_error_is_marked_in_units_of_utf_16(api: Api, where: str, about: str) -> None:
    found = asked(api, where)
    units = where.encode("utf-16-le")
    assert not found["valid"]
    assert found["message"]
    assert units[2 * found["first"] : 2 * found["last"]].decode("utf-16-le") == about


def test_suggestions_replace_the_begun_word_in_units_of_utf_16(api: Api) -> None:
    where = "carrier = '😀' AND dep"
    found = asked(api, where)
    assert [one["text"] for one in found["options"]] == ["dep_delay"]
    assert (found["replace_first"], found["replace_last"]) == (19, 22)
    assert asked(api, where, position=12)["options"] == []


def test_texts_of_any_kind_are_answered(api: Api) -> None:
    for where in ("\x00", "'" * 500, "(" * 2_000, "a = 1;" * 50, "<img onerror=1>", "a" * 4_097):
        found = asked(api, where)
        assert found["valid"] is False
    assert api.ask("POST", "/composer/condition", json={"where": "a" * 9_000, "position": 0, "columns": []})[0] == 422
