"""A site that reads only the rows of a plan's panes answers as one that reads all of its events, and finds the same late events."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client import site as site_room
from edge_client.compute import Contributions, compute
from edge_client.errors import EventColumnError, EventsError
from edge_client.events import Events, make_events
from edge_client.ledger import read_late_events
from edge_client.pane_rows import SourceCounts, grid_of, needs, pane_rows
from edge_client.policy import Refuse
from edge_client.site import SiteSettings, respond
from featurestore.define.privacy import Bounds
from federation.plan import Plan, PlannedView
from federation.sharding import protect
from tests.aggregator.world import NOW
from tests.federation.wire import live
from tests.federation.words import with_words

from .making import HOUR, HOURLY, answered, hours, settings_in, sign
from .test_retries import freed, naming

Load = Callable[[Sequence[PlannedView]], Events]
COLUMNS = "who", "t"
VIEW = replace(HOURLY, bounds=Bounds(3, 2))
HOURS = 6


def all_of(parts: Sequence[pa.Table]) -> Load:
    table = pa.concat_tables(parts)
    return lambda _: make_events(table, *COLUMNS, strict_times=False)


def asked_of(parts: Sequence[pa.Table]) -> Load:
    def load(planned: Sequence[PlannedView]) -> Events:
        counts, rows = SourceCounts("t"), []
        for part in parts:
            found = pane_rows(part, planned, *COLUMNS)
            counts.add(found.counts)
            if needs(planned, found.counts, "t"):
                rows.append(found.rows)
            else:
                assert not found.rows.num_rows
        table = pa.concat_tables([parts[0].slice(0, 0), *rows])
        return replace(make_events(table, *COLUMNS, strict_times=False), counted=counts.of)

    return load


@dataclass
class Site:
    """A site with its own ledger, and what it shares out."""

    settings: SiteSettings
    of: Callable[[Sequence[pa.Table]], Load]
    told: Counter[tuple[int, int, bytes, int]] = field(default_factory=Counter)

    def answer(self, plan: Plan, parts: Sequence[pa.Table]) -> Counter[tuple[int, int, bytes, int]] | Refuse:
        """The reports: view, collection, vector, and the declared clients."""
        told: Counter[tuple[int, int, bytes, int]] = Counter()

        def watch(plan: Plan, of: Any, *rest: Any, **more: Any) -> Any:
            for row, collection in enumerate(of.collection.tolist()):
                vector = np.zeros(of.slots.length, np.int64)
                part = slice(of.slots.indptr[row], of.slots.indptr[row + 1])
                vector[of.slots.columns[part]] = of.slots.values[part]
                told[of.view, collection, vector.tobytes(), -1 if of.clients is None else int(of.clients[row])] += 1
            return protect(plan, of, *rest, **more)

        found = respond(sign(plan), self.settings, self.of(parts), lambda: NOW, np.random.default_rng(1).bytes, watch)
        if isinstance(found, Refuse):
            return found
        list(found)
        return told

    @property
    def late(self) -> dict[str, int]:
        return read_late_events(self.settings.ledger, "a")


names = st.sampled_from([None, *(f"c{number}" for number in range(7))])
rows = st.lists(
    st.tuples(names, st.one_of(st.none(), st.integers(0, HOURS * 60 - 1)), st.sampled_from(["x", "y", "z", None])),
    max_size=25,
)


def part_of(drawn: list[tuple[str | None, int | None, str | None]]) -> pa.Table:
    who, minutes, key = ([row[at] for row in drawn] for at in range(3))
    times = [None if at is None else at * 60 * 10**6 for at in minutes]  # type: ignore[operator]
    columns = {
        "who": pa.array(who, pa.string()),
        "t": pa.array(times, pa.timestamp("us")),
        "k": pa.array(key, pa.string()),
    }
    return pa.table(columns)


panes = st.lists(st.integers(0, HOURS - 1), min_size=1, max_size=3, unique=True).map(sorted)
steps = st.lists(st.tuples(rows, st.sampled_from(["new", "repeat", "retry"]), panes, panes), min_size=2, max_size=6)


@given(steps, st.sampled_from(["active", "all"]), st.sampled_from(["client", "site"]))
def test_reports_and_late_events_are_the_same_from_all_rows_and_from_the_asked_rows(
    drawn: Any, participation: Any, report_per: Any
) -> None:
    """Events come between the plans, also late ones; plans are repeated, and panes of a freed plan are taken again."""
    other = replace(VIEW, name="g", privacy=replace(VIEW.privacy, rho=0.25))
    first = replace(VIEW, privacy=other.privacy)
    with tempfile.TemporaryDirectory() as folder:
        sites = [Site(settings_in(made(Path(folder) / of.__name__)), of) for of in (all_of, asked_of)]
        parts: list[pa.Table] = []
        plans: list[Plan] = []
        for number, (events, kind, starts, other_starts) in enumerate(drawn):
            parts.append(part_of(events))
            if kind == "repeat" and plans:
                plan = plans[-1]
            else:
                views = (
                    PlannedView(first, np.array(starts, np.int64) * HOUR, 2),
                    PlannedView(other, np.array(other_starts, np.int64) * HOUR, 2),
                )
                plan = with_words(
                    hours(number, 0),
                    views=views,
                    participation=participation,
                    report_per=report_per,
                    max_clients=10 if report_per == "site" else 0,
                )
                if kind == "retry" and plans:
                    plan = replace(plan, views=plans[-1].views, earlier=naming(plan, freed(plans[-1])).earlier)
                plan = live(plan)
                plans.append(plan)
            of_all, of_asked = (site.answer(plan, parts) for site in sites)
            if isinstance(of_all, Refuse) or isinstance(of_asked, Refuse):
                assert of_all == of_asked
                plans.remove(plan)
            else:
                assert of_asked == of_all
            assert sites[1].late == sites[0].late


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@given(st.lists(rows, min_size=1, max_size=4))
def test_the_counts_of_the_parts_are_those_of_the_whole(drawn: Any) -> None:
    parts, planned = [part_of(one) for one in drawn], hours(0, 1).views
    whole, counted = all_of(parts)(planned), asked_of(parts)(planned)
    for own, of_parts in zip(whole.pane_counts(VIEW), counted.pane_counts(VIEW), strict=True):
        assert own.tolist() == of_parts.tolist()
    assert set(counted.pane_starts(VIEW).tolist()) <= {HOUR}


def test_compute_sees_the_rows_of_the_asked_panes_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan's cost does not grow with old events."""
    seen: list[int] = []

    def watched(view: Any, events: Events, *rest: Any, **more: Any) -> Contributions:
        seen.append(events.table.num_rows)
        return compute(view, events, *rest, **more)

    monkeypatch.setattr(site_room, "compute", watched)
    site = Site(settings_in(tmp_path), asked_of)
    parts = []
    for hour in range(HOURS):
        parts.append(part_of([(f"c{client}", hour * 60 + client, "x") for client in range(5)]))
        assert not isinstance(site.answer(hours(hour, hour), parts), Refuse)
    assert seen == [5] * HOURS


