"""The place of budgets in Chromium."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from covey.cli import call
from tests.covey.console.server import serving_console
from tests.covey.console.world import World

from .conftest import OpenPage
from .places import open_place
from .test_axe import violations


@pytest.fixture
def page(kept_page: Page) -> Page:
    """The tests below that take a page only look."""
    return kept_page


def test_ledgers_are_listed_and_one_is_shown_with_its_days_and_refusals(page: Page) -> None:
    open_place(page, "budgets", "ledger=site-1")
    ledgers = page.get_by_role("table", name="Ledgers")
    expect(ledgers.get_by_role("link")).to_have_text(["operator", "site-1", "site-2"])
    expect(page.get_by_role("heading", name="site-1")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("ρ of each day by view"))).to_be_visible()
    expect(page.get_by_role("table", name="Charged days").get_by_role("row").nth(1)).to_contain_text("2020-05-02")
    ledgers.get_by_role("link", name="operator").click()
    expect(page.get_by_role("heading", name="operator")).to_be_visible()
    page.get_by_role("button", name="Check every entry").click()
    expect(page.get_by_text(re.compile("all .* entries are whole"))).to_be_visible()


def test_days_can_be_bounded(page: Page) -> None:
    open_place(page, "budgets", "ledger=site-1")
    page.get_by_label("From (UTC day)").fill("2020-05-02")
    expect(page.get_by_role("table", name="Charged days").get_by_role("row")).to_have_count(2)
    page.get_by_label("From (UTC day)").fill("2031-01-01")
    expect(page.get_by_text("No day was charged in this time.")).to_be_visible()


def test_what_if_follows_the_price_that_is_written(page: Page) -> None:
    open_place(page, "budgets/what-if")
    for box in page.get_by_role("checkbox").all():
        if "dest_delay" not in (box.evaluate("box => box.parentElement.textContent") or ""):
            box.uncheck()
    expect(page.get_by_text("A client-day costs ρ = 0.099998 against an aggregator")).to_be_visible()
    price = page.get_by_label("ρ of a client-day of dest_delay")
    price.fill("0.01")
    expect(page.get_by_text("A client-day costs ρ = 0.009998 against an aggregator")).to_be_visible()
    expect(page.get_by_text(re.compile(r"ε stays at most 10 for \d+ days against outsiders"))).to_be_visible()
    price.fill("0.01x")
    expect(page.get_by_text("A number above 0, at most 1,000")).to_be_visible()
    price.fill("2")
    expect(
        page.get_by_role("table", name="Whether each budget pays for a day").get_by_text("refused").first
    ).to_be_visible()
    assert violations(page) == []


def test_a_ledger_says_how_long_its_budget_lasts_as_the_command_does(
    page: Page, console_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    open_place(page, "budgets", "ledger=operator")
    page.get_by_label("ε that is not to be exceeded").fill("25")
    answer = page.get_by_text(re.compile(r"If every day's budget is spent: ε stays at most 25 for \d+ days"))
    expect(answer).to_be_visible()
    assert (
        call(["ledger", "show", "--ledger", "operator", "--limit", "25", "--project", str(console_world.project)]) == 0
    )
    out = " ".join(capsys.readouterr().out.split())  # without the line breaks of a narrow terminal
    said = re.findall(
        r"ε stays at most 25 for (\d+) days? against outsiders, (\d+) days? against an aggregator, if every day's", out
    )
    assert said == re.findall(r"most 25 for (\d+) days?.*for (\d+) days?", answer.inner_text()) != [], out


def test_what_if_prices_edits_of_the_composer_before_they_are_saved(open_page: OpenPage) -> None:
    page = open_page()
    open_place(page, "composer")
    page.get_by_role("treeitem", name=re.compile("^Privacy")).first.click()
    page.get_by_label("Rho", exact=True).fill("0.04")
    open_place(page, "budgets/what-if", "of=composer")
    expect(page.get_by_label("ρ of a client-day of area_delay")).to_have_value("0.04")
    expect(page.get_by_text("A client-day costs ρ = 0.139998 against an aggregator")).to_be_visible()
    expect(page.get_by_text("The same as a command, once the edits are saved")).to_be_visible()
    page.get_by_role("combobox", name="Views", exact=True).select_option("registered in the store")
    expect(page.get_by_label("ρ of a client-day of area_delay")).to_have_value("0.08")


@pytest.mark.long
def test_a_broken_ledger_is_named_with_its_mend_beside_the_others(
    own_world: World, open_page: OpenPage, tmp_path: Path
) -> None:
    broken = sqlite3.connect(own_world.project / "ledgers" / "site-2.db")
    with broken:
        broken.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
    broken.close()
    with serving_console(own_world, tmp_path / "log") as server:
        page = open_page(server)
        open_place(page, "budgets")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("The ledger of site-2 cannot be used")
        expect(alert).to_contain_text("covey ledger rebuild")
        expect(page.get_by_role("heading", name="operator")).to_be_visible()
