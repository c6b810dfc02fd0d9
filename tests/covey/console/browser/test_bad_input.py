"""Names that are HTML, a store that goes away and comes back, a server that ends: the page stays, and says what is wrong."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.covey.console.server import serving_console
from tests.covey.console.world import HOSTILE, World

from .conftest import OpenPage, WatchOf
from .places import PLACES, open_place

READ = ("features", "releases", "budgets")
"""Places that read the store or ledgers whenever they are opened."""


def test_html_is_text_in_every_place(page: Page) -> None:
    for place in (*PLACES, "features/shops", "models/odd"):
        open_place(page, place)
        assert page.locator("img[src*=elsewhere]").count() == 0
        assert page.title() != "1"
    open_place(page, "features/shops")
    expect(page.get_by_role("main").get_by_text(HOSTILE).first).to_be_visible()


def test_a_store_may_go_away_and_come_back(
    own_world: World, open_page: OpenPage, watch_of: WatchOf, tmp_path: Path
) -> None:
    store, elsewhere = own_world.project / "store", own_world.project / "elsewhere"
    with serving_console(own_world, tmp_path / "log") as server:
        page = open_page(server)
        for status in (404, 409, 500, 503):
            watch_of(page).expect(status, "/console/api/")
        store.rename(elsewhere)
        for place in READ:
            go(page, place)
            expect(page.get_by_role("main").get_by_role("alert").first).to_be_visible()
            expect(page.get_by_role("navigation", name="Places")).to_be_visible()
        elsewhere.rename(store)
        page.reload()
        for place in READ:
            open_place(page, place)
            expect(page.get_by_role("alert")).to_have_count(0)


def test_a_server_that_ends_is_said(own_world: World, open_page: OpenPage, watch_of: WatchOf, tmp_path: Path) -> None:
    with serving_console(own_world, tmp_path / "log") as server:
        page = open_page(server)
        watch_of(page).expect_lost_connection()
    go(page, "budgets")
    expect(page.get_by_role("alert").first).to_be_visible(timeout=20_000)
    expect(page.get_by_role("navigation", name="Places")).to_be_visible()


def test_a_session_that_has_ended_is_opened_again(page: Page, watch_of: WatchOf) -> None:
    watch_of(page).expect(401, "/console/api/")
    open_place(page, "budgets")
    page.context.clear_cookies()
    with page.expect_response(lambda answer: answer.url.endswith("/console/api/session")):
        open_place(page, "models")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("banner").get_by_text("operator")).to_be_visible()
    expect(page.get_by_role("button", name="Promote …").first).to_be_visible()


def test_a_part_of_the_page_that_cannot_be_loaded_is_loaded_on_request(page: Page, watch_of: WatchOf) -> None:
    watch_of(page).expect_lost_connection()
    page.route("**/assets/lab-*.js", lambda route: route.abort())
    go(page, "lab")
    expect(page.get_by_role("alert")).to_be_visible()
    page.unroute("**/assets/lab-*.js")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("main").get_by_role("heading", level=1, name="Lab")).to_be_visible()


def test_the_words_of_a_place_are_explained_and_the_focus_comes_back(page: Page) -> None:
    open_place(page, "budgets")
    words = page.get_by_role("button", name="Words", exact=True)
    words.click()
    expect(page.get_by_role("dialog", name="What the words mean")).to_contain_text("ρ (rho)")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(words).to_be_focused()


def go(page: Page, place: str) -> None:
    """Go to a place that may show an error only."""
    page.get_by_role("navigation", name="Places").get_by_role("link", name=place.capitalize()).click()
    expect(page.locator(".spinner")).to_have_count(0, timeout=20_000)
