"""Every place opens on a project with data, for a reader and for an operator, and asks nothing of another host."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.covey.console.server import ConsoleServer

from .conftest import OpenPage, WatchOf
from .places import PLACES, open_place


@pytest.mark.parametrize("role", ["reader", "operator"])
def test_every_place_opens(open_page: OpenPage, role: str) -> None:
    page = open_page(role=role)
    expect(page.get_by_role("banner").get_by_text(role)).to_be_visible()
    for place in PLACES:
        open_place(page, place)
        expect(page.get_by_role("alert")).to_have_count(0)
        link = page.get_by_role("navigation", name="Places").get_by_role("link", name=place.capitalize())
        expect(link).to_have_attribute("aria-current", "page")


def test_the_token_leaves_the_address_and_a_new_load_keeps_the_session(
    open_page: OpenPage, console_server: ConsoleServer
) -> None:
    page = open_page()
    assert console_server.token not in page.url
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.get_by_role("banner").get_by_text("operator")).to_be_visible()


def test_places_are_reached_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to the content")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Budgets":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_role("heading", level=1, name="Budgets")).to_be_visible()
    expect(page.get_by_role("main")).to_be_focused()


def test_only_the_consoles_own_address_is_asked(open_page: OpenPage, watch_of: WatchOf) -> None:
    page = open_page()
    for place in PLACES:
        open_place(page, place)
    asked = watch_of(page).requests
    assert len(asked) > len(PLACES)
    assert all(url.startswith((page.url.partition("#")[0], "data:")) for url in asked)
