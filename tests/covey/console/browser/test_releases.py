"""The places of releases and lineage in Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.covey.console.server import serving_console
from tests.covey.console.world import HOSTILE, World

from .conftest import OpenPage, WatchOf
from .places import open_place, wait_until_shown
from .test_axe import violations


@pytest.fixture
def page(kept_page: Page) -> Page:
    """The tests below that take a page only look."""
    return kept_page


def first_release(page: Page, query: str) -> None:
    open_place(page, "releases", query)
    page.get_by_role("table", name="Releases").get_by_role("link").first.click()
    wait_until_shown(page)


def test_the_list_is_filtered_and_paged_and_the_address_keeps_the_filters(page: Page) -> None:
    open_place(page, "releases")
    rows = page.get_by_role("table", name="Releases").get_by_role("row")
    expect(rows).to_have_count(101)
    newest = rows.nth(1).text_content()
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_text("Page 2")).to_be_visible()
    page.get_by_role("button", name="Newer").click()
    expect(rows.nth(1)).to_have_text(newest or "")
    page.get_by_label("View", exact=True).select_option("shops")
    expect(rows).to_have_count(11)
    page.get_by_label("State").select_option("retracted")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text(HOSTILE)
    assert page.evaluate("location.hash") == "#/releases?view=shops&state=retracted"
    page.reload()
    wait_until_shown(page)
    expect(page.get_by_label("State")).to_have_value("retracted")


def test_releases_are_found_by_a_reason_and_by_their_plan(page: Page) -> None:
    open_place(page, "releases")
    rows = page.get_by_role("table", name="Releases").get_by_role("row")
    page.get_by_label("Reason, release or plan").fill('onerror="')
    page.get_by_role("button", name="Find").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text(HOSTILE)
    rows.nth(1).get_by_role("link").click()
    page.get_by_title("All panes of this plan").click()
    expect(page.get_by_label("Reason, release or plan")).to_have_value(re.compile("^[0-9a-f]{64}$"))
    expect(rows).to_have_count(11)
    page.get_by_label("Reason, release or plan").fill("")
    expect(rows).to_have_count(101)
    assert violations(page) == []


def test_a_signed_release_is_verified_by_the_server(page: Page) -> None:
    first_release(page, "view=visits&trust=one-honest-noiser&state=opened")
    expect(page.get_by_text("verified", exact=True)).to_be_visible()
    page.get_by_text("What was checked").click()
    checks = page.get_by_role("table", name="Checks").get_by_role("row")
    expect(checks.filter(has_text="signature")).to_contain_text("passed")
    expect(page.get_by_text(re.compile("covey release verify [0-9a-f]{32}"))).to_be_visible()
    assert violations(page) == []


def test_a_release_without_signature_says_so(page: Page) -> None:
    first_release(page, "view=dest_delay&state=opened")
    expect(page.get_by_text("A run in one process made this release and signed nothing.")).to_be_visible()


def test_a_retraction_needs_a_reason_and_a_confirmation(own_world: World, open_page: OpenPage, tmp_path: Path) -> None:
    with serving_console(own_world, tmp_path / "log") as server:
        page = open_page(server)
        first_release(page, "view=dest_delay&state=opened")
        page.get_by_role("button", name="Retract …").click()
        dialog = page.get_by_role("dialog")
        retract = dialog.get_by_role("button", name="Retract", exact=True)
        expect(dialog).to_contain_text("This cannot be undone.")
        expect(retract).to_be_disabled()
        dialog.get_by_label("Reason").fill("it's wrong")
        expect(dialog).to_contain_text("""--reason 'it'"'"'s wrong'""")
        expect(retract).to_be_disabled()
        dialog.get_by_label("I want to retract it").check()
        assert violations(page) == []
        retract.click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_text("RETRACTED: it's wrong")).to_be_visible()
        expect(page.get_by_role("button", name="Retract …")).to_have_count(0)


def test_a_reader_cannot_retract(open_page: OpenPage) -> None:
    page = open_page(role="reader")
    first_release(page, "view=dest_delay&state=opened")
    expect(page.get_by_role("button", name="Retract …")).to_have_count(0)


def test_a_release_that_is_not_there_is_a_problem(page: Page, watch_of: WatchOf) -> None:
    watch_of(page).expect(404, "/releases/")
    page.evaluate("location.hash = '#/releases/' + '0'.repeat(32)")
    expect(page.get_by_role("alert").first).to_contain_text("UNKNOWN_RELEASE")


def test_the_lineage_shows_the_way_of_a_part_by_mouse_and_by_keyboard(page: Page) -> None:
    open_place(page, "releases/lineage")
    page.get_by_label("View dest_delay@v1").click()
    card = page.get_by_role("heading", name="View: dest_delay@v1")
    expect(card).to_be_visible()
    expect(page.locator(".lineage-part-dim").filter(has_text="visits@v1").first).to_be_visible()
    page.get_by_label("Model late@v1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Model: late@v1")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Table", exact=True).click()
    page.get_by_role("button", name="odd@v1").click()
    expect(page.get_by_text("the lineage of model odd@v1 does not say which views it reads")).to_be_visible()
    assert violations(page) == []


def test_a_narrow_page_begins_with_the_table(open_page: OpenPage) -> None:
    page = open_page(width=390)
    open_place(page, "releases/lineage")
    expect(page.get_by_role("table", name="Parts of the lineage")).to_be_visible()
