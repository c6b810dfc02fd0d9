"""Commands that print tables also print them as CSV and without frames."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rows(covey: Covey) -> Callable[..., list[dict[str, str]]]:
    def read(*words: Any) -> list[dict[str, str]]:
        code, out, err = covey(*words, "--csv")
        assert (code, err) == (0, "")
        return list(csv.DictReader(io.StringIO(out)))

    return read


@pytest.fixture
def store(collect: Callable[..., Path]) -> Path:
    return collect()


def test_each_command_with_tables_prints_its_values_as_csv(
    covey: Covey, rows: Callable[..., list[dict[str, str]]], store: Path, project: Path
) -> None:
    def as_json(*words: Any) -> Any:
        return json.loads(covey(*words, "--json")[1])

    of_store = "--store", store
    listed = as_json("release", "list", *of_store)
    assert [(one["id"], float(one["rho"])) for one in rows("release", "list", *of_store)] == [
        (one["release_id"], one["micro_rho"] / 1e6) for one in listed
    ]
    shown = as_json("release", "show", listed[0]["release_id"], *of_store)
    assert [
        (one["release"], int(one["Δ₁"])) for one in rows("release", "show", listed[0]["release_id"], *of_store)
    ] == [(shown["release_id"], group["delta1"]) for group in shown["manifest"]["groups"]]
    get = "get", "visits:visits", "visits:spent_mean", "shop=a", "shop=c,d=e", *of_store
    for printed, row in zip(rows(*get), as_json(*get), strict=True):
        assert {name: value or None for name, value in printed.items()} == {
            name: None if value is None else str(value) for name, value in row.items()
        }
    days = rows("ledger", "show", *of_store)
    (ledger,) = as_json("ledger", "show", *of_store)["ledgers"]
    assert sum(int(one["number"]) for one in days) == len(ledger["days"])
    assert json.loads(days[0]["spent by view"]) == {
        view: rho / 1e6 for view, rho in ledger["days"][0]["micro_rho"].items()
    }
    assert days[0]["UTC days"].startswith(ledger["days"][0]["day"])
    label = as_json("explain", project / "views.py")
    assert [(one["view"], one["feature"], one["n = 50"]) for one in rows("explain", project / "views.py")] == [
        (
            view["view"],
            feature["feature"],
            "" if feature["expected"][0]["se"] is None else str(feature["expected"][0]["se"]),
        )
        for view in label["views"]
        for feature in view["features"]
    ]
    assert [one["view"] for one in rows("views", *of_store)] == ["everywhere@v1", "visits@v1"]


def test_a_project_without_collections_has_an_empty_csv(
    covey: Covey, rows: Callable[..., list[dict[str, str]]], tmp_path: Path
) -> None:
    covey("init", tmp_path / "p")
    code, out, _ = covey("status", "--project", tmp_path / "p", "--csv")
    assert (code, out) == (0, "view,opened,void,due\n")


def test_plain_has_no_frame_and_two_forms_are_refused(covey: Covey, store: Path) -> None:
    code, out, _ = covey("views", "--store", store, "--plain")
    assert (code, out.splitlines()[0].split()) == (
        0, ["view", "join", "keys", "pane", "windows", "features", "newest", "pane", "ends"],
    )  # fmt: skip
    code, out, err = covey("views", "--store", store, "--plain", "--csv")
    assert (code, out) == (2, "")
    assert "give one of --plain, --csv and --json" in err
