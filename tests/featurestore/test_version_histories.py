"""Random lives of a view: changes, roll-backs, overlaps, late panes and retractions; the history of every version is the oracle's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from base.times import to_us
from featurestore.define.definitions import FeatureView
from featurestore.define.panes import NEVER
from featurestore.define.records import Version
from featurestore.define.release import RETRACTED, Release, Void
from featurestore.define.values import served_features
from featurestore.errors import HandOverRefused
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from featurestore.publish.verify import check_store
from featurestore.registry.registry import Registry
from featurestore.store import Store

from .making import DAY, HOUR
from .naive_values import Value
from .naive_versions import Pane, as_view, changed, first_definition, naive_row, origins, random_opening, require_same

Known = dict[bytes, dict[int, Pane]]
"""The published panes of each collection, by pane start."""


class Life:
    """A store with one view, and what was published into it."""

    def __init__(self, directory: Path, draw: random.Random) -> None:
        self.directory, self.draw = directory, draw
        self.now, self.published = 0, Known()
        self.arguments = [first_definition(draw)]
        with Publisher(directory, lambda: 0) as publisher:
            publisher.register(as_view(self.arguments[0]))

    def versions(self) -> list[Version]:
        registry = Registry(self.directory / "store" / "registry.db", read_only=True)
        try:
            return registry.versions("delays")
        finally:
            registry.close()

    def day(self) -> None:
        """One day: perhaps a change, and the panes that are due, some of them late."""
        draw, self.now = self.draw, self.now + DAY
        with Publisher(self.directory, lambda: self.now) as publisher:
            if draw.random() < 0.35:
                self.change(publisher)
            items = list(self.due())
            draw.shuffle(items)
            size = draw.choice([1, 2, len(items) or 1])
            for at in range(0, len(items), size):
                publisher.publish(items[at : at + size])
            if draw.random() < 0.15:
                publisher.publish(list(self.retracted()))

    def change(self, publisher: Publisher) -> None:
        """Apply a changed definition, or roll back to one that was there before."""
        draw = self.draw
        if len(self.arguments) > 1 and draw.random() < 0.3:
            self.arguments.append(draw.choice(self.arguments[:-1]))
        else:
            self.arguments.append(changed(self.arguments[-1], draw))
        try:
            publisher.apply([as_view(self.arguments[-1])], overlap_days=draw.choice([0, 0, 1, 2]))
        except HandOverRefused:
            self.arguments.pop()

    def due(self) -> list[Release | Void]:
        """Releases and voids of the scheduled panes that have ended and are not published; a few come later, or never."""
        registry = Registry(self.directory / "store" / "registry.db", read_only=True)
        try:
            collected = registry.to_collect()
        finally:
            registry.close()
        items: list[Release | Void] = []
        for one in collected:
            (collection,) = {v.collection for v in self.versions() if v.registered.version == one.version}
            known = self.published.setdefault(collection, {})
            for start in range(max(one.from_us, 0), min(one.until_us or NEVER, self.now), DAY):
                if start not in known and self.draw.random() < (0.8 if start + DAY == self.now else 0.3):
                    item = self.opened(one.view, one.version, start)
                    items.append(item)
                    sums = item.slots if isinstance(item, Release) else None
                    known[start] = Pane(one.view, start, sums, item.manifest, item.released_at, NEVER)
        return items

    def opened(self, view: FeatureView, version: int, start: int) -> Release | Void:
        manifest, sums = random_opening(view, self.draw, view_version=version)
        times = start, start + DAY, self.now + self.draw.choice([0, HOUR]), self.now, "live"
        return Void(manifest, *times, "BATCH_TOO_SMALL") if sums is None else Release(manifest, *times, sums)

    def retracted(self) -> list[Void]:
        """The tombstone of one pane that was opened."""
        open_panes = [
            (collection, pane)
            for collection, panes in self.published.items()
            for pane in panes.values()
            if pane.sums is not None and pane.retracted_at == NEVER
        ]
        if not open_panes:
            return []
        collection, pane = self.draw.choice(open_panes)
        moment = max(self.now, pane.released_at) + self.draw.choice([0, HOUR])
        gone = Pane(pane.source, pane.start, pane.sums, pane.manifest, pane.released_at, moment)
        self.published[collection][pane.start] = gone
        return [Void(pane.manifest, pane.start, pane.start + DAY, moment, self.now, "live", RETRACTED)]


def used(version: Version, versions: list[Version], published: Known) -> list[Pane]:
    """The panes that the rows of a version use: its own; where it is not scheduled, those of the collection scheduled last."""
    view, own = version.registered.view, published.get(version.collection, {})
    entries = sorted(((one, other) for other in versions for one in other.schedule), key=lambda entry: entry[0].place)
    mine = [one for one, other in entries if other.collection == version.collection]
    panes: list[Pane] = []
    for start in sorted({start for of in published.values() for start in of}):
        if start in own:
            panes.append(own[start])
        elif start < max(one.until for one in mine) and not any(one.from_us <= start < one.until for one in mine):
            for one, other in reversed(entries):
                if one.from_us <= start < one.until and carries(other.registered.view, view):
                    if start in published.get(other.collection, {}):
                        panes.append(published[other.collection][start])
                    break
    return panes


def carries(old: FeatureView, new: FeatureView) -> bool:
    return bool(origins(old, new))


def last_issue(view: FeatureView, panes: list[Pane], at: int) -> int:
    """When the newest row of a pane was issued: after the last event in its largest window."""
    reach = panes[at].start - (max((window.panes for window in view.trailing), default=1) - 1) * view.pane_us
    inside = [pane for pane in panes[: at + 1] if pane.start >= reach]
    events = [moment for pane in inside for moment in (pane.released_at, pane.retracted_at) if moment != NEVER]
    return max(panes[at].released_at, *events)


def require_history(found: pa.Table, version: Version, panes: list[Pane]) -> None:
    view = version.registered.view
    keys = view.entity.domain
    rows = found.to_pylist()
    assert [to_us(row["pane_start"]) for row in rows] == [pane.start for pane in panes for _ in keys]
    for i, row in enumerate(rows):
        at, key = divmod(i, len(keys))
        moment = last_issue(view, panes, at)
        assert to_us(row["released_at"]) == moment
        due = naive_row(view, panes, at, moment, key)
        for one in served_features(view):
            value: Value = (
                row[one.name],
                row[f"{one.name}__se"],
                row.get(f"{one.name}__n"),
                row[f"{one.name}__status"],
            )
            require_same(due[one.name], value, one.name)
        for window in view.trailing:
            assert row[f"coverage_{window.name}"] == pytest.approx(due[f"coverage_{window.name}"], abs=1e-12)
        assert row["view_version"] == version.registered.version


def require_newest(store: Store, version: Version, history: pa.Table) -> None:
    """The newest rows are the last of the history."""
    view = version.registered.view
    names = [one.name for one in served_features(view)]
    got = store.get(
        [f"{version.registered.name}:{name}" for name in names], [{"dest": key[0]} for key in view.entity.domain]
    )
    last: list[dict[str, Any]] = history.to_pylist()[-len(view.entity.domain) :]
    for row, due in zip(got.to_pylist(), last, strict=False):
        assert {name: row[name] for name in names} == {name: due[name] for name in names}


@pytest.mark.parametrize("seed", range(3))
def test_the_history_of_every_version_is_that_of_the_oracle(seed: int, tmp_path: Path) -> None:
    life = Life(tmp_path, random.Random(seed))
    for day in range(14):
        life.day()
        if day % 5 == 3:
            require_all(life)
    rebuild_online(tmp_path)
    require_all(life)
    assert check_store(tmp_path).damaged == ()


def require_all(life: Life) -> None:
    versions = life.versions()
    with Store.open(life.directory, clock=lambda: life.now) as store:
        for version in versions:
            history = store.history(version.registered.name)
            require_history(history, version, used(version, versions, life.published))
            require_newest(store, version, history)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 150))
def test_the_same_for_many_lives(seed: int, tmp_path: Path) -> None:
    test_the_history_of_every_version_is_that_of_the_oracle(seed, tmp_path)
