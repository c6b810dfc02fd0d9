"""`covey ledger what-if`, and how long the budgets of `covey ledger show --limit` last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from featurestore.publish.publish import Publisher
from tests.covey.test_ledger_show import write
from tests.featurestore.making import DAY, a_view

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(covey: Covey, tmp_path: Path) -> Path:
    covey("init", tmp_path / "p")
    write(tmp_path / "p" / "ledgers", "operator", "leader")
    with Publisher(tmp_path / "p", lambda: DAY) as publisher:
        publisher.register(a_view("limited", windows=["3h"]))
    return tmp_path / "p"


def test_registered_views_are_priced_and_nothing_is_charged(covey: Covey, project: Path) -> None:
    ledger = (project / "ledgers" / "operator.db").read_bytes()
    code, out, err = covey(
        "ledger", "what-if", "--rho", "limited=0.05", "--limit", 10, "--days", 90, "--project", project, "--plain"
    )
    assert (code, err) == (0, "")
    assert "a client-day costs ρ = 0.05 against an aggregator" in out
    assert "any 90 days" in out
    assert "ε stays at most 10 for " in out
    assert "operator: every day can be collected: 0.05 of 0.1, it counts prices against an aggregator" in out
    assert (project / "ledgers" / "operator.db").read_bytes() == ledger


def test_a_budget_that_is_too_small_refuses_every_day(covey: Covey, project: Path) -> None:
    code, out, _ = covey("ledger", "what-if", "limited", "--project", project, "--plain")
    assert (code, "operator: refused: 0.5 of 0.1" in out) == (0, True)
    _, out, _ = covey("ledger", "what-if", "--project", project, "--json")
    assert json.loads(out)["budgets"][0]["left"] == -400_000


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["gone"], 5, "there is no view 'gone' here"),
        (["--rho", "limited"], 2, "--rho 'limited': "),
        (["--rho", "limited=0"], 2, "a price is a number above 0"),
        (["--rho", "limited=nan"], 2, "a price is a number above 0"),
        (["--rho", "limited=1", "--rho", "limited=2"], 2, "write VIEW=VALUE, once for each view"),
        (["--pane", "limited=2h"], 2, "pane"),
        (["--limit", "0"], 2, "--limit: ε is a number above 0"),
        (["--views", "gone.py"], 2, "gone.py"),
    ],
)
def test_what_cannot_be_priced_is_one_line(covey: Covey, project: Path, words: list[str], code: int, says: str) -> None:
    found, out, err = covey("ledger", "what-if", *words, "--project", project)
    assert (found, out) == (code, "")
    assert says in " ".join(err.split())


def test_a_ledger_says_how_long_its_budget_lasts_if_a_limit_is_given(covey: Covey, project: Path) -> None:
    _, plain, _ = covey("ledger", "show", "--project", project, "--plain")
    code, out, err = covey("ledger", "show", "--project", project, "--plain", "--limit", 10)
    assert (code, err) == (0, "")
    assert "the budget does not run out" not in plain
    assert "the budget does not run out: every UTC day has its own" in out
    assert "if every day costs as much as the worst one so far" in out
    assert "today has ρ = 0.1 left: limited (0.5, not enough)" in out
    assert covey("ledger", "show", "--project", project, "--limit", -1)[0] == 2


def test_a_store_without_views_has_budgets_that_last(covey: Covey, tmp_path: Path) -> None:
    write(tmp_path / "ledgers", "operator")
    code, out, _ = covey("ledger", "show", "--store", tmp_path, "--limit", 10)
    assert (code, "the budget does not run out" in out) == (0, True)
