"""The console's page in Chromium, and Feast's own page over the same views.

    python -m benchmarks.console [--store DIR] [--peer-python PYTHON] [--turns 5] [--quick]

The store is the demo's: three views over a year of flights, collected in process (`--store` takes one that is there). Each page is
opened with an empty cache in a new session; times are the browser's, from the start of the navigation. Medians of the turns. The
two pages of the view take turns, after each was opened once.

* `fcp_ms`: the first contentful paint. `feast_fcp_ms`: that of `feast ui`.
* `view_ms`: until the page of the view `dest_delay` shows its values.
  `feast_view_ms`: until Feast's page lists the view's features.
* `place_ms`: until each place shows what it has. `place_max_ms`: the slowest.
* `interaction_max_ms`: the longest time from a click or key to the next paint, over all places: their links, tabs, headers of
  tables, sliders and fields. Chromium reports it in steps of 8 ms.
* `draw_ms`: 366 panes x 105 keys, from the last byte of the answer to the paint.
* `assets_kb`, `assets_gzip_kb`: all files of the page. `transferred_kb`, `feast_transferred_kb`: what opening the view loads.

`--quick` measures ours only, once.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page
from rich.console import Console
from rich.table import Table

from base.times import span_of
from covey.console.archive import read_archive
from covey.console.assets import ARCHIVE, FOLDER, INDEX, AssetFiles
from covey.demo import BUDGET
from deployment.in_process.run import Surroundings, run_in_process
from deployment.request import CollectionRequest
from edge_client.events import make_events
from federation.dating import Dating
from federation.terms import RequestedTerms
from simulations.datasets.flights import CLIENT_COLUMN, DAYS, SITE_COLUMN, TIME_COLUMN, flight_views, load_flights
from simulations.measuring import print_figures
from tests.covey.console.browser.places import PLACES
from tests.covey.console.server import running_console

from .console_pages import Load, chromium, fresh_page, interactions_of, load, moment_of
from .console_peer import PACKAGE, PROJECT, feast_ui, make_repository
from .pit_join import peer_python

VIEW: Final = "dest_delay"
SHOWN: Final = "document.querySelector('main h1') && !document.querySelector('.spinner')"
"""A place shows what it has."""
CHART_SHOWN: Final = f"{SHOWN} && document.querySelector('main canvas')"
HEAT: Final = (
    "performance.getEntriesByType('resource').filter(one => one.name.includes('/heat')).map(one => one.responseEnd)"
)
FEAST_SHOWN: Final = "document.body.innerText.includes('arr_delay_mean')"


def main() -> None:
    """Print the table and, last, one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", type=Path, help="the demo's store; default: one is made")
    options.add_argument("--peer-python", type=Path, help=f"of an environment that has {PACKAGE}; default: one is made")
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="ours only, once")
    given = options.parse_args()
    if AssetFiles().find(INDEX) is None:
        raise SystemExit("the console's page is not built: make console")
    turns = 1 if given.quick else given.turns
    with tempfile.TemporaryDirectory(prefix="covey-bench-") as scratch, chromium() as browser:
        folder = Path(scratch)
        store = given.store or make_store(folder / "store")
        with running_console(["--store", str(store)], folder / "log") as server, ExitStack() as peer:
            pages = {"": (f"{server.url}#/features/{VIEW}", CHART_SHOWN)}
            if not given.quick:
                python = given.peer_python or peer_python(folder / "peer", PACKAGE)
                make_repository(store, folder / "feast", python)
                url = peer.enter_context(feast_ui(folder / "feast", python))
                pages["feast_"] = f"{url}/p/{PROJECT}/feature-view/{VIEW}", FEAST_SHOWN
            figures = compared_figures(browser, pages, turns)
            peer.close()
            figures |= own_figures(browser, server.url, turns)
    _print(figures)
    print_figures(figures)


def make_store(directory: Path) -> Path:
    """The demo's views, collected in process over the year."""
    flights = load_flights()
    request = CollectionRequest.make(flight_views(flights), RequestedTerms(), BUDGET, between=span_of(DAYS))
    around = Surroundings.real(request, lambda *_: None, dating=Dating.REPLAY_PANES)
    run_in_process(request, make_events(flights, CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN), directory, around)
    return directory


