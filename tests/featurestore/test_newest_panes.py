"""The panes behind the newest rows: their windows add up to the values that are served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.release import RETRACTED, Void
from featurestore.errors import ReleaseExpired
from featurestore.offline.window_rows import EVER_US, reach_us
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, a_void, manifest_of

VIEW = a_view(windows=["3h", "12h", "1d"])


def fill(directory: Path, view: FeatureView, panes: int, *, at_once: int = 1) -> None:
    rng = np.random.default_rng(0)
    shape = (layout_of(view).keys, layout_of(view).slots_per_key)
    items = [
        a_void(view, i * HOUR)
        if i % 5 == 0
        else replace(a_release(view, i * HOUR), slots=rng.integers(0, 50, shape), manifest=manifest_of(view, "full"))
        for i in range(panes)
    ]
    with Publisher(directory, lambda: 100 * DAY) as publisher:
        publisher.register(view)
        for first in range(0, panes, at_once):
            publisher.publish(items[first : first + at_once])


def flights(directory: Path, windows: list[str], *, merged: bool) -> tuple[list[list[int]], int]:
    """The sums of the first slot over windows, by key, and the number of panes."""
    with Store.open(directory) as store:
        parts = list(store.newest_panes("delays", reach_us(VIEW), merged=merged))
        served = store.get([f"delays:flights_{window}" for window in windows], {"dest": ["ATL", "LAX"]})
    start, slots = np.concatenate([one.start for one in parts]), np.concatenate([one.slots for one in parts])
    assert (np.diff(start) > 0).all()
    sums = []
    for window in windows:
        width = {"3h": 3, "12h": 12, "1d": 24}[window]
        of_window = slots[start > start[-1] - width * HOUR].sum(axis=0)[:, 0].tolist()
        assert of_window == served[f"flights_{window}"].to_pylist()
        sums.append(of_window)
    return sums, len(start)


@pytest.mark.parametrize("at_once", [1, 80])
def test_windows_of_merged_panes_are_those_of_all_panes(tmp_path: Path, at_once: int) -> None:
    fill(tmp_path, VIEW, 80, at_once=at_once)
    windows = ["3h", "12h", "1d"]
    every, panes = flights(tmp_path, windows, merged=False)
    merged, few = flights(tmp_path, windows, merged=True)
    assert merged == every
    assert panes == 24
    assert few == 4


def test_a_view_without_rows_has_no_panes(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
        publisher.register(VIEW)
    with Store.open(tmp_path) as store:
        assert not list(store.newest_panes("delays", DAY, merged=True))


def test_after_a_retraction_every_pane_is_read(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 30)
    gone = a_release(VIEW, 26 * HOUR)
    tombstone = Void(gone.manifest, gone.pane_start, gone.pane_end, 90 * DAY, 90 * DAY, "live", f"{RETRACTED}: wrong")
    with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
        publisher.publish([tombstone])
    with Store.open(tmp_path) as store:
        (panes,) = store.newest_panes("delays", reach_us(VIEW), merged=True)
    assert len(panes.start) == 24
    assert (panes.retracted_at == 90 * DAY).sum() == 1


def test_sums_that_have_left_are_named(tmp_path: Path) -> None:
    view = a_view(windows=["3h", "1d"], retention="3d")
    fill(tmp_path, view, 240, at_once=100)
    with Store.open(tmp_path) as store:
        assert list(store.newest_panes("delays", reach_us(view), merged=False))
        with pytest.raises(ReleaseExpired, match="1970-01-01"):
            list(store.newest_panes("delays", EVER_US, merged=False))
