"""`covey monitor`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deployment.drift.drifting import publish, sums
from tests.featurestore.making import a_view, fill

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("drifting")
    publish(directory, sums(90, 3, jump=150))
    fill(directory, a_view(), 5)
    return directory


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("steady")
    publish(directory, sums(90, 3))
    return directory


def test_a_drift_names_feature_key_size_interval_and_beginning(covey: Covey, drifting: Path) -> None:
    code, out, err = covey("monitor", "shops", "--store", drifting)
    assert (code, err) == (0, "")
    assert "shops: drift: " in out
    row = next(line for line in out.splitlines() if "sales" in line and "south" in line)
    assert "1970-04-04T00:00:00Z" in row
    assert "+" in row
    assert "99 % interval" in out


def test_nothing_found_comes_with_what_could_have_been_found(covey: Covey, steady: Path) -> None:
    code, out, _ = covey("monitor", "--store", steady)
    assert code == 0
    assert "shops: no drift found" in out
    assert "Shifts that this check finds with 80 %" in out
    assert "3.6 a year" in out
    assert "ranks among 89 blocks of the past end at p = 0.016" in out


def test_the_exit_code_of_drift_is_asked_for(covey: Covey, drifting: Path, steady: Path) -> None:
    assert covey("monitor", "--store", drifting, "--exit-code")[0] == 7
    assert covey("monitor", "--store", steady, "--exit-code")[0] == 0
    assert (
        covey("monitor", "shops", "--store", drifting, "--exit-code", "--level", "1e-9", "--feature", "returned")[0]
        == 0
    )


def test_json_has_everything(covey: Covey, drifting: Path) -> None:
    code, out, _ = covey("monitor", "--store", drifting, "--json", "--since", "1970-01-12")
    assert code == 0
    delays, shops = json.loads(out)["views"]
    assert (delays["checked"], delays["why"][:10]) == (False, "0 of its p")
    assert shops["drift"]
    assert shops["past"]["since"] == "1970-01-12T00:00:00Z"
    change = shops["changes"][0]
    assert (change["feature"], change["key"]) == ("sales", ["south"])
    assert change["low"] <= 150 <= change["high"]
    assert {one["feature"] for one in shops["power"]} == {"sales", "returned", "price_hist[0]", "price_hist[1]"}


def test_csv_has_the_changes(covey: Covey, drifting: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(covey("monitor", "shops", "--store", drifting, "--csv")[1])))
    assert rows[0]["feature"] == "sales"
    assert json.loads(rows[0]["key"]) == ["south"]
    assert float(rows[0]["p"]) < 0.01


def test_what_cannot_be_checked_is_refused_by_name(covey: Covey, drifting: Path) -> None:
    assert covey("monitor", "shop", "--store", drifting)[0] == 5
    code, _, err = covey("monitor", "shops", "--store", drifting, "--feature", "sale")
    assert code == 5
    assert "sales" in err
    assert covey("monitor", "--store", drifting, "--level", "0.5")[0] == 2
    assert covey("monitor", "--store", drifting, "--last", "0")[0] == 2
