"""A live release counts as readable from a moment on at which it can be read, however long the store takes to write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from featurestore.define.release import Release
from featurestore.errors import PublicationLate
from featurestore.publish.live import AHEAD_US, publish_live
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view

VIEW = a_view()
SECOND = 1_000_000


class SlowStore(Publisher):
    """A store whose clock goes on by some seconds between two publications' preparation and commit."""

    seconds: list[float]

    def _commit(self, *given: object) -> list[str]:  # type: ignore[override]
        Clock.now += int(self.seconds.pop(0) * SECOND)
        return super()._commit(*given)  # type: ignore[arg-type]


class Clock:
    now = DAY


def make(moment: int) -> list[Release]:
    return [a_release(VIEW, start, released_at=moment) for start in (0, HOUR)]


def publish(folder: Path, *seconds: float) -> list[Release]:
    Clock.now = DAY
    clock: Callable[[], int] = lambda: Clock.now  # noqa: E731
    with SlowStore(folder, clock) as publisher:
        publisher.seconds = list(seconds)
        publisher.register(VIEW)
        return publish_live(publisher, make, [b"evidence"], clock)


@pytest.mark.parametrize(
    ("seconds", "since"),
    [((0.0,), 2), ((1.5,), 2), ((1.6, 0.0), 1.6 + 20), ((1.6, 15.5, 90.0), 1.6 + 15.5 + 200)],
)
def test_a_slow_store_dates_its_releases_later(tmp_path: Path, seconds: tuple[float, ...], since: float) -> None:
    items = publish(tmp_path, *seconds)
    with Store.open(tmp_path) as store:
        released = set(store.releases("delays")["released_at"].cast("int64").to_pylist())
        assert released == {DAY + int(since * SECOND)} == {item.released_at for item in items}
        assert Clock.now <= min(released)
        assert store.history("delays").num_rows == 4


def test_a_store_that_needs_minutes_publishes_nothing_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(PublicationLate, match=r"250\.0 s too late, so nothing was published"):
        publish(tmp_path, *(2 * ahead / SECOND for ahead in AHEAD_US))
    assert not list((tmp_path / "store" / "offline").rglob("*.parquet"))
    with Store.open(tmp_path) as store:
        assert store.releases("delays").num_rows == 0
    assert len(publish(tmp_path, 0)) == 2  # and again


def test_nothing_to_publish_is_no_publication(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register(VIEW)
        assert publish_live(publisher, lambda _: [], [b"evidence"], lambda: DAY) == []
