"""What `covey diff` says is what `covey apply` does, for any sequence of definitions, days, overlaps and releases."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from base.times import DAY_US
from deployment.project.applying import apply_views
from deployment.project.evolution import DayBudget, evolution_of
from deployment.project.known_releases import registry_of
from deployment.project.project import DEFAULT_BUDGET
from featurestore.define.definitions import FeatureView
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Privacy
from featurestore.define.wire import collection_hash, definition_hash
from featurestore.errors import HandOverRefused
from featurestore.publish.publish import Publisher
from featurestore.registry.hand_over import Timing
from tests.examples import examples
from tests.featurestore.making import HOUR, a_release, a_view

FIRST = 100 * DAY_US
LATE = Rate("late", where="delay >= 15")
DEFINITIONS = (
    a_view(),
    a_view(owner="ops"),
    a_view(windows=["3h", "6h"]),
    a_view(privacy=Privacy(rho=0.7, min_clients=2)),
    a_view(features=[Count("flights"), LATE, Mean("delay", clip=(0, 60))]),
    a_view(features=[Count("flights"), LATE, Mean("delay", clip=(0, 90))]),
)
OTHER = a_view("other", privacy=Privacy(rho=0.01, min_clients=2))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(DEFINITIONS),
        st.integers(0, 2),
        st.sampled_from([None, 0, 1, 3]),
        st.integers(0, 2),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def cost(view: FeatureView) -> int:
    return layout_of(view).micro_rho


def naive_budget(directory: Path, day: int) -> DayBudget:
    """The budget of a day by the registry's own list of what is collected."""
    with registry_of(directory) as registry:
        assert registry is not None
        collected = {
            (one.view.name, collection_hash(one.view)): cost(one.view)
            for one in registry.to_collect()
            if one.from_us <= day and (one.until_us is None or day < one.until_us)
        }
    mine = sum(micro_rho for (name, _), micro_rho in collected.items() if name == "delays")
    return DayBudget(day, mine, DEFAULT_BUDGET.micro_rho - sum(collected.values()))


def release(directory: Path, now: int) -> None:
    """The pane before now is opened for the newest collection that has it, if its day is one of that collection alone."""
    start = now // HOUR * HOUR - HOUR
    with registry_of(directory) as registry:
        assert registry is not None
        due = [one for one in registry.to_collect() if one.from_us <= start and one.view.name == "delays"]
        current = [one for one in due if one.until_us is None or start < one.until_us]
    if len(current) == 1:
        with Publisher(directory, lambda: now) as publisher:
            if start not in publisher.opened(current[0].view):
                publisher.publish([a_release(current[0].view, start, view_version=current[0].version)])


@settings(max_examples=examples(25), deadline=None)
@given(STEPS)
def test_a_change_does_what_was_said(steps: list[tuple[FeatureView, int, int | None, int, bool]]) -> None:
    with tempfile.TemporaryDirectory(prefix="covey-evolution-") as folder:
        _evolve(Path(folder), steps)


def _evolve(directory: Path, steps: list[tuple[FeatureView, int, int | None, int, bool]]) -> None:
    now = FIRST + 5 * HOUR
    for view, overlap, later, days, releases in steps:
        start = None if later is None else (now // DAY_US + later) * DAY_US
        timing = Timing(now, start, overlap)
        try:
            found = evolution_of(directory, [view, OTHER], timing)
        except HandOverRefused:
            continue
        said: dict[str, Any] = {one.view.name: one for one in found.views}
        done = apply_views(directory, found, timing, lambda now=now: now, lambda *_: None)  # type: ignore[misc]
        for one in done.applied:
            mine = said[one.registered.view.name]
            assert (mine.version, mine.is_roll_back) == (one.registered.version, one.is_back)
            assert definition_hash(mine.view) == definition_hash(one.registered.view)
        mine = said["delays"]
        with registry_of(directory) as registry:
            assert registry is not None
            assert (registry.view("delays").version == mine.version) == mine.is_served
        expected = [one for one in mine.budget if one.from_us >= now or len(mine.budget) == 1]
        assert expected == [naive_budget(directory, one.from_us) for one in expected]
        if releases:
            release(directory, now)
        now += days * DAY_US
