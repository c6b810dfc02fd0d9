"""The panes of all views as they are published, while a publication comes at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.inspect.arrivals import arrivals, newest_publication
from featurestore.publish.publish import Publisher
from featurestore.registry.watch import Published
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view

VIEWS = [a_view("a"), a_view("b")]


def publish(directory: Path, hour: int) -> None:
    """Both views get a pane in one publication."""
    with Publisher(directory, lambda: 9 * DAY) as publisher:
        publisher.publish([a_release(view, hour * HOUR) for view in VIEWS])


def test_a_publication_of_several_views_that_comes_between_two_reads_is_shown_in_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Publisher(tmp_path, lambda: 9 * DAY) as publisher:
        for view in VIEWS:
            publisher.register(view)
    publish(tmp_path, 0)
    hours, read = iter(range(1, 9)), Store.published

    def meanwhile(store: Store, view: str, after: int) -> list[Published]:
        found = read(store, view, after)
        if (hour := next(hours, None)) is not None:
            publish(tmp_path, hour)
        return found

    monkeypatch.setattr(Store, "published", meanwhile)
    with Store.open(tmp_path) as store:
        looks = iter([True] * 9 + [False])
        shown = [(one.pane_start // HOUR, one.view) for one in arrivals(store, 0, wait=lambda: next(looks))]
    assert newest_publication(tmp_path) == 9
    assert shown == [(hour, view) for hour in range(9) for view in ("a", "b")]
