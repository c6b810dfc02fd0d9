"""`covey consumers`: who may read from the feature server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from featurestore.server.api_keys import FILE, Consumers, KeyRing
from featurestore.server.throttle import Limits

Covey = Callable[..., tuple[int, str, str]]


def test_add_prints_the_key_once_and_nothing_else_on_stdout(covey: Covey, tmp_path: Path) -> None:
    code, out, err = covey("consumers", "add", "trainer", "--store", tmp_path, "--rate", 50, "--requests", 7)
    assert code == 0
    key = out.removesuffix("\n")
    found = KeyRing(Consumers(tmp_path)).find(key.encode())
    assert found is not None
    assert (found.name, found.limits) == ("trainer", Limits(50, 7))
    assert key not in err
    assert key not in (tmp_path / FILE).read_text()
    for command in (("list",), ("list", "--json")):
        _, out, err = covey("consumers", *command, "--store", tmp_path)
        assert key[15:] not in out + err


def test_json_has_the_key_too(covey: Covey, tmp_path: Path) -> None:
    _, out, _ = covey("consumers", "add", "one", "--store", tmp_path, "--json")
    found = KeyRing(Consumers(tmp_path)).find(json.loads(out)["key"].encode())
    assert found is not None
    assert found.limits == Limits()


def test_list_shows_limits_and_remove_takes_one_away(covey: Covey, tmp_path: Path) -> None:
    assert json.loads(covey("consumers", "list", "--store", tmp_path, "--json")[1]) == []
    covey("consumers", "add", "two", "--store", tmp_path, "--rate", 1_000)
    covey("consumers", "add", "one", "--store", tmp_path)
    table = covey("consumers", "list", "--store", tmp_path)[1]
    assert "1,000" in table
    assert "default" in table
    rows = json.loads(covey("consumers", "list", "--store", tmp_path, "--json")[1])
    assert [(row["name"], row["rows_per_s"], row["requests_per_s"]) for row in rows] == [
        ("one", None, None),
        ("two", 1_000, None),
    ]
    assert covey("consumers", "remove", "two", "--store", tmp_path)[0] == 0
    assert [one.name for one in Consumers(tmp_path).read()] == ["one"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "one"), 2, "shown only once"),
        (("add", "a b"), 2, "1 to 64"),
        (("add", "two", "--rate", 0), 2, "rate"),
        (("add", "two", "--requests", 10**9 + 1), 2, "a second"),
        (("remove", "two"), 5, "there are: one"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_its_exit_code(
    covey: Covey, tmp_path: Path, arguments: tuple[object, ...], code: int, says: str
) -> None:
    covey("consumers", "add", "one", "--store", tmp_path)
    got, out, err = covey("consumers", *arguments, "--store", tmp_path)
    assert (got, out) == (code, "")
    assert says in err
    assert [one.name for one in Consumers(tmp_path).read()] == ["one"]


def test_no_directory_is_exit_5_and_a_broken_file_exit_1(covey: Covey, tmp_path: Path) -> None:
    assert covey("consumers", "add", "one", "--store", tmp_path / "nowhere")[0] == 5
    (tmp_path / FILE).write_text("{}")
    (tmp_path / FILE).chmod(0o600)
    code, _, err = covey("consumers", "list", "--store", tmp_path)
    assert (code, FILE in err) == (1, True)


def test_a_consumer_has_the_given_role_and_without_one_it_reads(covey: Covey, tmp_path: Path) -> None:
    assert covey("consumers", "add", "ana", "--store", str(tmp_path), "--role", "operator")[0] == 0
    assert covey("consumers", "add", "bo", "--store", str(tmp_path))[0] == 0
    listed = json.loads(covey("consumers", "list", "--store", str(tmp_path), "--json")[1])
    assert {one["name"]: one["role"] for one in listed} == {"ana": "operator", "bo": "reader"}
    assert covey("consumers", "add", "cy", "--store", str(tmp_path), "--role", "owner")[0] == 2


def test_another_role_is_listed_and_an_unknown_name_is_refused(covey: Covey, tmp_path: Path) -> None:
    covey("consumers", "add", "anna", "--store", tmp_path)
    code, out, err = covey("consumers", "role", "anna", "operator", "--store", tmp_path)
    assert (code, out, "anna has the role operator" in err) == (0, "", True)
    (found,) = json.loads(covey("consumers", "list", "--store", tmp_path, "--json")[1])
    assert (found["name"], found["role"]) == ("anna", "operator")
    assert covey("consumers", "role", "ben", "reader", "--store", tmp_path)[0] == 5
    assert covey("consumers", "role", "anna", "owner", "--store", tmp_path)[0] == 2
