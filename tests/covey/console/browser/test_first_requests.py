"""A page asks for what its place shows while its code is still on the way, and asks for nothing twice."""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import Page, Route

from .places import PLACES, wait_until_shown

VIEW = "features/dest_delay"


def reload(page: Page, place: str) -> Counter[str]:
    """Load the page anew at a place; returns what it asks the API for, and how often."""
    asked: Counter[str] = Counter()
    page.on("request", lambda request: asked.update([request.url.partition("/console/api/")[2]]))
    page.evaluate("hash => history.replaceState(null, '', hash)", f"#/{place}")
    page.reload(wait_until="commit")
    return asked


@pytest.mark.parametrize("place", [VIEW, *(pytest.param(one, marks=pytest.mark.long) for one in PLACES)])
def test_a_place_asks_for_nothing_twice_when_it_is_opened(page: Page, place: str) -> None:
    asked = reload(page, place)
    wait_until_shown(page)
    del asked[""]  # the files of the page
    assert asked["session"] == asked["about"] == 1
    assert {url: times for url, times in asked.items() if times > 1} == {}


def test_the_frame_is_there_and_the_first_requests_are_answered_before_the_app_is(page: Page) -> None:
    held: list[Route] = []
    page.route("**/assets/app-*.js", lambda route: held.append(route))
    with page.expect_response(f"**/console/api/{VIEW}"), page.expect_response(f"**/console/api/{VIEW}/keys?*"):
        reload(page, VIEW)
    assert page.get_by_role("navigation", name="Places").get_by_role("link").all_inner_texts() == [
        place.capitalize() for place in PLACES
    ]
    assert page.get_by_role("status").inner_text() == "Opening the console …"
    for route in held:
        route.continue_()
    wait_until_shown(page)
