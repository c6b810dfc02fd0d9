"""The list of releases, page by page, and the sums over the panes of each plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.release import RETRACTED, Void
from featurestore.errors import UnknownRelease, UnknownView
from featurestore.publish.publish import Publisher
from featurestore.registry.pane_index import PaneFilter
from featurestore.registry.release_pages import ListedPane
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, a_void, manifest_of

HOURLY, DAILY = a_view(), a_view("daily", pane="1d", windows=["7d"])
GONE = 2 * HOUR


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Ten hours of `delays` under two plans, a void and a retracted pane among them, and three days of `daily`."""
    directory = tmp_path_factory.mktemp("pages")
    tombstone = Void(
        manifest_of(HOURLY), GONE, GONE + HOUR, 4 * DAY, 4 * DAY, "live", f"{RETRACTED}: wrong events", b""
    )
    with Publisher(directory, lambda: 5 * DAY) as publisher:
        for view in (HOURLY, DAILY):
            publisher.register(view)
        publisher.publish([a_release(HOURLY, i * HOUR) for i in range(4)])
        publisher.publish([a_void(HOURLY, 4 * HOUR), tombstone])
        publisher.publish([a_release(HOURLY, i * HOUR, plan_hash="11" * 32) for i in range(5, 10)])
        publisher.publish([a_release(DAILY, i * DAY, trust="one-honest-noiser") for i in range(3)])
    with Store.open(directory) as opened:
        yield opened


def everything(store: Store, view: str | None, wanted: PaneFilter, limit: int) -> list[ListedPane]:
    found: list[ListedPane] = []
    more = True
    while more:
        page = store.panes.page(view, wanted, found[-1].place if found else None, limit)
        found, more = [*found, *page.panes], page.more
        assert len(page.panes) <= limit
    return found


def starts(panes: list[ListedPane]) -> list[tuple[str, int]]:
    return [(one.registered.view.name, one.record.pane_start) for one in panes]


class TestPages:
    def test_all_views_are_one_list_with_the_newest_pane_first(self, store: Store) -> None:
        listed = starts(everything(store, None, PaneFilter(), 100))
        assert len(listed) == 13
        assert [start for _, start in listed] == sorted((start for _, start in listed), reverse=True)
        assert listed[:3] == [("daily", 2 * DAY), ("daily", DAY), ("delays", 9 * HOUR)]

    @given(limit=st.integers(1, 14), view=st.sampled_from([None, "delays", "daily"]))
    def test_pages_of_any_size_are_the_same_list(self, store: Store, limit: int, view: str | None) -> None:
        assert everything(store, view, PaneFilter(), limit) == everything(store, view, PaneFilter(), 100)

    @pytest.mark.parametrize(
        ("wanted", "count"),
        [
            ({"state": "opened"}, 11),
            ({"state": "void"}, 1),
            ({"state": "retracted"}, 1),
            ({"trust": "one-honest-noiser"}, 3),
            ({"trust": "nothing"}, 0),
            ({"start": HOUR, "end": 3 * HOUR}, 2),
            ({"start": DAY}, 2),
            ({"state": "opened", "trust": "in-process", "end": 3 * HOUR}, 2),
            ({"text": "too_small"}, 1),
            ({"text": "Wrong EVENTS"}, 1),
            ({"text": "Wrong EVENTS", "state": "void"}, 0),
            ({"text": "11" * 32}, 5),
            ({"text": "11" * 32, "trust": "one-honest-noiser"}, 0),
            ({"text": "%"}, 0),
            ({"text": "' OR 1 --"}, 0),
        ],
    )
    def test_a_filter_keeps_what_it_says(self, store: Store, wanted: dict[str, Any], count: int) -> None:
        assert len(everything(store, None, PaneFilter(**wanted), 2)) == count

    def test_a_pane_has_its_state_and_its_reason(self, store: Store) -> None:
        by_start = {one.record.pane_start: one for one in everything(store, "delays", PaneFilter(), 100)}
        assert (by_start[GONE].record.state, by_start[GONE].record.state_reason) == (
            "retracted",
            f"{RETRACTED}: wrong events",
        )
        assert (by_start[4 * HOUR].record.state, by_start[4 * HOUR].record.state_reason) == ("void", "BATCH_TOO_SMALL")
        opened = by_start[0]
        assert (opened.record.state, opened.record.state_reason, opened.pane_end) == ("opened", None, HOUR)

    def test_an_unknown_view_and_an_unknown_release_are_named(self, store: Store) -> None:
        with pytest.raises(UnknownView):
            store.panes.page("nothing", PaneFilter())
        with pytest.raises(UnknownRelease):
            store.panes.find(bytes(16))

    def test_a_pane_is_found_by_its_id(self, store: Store) -> None:
        for one in everything(store, None, PaneFilter(), 100):
            assert store.panes.find(one.record.release_id) == one

    def test_a_pane_is_found_by_the_first_digits_of_its_id(self, store: Store) -> None:
        one = everything(store, None, PaneFilter(state="void"), 1)[0]
        digits = one.record.release_id.hex()
        for text in (digits, digits[:12], digits.upper()):
            assert everything(store, None, PaneFilter(text=text), 100) == [one]
        assert everything(store, None, PaneFilter(text=digits[1:]), 100) == []


class TestTallies:
    def test_the_panes_of_each_plan_are_counted_by_state(self, store: Store) -> None:
        found = [
            (one.keeper.name, one.manifest.plan_hash[:2], *astuple(one.panes)[:5]) for one in store.panes.tallies()
        ]
        assert found == [
            ("daily@v1", "00", 3, 0, 0, 0, 2 * DAY),
            ("delays@v1", "00", 3, 1, 1, 0, 4 * HOUR),
            ("delays@v1", "11", 5, 0, 0, 5 * HOUR, 9 * HOUR),
        ]

    def test_panes_of_one_plan_with_other_missing_sites_are_one_plan(self, tmp_path: Path) -> None:
        with Publisher(tmp_path, lambda: 5 * DAY) as publisher:
            publisher.register(HOURLY)
            publisher.publish([a_release(HOURLY, i * HOUR, outside_claim=("activity", f"{i}")) for i in range(3)])
        with Store.open(tmp_path) as opened:
            (tally,) = opened.panes.tallies()
        assert (tally.panes.opened, tally.manifest.outside_claim) == (3, ("activity", "0"))
