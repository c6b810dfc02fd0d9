"""docs/codes.md and docs/views.md are what the code says, and the code says something about each code and parameter."""

from __future__ import annotations

import inspect
import re

import pytest

from docs.reference import FOLDER, PAGES, errors_of, kinds_of_features, parameters_of
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import KINDS
from featurestore.define.privacy import Bounds, Privacy
from federation.refusal_codes import RefusalCode
from tests.base.test_error_codes import CODES, ROOMS


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_generator_makes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `make reference`"


@pytest.mark.parametrize("name", PAGES)
def test_no_cell_of_a_page_is_empty(name: str) -> None:
    rows = re.findall(r"^\|.*\|$", PAGES[name](), flags=re.M)
    assert len(rows) > 20
    assert [row for row in rows if re.search(r"\|\s*\|", row)] == []


def test_the_page_of_codes_has_every_refusal_and_every_error() -> None:
    page = PAGES["codes.md"]()
    listed = re.findall(r"^\| `(\w+)` \| (\d) \| `(\w+)` \|", page, flags=re.M)
    known = [line.split() for line in CODES.strip().splitlines()]
    assert {(code, exit_code, name.partition(".")[2]) for code, name, exit_code in known} == set(listed)
    assert len(listed) == sum(1 for room in ROOMS for _ in errors_of(room))
    assert all(f"| `{code}` | {code.sentence} | {code.mend} |" in page for code in RefusalCode)


@pytest.mark.parametrize(
    "kind", [FeatureView, Entity, Bounds, Privacy, *kinds_of_features()], ids=lambda kind: kind.__name__
)
def test_a_docstring_explains_each_parameter_and_no_other(kind: type) -> None:
    assert set(parameters_of(kind)) == set(inspect.signature(kind).parameters)


def test_the_page_of_views_has_every_kind_that_is_registered() -> None:
    own = [kind for kind in KINDS.values() if kind.__module__.startswith("featurestore.")]
    assert {kind.__name__ for kind in own} == set(re.findall(r"^### (\w+)$", PAGES["views.md"](), flags=re.M))
