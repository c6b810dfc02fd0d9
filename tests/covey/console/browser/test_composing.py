"""The quickstart's view is composed in the browser: by mouse, and by keyboard alone. The saved file declares the same view."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_declared
from tests.covey.console.server import ConsoleServer, serving_console
from tests.covey.console.world import VIEWS, World
from tests.waiting import wait_until

from .conftest import OpenPage
from .places import open_place

QUICKSTART: Final = Path(__file__).parents[4] / "docs" / "quickstart.md"
FIELDS: Final = "Fields of the chosen part"
LIMIT_S: Final = 60
"""The time that a script may take to compose the view. It is a limit of what a person has to do, not of the machine."""


@pytest.fixture(scope="module")
def writable(console_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, ConsoleServer]]:
    """A console whose views file these tests write."""
    directory = tmp_path_factory.mktemp("composing")
    world = console_world.copied(directory / "world")
    with serving_console(world, directory / "log") as server:
        yield world, server


@pytest.fixture
def views_file(writable: tuple[World, ConsoleServer]) -> Path:
    """Its views file, which is empty."""
    file = writable[0].views_file
    file.write_text("", encoding="utf-8")
    return file


@pytest.fixture
def composing(writable: tuple[World, ConsoleServer], views_file: Path, open_page: OpenPage) -> Page:
    """The composer on the empty file."""
    page = open_page(writable[1], width=1600, height=1000)
    open_place(page, "composer")
    expect(page.get_by_role("region", name="Canvas")).to_be_visible()
    return page


@pytest.fixture
def quickstart(tmp_path: Path) -> FeatureView:
    """The view that docs/quickstart.md defines."""
    found = re.search(r"```python\n(.*?)```", QUICKSTART.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    file = tmp_path / "quickstart.py"
    file.write_text(found[1], encoding="utf-8")
    (view,) = load_declared(file, need_views=True).views
    return view


def test_the_quickstarts_view_is_composed_by_mouse(composing: Page, views_file: Path, quickstart: FeatureView) -> None:
    page, began = composing, monotonic()
    drag(page, chip(page, "View"), page.get_by_role("region", name="Canvas"))
    fill(page, "Name", "dest_delay")
    view = card(page, "View dest_delay")
    drag(page, chip(page, "Entity"), view)
    join_column(page, "dest", card(page, "Entity"))
    fill(page, "Join keys", "ATL\nBOS\nLAX")
    drag(page, chip(page, "Windows"), view)
    fill(page, "Windows", "7d, 28d")
    drag(page, chip(page, "Client count"), view)
    fill(page, "Name", "planes")
    drag(page, chip(page, "Mean"), view)
    join_column(page, "arr_delay", card(page, "Mean"))
    fill(page, "Clip, low", "-60")
    fill(page, "Clip, high", "180")
    fill(page, "Resolution", "1.0")
    drag(page, chip(page, "Histogram"), view)
    join_column(page, "arr_delay", card(page, "Histogram").last)
    fill(page, "Edges", "-15, 0, 15, 30, 60, 120")
    drag(page, chip(page, "Rate"), view)
    fill(page, "Name", "late")
    join_column(page, "arr_delay", card(page, "Filter of late"))
    fill(page, "Where", "arr_delay >= 15")
    field(page, "Derive").select_option("true")
    drag(page, chip(page, "Bounds"), view)
    fill(page, "Max cells", "3")
    drag(page, chip(page, "Privacy"), view)
    fill(page, "Rho", "0.1")
    assert monotonic() - began < LIMIT_S
    save(page)
    assert_saved(views_file, quickstart)


def test_the_quickstarts_view_is_composed_by_keyboard_alone(
    composing: Page, views_file: Path, quickstart: FeatureView
) -> None:
    page, began = composing, monotonic()
    page.locator("main").focus()
    add(page, "View")
    write(page, "Name", "dest_delay")
    add(page, "Entity")
    write(page, "Keys", "dest")
    write(page, "Join keys", "ATL\nBOS\nLAX")
    add(page, "Windows")
    write(page, "Windows", "7d, 28d")
    add(page, "Client count")
    write(page, "Name", "planes")
    add(page, "Mean")
    join(page, "read column arr_delay")
    write(page, "Clip, low", "-60")
    write(page, "Clip, high", "180")
    write(page, "Resolution", "1.0")
    add(page, "Histogram")
    join(page, "read column arr_delay")
    write(page, "Edges", "-15, 0, 15, 30, 60, 120")
    add(page, "Rate")
    write(page, "Name", "late")
    write(page, "Where", "arr_delay >= 15")
    choose(page, "Derive", "yes")
    add(page, "Bounds")
    write(page, "Max cells", "3")
    add(page, "Privacy")
    write(page, "Rho", "0.1")
    assert monotonic() - began < LIMIT_S
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()  # once the newest edit is written
    press_until(page, "Tab", lambda at: at == "Save")
    page.keyboard.press("Enter")
    assert_saved(views_file, quickstart)


def test_cards_are_reached_joined_and_copied_by_keyboard(
    writable: tuple[World, ConsoleServer], open_page: OpenPage
) -> None:
    writable[0].views_file.write_text(VIEWS, encoding="utf-8")
    page = open_page(writable[1], width=1600, height=1000)
    open_place(page, "composer")
    said = page.locator(".workbench-said")
    card(page, "Rate late").first.click()
    page.keyboard.press("ArrowRight")
    expect(card(page, "View area_delay")).to_be_focused()
    page.keyboard.press("Enter")
    expect(field(page, "Name")).to_have_value("area_delay")
    page.get_by_role("treeitem", name="View area_delay").click()
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")
    expect(said).to_have_text("5 parts pasted")
    expect(card(page, "View area_delay_2")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(card(page, "View area_delay_2")).to_have_count(0)
    page.keyboard.press("Delete")
    expect(card(page, "View area_delay")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(card(page, "View area_delay")).to_be_visible()


def test_a_refused_join_says_why(writable: tuple[World, ConsoleServer], open_page: OpenPage) -> None:
    writable[0].views_file.write_text(VIEWS, encoding="utf-8")
    page = open_page(writable[1], width=1600, height=1000)
    open_place(page, "composer")
    join_column(page, "carrier", card(page, "Mean arr_delay_mean"))
    expect(page.locator(".workbench-said")).to_have_text("carrier is a text; a Mean reads a numeric column.")
    drag(
        page,
        card(page, "Privacy").first.locator("xpath=..").locator(".react-flow__handle"),
        card(page, "View dest_delay"),
    )
    expect(page.locator(".workbench-said")).to_contain_text("is written inside area_delay")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def chip(page: Page, name: str) -> Locator:
    """A part of the palette."""
    return page.get_by_role("toolbar", name="Add a part").get_by_role("button", name=name, exact=True)


def card(page: Page, name: str) -> Locator:
    """A part on the canvas; after its name, a card says what is wrong with it."""
    return page.get_by_role("region", name="Canvas").get_by_role("group", name=re.compile(f"^{name}"))


def field(page: Page, label: str) -> Locator:
    """A field of the chosen part; fields that are not in the file are shown first."""
    fields = page.get_by_role("region", name=FIELDS)
    more = fields.get_by_text("More fields")
    found = fields.get_by_label(label, exact=True)
    if not found.is_visible() and more.is_visible():
        more.click()
    return found


def fill(page: Page, label: str, text: str) -> None:
    """Write a field."""
    field(page, label).fill(text)


def drag(page: Page, what: Locator, where: Locator) -> None:
    """Drag to the middle of something that the canvas shows."""
    page.get_by_role("button", name="Fit").click()
    what.drag_to(where)


def join_column(page: Page, column: str, where: Locator) -> None:
    """Draw a line from a column of the source to a card."""
    page.get_by_role("button", name="Fit").click()
    page.locator(f'.react-flow__handle[data-handleid="column:{column}"]').drag_to(where)


def save(page: Page) -> None:
    """Save the file once the newest edit is written."""
    page.get_by_role("button", name="Save", exact=True).click()


def assert_saved(file: Path, view: FeatureView) -> None:
    """The saved file declares this view and nothing else."""
    wait_until(lambda: "FeatureView" in file.read_text(encoding="utf-8"))
    declared = load_declared(file, need_views=True)
    assert declared.views == (view,)
    assert [feature.name for feature in declared.views[0].features] == [feature.name for feature in view.features]


def focused(page: Page) -> str:
    """The name of the focused control."""
    name: str = page.evaluate(
        """() => {
            const at = document.activeElement;
            return at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
        }"""
    )
    return name.strip()


def press_until(page: Page, key: str, is_there: Callable[[str], bool], limit: int = 80) -> None:
    """Press a key until the focus is on a control."""
    for _ in range(limit):
        if is_there(focused(page)):
            return
        page.keyboard.press(key)
    pytest.fail(f"{limit} presses of {key} do not get there; the focus is on {focused(page)!r}")


def to_outline(page: Page) -> None:
    """From the fields back to the chosen part in the outline."""
    outline = page.get_by_role("tree")
    for _ in range(3):
        if outline.evaluate("tree => tree.contains(document.activeElement)"):
            return
        page.keyboard.press("Escape")
    pytest.fail(f"Escape does not lead to the outline; the focus is on {focused(page)!r}")


def add(page: Page, name: str) -> None:
    """Choose a part of the palette; its fields have the focus then."""
    if focused(page) == FIELDS or page.get_by_role("region", name=FIELDS).evaluate(
        "fields => fields.contains(document.activeElement)"
    ):
        to_outline(page)
        page.keyboard.press("a")
    else:
        press_until(page, "Tab", lambda at: at == "View")
    press_until(page, "ArrowRight", lambda at: at == name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name=FIELDS)).to_be_focused()


def go_to(page: Page, label: str) -> None:
    """Tab to a field of the chosen part, from the beginning of its fields."""
    to_outline(page)
    page.keyboard.press("Enter")
    press_until(page, "Tab", lambda at: at == label or at.startswith("More fields"))
    if focused(page) != label:
        page.keyboard.press("Enter")
        press_until(page, "Tab", lambda at: at == label)


def write(page: Page, label: str, text: str) -> None:
    """Write a field by keyboard."""
    go_to(page, label)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def choose(page: Page, label: str, text: str) -> None:
    """Choose a value of a list by its first letter."""
    go_to(page, label)
    page.keyboard.press(text[0])


def join(page: Page, title: str) -> None:
    """Join the chosen part to what the dialog calls so."""
    to_outline(page)
    page.keyboard.press("c")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.type(title)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