def compared_figures(browser: Browser, pages: dict[str, tuple[str, str]], turns: int) -> dict[str, Any]:
    """Figures of pages, which take turns; by the prefix of their names."""
    loads: dict[str, list[Load]] = {prefix: [] for prefix in pages}
    for turn in range(1 + turns):
        for prefix, (url, shown) in pages.items():
            one = load(browser, url, shown)
            if turn > 0:
                loads[prefix].append(one)
    return {name: value for prefix, some in loads.items() for name, value in load_figures(prefix, some).items()}


def own_figures(browser: Browser, url: str, turns: int) -> dict[str, Any]:
    """Figures of our page alone, by name."""
    places = {
        place: _median(load(browser, f"{url}#/{place}", SHOWN).shown_ms for _ in range(turns)) for place in PLACES
    }
    interactions = dict(_interactions(browser, url))
    return {
        "place_ms": places,
        "place_max_ms": max(places.values()),
        "interaction_ms": interactions,
        "interaction_max_ms": max(interactions.values()),
        "draw_ms": _median(drawing_ms(browser, url) for _ in range(turns)),
        **asset_figures(),
    }


def drawing_ms(browser: Browser, url: str) -> float:
    """From the last byte of a mean of every pane and key until it is painted."""
    with fresh_page(browser) as page:
        page.goto(f"{url}#/features/{VIEW}?tab=keys&feature=arr_delay_mean")
        painted = moment_of(page, f"{CHART_SHOWN} && {HEAT}.some(end => end > 0)")
        return painted - float(max(page.evaluate(HEAT)))


def load_figures(prefix: str, loads: list[Load]) -> dict[str, float]:
    """Medians of pages that were opened."""
    return {
        f"{prefix}fcp_ms": _median(one.paint_ms for one in loads),
        f"{prefix}view_ms": _median(one.shown_ms for one in loads),
        f"{prefix}transferred_kb": _median(one.transferred / 1e3 for one in loads),
        f"{prefix}requests": _median(one.requests for one in loads),
    }


def asset_figures() -> dict[str, float]:
    """Kilobytes of all files of the page."""
    if FOLDER.is_dir():
        files = [path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()]
    else:
        files = list(read_archive(ARCHIVE).files.values())
    sizes = [(len(data), len(gzip.compress(data, 9))) for data in files]
    return {
        "assets_kb": round(sum(raw for raw, _ in sizes) / 1e3, 1),
        "assets_gzip_kb": round(sum(packed for _, packed in sizes) / 1e3, 1),
    }


def _interactions(browser: Browser, url: str) -> Iterator[tuple[str, float]]:
    """The longest interaction of each place, ms."""
    with fresh_page(browser) as page:
        page.goto(url)
        moment_of(page, SHOWN)
        for place in PLACES:
            page.get_by_role("navigation", name="Places").get_by_role("link", name=place.capitalize()).click()
            moment_of(page, SHOWN)
            for use in (_tabs, _headers, _sliders, _fields):
                use(page)
            yield place, max(interactions_of(page), default=0.0)


def _tabs(page: Page) -> None:
    for tab in page.locator("main [role=tab]:visible").all()[:4]:
        tab.click()


def _headers(page: Page) -> None:
    for header in page.locator("main .table-sort:visible").all()[:2]:
        header.click()


def _sliders(page: Page) -> None:
    for slider in page.locator("main input[type=range]:visible:enabled").all()[:3]:
        slider.focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)


def _fields(page: Page) -> None:
    for field in page.locator("main input[role=combobox]:visible:enabled, main input[type=search]:visible").all()[:2]:
        field.focus()
        page.keyboard.type("at")
        page.keyboard.press("Escape")


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 1)


def _print(figures: dict[str, Any]) -> None:
    table = Table("", "console", "feast ui", title="Pages in Chromium")
    for name, text in (
        ("fcp_ms", "first contentful paint, ms"),
        ("view_ms", "a view is shown, ms"),
        ("transferred_kb", "transferred, kB"),
        ("requests", "requests"),
    ):
        table.add_row(text, str(figures[name]), str(figures.get(f"feast_{name}", "–")))
    table.add_section()
    for place, ms in figures["place_ms"].items():
        table.add_row(f"{place}: shown, longest interaction, ms", f"{ms}, {figures['interaction_ms'][place]:.0f}", "")
    table.add_row("366 panes x 105 keys drawn, ms", str(figures["draw_ms"]), "")
    table.add_row("files of the page, kB (gzip)", f"{figures['assets_kb']} ({figures['assets_gzip_kb']})", "")
    Console().print(table)


if __name__ == "__main__":
    main()
