"""An operator's void belongs to the collection that is scheduled for its pane, also before the name serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deployment.coordinator.attempts import Attempts
from deployment.coordinator.decisions import decide_void
from deployment.errors import UsageError
from deployment.project.known_releases import registry_of
from deployment.scheduler.collected_views import collected_views
from featurestore.define.views_file import load_views
from featurestore.define.wire import collection_hash
from featurestore.errors import StoreNotFound, UnknownVersion, UnknownView
from featurestore.publish.publish import Publisher
from federation.plan import PlannedView
from tests.featurestore.making import DAY, a_release
from tests.federation.words import plan_in_words

Covey = Callable[..., tuple[int, str, str]]
MAY = 18_383 * DAY


def evolved(covey: Covey, project: Path, overlap_days: int = 0) -> Path:
    """A project whose view `visits` has its second collection from 2020-05-03 on, and no release of it yet."""
    assert covey("init", project)[0] == 0
    visits, _ = load_views(project / "views.py")
    with Publisher(project, lambda: MAY + DAY + 1) as publisher:
        publisher.register(visits)
        publisher.publish([a_release(visits, MAY)])
        wider = replace(visits, bounds=replace(visits.bounds, max_cells=2 * visits.bounds.max_cells))
        publisher.apply([wider], overlap_days=overlap_days)
    return project


def void(project: Path, view: str, *panes: int) -> list[tuple[int, int]]:
    """The pane and the version of each void."""
    found = decide_void(project, view, panes, "no site was there", lambda: MAY + 20 * DAY)
    return [(one.pane_start, one.manifest.view_version) for one in found]


def published(project: Path) -> dict[int, list[int]]:
    """The published panes of each version's own collection, by version."""
    with registry_of(project) as registry:
        assert registry is not None
        versions = [one.registered for one in registry.versions("visits")]
        assert len({collection_hash(one.view) for one in versions}) == 2
        return {one.version: registry.collected_panes(one.view).tolist() for one in versions}


def test_a_void_is_one_of_the_collection_that_is_scheduled_and_not_of_the_served_one(
    covey: Covey, project: Path
) -> None:
    evolved(covey, project)
    assert void(project, "visits", MAY + 3 * DAY, MAY + DAY) == [(MAY + 3 * DAY, 2), (MAY + DAY, 1)]
    assert published(project) == {1: [MAY, MAY + DAY], 2: [MAY + 3 * DAY]}
    assert void(project, "visits@v2", MAY + 2 * DAY) == [(MAY + 2 * DAY, 2)]


def test_a_pane_of_two_collections_needs_a_version_until_one_of_them_has_it(covey: Covey, project: Path) -> None:
    evolved(covey, project, overlap_days=1)
    with pytest.raises(
        UsageError, match=r"due in two collections that overlap; name one of them: visits@v1 or visits@v2"
    ):
        void(project, "visits", MAY + 2 * DAY)
    assert published(project) == {1: [MAY], 2: []}
    assert void(project, "visits@v1", MAY + 2 * DAY) == [(MAY + 2 * DAY, 1)]
    assert void(project, "visits", MAY + 2 * DAY) == [(MAY + 2 * DAY, 2)]


def test_the_attempts_at_panes_of_a_collection_that_has_ended_are_forgotten_with_their_voids(
    covey: Covey, project: Path
) -> None:
    evolved(covey, project)
    first, second = (one.view for one in collected_views(project))
    attempts, missed = Attempts(project), np.array([MAY + DAY], np.int64)
    for number, (view, panes) in enumerate([(first, missed), (first, missed), (second, missed + 2 * DAY)]):
        attempts.record(
            plan_in_words(bytes([number]) * 16, (PlannedView(view, panes, 5),), "full"),
            {view.name: panes},
            [],
            reported=True,
        )
    assert void(project, "visits", MAY + DAY) == [(MAY + DAY, 1)]
    assert (attempts.due(first).tolist(), attempts.due(second).tolist()) == ([], [MAY + 3 * DAY])


def test_an_attempt_at_panes_of_two_views_is_forgotten_with_the_last_of_their_voids(
    covey: Covey, project: Path
) -> None:
    evolved(covey, project)
    other = replace(load_views(project / "views.py")[0], name="others")
    with Publisher(project, lambda: MAY + DAY + 1) as publisher:
        publisher.register(other)
        publisher.publish([a_release(other, MAY)])
    visits = next(one.view for one in collected_views(project) if one.view.name == "visits")
    attempts, missed = Attempts(project), np.array([MAY + DAY], np.int64)
    plan = plan_in_words(bytes(16), (PlannedView(visits, missed, 5), PlannedView(other, missed, 5)), "full")
    attempts.record(plan, {"visits": missed, "others": missed}, [], reported=True)
    void(project, "visits", MAY + DAY)
    assert attempts.due(other).tolist() == missed.tolist()
    void(project, "others", MAY + DAY)
    assert (attempts.due(visits).tolist(), attempts.due(other).tolist()) == ([], [])


def test_a_void_that_cannot_be_is_refused_before_anything_is_published(covey: Covey, project: Path) -> None:
    with pytest.raises(StoreNotFound):
        void(project, "visits", MAY)
    evolved(covey, project)
    for view, pane, why in (
        ("visits", MAY, "is published already"),
        ("visits", MAY + DAY + 1, "no pane of 1d begins at"),
        ("visits", MAY + 20 * DAY, "has not ended"),
        ("visits@v2", MAY + DAY, "is not collected; `covey views visits`"),
    ):
        with pytest.raises(UsageError, match=why):
            void(project, view, MAY + 3 * DAY, pane)
    for view, error in (("visitors", UnknownView), ("visits@v3", UnknownVersion)):
        with pytest.raises(error):
            void(project, view, MAY + DAY)
    assert published(project) == {1: [MAY], 2: []}
