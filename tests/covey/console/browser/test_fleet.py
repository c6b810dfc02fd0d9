"""The place of the fleet in a browser: what it shows, that it is live, and a lost connection."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from deployment.coordinator.answer_log import AnswerLog
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.covey.console.server import serving_console
from tests.covey.console.world import HOSTILE, World
from tests.featurestore.making import DAY, a_release

from .conftest import OpenPage, WatchOf
from .places import open_place
from .test_axe import violations, wider_than_the_window


@pytest.fixture
def page(kept_page: Page) -> Page:
    """The tests below that take a page only look."""
    return kept_page


def test_sites_panes_coverage_and_drift_of_a_project_are_shown(page: Page) -> None:
    open_place(page, "fleet")
    sites = page.get_by_role("region", name="Sites", exact=True).first
    expect(sites.get_by_role("row")).to_have_count(3)
    panes = page.get_by_role("region", name="Panes by view")
    expect(panes.get_by_role("row", name="shops")).to_contain_text("8")
    page.get_by_label("View", exact=True).select_option("visits")
    matrix = page.get_by_role("region", name="Coverage of panes by site").last
    expect(matrix.get_by_role("row").nth(1)).to_contain_text("2 of 2")
    expect(matrix.get_by_role("cell", name="counted")).to_have_count(4)
    page.get_by_label("View", exact=True).select_option("everywhere")
    page.get_by_label("Newest panes", exact=True).select_option("60")
    expect(matrix.get_by_role("row").nth(1)).to_contain_text("48 of 48")
    assert wider_than_the_window(page) == []  # the matrix scrolls by itself
    assert violations(page) == []
    expect(page.get_by_role("region", name="Drift by view").get_by_role("row")).to_have_count(6)
    expect(page.get_by_text(f"retracted: {HOSTILE}")).to_be_visible()  # as a text
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()


def test_a_view_without_counted_sites_says_why_its_matrix_is_empty(page: Page) -> None:
    open_place(page, "fleet")
    page.get_by_label("View", exact=True).select_option("shops")
    expect(page.get_by_text("No aggregator counted sites in these panes")).to_be_visible()


def test_a_page_shows_what_changes_and_says_when_the_connection_is_lost(
    own_world: World, open_page: OpenPage, watch_of: WatchOf, tmp_path: Path
) -> None:
    with serving_console(own_world, tmp_path / "log") as server:
        page = open_page(server)
        open_place(page, "fleet")
        panes = page.get_by_role("region", name="Panes by view")
        expect(panes.get_by_role("row", name="shops").get_by_role("cell").nth(1)).to_have_text("8")
        with Publisher(own_world.project, lambda: 2**51) as publisher, Store.open(own_world.project) as store:
            publisher.publish([a_release(store.view("shops"), 16_500 * DAY)])
        expect(panes.get_by_role("row", name="shops").get_by_role("cell").nth(1)).to_have_text("9")
        result = {"code": "VIEW_NOT_ALLOWED", "batches": 0, "refused": {}}
        AnswerLog(own_world.project).add({"views": {}, "sites": {"1": result, HOSTILE: result}}, 2**51)
        expect(page.get_by_text("The policy does not allow a view of this name.").first).to_be_visible()
        expect(page.get_by_text(f"Site {HOSTILE}")).to_be_visible()
        watch_of(page).expect_lost_connection()
        server.process.terminate()
        server.process.wait()
        expect(page.get_by_text("Connection lost, trying again")).to_be_visible()
        expect(panes.get_by_role("row", name="shops").get_by_role("cell").nth(1)).to_have_text("9")  # and what it knew
