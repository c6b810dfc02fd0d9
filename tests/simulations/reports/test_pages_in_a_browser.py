"""A report in a real browser: it opens without console messages, and every element has its place."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from simulations.reports.page import POLICY
from simulations.reports.paper.config import parse
from simulations.reports.paper.report import make_report
from simulations.shards.workers import Inline

from .test_paper import SMALL

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
LOOK = """<script>
const box = one => one.getBoundingClientRect();
document.title = JSON.stringify({
  svgs: [...document.querySelectorAll("svg")].map(one => [box(one).width, box(one).height]),
  drawn: [...document.querySelectorAll("svg")].map(one => one.querySelectorAll("path").length),
  wide: document.documentElement.scrollWidth - window.innerWidth,
  cut: [...document.querySelectorAll("h1,h2,p,li,figcaption,dd,td")].filter(one => one.scrollWidth > one.clientWidth + 1).length,
  text: document.body.innerText,
});
</script>"""


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    small = SMALL.replace("[1.0, 0.1]", "[1.0]").replace("repeats: 2", "repeats: 1")
    return make_report("small.yaml", parse(out, small.encode()), out, Inline()).page


def opened(path: Path, *options: str) -> tuple[str, list[str]]:
    """The document in the browser, and the messages on its console."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--enable-logging=stderr",
    ]
    profile = f"--user-data-dir={path.parent / 'profile'}"
    done = subprocess.run(
        [*command, profile, *options, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_it_opens_without_a_word_on_the_console(report_page: Path) -> None:
    dom, console = opened(report_page)
    assert console == []
    assert "Utility against ε" in dom


def test_the_console_is_heard_and_a_request_is_forbidden(report_page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(report_page.read_text().replace("<main>", '<main><img src="https://127.0.0.1:1/x.png">', 1))
    _, console = opened(broken)
    assert any("Content Security Policy" in line for line in console)


@pytest.mark.parametrize("width", [1280, 500])
def test_everything_has_its_place(report_page: Path, tmp_path: Path, width: int) -> None:
    text = report_page.read_text()
    policy = str(escape(POLICY))
    assert policy in text
    looking = tmp_path / "looking.html"  # a script may run here only
    looking.write_text(
        text.replace(policy, f"{policy}; script-src 'unsafe-inline'").replace("</body>", f"{LOOK}</body>")
    )
    dom, console = opened(looking, f"--window-size={width},900")
    assert console == []
    title = re.search(r"<title>(\{.*?\})</title>", dom, flags=re.S)
    assert title is not None
    seen: dict[str, Any] = json.loads(html.unescape(title.group(1)))
    assert len(seen["svgs"]) == text.count("<svg ") > 3
    assert all(w >= 200 and h >= 120 for w, h in seen["svgs"])
    assert all(count > 10 for count in seen["drawn"])
    assert seen["wide"] <= 0
    assert seen["cut"] == 0
    for told in ("In short", "Figure 1.", "Table 1.", "membership", "A <small> report"):
        assert told in seen["text"]
