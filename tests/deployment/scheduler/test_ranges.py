"""A range of time is collected by the version that is scheduled for it, whatever definition a file has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.metrics import Meters
from deployment.scheduler.collected_views import CollectedView
from deployment.scheduler.coordinator import Coordinator, Surroundings
from deployment.scheduler.registered_views import declared, registered
from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_views
from featurestore.errors import ViewChanged
from featurestore.publish.publish import Publisher
from tests.featurestore.making import DAY, a_release

MAY = 18_383 * DAY


@pytest.fixture
def versions(covey: Callable[..., tuple[int, str, str]], project: Path) -> tuple[FeatureView, FeatureView]:
    """Two definitions of `visits` in a project: the second one is collected from 2020-05-03 on."""
    assert covey("init", project)[0] == 0
    visits, _ = load_views(project / "views.py")
    wider = replace(visits, bounds=replace(visits.bounds, max_cells=2 * visits.bounds.max_cells))
    with Publisher(project, lambda: MAY + DAY + 1) as publisher:
        publisher.register(visits)
        publisher.publish([a_release(visits, MAY)])
        publisher.apply([wider])
    return visits, wider


class Panes:
    """Keeps what a scheduler is asked for."""

    def collect_panes(self, wanted: Mapping[CollectedView, Sequence[int]]) -> list[Any]:
        self.asked = {(one.version, pane) for one, panes in wanted.items() for pane in panes}
        return []


@pytest.mark.parametrize("number", [0, 1])
def test_each_pane_of_a_range_is_of_the_version_that_is_scheduled_for_it(
    project: Path, versions: tuple[FeatureView, FeatureView], number: int
) -> None:
    scheduler: Any = Panes()
    around = Surroundings(lambda *_: None, Meters(), clock=lambda: MAY + 20 * DAY)
    unused: Any = None
    coordinator = Coordinator(unused, scheduler, unused, around)
    coordinator.collect_range(declared(project, [versions[number]]), (MAY, MAY + 4 * DAY))
    assert scheduler.asked == {(1, MAY), (1, MAY + DAY), (2, MAY + 2 * DAY), (2, MAY + 3 * DAY)}


def test_a_file_stands_for_all_collections_of_its_views_and_an_unknown_view_for_itself(
    project: Path, versions: tuple[FeatureView, FeatureView]
) -> None:
    first, second = registered(project)
    assert (first.until_us, second.from_us) == (MAY + 2 * DAY, MAY + 2 * DAY)
    for view in versions:
        assert declared(project, [view]) == (first, second)
    other = replace(versions[0], name="others")
    assert [(one.view, one.from_us, one.until_us) for one in declared(project, [other])] == [(other, None, None)]


def test_a_changed_view_is_refused_before_a_pane_of_it_is_due(
    project: Path, versions: tuple[FeatureView, FeatureView]
) -> None:
    for changed in (replace(versions[1], description="of one day"), replace(versions[0], pane="1h")):
        with pytest.raises(ViewChanged):
            declared(project, [versions[1], changed])


def test_a_view_that_has_published_nothing_may_be_changed(covey: Callable[..., Any], project: Path) -> None:
    assert covey("init", project)[0] == 0
    visits, _ = load_views(project / "views.py")
    with Publisher(project, lambda: MAY) as publisher:
        publisher.register(visits)
    hourly = replace(visits, pane="1h")
    assert [(one.view, one.version) for one in declared(project, [hourly])] == [(hourly, 1)]
