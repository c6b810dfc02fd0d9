"""What `covey get` says of a value's status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from covey.cli import app
from deployment.errors import UsageError
from featurestore.define.decoded import Status
from featurestore.publish.publish import Publisher
from tests.featurestore.making import HOUR, a_release, a_view, a_void


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_its_help_explains_every_status() -> None:
    assert re.findall(r"^ ([A-Z_]{2,}) ", said("get", "--help"), flags=re.M) == [status.name for status in Status]


@pytest.mark.parametrize(
    ("value", "spent", "shown"),
    [
        (10_000, False, r"(n = 10,000) "),
        (60, False, "(n = 60)  ROUGH_SE"),
        (60, True, "(n = 60)  STALE_BUDGET"),
        (1, True, "– DROWNED  (n = 1)"),
    ],
)
def test_a_status_other_than_ok_stands_beside_the_value(tmp_path: Path, value: int, spent: bool, shown: str) -> None:
    view = a_view()
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, 0, value, noise="discrete-gaussian")])
        publisher.publish([a_void(view, HOUR, "BUDGET_SPENT")] if spent else [])
    text = said("get", "delays:late", "dest=ATL", "--store", str(tmp_path))
    assert shown in text
    assert "OK" not in text
    (row,) = json.loads(said("get", "delays:late", "dest=ATL", "--store", str(tmp_path), "--json"))
    assert row["late__status"] in (shown.split()[-1], "OK", "DROWNED")


@pytest.mark.parametrize("option", [("--memory-limit", "1GiB"), ("--views", "views.py")])
def test_what_is_the_servers_is_refused_with_a_url_before_it_is_asked(tmp_path: Path, option: tuple[str, str]) -> None:
    labels = ("labels.parquet", "-f", "delays:late", "--time", "t", "--out", str(tmp_path / "out.parquet"))
    result = CliRunner().invoke(app, ["join", *labels, "--store", "http://127.0.0.1:1", *option])
    assert isinstance(result.exception, UsageError)
    assert option[0] in str(result.exception)
