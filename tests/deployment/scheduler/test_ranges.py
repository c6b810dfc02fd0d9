"""A range of time is collected by the version that is scheduled for it, whatever definition a file has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from base.metrics import Meters
from deployment.coordinator.planning import Addresses
from deployment.errors import UsageError
from deployment.scheduler.coordinator import Coordinator, Surroundings, coordinating, declared, registered
from deployment.scheduler.session_collector import CollectionTerms
from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_views
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


@contextmanager
def coordinator_of(project: Path) -> Iterator[Coordinator]:
    around = Surroundings(lambda *_: None, Meters(), clock=lambda: MAY + 20 * DAY)
    with coordinating(project, Addresses(), CollectionTerms(), around) as one:
        yield one


def test_a_file_with_another_versions_definition_collects_no_pane_of_this_time(
    project: Path, versions: tuple[FeatureView, FeatureView]
) -> None:
    for view, between in zip(versions, ((MAY + 2 * DAY, MAY + 4 * DAY), (MAY, MAY + 2 * DAY)), strict=True):
        found = declared(project, [view])
        assert [one.view for one in found] == [view]
        with (
            coordinator_of(project) as one,
            pytest.raises(UsageError, match="in this range another version is collected"),
        ):
            one.collect_range(found, between)


def test_a_file_has_the_times_of_its_version_and_an_unknown_view_has_all_of_time(
    project: Path, versions: tuple[FeatureView, FeatureView]
) -> None:
    first, second = registered(project)
    assert declared(project, versions) == (first, second)
    assert (first.until_us, second.from_us) == (MAY + 2 * DAY, MAY + 2 * DAY)
    edited = replace(versions[1], description="of one day")  # is refused with its changed fields when it is planned
    (found,) = declared(project, [edited])
    assert (found.view, found.from_us) == (edited, second.from_us)
    other = replace(versions[0], name="others")
    assert [(one.view, one.from_us, one.until_us) for one in declared(project, [other])] == [(other, None, None)]
