"""Lineages of models, which other programs may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployment.lineage.trained_on import MOST_VIEWS, TrainedOn
from featurestore.errors import StoreCorrupt
from featurestore.registry.models import RegisteredModel

from .stores import SEEN, lineage


def read(given: dict[str, Any]) -> TrainedOn:
    return TrainedOn.of(RegisteredModel("late", 1, Path(), {}, given, 0))


def test_a_lineage_of_covey_is_read() -> None:
    found = read(lineage())
    assert (found.service, found.label_rows, found.labels_sha256) == ("vector", 12, "ab" * 32)
    assert [(one.name, one.version, one.releases) for one in found.views] == [("delays", 1, frozenset(SEEN))]


def test_what_a_lineage_need_not_have_may_be_missing() -> None:
    found = read({"views": [{"name": "delays", "version": 2}]})
    assert (found.service, found.label_rows, found.views[0].releases) == (None, None, frozenset())


@pytest.mark.parametrize(
    "other",
    [
        {"views": None},
        {"views": {}},
        {"views": [3]},
        {"views": [{"name": "delays"}]},
        {"views": [{"name": "delays", "version": True}]},
        {"views": [{"name": "<b>", "version": 1}]},
        {"views": [{"name": "delays", "version": 1, "releases": ["x"]}]},
        {"views": [{"name": "delays", "version": 1}] * (MOST_VIEWS + 1)},
        {"service": "<script>"},
        {"service": 3},
        {"labels": []},
        {"labels": ["x"]},
        {"labels": {"rows": "12"}},
        {"labels": {"sha256": "x"}},
    ],
)
def test_another_form_is_refused_by_name(other: dict[str, Any]) -> None:
    if other == {"labels": []}:
        assert read(lineage(**other)).label_rows is None  # an empty list says no more than none
        return
    with pytest.raises(StoreCorrupt, match="does not say which views"):
        read(lineage(**other))
