"""The places of the console, as tests open them."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Page, expect

PLACES: Final = ("composer", "features", "budgets", "releases", "fleet", "lab", "models")

PAGES: Final = (*PLACES, "features/dest_delay", "budgets/what-if", "releases/lineage")
"""The places, and pages inside of them."""

_PATIENCE_MS: Final = 20_000
"""A busy machine may be slow."""


def open_place(page: Page, place: str, query: str = "") -> None:
    """Go to a place, such as `features` or `features/dest_delay`, and wait until it shows what it has."""
    page.evaluate("hash => { location.hash = hash }", f"#/{place}{query and f'?{query}'}")
    expect(page).to_have_title(re.compile(f"^{place.partition('/')[0].capitalize()} – "))
    wait_until_shown(page)


def wait_until_shown(page: Page) -> None:
    """Wait until the place has its heading, and nothing is being read."""
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible(timeout=_PATIENCE_MS)
    expect(page.locator(".spinner")).to_have_count(0, timeout=_PATIENCE_MS)
