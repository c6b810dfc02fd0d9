"""WCAG 2.2 AA by axe-core, in every place, theme and width; and pages that fit phones and zoomed windows."""

from __future__ import annotations

import pytest

pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from .conftest import PHONE, OpenPage
from .places import PLACES, open_place

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = {"desk": 1280, "phone": PHONE}


def violations(page: Page) -> list[str]:
    """What axe finds: its rule, and the elements."""
    options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{one['id']} ({one['help']}): {node['target']} {node.get('failureSummary', '')}"
        for one in found
        for node in one["nodes"]
    ]


def wider_than_the_window(page: Page) -> int:
    """CSS pixels by which the page would scroll sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("colour", ["light", "dark"])
def test_no_place_violates_wcag(open_page: OpenPage, width: str, colour: str) -> None:
    page = open_page(width=WIDTHS[width], colour=colour)
    found = {}
    for place in PLACES:
        open_place(page, place)
        found[place] = violations(page)
    assert found == {place: [] for place in PLACES}


def test_no_place_scrolls_sideways_on_the_narrowest_phone_or_at_twice_the_size(open_page: OpenPage) -> None:
    narrow, zoomed = open_page(width=360), open_page(width=640, height=400, device_scale_factor=2)  # 1280 at 200 %
    for page in (narrow, zoomed):
        for place in PLACES:
            open_place(page, place)
            assert wider_than_the_window(page) <= 0, place


def test_a_violation_is_found(open_page: OpenPage) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            const text = document.createElement('p');
            text.textContent = 'too pale';
            text.style.color = '#ddd';
            text.style.backgroundColor = '#fff';
            document.querySelector('main').append(text, document.createElement('input'));
        }"""
    )
    assert {one.split()[0] for one in violations(page)} == {"color-contrast", "label"}
