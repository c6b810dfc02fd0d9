"""WCAG 2.2 AA by axe-core, in every place, in light, dark and on a phone; and pages that fit phones and zoomed windows."""

from __future__ import annotations

import pytest

pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, Page

from .conftest import OpenPage
from .places import PAGES, open_place, wait_until_shown

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
ZOOMED = 640
"""CSS pixels: a window of 1280 at 200 %."""
LOOKS = (("light", 1280), ("light", ZOOMED), ("light", 360), ("dark", 1280))
"""Theme, and width in CSS pixels; 360 is the narrowest phone."""


def violations(page: Page) -> list[str]:
    """What axe finds: its rule, and the elements."""
    options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{one['id']} ({one['help']}): {node['target']} {node.get('failureSummary', '')}"
        for one in found
        for node in one["nodes"]
    ]


FITS = "() => document.documentElement.scrollWidth <= window.innerWidth"
WIDER = """[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > window.innerWidth + 1)
    .filter(one => !one.closest('.table-scroll, .react-flow'))
    .map(one => `${one.tagName}.${one.className}`).slice(0, 5)"""


def wider_than_the_window(page: Page) -> list[str]:
    """The first elements that make the page scroll sideways, after charts and canvases took their new size."""
    try:
        page.wait_for_function(FITS)
    except Error:
        return list(page.evaluate(WIDER)) or ["the page, by an element that may scroll itself"]
    return []


@pytest.mark.parametrize("place", PAGES)
def test_a_place_violates_no_rule_of_wcag_and_never_scrolls_sideways(kept_page: Page, place: str) -> None:
    page = kept_page
    open_place(page, place)
    found = []
    for colour, width in LOOKS:
        page.emulate_media(color_scheme=colour)
        page.set_viewport_size({"width": width, "height": 800})
        wait_until_shown(page)
        found += [(colour, width, one) for one in wider_than_the_window(page)]
        if width != ZOOMED:
            found += [(colour, width, one) for one in violations(page)]
    assert found == []


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
