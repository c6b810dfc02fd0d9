"""The place of features: values over time, all keys, what a label saw, and files, by mouse and by keyboard."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from base.times import DAY_US, utc_text
from featurestore.store import Store
from tests.covey.console.world import DAYS, FIRST, HOSTILE, HOSTILE_KEYS, World

from .conftest import PHONE, OpenPage, WatchOf
from .places import open_place
from .test_axe import violations, wider_than_the_window

VALUES = "features/dest_delay"
TABS = ("", "tab=keys", "tab=moment", "tab=elsewhere")


@pytest.fixture
def page(kept_page: Page) -> Page:
    """The tests below that take a page only look."""
    return kept_page


def row_texts(page: Page, table: str) -> list[list[str]]:
    """The texts of the rows of a table."""
    rows = page.get_by_role("region", name=table, exact=True).locator("tbody tr")
    return [[cell.inner_text() for cell in row.locator("td").all()] for row in rows.all()]


def chart(page: Page) -> None:
    """Wait for the chart to be drawn."""
    expect(page.locator(".chart-plot canvas")).to_be_visible()


def test_views_are_listed_and_searched(page: Page) -> None:
    open_place(page, "features")
    table = page.get_by_role("region", name="Views")
    expect(table.get_by_role("link", name="dest_delay")).to_be_visible()
    page.get_by_label("Search").fill("arrival dest")
    expect(table.get_by_role("row")).to_have_count(2)
    page.get_by_label("Search").fill("no such thing")
    expect(page.get_by_text("No view matches this search.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"search=no\+such\+thing"))


def test_the_table_beside_the_chart_has_the_values_of_the_store(page: Page, console_world: World) -> None:
    open_place(page, VALUES, "feature=planes&key=ATL")
    chart(page)
    with Store.open(console_world.project) as store:
        own = [row for row in store.history("dest_delay").to_pylist() if row["dest"] == "ATL"]
    shown = row_texts(page, "Values")
    assert [(row[0], row[1], row[3], row[7]) for row in shown] == [
        (f"{row['pane_start']:%Y-%m-%d}", "ATL", f"{row['planes']:,}", row["planes__status"]) for row in reversed(own)
    ]
    assert shown[0][9] == own[-1]["release_id"][:8]


def test_keys_are_found_and_compared(page: Page) -> None:
    open_place(page, VALUES, "feature=planes")
    chart(page)
    box = page.get_by_role("combobox", name="Add a key")
    box.fill("la")
    page.get_by_role("option", name="LAX").click()
    expect(page.get_by_role("list", name="Keys").get_by_role("listitem")).to_have_count(2)
    box.fill("sf")
    box.press("ArrowDown")
    box.press("Enter")
    key = page.locator(".chart-key")
    for name in ("ATL", "LAX", "SFO"):
        expect(key.get_by_text(name, exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("key=ATL&key=LAX&key=SFO"))
    page.get_by_role("button", name="Remove LAX").click()
    expect(key.get_by_text("LAX", exact=True)).to_have_count(0)
    box.fill("zzz")
    expect(page.get_by_text("No key contains this text.")).to_be_visible()


def test_features_of_two_units_are_compared(page: Page) -> None:
    open_place(page, VALUES, "feature=planes&key=ATL")
    page.get_by_label("Compare with").select_option("late_7d")
    expect(page.locator(".chart-key").get_by_text("ATL, late_7d")).to_be_visible()
    expect(page.locator(".u-axis")).to_have_count(3)


def test_the_chart_is_read_zoomed_and_panned_by_keyboard(page: Page) -> None:
    open_place(page, VALUES, "feature=planes&key=ATL")
    chart(page)
    page.get_by_role("application").focus()
    time = page.locator(".chart-time")
    expect(time).to_contain_text("Newest")
    page.keyboard.press("ArrowLeft")
    expect(time).to_have_text(utc_text(FIRST + (DAYS - 1) * DAY_US)[:10])
    page.keyboard.press("ArrowLeft")
    expect(time).to_have_text(utc_text(FIRST + (DAYS - 2) * DAY_US)[:10])
    page.keyboard.press("+")
    expect(page).to_have_url(re.compile(r"from=.*&to="))
    zoomed = page.url
    page.keyboard.press("Shift+ArrowRight")
    expect(page).not_to_have_url(zoomed)
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("from="))


def test_a_drag_over_the_chart_zooms_and_the_address_keeps_it(page: Page) -> None:
    open_place(page, VALUES, "feature=planes&key=ATL")
    chart(page)
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=2013-06-0.*&to=2013-06-0"))
    rows = page.get_by_role("region", name="Values", exact=True).locator("tbody tr")
    expect(rows).not_to_have_count(DAYS)  # the earlier values stay until the new ones are there
    before = rows.count()
    assert 3 <= before <= 5
    page.reload()
    expect(rows).to_have_count(before)


def test_presets_of_the_time_end_with_the_newest_pane(page: Page) -> None:
    open_place(page, VALUES, "feature=planes&key=ATL")
    page.get_by_role("button", name="7 days").click()
    expect(page.get_by_role("region", name="Values", exact=True).locator("tbody tr")).to_have_count(7)
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")


def test_voids_and_retractions_say_why_and_html_stays_text(page: Page) -> None:
    open_place(page, "features/shops", f"feature=flights&key={HOSTILE_KEYS[2].replace('+', '%2B').replace('=', '%3D')}")
    chart(page)
    rows = {row[0]: row for row in row_texts(page, "Values")}
    void, retracted = rows["2013-06-04"], rows["2013-06-05"]
    assert (void[7], void[8]) == ("VOID", "BATCH_TOO_SMALL")
    assert (retracted[7], retracted[8]) == ("VOID", f"RETRACTED: {HOSTILE}")
    expect(page.get_by_text("Shaded: the pane was not opened")).to_be_visible()
    expect(page.get_by_text("Shaded: the pane was retracted")).to_be_visible()
    page.get_by_role("application").focus()
    for _ in range(DAYS - 3):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".chart-time")).to_have_text("2013-06-04 – void: BATCH_TOO_SMALL")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    for tab in ("keys", "moment", "elsewhere"):
        open_place(page, "features/shops", f"tab={tab}")
    assert page.locator("main img").count() == 0
    assert page.title() == "Features – Covey console"


def test_the_heat_map_is_read_by_keyboard_and_opens_a_key(page: Page) -> None:
    open_place(page, VALUES, "tab=keys&feature=planes")
    heat = page.get_by_role("application")
    expect(heat.locator("canvas")).to_be_visible()
    heat.focus()
    page.keyboard.press("ArrowDown")
    read = page.locator(".features-heat-cell")
    expect(read).to_have_text(re.compile(r"^ATL, 2013-06-10: [\d.-]+ ± [\d.]+ \(OK\)$"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    expect(read).to_contain_text("BOS, 2013-06-09")
    rows = row_texts(page, "Keys")
    assert [row[0] for row in rows] == ["ATL", "BOS", "CLT", "FLL", "LAX", "MCO", "ORD", "SFO"]
    assert {row[1] for row in rows} == {f"{DAYS} of {DAYS}"}
    for mode in ("Standard errors", "Statuses"):
        page.get_by_label("Show").select_option(label=mode)
    expect(page.get_by_text("OK: the value is there")).to_be_visible()
    heat.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("key=BOS"))
    chart(page)


def test_a_look_shows_what_a_label_saw_and_its_command(page: Page, console_world: World) -> None:
    open_place(page, VALUES, "tab=moment&feature=planes&key=LAX")
    page.get_by_label("Moment of the label (UTC)").fill("2013-06-05T12:00")
    page.get_by_role("button", name="Look").click()
    table = page.get_by_role("region", name="Seen at 2013-06-05 12:00")
    expect(table).to_be_visible()
    with Store.open(console_world.project) as store:
        rows = {
            str(row["pane_start"])[:10]: row for row in store.history("dest_delay").to_pylist() if row["dest"] == "LAX"
        }
    (seen,) = row_texts(page, "Seen at 2013-06-05 12:00")
    own = rows["2013-06-04"]
    assert seen[0] == "dest_delay:planes"
    assert seen[1] == f"{own['planes']:,}"
    assert seen[6] == "2013-06-04 to 2013-06-05"
    assert seen[8] == "12 hours"
    assert seen[9] == own["release_id"][:8]
    expect(page.get_by_text("covey join labels.csv --time moment")).to_be_visible()
    expect(page.get_by_text("LAX,2013-06-05T12:00:00Z")).to_be_visible()


def test_a_look_is_exact_to_the_microsecond(page: Page) -> None:
    open_place(page, VALUES, "tab=moment&feature=planes&key=LAX")
    field = page.get_by_label("Moment of the label (UTC)")
    seen = []
    for moment in ("2013-06-05 00:29:59.999999", "2013-06-05 00:30"):
        field.fill(moment)
        page.get_by_role("button", name="Look").click()
        expect(page.get_by_role("region", name=f"Seen at {moment}", exact=True)).to_be_visible()
        seen.append(row_texts(page, f"Seen at {moment}")[0])
    assert [(row[6][:10], row[7]) for row in seen] == [
        ("2013-06-03", "2013-06-04 00:30"),
        ("2013-06-04", "2013-06-05 00:30"),
    ]
    field.fill("2013-02-30 12:00")
    expect(page.get_by_text("This is no time.")).to_be_visible()
    expect(page.get_by_role("button", name="Look")).to_be_disabled()


def test_a_look_at_a_service_asks_for_its_keys(page: Page) -> None:
    open_place(page, "features/-", "service=late_model")
    page.get_by_label("dest (string)").fill("ATL")
    page.get_by_label("Moment of the label (UTC)").fill("2013-06-10T12:00")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("cell", name="area_delay:late_24h")).to_be_visible()
    expect(page.get_by_role("cell", name="dest_delay:late_7d")).to_be_visible()


def test_a_look_at_any_feature_is_put_together_from_a_list(page: Page) -> None:
    open_place(page, "features/-")
    page.get_by_label("Add a feature").select_option("area_delay:late_3h")
    page.get_by_label("Add a feature").select_option("dest_delay:planes")
    expect(page.get_by_label("Features", exact=True)).to_have_value("area_delay:late_3h dest_delay:planes")
    expect(page.get_by_role("button", name="Look")).to_be_disabled()
    page.get_by_label("dest (string)").fill("BOS")
    page.get_by_label("Moment of the label (UTC)").fill("2013-06-10T12:00")
    page.get_by_label("Moment of the label (UTC)").press("Enter")
    expect(page.get_by_role("cell", name="dest_delay:planes")).to_be_visible()


def test_a_look_that_cannot_be_shows_the_problem(page: Page, watch_of: WatchOf) -> None:
    watch_of(page).expect(404, "/features/needed")
    open_place(page, "features/-")
    page.get_by_label("Features", exact=True).fill("dest_delay:nothing")
    expect(page.get_by_role("alert")).to_contain_text("serves no feature 'nothing'")


def test_rows_are_downloaded(page: Page, tmp_path: Path, console_world: World) -> None:
    open_place(page, VALUES, "tab=elsewhere&key=ATL&key=LAX")
    expect(page.get_by_text("covey history dest_delay")).to_be_visible()
    with page.expect_download() as caught:
        page.get_by_role("link", name="CSV").click()
    assert caught.value.suggested_filename == "dest_delay.csv"
    caught.value.save_as(tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [row["dest"] for row in rows] == ["ATL", "LAX"] * DAYS


def test_an_unknown_view_is_a_problem_with_the_views_that_are_there(page: Page, watch_of: WatchOf) -> None:
    watch_of(page).expect(404, "/features/nothing")
    open_place(page, "features/nothing")
    expect(page.get_by_role("alert")).to_contain_text("dest_delay")


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_no_part_of_a_view_violates_wcag(open_page: OpenPage, colour: str) -> None:
    page = open_page(colour=colour)
    for tab in TABS:
        open_place(page, VALUES, tab)
        expect(page.get_by_role("tabpanel")).to_be_visible()
        assert violations(page) == []


def test_no_part_of_a_view_scrolls_sideways_on_a_phone(open_page: OpenPage) -> None:
    page = open_page(width=PHONE)
    for tab in TABS:
        open_place(page, VALUES, tab)
        expect(page.get_by_role("tabpanel")).to_be_visible()
        assert wider_than_the_window(page) == [], tab