def test_a_part_without_events_in_the_asked_panes_is_not_needed_and_an_unknown_one_is() -> None:
    (planned,) = hours(0, 1, 3).views
    grid = grid_of(planned.view, "t")
    having = (np.array([0, 2]) * HOUR, np.array([4, 1]))
    assert not needs([planned], {grid: having}, "t")
    assert needs([planned], {grid: (np.array([3 * HOUR]), np.array([1]))}, "t")
    assert needs([planned], {}, "t")
    assert needs([planned, replace(planned, view=replace(VIEW, name="o", time="seen"))], {grid: having}, "t")


def test_a_view_with_another_time_column_has_panes_of_its_own() -> None:
    seen = replace(VIEW, name="seen", time="seen")
    table = part_of([("a", 10, "x"), ("b", 70, "x"), (None, 70, "x")])
    table = table.append_column("seen", pa.array([70, 200, 70], pa.int64()).cast(pa.timestamp("s")))
    planned = [PlannedView(VIEW, np.array([HOUR]), 2), PlannedView(seen, np.array([0]), 2)]
    found = pane_rows(table, planned, *COLUMNS)
    assert found.rows["who"].to_pylist() == ["a", "b"]
    assert {grid: (of[0].tolist(), of[1].tolist()) for grid, of in found.counts.items()} == {
        ("t", HOUR): ([0, HOUR], [1, 1]),
        ("seen", HOUR): ([0], [2]),
    }


def test_a_part_that_lacks_a_column_or_has_no_times_is_refused_by_its_schema() -> None:
    planned, table = hours(0, 1).views, part_of([("a", 10, "x")])
    with pytest.raises(EventsError, match="no column 'who'"):
        pane_rows(table.drop_columns(["who"]), planned, *COLUMNS)
    with pytest.raises(EventColumnError, match="times must be timestamps"):
        pane_rows(table.set_column(1, "t", pa.array([1])), planned, *COLUMNS)


def test_events_that_come_while_a_plan_is_answered_are_late(tmp_path: Path) -> None:
    """The rows were read before the counts: the answer holds the rows, so what the counts have more is late."""
    settings = settings_in(tmp_path)
    table = part_of([("a", 70, "x")])
    grown = SourceCounts("t")
    grown.add({("t", HOUR): (np.array([HOUR]), np.array([3]))})
    answered(hours(0, 1), replace(make_events(table, *COLUMNS), counted=grown.of), settings)
    assert read_late_events(settings.ledger, "a") == {}
    answered(hours(1, 2), replace(make_events(table.slice(0, 0), *COLUMNS), counted=grown.of), settings)
    assert read_late_events(settings.ledger, "a") == {VIEW.name: 2}


def test_the_counts_of_many_parts_are_summed_before_they_fill_the_memory() -> None:
    counts, grid = SourceCounts("t"), ("t", 60_000_000)
    for part in range(1_000):
        counts.add({grid: (np.array([0, part]), np.array([1, 2]))} if part else {grid: (np.array([0]), np.array([1]))})
    panes, events = counts.by_grid[grid]
    assert (panes.tolist(), events.tolist()) == (list(range(1_000)), [1_000] + [2] * 999)
    assert sum(len(part[0]) for part in counts._parts[grid]) < 1_200
