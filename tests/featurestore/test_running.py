"""Rows that follow from the stored sums of windows are those that follow from all panes, bit by bit."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.records import FileRecord
from featurestore.define.release import CountedSites, Release, Void
from featurestore.publish.publish import Publisher
from featurestore.publish.rows import FILES_OF_A_SIZE, MOST_IN_ORDER, _Writer, of_one_size
from featurestore.publish.running import Running
from featurestore.store import Store
from tests.examples import examples

from .making import HOUR, a_view, manifest_of

VIEW = a_view(
    "v",
    entity=Entity("k", domain=["a", "b", "c"]),
    features=[Count("n"), Mean("x", clip=(0, 8)), Rate("late", where="x >= 4"), ClientCount("who")],
    windows=["2h", "5h", "1d"],
    min_coverage=0.4,
    min_site_coverage=0.3,
)
SITES = (
    None,
    CountedSites(counted=2, enrolled=3, missing=("c",), clients=2, enrolled_clients=3),
    CountedSites(counted=1, enrolled=2, missing=("b",), clients=1, enrolled_clients=7),
)
Item = Release | Void


def item_of(pane: int, kind: str, sites: CountedSites | None, late: int, noise: str) -> Item:
    layout, start = layout_of(VIEW), pane * HOUR
    manifest = manifest_of(VIEW, noise, sites=sites)
    times = start, start + HOUR, start + HOUR * (1 + late), start + HOUR * 60
    if kind != "open":
        return Void(manifest, *times, "live", kind)
    slots = np.random.default_rng(pane).integers(0, 50, (layout.keys, layout.slots_per_key))
    return Release(manifest, *times, "live", slots)


@st.composite
def publications(draw: st.DrawFn) -> list[list[Item]]:
    """Panes mostly in order, a few a publication; some gaps, voids, late releases, and at the end a pane out of order."""
    panes, at = [], 0
    for _ in range(draw(st.integers(4, 14))):
        at += draw(st.sampled_from([1, 1, 1, 1, 2, 7, 30]))
        panes.append(at)
    order = list(panes)
    if draw(st.booleans()):
        order.append(order.pop(draw(st.integers(0, len(order) - 1))))
    kind = st.sampled_from(["open", "open", "open", "open", "BATCH_TOO_SMALL", "BUDGET_SPENT"])
    noise = draw(st.sampled_from(["none", "full"]))
    late = st.sampled_from([0, 0, 0, 0, 3])
    items = [item_of(pane, draw(kind), draw(st.sampled_from(SITES)), draw(late), noise) for pane in order]
    size = draw(st.sampled_from([1, 1, 2, 3]))  # as a coordinator that catches up
    return [items[at : at + size] for at in range(0, len(items), size)]


def published(folder: Path, groups: list[list[Item]]) -> pa.Table:
    with Publisher(folder, lambda: 0) as publisher:
        publisher.register(VIEW)
    for items in groups:  # a new process each time
        with Publisher(folder, lambda: 0) as publisher:
            publisher.publish(items)
    with Store.open(folder) as store:
        return store.history("v")


@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(publications())
def test_rows_from_stored_sums_are_those_from_all_panes(groups: list[list[Item]]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="covey-running-"))
    try:
        fast = published(folder / "fast", groups)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Writer, "_next", lambda *_: None)
            assert fast.equals(published(folder / "slow", groups))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("size", [3, 7])
def test_a_few_panes_at_once_have_the_rows_that_follow_from_all_panes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    kinds = {9: "BATCH_TOO_SMALL", 10: "BUDGET_SPENT", 13: "BATCH_TOO_SMALL"}
    items = [item_of(pane, kinds.get(pane, "open"), SITES[pane % 3], 0, "full") for pane in range(30) if pane % 11]
    groups = [items[:1], *(items[at : at + size] for at in range(1, len(items), size))]
    every = _Writer._every
    with monkeypatch.context() as patch:
        patch.setattr(_Writer, "_every", lambda *given: every(*given) if len(given[2]) == 1 else pytest.fail("all"))
        fast = published(tmp_path / "fast", groups)
    monkeypatch.setattr(_Writer, "_next", lambda *_: None)
    assert fast.equals(published(tmp_path / "slow", groups))


def test_a_pane_that_is_released_before_an_earlier_one_takes_the_way_through_all_panes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = {3: 6}
    groups: list[list[Item]] = [[item_of(pane, "open", None, late.get(pane, 0), "full")] for pane in range(12)]
    fast = published(tmp_path / "fast", groups)
    monkeypatch.setattr(_Writer, "_next", lambda *_: None)
    assert fast.equals(published(tmp_path / "slow", groups))


def in_order(count: int) -> list[list[Item]]:
    return [[item_of(pane, "open", None, 0, "full")] for pane in range(count)]


def test_panes_in_order_are_published_without_reading_their_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(tmp_path, in_order(2))
    read: list[tuple[int, int]] = []
    every, inputs = _Writer._every, _Writer._inputs

    def watched(self: _Writer, first: int, end: int, *rest: Any) -> Any:
        read.append((first, end))
        return inputs(self, first, end, *rest)

    monkeypatch.setattr(_Writer, "_inputs", watched)
    monkeypatch.setattr(_Writer, "_every", lambda *_: pytest.fail("all panes were read"))
    with Publisher(tmp_path, lambda: 0) as publisher:
        for items in in_order(30)[2:]:
            publisher.publish(items)
    assert {end - first for first, end in read} == {1, HOUR}  # the new pane, and the one that leaves each window
    monkeypatch.setattr(_Writer, "_inputs", inputs)
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.publish([one for items in in_order(30 + MOST_IN_ORDER)[30:] for one in items])
    monkeypatch.setattr(_Writer, "_inputs", watched)
    monkeypatch.setattr(_Writer, "_every", every)
    late = item_of(140, "open", None, 0, "full"), item_of(135, "open", None, 0, "full")
    with Publisher(tmp_path, lambda: 0) as publisher:
        for one in late:
            publisher.publish([one])
    assert max(end - first for first, end in read) > 24 * HOUR


def test_damaged_sums_are_computed_again(tmp_path: Path) -> None:
    groups = in_order(8)
    expected = published(tmp_path / "whole", groups)
    published(tmp_path / "damaged", groups[:5])
    (registry,) = (tmp_path / "damaged").glob("**/registry.db")
    with closing(sqlite3.connect(registry)) as db:
        assert db.execute("UPDATE running SET sums = zeroblob(length(sums))").rowcount == 1
        db.commit()
    assert published(tmp_path / "damaged", groups[5:]).equals(expected)


def test_sums_read_back_equal(tmp_path: Path) -> None:
    published(tmp_path, in_order(6))
    (registry,) = tmp_path.glob("**/registry.db")
    with closing(sqlite3.connect(registry)) as db:
        ((stored,),) = db.execute("SELECT sums FROM running").fetchall()
    running = Running.from_bytes(stored)
    assert running is not None
    assert running.to_bytes() == stored
    assert [one.panes for one in running.windows] == [2, 5, 6]


@pytest.mark.parametrize("panes", [1_440, 17_280])
def test_files_of_a_day_stay_few_and_rows_are_rarely_written_again(panes: int) -> None:
    files: list[FileRecord] = []
    written = most = 0
    for seq in range(panes):
        old = of_one_size(files, 20)
        size = 20 + sum(file.rows for file in old)
        files = [*files[: len(files) - len(old)], FileRecord(f"{seq}", 0, size, 0)]
        written, most = written + size, max(most, len(files))
    assert most <= (FILES_OF_A_SIZE - 1) * 5
    assert written <= 6 * 20 * panes
