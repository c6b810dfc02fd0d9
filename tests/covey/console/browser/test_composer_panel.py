"""Around the canvas: the label that follows a slider, conditions as one types, Python, saving, and a run on flights."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect

from covey.cli import call
from tests.covey.console.server import ConsoleServer, serving_console
from tests.covey.console.world import VIEWS, World
from tests.waiting import wait_until

from .conftest import OpenPage, WatchOf
from .places import open_place

WEEKLY = """
weekly = FeatureView(
    "weekly",
    entity=Entity("origin", domain=["EWR", "JFK", "LGA"]),
    pane="1d",
    features=[Rate("late", where="arr_delay >= 15")],
    bounds=Bounds(max_cells=2, max_events_per_cell=1),
    privacy=Privacy(rho=0.01, min_clients=50),
)
"""


IMPORTS = VIEWS[VIEWS.index("from covey") : VIEWS.index("# the fast")]
FITS = "one => one.scrollWidth <= one.clientWidth"

BAND_PIXELS = """() => {
  const canvas = document.querySelector(".chart-plot canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue, alpha] = data.slice(at, at + 4);
    found += Math.abs(alpha - 46) < 4 && green > red + 60 && blue > red + 60 ? 1 : 0;
  }
  return found;
}"""
"""How many pixels of the chart have the colour of the first line at 18 %, which is that of its error band."""
LEAST_BAND = 1_000


@pytest.fixture(scope="module")
def fresh_world(console_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A new project without a collection, with the flights of the shared one, for the tests of this file."""
    project = tmp_path_factory.mktemp("fresh") / "project"
    assert call(["init", str(project), "--sites", "1"]) == 0
    world = World(project, project / "views.py", console_world.events, console_world.lab)
    world.views_file.write_text(VIEWS, encoding="utf-8")
    return world


@pytest.fixture(scope="module")
def fresh_server(fresh_world: World) -> Iterator[ConsoleServer]:
    """A console on it."""
    with serving_console(fresh_world, fresh_world.project.parent / "log") as server:
        yield server


NEXT = {
    "features": "covey run VIEWS.py --events FILE",
    "budgets": "covey run",
    "budgets/what-if": "covey apply",
    "releases": "covey run VIEWS.py --events FILE",
    "fleet": "covey apply VIEWS.py",
    "models": "covey train CONFIG.toml --store",
}
"""What places say of a store in which nothing was collected."""


def test_places_with_nothing_to_show_say_what_to_do_next(fresh_server: ConsoleServer, open_page: OpenPage) -> None:
    page = open_page(fresh_server)
    main = page.get_by_role("main")
    for place, command in NEXT.items():
        open_place(page, place)
        expect(main.locator(".empty").first).to_be_visible()
        expect(main.get_by_text(command).first).to_be_visible()
        assert "`" not in main.inner_text()


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="What the graph means")


def edit_as_text(page: Page, text: str) -> None:
    panel(page).get_by_role("tab", name="Python").click()
    panel(page).get_by_role("button", name="Edit as text").click()
    panel(page).get_by_label("Text of the views").fill(text)
    panel(page).get_by_role("button", name="Apply the text").click()


def test_the_label_follows_a_slider_which_edits_the_graph_and_can_be_undone(page: Page) -> None:
    row = panel(page).get_by_role("row", name=re.compile("^area_delay"))
    expect(row).to_contain_text("0.08")
    slider = panel(page).get_by_label("ρ of a client-day")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(row).to_contain_text(re.compile("0.09[5-9]"))
    expect(panel(page).get_by_text("not saved")).to_be_visible()
    error = panel(page).get_by_role("img", name=re.compile("^late: 0.5 ± "))
    before = error.get_attribute("aria-label")
    clients = panel(page).get_by_label("Clients of one key and pane")
    clients.focus()
    page.keyboard.press("Home")
    expect(panel(page).get_by_role("img", name=re.compile("^late: "))).not_to_have_attribute("aria-label", before or "")
    page.get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("0.08")
    expect(panel(page).get_by_text("not saved")).to_have_count(0)


def test_a_mistake_is_seen_at_its_part_while_another_tab_is_open_and_goes_with_it(page: Page) -> None:
    page.get_by_role("treeitem", name=re.compile("^Mean arr_delay")).click()
    panel(page).get_by_role("tab", name="Python").click()
    resolution = page.get_by_role("textbox", name="Resolution")
    resolution.fill("500")
    wrong = page.locator(".outline-wrong")
    expect(wrong).to_have_text(re.compile("arr_delay"))
    resolution.fill("1")
    expect(wrong).to_have_count(0)


def test_a_condition_is_completed_and_checked_as_one_types(page: Page) -> None:
    page.get_by_role("treeitem", name=re.compile("^Rate late")).first.click()
    where = page.get_by_role("combobox", name="Where")
    where.fill("")
    where.press_sequentially("dep_")
    expect(page.get_by_role("option", name=re.compile("^dep_delay"))).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(where).to_have_value("dep_delay ")
    where.press_sequentially(">= ")
    expect(page.get_by_text("it cannot be parsed")).to_be_visible()
    expect(where).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".condition-mark mark")).to_have_text(">=")
    where.press_sequentially("30")
    expect(where).to_have_attribute("aria-invalid", "false")
    panel(page).get_by_role("tab", name="Python").click()
    expect(panel(page).locator(".diff-added")).to_contain_text('where="dep_delay >= 30"')


