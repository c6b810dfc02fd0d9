"""A store through any order of changes, publications, retractions, compactions and crashes, against a calculation day by day."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from featurestore.define.definitions import FeatureView
from featurestore.define.kinds import Count, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Privacy
from featurestore.define.records import Version
from featurestore.define.release import Release, Void
from featurestore.define.wire import collection_hash
from featurestore.errors import HandOverRefused, VersionInUse
from featurestore.offline.parquet import Offline
from featurestore.publish.compact import compact
from featurestore.publish.publish import Publisher
from featurestore.publish.verify import check_store
from featurestore.registry.lineage import Lineage
from featurestore.store import Store

from .making import DAY, a_view, manifest_of

FLIGHTS, LATE = Count("flights"), Rate("late", where="delay >= 15")


def a_daily(**given: Any) -> FeatureView:
    usual: dict[str, Any] = {"features": [FLIGHTS], "pane": "1d", "windows": ["3d"], "min_coverage": 0.1}
    return a_view(**(usual | given))


DEFINITIONS = {
    "first": a_daily(),
    "text": a_daily(description="of all airlines"),
    "kept": a_daily(retention="2d"),
    "kept shorter": a_daily(retention="1d"),
    "window": a_daily(windows=["3d", "2d"]),
    "priced": a_daily(privacy=Privacy(rho=0.7, min_clients=2)),
    "priced and kept": a_daily(privacy=Privacy(rho=0.7, min_clients=2), retention="2d"),
    "priced window": a_daily(privacy=Privacy(rho=0.7, min_clients=2), windows=["3d", "4d"]),
    "feature": a_daily(features=[FLIGHTS, LATE]),
    "other key": a_daily(entity=a_daily().entity.__class__("dest", domain=["ATL", "BOS"])),
}
FIRST_DAY = 100
COLUMNS = "flights", "flights_3d"


class Crash(BaseException):
    """The end of the process."""


def end_the_process(*_: object, **__: object) -> NoReturn:
    raise Crash


@dataclass
class Pane:
    """What was published of a collection and a day, in order."""

    collection: bytes
    day: int
    value: int | None
    carried_by: FeatureView
    item: Release | Void
    seq: int
    retracted: bool = False


class StoreOfVersions(RuleBasedStateMachine):
    """Every rule is one action of an operator, a coordinator, or fate."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.now = FIRST_DAY * DAY + DAY // 2
        self.panes: list[Pane] = []
        self.count = 0
        self.rows_from = 0
        """The day before which rows have left."""
        self.open()
        self.publisher.apply([DEFINITIONS["first"]])

    def open(self) -> None:
        self.publisher = Publisher(self.folder, lambda: self.now)

    def teardown(self) -> None:
        self.publisher.close()
        shutil.rmtree(self.folder)

    @property
    def lineage(self) -> Lineage:
        return self.publisher._registry.lineage("delays")

    def attempt(self, act: Callable[[], object], crash: str | None) -> bool:
        """Act, with a crash at one place; whether the act took place."""
        if crash is None:
            act()
            return True
        names = {"files": "_offline", "registry": "_registry", "readers": "_blocks"}
        methods = {"files": "write_days", "registry": "serve", "readers": "switch"}
        owner = getattr(self.publisher, names[crash])
        if crash == "registry":
            owner, methods["registry"] = owner.publications, "record"
        real = getattr(owner, methods[crash])

        def crashing(*given: Any, **named: Any) -> None:
            if crash != "readers":
                real(*given, **named)
            raise Crash

        setattr(owner, methods[crash], crashing)
        happened = True
        try:
            act()
        except Crash:
            happened = crash == "readers"
        self.publisher.close()
        self.open()
        return happened

    @rule(
        name=st.sampled_from([*DEFINITIONS]),
        overlap=st.integers(0, 2),
        crash=st.sampled_from([None, None, "files", "registry", "readers"]),
    )
    def apply(self, name: str, overlap: int, crash: str | None) -> None:
        before = [(one.place, version.registered.version) for one, version in self.lineage.entries]
        happened = False
        with suppress(HandOverRefused):
            happened = self.attempt(lambda: self.publisher.apply([DEFINITIONS[name]], overlap_days=overlap), crash)
        if happened:
            assert self.lineage.newest.registered.view == DEFINITIONS[name]
        else:
            assert [(one.place, version.registered.version) for one, version in self.lineage.entries] == before

    @rule(
        choice=st.integers(0, 99),
        opened=st.booleans(),
        ahead=st.integers(0, 3),
        crash=st.sampled_from([None, None, None, "files", "registry", "readers"]),
    )
    def publish(self, choice: int, opened: bool, ahead: int, crash: str | None) -> None:
        due = [
            (one, day)
            for one in self.lineage.to_collect()
            for day in range(FIRST_DAY - 4, self.now // DAY)
            if one.from_us <= day * DAY < (one.until_us or 2**62)
            and not any(pane.day == day and pane.collection == collection_hash(one.view) for pane in self.panes)
        ]
        if not due:
            return
        one, day = due[choice % len(due)]
        self.count += 1
        manifest = manifest_of(one.view, view_version=one.version)
        layout, end = layout_of(one.view), (day + 1) * DAY
        times = day * DAY, end, self.now + ahead, self.now
        slots = np.full((layout.keys, layout.slots_per_key), self.count, dtype=np.int64)
        item = Release(manifest, *times, "live", slots) if opened else Void(manifest, *times, "live", "BATCH_TOO_SMALL")
        seq = self.publisher._registry.publications.next_seq()
        if self.attempt(lambda: self.publisher.publish([item]), crash):
            value = self.count if opened else None
            self.panes.append(Pane(collection_hash(one.view), day, value, one.view, item, seq))
            self.rows_leave(day)

    @precondition(lambda self: any(pane.value is not None and not pane.retracted for pane in self.panes))
    @rule(choice=st.integers(0, 99), crash=st.sampled_from([None, None, "registry", "readers"]))
    def retract(self, choice: int, crash: str | None) -> None:
        released = [pane for pane in self.panes if pane.value is not None and not pane.retracted]
        pane = released[choice % len(released)]
        self.now += 10
        times = pane.item.pane_start, pane.item.pane_end, self.now, self.now
        tombstone = Void(pane.item.manifest, *times, "live", "RETRACTED: wrong")
        if self.attempt(lambda: self.publisher.publish([tombstone]), crash):
            pane.retracted = True

    @rule(choice=st.integers(0, 99))
    def deprecate(self, choice: int) -> None:
        numbers = [one.registered.version for one in self.lineage.versions]
        number = numbers[choice % len(numbers)]
        lineage = self.lineage
        refused = number in (lineage.served.registered.version, lineage.newest.registered.version)
        try:
            self.publisher.deprecate("delays", number)
        except VersionInUse:
            assert refused
        else:
            assert not refused

    @rule(crash=st.sampled_from([None, None, "write_days", "remove"]))
    def compact(self, crash: str | None) -> None:
        self.publisher.close()
        before = [*self.folder.rglob("*.parquet")]
        with pytest.MonkeyPatch.context() as patch:
            if crash is not None:
                patch.setattr(Offline, crash, end_the_process)
            with suppress(Crash):
                compact(self.folder)
        self.open()
        days = [max(used) for version in self.lineage.versions if (used := self.used_by(version))]
        if days:
            self.rows_leave(max(days))
        assert len([*self.folder.rglob("*.parquet")]) <= len(before)

    def rows_leave(self, newest: int) -> None:
        """Rows leave that are older than the retention, counted from the end of a day, and the longest window."""
        retention = self.lineage.newest.registered.view.retention
        if retention is not None:
            longest = max(window.panes for one in self.lineage.versions for window in one.registered.view.trailing)
            self.rows_from = max(self.rows_from, newest + 1 - int(retention[0]) - (longest - 1))

    @rule(days=st.integers(1, 2))
    def time_passes(self, days: int) -> None:
        self.now += days * DAY

    @invariant()
    def every_version_has_the_rows_of_the_panes_that_it_uses(self) -> None:
        assert check_store_of(self.publisher, self.folder) == ()
        with Store.open(self.folder, clock=lambda: self.now) as store:
            for version in self.lineage.versions:
                registered = version.registered
                used = self.used_by(version)
                # the newest row stays, because it is read
                kept = [day for day in sorted(used) if day >= self.rows_from] or sorted(used)[-1:]
                rows = store.history(registered.name).filter(
                    np.arange(2 * len(kept)) % 2 == 0 if kept else np.empty(0, bool)
                )
                assert [at // DAY for at in rows["pane_start"].cast("int64").to_pylist()] == kept
                values = {day: one.value if not one.retracted else None for day, one in used.items()}
                for day, found, of_window in zip(kept, *(rows[name].to_pylist() for name in COLUMNS), strict=True):
                    assert found == values[day] or (day < self.rows_from and found is None)
                    sums = [values[at] for at in range(day - 2, day + 1) if values.get(at) is not None]
                    if day - 2 >= self.rows_from:
                        assert of_window == (sum(sums) if sums else None)
                if used and values[max(used)] is not None and max(used) >= self.rows_from:
                    found = store.get([f"{registered.name}:flights"], {"dest": ["ATL"]})["flights"].to_pylist()
                    assert found == [values[max(used)]]

    def used_by(self, version: Version) -> dict[int, Pane]:
        """By day, the pane that a version's row uses: the first rule that has one decides."""
        view, last = version.registered.view, self.lineage.last_seq(version)
        mine, panes = collection_hash(view), [pane for pane in self.panes if last is None or pane.seq <= last]
        entries = [(one, collection_hash(version.registered.view)) for one, version in self.lineage.entries]
        end = max(one.until for one, of in entries if of == mine)
        used: dict[int, Pane] = {}
        for day in {pane.day for pane in panes}:
            at = {pane.collection: pane for pane in panes if pane.day == day}
            covering = [of for one, of in entries if one.from_us <= day * DAY < one.until]
            if mine in at:
                used[day] = at[mine]
            elif mine not in covering and day * DAY < end:
                carried = [of for of in covering if self.carries(of, view)]
                if carried and carried[-1] in at:
                    used[day] = at[carried[-1]]
        return used

    def carries(self, collection: bytes, view: FeatureView) -> bool:
        """Whether the features of a collection mean the same in a view: here, if the keys are equal."""
        source = next(one for one in DEFINITIONS.values() if collection_hash(one) == collection)
        return source.entity == view.entity


def check_store_of(publisher: Publisher, folder: Path) -> tuple[object, ...]:
    """The damage of a store that a publisher has open."""
    publisher._lock.release()
    try:
        return check_store(folder).damaged
    finally:
        from featurestore.publish.writer_lock import lock_store

        publisher._lock = lock_store(folder / "store")


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        StoreOfVersions,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=[*HealthCheck]
        ),
    )


def test_versions_survive_any_order_of_changes_publications_compactions_and_crashes() -> None:
    run(10, 12)


@pytest.mark.long
def test_versions_survive_many_orders_of_changes_publications_compactions_and_crashes() -> None:
    run(200, 25)
