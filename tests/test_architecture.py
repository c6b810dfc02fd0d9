"""docs/architecture.md names files, rooms and objects that exist, and its diagrams match their sources."""

from __future__ import annotations

import hashlib
import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
DIAGRAMS = ROOT / "docs" / "diagrams"
ROOMS: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
QUOTED = re.findall(r"`([^`\n]+)`", PAGE)
PATHS = sorted({name for name in QUOTED if re.fullmatch(r"[\w-]+(/[\w.*-]+)+/?", name)})
NAMES = sorted({name for name in QUOTED if re.fullmatch(rf"({'|'.join(ROOMS)})(\.\w+)+", name)})
QUESTIONS = (
    "Where is the validity circuit of a Mean?",
    "Where does a read of ten rows spend its time?",
    "Where is the noise added, and who charges for it?",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_the_page_names_exists(path: str) -> None:
    assert list(ROOT.glob(path)), path


@pytest.mark.parametrize("name", NAMES)
def test_an_object_that_the_page_names_exists(name: str) -> None:
    words = name.split(".")
    for cut in range(len(words), 0, -1):
        try:
            found: object = importlib.import_module(".".join(words[:cut]))
        except ModuleNotFoundError:
            continue
        for word in words[cut:]:
            found = getattr(found, word)
        return
    pytest.fail(name)


def test_the_page_lists_the_rooms_in_the_order_of_their_imports() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| `([\w/.]+)` \|$", PAGE, flags=re.M)
    assert [room for room, _ in rows] == ROOMS
    assert all(path.startswith(f"{room}/") for room, path in rows)


def test_the_page_lists_the_rooms_of_the_aggregator_and_of_the_store() -> None:
    table = PAGE.split("| `aggregator/` |")[1].split("\n\n")[0]
    quoted = set(re.findall(r"`(\w+)`", table))
    for package in ("aggregator", "featurestore"):
        rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert rooms <= quoted, package


def test_the_page_answers_the_three_questions_with_paths() -> None:
    section = PAGE.split("## Three questions of a newcomer\n")[1]
    answers = dict(re.findall(r"^\*\*([^*]+)\*\* (.+?)(?=\n\n|\Z)", section, flags=re.M | re.S))
    assert tuple(answers) == QUESTIONS
    for answer in answers.values():
        assert len(re.findall(r"`\w+/[\w/]+\.py`", answer)) >= 3


def test_every_diagram_is_on_the_page_and_every_picture_has_a_source() -> None:
    shown = {Path(name).stem for name in re.findall(r"\]\(diagrams/([\w-]+\.svg)\)", PAGE)}
    assert shown == {path.stem for path in DIAGRAMS.glob("*.mmd")} == {path.stem for path in DIAGRAMS.glob("*.svg")}


@pytest.mark.parametrize("source", sorted(DIAGRAMS.glob("*.mmd")), ids=lambda path: path.stem)
def test_a_picture_was_rendered_from_its_source(source: Path) -> None:
    last = source.with_suffix(".svg").read_text(encoding="utf-8").splitlines()[-1]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert last == f"<!-- sha256 of the source: {digest} -->", "run `make diagrams`"


def test_the_way_of_an_event_goes_through_rooms_that_exist() -> None:
    text = (DIAGRAMS / "way-of-an-event.mmd").read_text(encoding="utf-8")
    places = re.findall(rf"\b(?:{'|'.join(ROOMS)})(?:/\w+)?\b(?=[\"<, ])", text)
    assert len(places) > 12
    assert [place for place in places if place != "covey" and not (ROOT / place).is_dir()] == []