def test_a_mistake_in_the_text_is_shown_at_its_line_and_loses_nothing(page: Page) -> None:
    broken = VIEWS + "\nlast = (\n"
    edit_as_text(page, broken)
    expect(panel(page).get_by_text(re.compile(r"Line \d+, column"))).to_be_visible()
    area = panel(page).get_by_label("Text of the views")
    expect(area).to_have_value(broken)
    area.fill(VIEWS + "\n# <img src=x onerror=alert(1)>\n")
    panel(page).get_by_role("button", name="Apply the text").click()
    expect(panel(page).locator(".diff-added")).to_have_count(2)
    expect(panel(page).get_by_text("# <img src=x onerror=alert(1)>")).to_be_visible()


def test_unsaved_edits_are_asked_for_and_kept_when_the_page_is_loaded_anew(page: Page) -> None:
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.reload()
    row = panel(page).get_by_role("row", name=re.compile("^area_delay"))
    expect(row).to_contain_text("0.08")
    assert asked == []
    panel(page).get_by_label("ρ of a client-day").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(row).to_contain_text(re.compile("0.09[5-9]"))
    page.reload()
    assert asked == ["beforeunload"]
    expect(row).to_contain_text(re.compile("0.09[5-9]"))
    expect(panel(page).get_by_text("not saved")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("0.08")
    expect(panel(page).get_by_text("not saved")).to_have_count(0)


def test_a_text_that_is_not_applied_stays_while_one_looks_elsewhere(page: Page) -> None:
    panel(page).get_by_role("tab", name="Python").click()
    panel(page).get_by_role("button", name="Edit as text").click()
    panel(page).get_by_label("Text of the views").fill(VIEWS + "# begun\n")
    panel(page).get_by_role("tab", name="Privacy label").click()
    open_place(page, "budgets")
    open_place(page, "composer")
    panel(page).get_by_role("tab", name="Python").click()
    expect(panel(page).get_by_label("Text of the views")).to_have_value(VIEWS + "# begun\n")
    panel(page).get_by_role("button", name="Discard these edits").click()
    expect(panel(page).locator(".diff-added")).to_have_count(0)


def boxes(found: Locator) -> list[dict[str, float]]:
    """The places of elements on the page."""
    return found.evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")


@pytest.mark.parametrize("width", [1500, 1280, 320])
def test_the_whole_graph_is_in_sight_at_first_and_nothing_lies_over_its_tools(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width, height=900)
    canvas = page.get_by_role("region", name="Canvas")
    expect(canvas.locator(".react-flow__node").first).to_be_visible()
    (frame,), (tools,), (about,) = (
        boxes(one) for one in (canvas, canvas.locator(".canvas-tools"), canvas.locator(".react-flow__attribution"))
    )
    cards = boxes(canvas.locator(".react-flow__node"))
    assert len(cards) > 10
    assert all(frame["left"] <= one["left"] < one["right"] <= frame["right"] for one in cards)
    assert all(frame["top"] <= one["top"] < one["bottom"] <= tools["top"] for one in cards)
    assert tools["right"] <= about["left"]
    (beside,) = boxes(panel(page))
    assert (beside["left"] >= frame["right"]) == (width >= 1280)
    table = panel(page).get_by_role("region", name="ε of a client, by view and days")
    expect(table.get_by_role("row", name=re.compile("^all views"))).to_be_visible()
    assert width < 360 or table.evaluate(FITS)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 640)])
def test_another_text_is_shown_whole_and_a_list_of_a_dialog_covers_no_button(
    open_page: OpenPage, width: int, height: int
) -> None:
    page = open_page(width=width, height=height)
    canvas = page.get_by_role("region", name="Canvas")
    before = canvas.locator(".react-flow__viewport").get_attribute("style")
    label = panel(page).get_by_role("region", name="ε of a client, by view and days")
    expect(label.get_by_role("row", name=re.compile("^all views"))).to_be_visible()
    assert label.evaluate(FITS)
    edit_as_text(page, IMPORTS + "".join(WEEKLY.replace("weekly", f"weekly_{number}") for number in range(4)))
    expect(canvas.get_by_role("group", name=re.compile("^View weekly_3"))).to_be_attached()

    def is_whole() -> bool:
        (frame,), cards = boxes(canvas), boxes(canvas.locator(".react-flow__node"))
        return all(frame["left"] <= one["left"] < one["right"] <= frame["right"] for one in cards) and all(
            frame["top"] <= one["top"] < one["bottom"] <= frame["bottom"] for one in cards
        )

    wait_until(is_whole)
    assert canvas.locator(".react-flow__viewport").get_attribute("style") != before
    page.get_by_role("treeitem", name=re.compile("^View weekly_0")).click()
    page.keyboard.press("c")
    dialog = page.get_by_role("dialog")
    options = dialog.get_by_role("option")
    expect(options.nth(9)).to_be_visible()
    (outer,), (shown,), (button, *_) = (
        boxes(one) for one in (dialog, dialog.get_by_role("listbox"), dialog.locator(".dialog-actions"))
    )
    assert outer["left"] <= shown["left"] < shown["right"] <= outer["right"]
    assert shown["bottom"] <= button["top"]
    assert button["bottom"] <= outer["bottom"] <= height
    options.last.click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()


