"""`make console-shots`: pictures of every place of the console, in light, dark and at the width of a phone.

    python -m docs.console_shots [--out build/console-shots] [--world DIR] [--docs]

They show a project with a year of flights, two trained versions of a model, and a sweep of the lab. It takes a minute to make;
`--world` keeps it for the next time. `--docs` also writes the pictures of docs/console.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from covey.demo.model import late_labels
from simulations.datasets.flights import load_flights
from tests.covey.console.browser.conftest import CHROMIUM, PHONE
from tests.covey.console.browser.places import PAGES, open_place
from tests.covey.console.server import serving_console
from tests.covey.console.world import World, collect_world, existing_world

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent
LOOKS: Final[Mapping[str, tuple[int, int, Literal["light", "dark"]]]] = {
    "light": (1280, 900, "light"),
    "dark": (1280, 900, "dark"),
    "phone": (PHONE, 844, "light"),
}
"""Width and height in CSS pixels, and the theme."""
IN_DOCS: Final = {
    "composer": "composer",
    "features/area_delay?feature=late_24h": "features",
    "models": "models",
}
"""Which pages docs/console.md shows, and the names of their pictures."""
_DOCS_SIZE: Final = ViewportSize(width=1600, height=1180)


def main() -> None:
    """Make the pictures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "console-shots")
    options.add_argument("--world", type=Path, help="where the project is, or is made")
    options.add_argument("--docs", action="store_true", help="also write docs/console-*.png")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="covey-shots-") as scratch:
        world = _world_in(given.world or Path(scratch, "world"))
        with serving_console(world, Path(scratch, "log")) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            for look, (width, height, colour) in LOOKS.items():
                size = ViewportSize(width=width, height=height)
                page = browser.new_context(reduced_motion="reduce", viewport=size, color_scheme=colour).new_page()
                page.goto(server.operator_url)
                for address in PAGES:
                    _shoot(page, address, given.out / f"{address.replace('/', '-')}-{look}.png", whole=True)
            if given.docs:
                page = browser.new_context(reduced_motion="reduce", viewport=_DOCS_SIZE).new_page()
                page.goto(server.operator_url)
                for address, name in IN_DOCS.items():
                    path = DOCS / f"console-{name}.png"
                    _shoot(page, address, path, whole=False)
                    Image.open(path).quantize(256).save(path, optimize=True)  # a third of the bytes, for the same eyes
            browser.close()


def _shoot(page: Page, address: str, path: Path, *, whole: bool) -> None:
    open_place(page, address)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, full_page=whole)


def _world_in(directory: Path) -> World:
    if directory.exists():
        return existing_world(directory)
    directory.mkdir(parents=True)
    flights = load_flights()
    world = collect_world(directory, flights)
    pq.write_table(late_labels(flights), directory / "labels.parquet")
    for seed in (0, 1):
        (directory / "late.toml").write_text(_TRAINING.format(seed=seed))
        _covey("train", str(directory / "late.toml"))
    _covey("models", "promote", "late", "v1=0.9", "v2=0.1", "--store", str(world.project))
    return world


def _covey(*words: str) -> None:
    subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "-m", "covey", *words], check=True, stdout=subprocess.DEVNULL
    )


_TRAINING: Final = """\
name = "late"
store = "project"

[labels]
file = "labels.parquet"
time = "sched_dep"
outcome_time = "arrived_at"
target = "late"
columns = ["distance", "hour"]

[features]
refs = ["area_delay:late", "area_delay:late_3h", "area_delay:late_24h"]

[split]
valid_from = 2013-08-01
test_from = 2013-09-01

[model]
kind = "mlp"
hidden = [16]
epochs = 3
seed = {seed}
"""


if __name__ == "__main__":
    main()
