"""The place of the laboratory in a browser: filter, columns, comparison, and reports without rights."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.covey.console.server import serving_console
from tests.covey.console.world import World
from tests.waiting import wait_until

from .conftest import OpenPage, WatchOf
from .places import open_place
from .test_axe import violations


@pytest.fixture
def page(kept_page: Page) -> Page:
    """The tests below that take a page only look."""
    return kept_page


def test_runs_are_filtered_sorted_and_compared(page: Page) -> None:
    open_place(page, "lab")
    runs = page.get_by_role("region", name="Runs of the laboratory")
    expect(runs.get_by_role("row")).to_have_count(3)
    page.get_by_label("Filter").fill("clients=300")
    expect(page.get_by_role("status")).to_have_text("1 of 2 runs")
    page.get_by_label("Filter").fill("")
    runs.get_by_role("button", name="fleet.clients").click()
    runs.get_by_role("button", name="fleet.clients").click()
    expect(runs.get_by_role("row").nth(1)).to_contain_text("300")
    for name in ("runs/001", "runs/002"):
        page.get_by_label(f"Compare {name}").check()
    comparison = page.get_by_role("region", name="Settings that differ, and all results")
    expect(comparison.get_by_role("row", name="fleet.clients")).to_contain_text("200")


def test_columns_are_chosen_by_keyboard(page: Page) -> None:
    open_place(page, "lab")
    runs = page.get_by_role("region", name="Runs of the laboratory")
    expect(runs.get_by_role("columnheader", name="dest_delay opened")).to_have_count(0)
    page.get_by_text("Columns (", exact=False).press("Enter")
    page.get_by_label("dest_delay opened").press("Space")
    expect(runs.get_by_role("columnheader", name="dest_delay opened")).to_be_visible()


def test_a_report_opens_in_a_frame_and_in_a_tab_of_its_own(page: Page) -> None:
    open_place(page, "lab")
    page.get_by_role("button", name="Open the report of runs/001").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("iframe")).to_be_in_viewport()  # also where the table is far below
    assert violations(page) == []
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open in a tab of its own").click()
    expect(opened.value.get_by_role("heading", level=1)).to_be_visible()


def test_a_hostile_report_runs_nothing_and_reaches_nothing(
    own_world: World, open_page: OpenPage, watch_of: WatchOf, tmp_path: Path
) -> None:
    hostile = own_world.lab / "runs" / "001" / "report.html"
    hostile.write_text(
        "<h1>a report</h1><script>parent.document.title = 'taken'; document.title = 'taken'</script>"
        '<img src="/console/api/models" onerror="document.body.append(\'ran\')">'
        '<form action="/console/api/models/late/rollback" method="post"><button>Go on</button></form>'
    )
    shutil.copytree(own_world.lab / "runs" / "002", own_world.lab / "<img src=x onerror=document.title=1>")
    with serving_console(own_world, tmp_path / "log") as server:
        page = open_page(server)
        open_place(page, "lab")
        expect(page.get_by_role("cell", name="<img src=x onerror=document.title=1>", exact=True)).to_be_visible()
        page.get_by_role("button", name="Open the report of runs/001").click()
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("heading", name="a report")).to_be_visible()
        frame.get_by_role("button", name="Go on").click()
        expect(frame.get_by_role("heading", name="a report")).to_be_visible()
        assert page.title() == "Lab – Covey console"
        assert "ran" not in frame.locator("body").inner_text()
        watch = watch_of(page)  # the browser says what it has blocked, and there is nothing else
        for blocked in ("csp: GET", "form submission"):
            wait_until(lambda blocked=blocked: page.title() and any(blocked in one for one in watch.defects))
        assert [one for one in watch.defects if not re.search("sandbox|Content Security Policy|^csp: ", one)] == []
        assert not any("/rollback" in one for one in watch.requests)
        watch.defects.clear()