def test_a_wide_canvas_shows_the_whole_graph_larger_above_all_else_and_stays_wide(open_page: OpenPage) -> None:
    page = open_page(width=1280, height=900)
    canvas = page.get_by_role("region", name="Canvas")
    expect(canvas.locator(".react-flow__node").first).to_be_visible()
    before = boxes(canvas.locator(".react-flow__node"))[0]["width"]
    canvas.get_by_role("button", name="Wide").click()
    wait_until(lambda: boxes(canvas.locator(".react-flow__node"))[0]["width"] > 1.5 * before)
    (frame,), (beside,) = boxes(canvas), boxes(panel(page))
    assert beside["top"] >= frame["bottom"]
    assert all(
        frame["left"] <= one["left"] < one["right"] <= frame["right"] and one["bottom"] <= frame["bottom"]
        for one in boxes(canvas.locator(".react-flow__node"))
    )
    page.reload()
    expect(canvas.get_by_role("button", name="Wide")).to_have_attribute("aria-pressed", "true")


def test_a_reader_composes_and_cannot_save_or_run(open_page: OpenPage) -> None:
    page = open_page(role="reader")
    slider = panel(page).get_by_label("ρ of a client-day")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(panel(page).get_by_text("Saving needs the role author.")).to_be_visible()
    expect(panel(page).get_by_role("button", name="Save")).to_be_disabled()
    panel(page).get_by_role("tab", name="Runs").click()
    expect(panel(page).get_by_role("button", name="Run in process")).to_be_disabled()


def test_whoever_saves_second_sees_both_changes_and_chooses(
    fresh_world: World, fresh_server: ConsoleServer, open_page: OpenPage, watch_of: WatchOf
) -> None:
    path = fresh_world.views_file
    path.write_text(VIEWS, encoding="utf-8")
    page = open_page(fresh_server)
    path.write_text(VIEWS + "# theirs\n", encoding="utf-8")
    edit_as_text(page, VIEWS + "# mine\n")
    watch_of(page).expect(409, "/composer/file")
    panel(page).get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("region", name="Their changes").locator(".diff-added")).to_contain_text("# theirs")
    expect(dialog.get_by_role("region", name="Your changes").locator(".diff-added")).to_contain_text("# mine")
    assert path.read_text(encoding="utf-8") == VIEWS + "# theirs\n"
    dialog.get_by_role("button", name="Overwrite theirs with mine").click()
    expect(panel(page).get_by_text("covey apply")).to_be_visible()
    assert path.read_text(encoding="utf-8") == VIEWS + "# mine\n"


def start_run(page: Page) -> Locator:
    """Run `WEEKLY` over the first week of June; returns its card."""
    panel(page).get_by_role("tab", name="Runs").click()
    panel(page).get_by_role("button", name="Run in process").click()
    dialog = page.get_by_role("dialog")
    for name in ("area_delay", "dest_delay", "weekly"):
        dialog.get_by_label(name).set_checked(name == "weekly")
    dialog.get_by_label("From (UTC)").fill("2013-06-01")
    dialog.get_by_label("To, not included").fill("2013-06-08")
    expect(dialog.get_by_text("7 day(s), at most ρ = 0.01 each")).to_be_visible(timeout=30_000)
    dialog.get_by_role("button", name="Spend the budget and run").click()
    return panel(page).get_by_role("article", name="Run of weekly")


def test_a_new_view_is_explained_run_on_a_week_of_flights_and_seen_with_its_errors(
    fresh_server: ConsoleServer, open_page: OpenPage
) -> None:
    """The page is loaded anew in the middle of the run, and follows it to its end."""
    page = open_page(fresh_server)
    edit_as_text(page, VIEWS + WEEKLY)
    panel(page).get_by_role("tab", name="Privacy label").click()
    expect(panel(page).get_by_role("row", name=re.compile("^weekly"))).to_contain_text("0.01")
    expect(start_run(page)).to_be_visible()
    page.reload()
    panel(page).get_by_role("tab", name="Runs").click()
    run = panel(page).get_by_role("article", name="Run of weekly")
    expect(run.get_by_text("done", exact=True)).to_be_visible(timeout=60_000)
    expect(run).to_contain_text("7 pane(s) opened")
    run.get_by_role("link", name="weekly").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("weekly")
    expect(page.get_by_role("application", name=re.compile("late"))).to_be_visible()
    expect(page.locator(".chart-value").first).to_have_text(re.compile(r"^0\.\d+ \(0\.\d+ to 0\.\d+\)"))
    wait_until(lambda: page.evaluate(BAND_PIXELS) > LEAST_BAND)
