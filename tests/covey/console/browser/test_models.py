"""The place of the models in a browser: promote, roll back and delete, with a question before, and two people at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from base.times import wall_clock
from featurestore.publish.model_versions import promote
from featurestore.registry.serving_versions import Weights
from featurestore.store import Store
from tests.covey.console.server import ConsoleServer, running_console, serving_console
from tests.covey.console.world import HOSTILE, World
from tests.training.serving.conftest import serving_models
from tests.training.serving.known_models import KnownStore
from training.serving.statistics.remote_statistics import read_statistics

from .conftest import OpenPage, WatchOf
from .places import open_place
from .test_axe import violations


@pytest.fixture
def page(kept_page: Page) -> Page:
    """The tests below that take a page only look."""
    return kept_page


@pytest.fixture(scope="module")
def changed_world(console_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A copy that the tests of this module change; each begins with its own promotion."""
    return console_world.copied(tmp_path_factory.mktemp("models") / "world")


@pytest.fixture(scope="module")
def changed_server(changed_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleServer]:
    with serving_console(changed_world, tmp_path_factory.mktemp("models-log") / "log") as server:
        yield server


def in_force(world: World) -> str:
    with Store.open(world.project) as store:
        return str(store.in_force("late"))


def test_versions_are_shown_with_metrics_intervals_and_what_they_were_made_from(page: Page) -> None:
    open_place(page, "models/late")
    versions = page.get_by_role("region", name="Versions of late")
    expect(versions.get_by_role("row")).to_have_count(4)
    expect(versions.get_by_role("row").nth(1)).to_contain_text("0.72 [0.71, 0.73]")
    expect(page.get_by_role("img", name=re.compile("auc by version"))).to_be_visible()
    page.get_by_role("button", name="Show v2").press("Enter")
    details = page.get_by_role("region", name="late@v2", exact=True)
    expect(details).to_contain_text("area_delay@v1:late_24h, dest_delay@v1:late_7d")
    expect(details).to_contain_text("labels.parquet, 12,000 rows, SHA-256 abab")
    page.get_by_label("Model", exact=True).select_option("odd")
    expect(page.get_by_role("region", name="Versions of odd")).to_contain_text(HOSTILE)  # as a text


@pytest.mark.long  # the route and the card have shorter tests, without a server of models
def test_answers_of_a_running_server_of_models_are_shown_with_the_time_of_each_stage(
    tmp_path: Path, open_page: OpenPage
) -> None:
    known = KnownStore(tmp_path / "project")
    known.register("late", 1)
    with serving_models(known.directory, tmp_path / "serving.log", "late", options=("--models", "late")) as models:
        options = ["--store", str(known.directory), "--serving", models.url]
        with running_console(options, tmp_path / "console.log") as server:
            page = open_page(server)
            open_place(page, "models/late")
            row = page.get_by_role("region", name="Answers by version").get_by_role("row", name=re.compile("^v1"))
            expect(row.get_by_role("cell")).to_have_text(["v1", "0", "0", "0", "–", "–", "–", "–"])
            for dests in (["ATL"], ["ATL", "LAX"]):
                body = {"entities": {"dest": dests, "distance": [1] * len(dests)}}
                assert httpx.post(f"{models.url}/predict/late", json=body, timeout=60).status_code == 200
            (served,) = read_statistics(models.url)
            page.reload()
            expect(row.get_by_role("cell").nth(1)).to_have_text("2")
            cells = [text.replace(",", "") for text in row.get_by_role("cell").all_inner_texts()]
    assert cells[:5] == ["v1", "2", "0", "3", "1.5"]
    stages = [served.queue_ms, served.read_ms, served.infer_ms]
    assert None not in stages
    assert [float(cell) for cell in cells[5:]] == pytest.approx(stages, rel=0.01)


def test_a_reader_sees_no_button_that_changes_something(open_page: OpenPage) -> None:
    page = open_page(role="reader")
    open_place(page, "models/late")
    expect(page.get_by_role("region", name="Versions of late")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Promote|Roll back|Delete"))).to_have_count(0)


def test_promote_roll_back_and_delete_ask_first_and_show_their_command(
    changed_world: World, changed_server: ConsoleServer, open_page: OpenPage
) -> None:
    promote(changed_world.project, "late", Weights.of("late", {1: 9, 2: 1}), wall_clock)
    page = open_page(changed_server)
    open_place(page, "models/late")
    page.get_by_role("button", name="Promote …").click()
    dialog = page.get_by_role("dialog")
    assert violations(page) == []
    dialog.get_by_label("v1").fill("")
    dialog.get_by_label("v2").fill("x")
    expect(dialog).to_contain_text("Give at least one version a weight above 0")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    dialog.get_by_label("v2").fill("1")
    dialog.get_by_label("v3").fill("3")
    expect(dialog).to_contain_text("Afterwards v2 25 %, v3 75 %")
    expect(dialog).to_contain_text(f"covey models promote late v2=1 v3=3 --store {changed_world.project}")
    assert in_force(changed_world) == "v1=0.9 v2=0.1"
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("v2 25 %, v3 75 % of the requests; pinned.")).to_be_visible()
    assert in_force(changed_world) == "v2=0.25 v3=0.75"

    page.get_by_role("button", name="Roll back …").click()
    expect(dialog).to_contain_text(f"covey models rollback late --store {changed_world.project}")
    dialog.get_by_role("button", name="Cancel").click()
    assert in_force(changed_world) == "v2=0.25 v3=0.75"
    page.get_by_role("button", name="Roll back …").click()
    dialog.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.get_by_text("v1 90 %, v2 10 % of the requests; pinned.")).to_be_visible()
    assert in_force(changed_world) == "v1=0.9 v2=0.1"

    page.get_by_role("button", name="Delete v3").click()
    expect(dialog).to_contain_text("covey models delete late@v3 --yes")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("region", name="Versions of late").get_by_role("row")).to_have_count(3)


def test_who_promotes_second_is_told_and_looks_again(
    changed_world: World, changed_server: ConsoleServer, open_page: OpenPage, watch_of: WatchOf
) -> None:
    promote(changed_world.project, "late", Weights.single("late", 1), wall_clock)
    page = open_page(changed_server)
    open_place(page, "models/late")
    page.get_by_role("button", name="Promote v1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Afterwards v1 100 %")
    promote(changed_world.project, "late", Weights.single("late", 2), wall_clock)  # somebody else
    watch_of(page).expect(409, "/models/late/promotion")
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("v2 is in force now")
    assert in_force(changed_world) == "v2"
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Promote v1").click()
    expect(dialog).to_contain_text("Now v2 100 %. Afterwards v1 100 %")
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_text("v1 100 % of the requests; pinned.")).to_be_visible()
    assert in_force(changed_world) == "v1"
