"""A tombstone: from its release time on, the pane counts as not opened. Earlier answers do not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from base.times import utc_text
from featurestore.define.release import BUDGET_SPENT, RETRACTED, Release, Void
from featurestore.errors import PaneNotOpen, PaneRetracted, ReleaseRefused
from featurestore.online.blocks import open_blocks
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, a_void, fill

VIEW = a_view(min_coverage=0)
REFS = ["delays:flights", "delays:flights_3h", "delays:late_3h"]
GONE = 3 * DAY


class Crash(Exception):
    """A power cut."""


class CrashBeforeCommit(Publisher):
    def _commit(self, *_: Any) -> None:
        raise Crash


class CrashBeforeOnline(Publisher):
    def _newest(self, *_: Any) -> Any:
        raise Crash


class CrashBeforeCurrent(Publisher):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._blocks.switch = self._crash  # type: ignore[method-assign]

    def _crash(self, *_: Any) -> None:
        raise Crash


def tombstone(of: Release | Void, released_at: int = GONE, **given: Any) -> Void:
    made = Void(of.manifest, of.pane_start, of.pane_end, released_at, GONE, "live", RETRACTED, b"signed")
    return replace(made, **given)


def publish(directory: Path, *items: Release | Void, kind: type[Publisher] = Publisher) -> None:
    with kind(directory, lambda: GONE) as publisher:
        publisher.register(VIEW)
        publisher.publish(items)


def joined(directory: Path, times: Sequence[int]) -> pa.Table:
    labels = pa.table({"dest": ["LAX"] * len(times), "t": pa.array(times, pa.timestamp("us"))})
    with Store.open(directory) as store:
        return store.join(labels, REFS, "t").read_all()


def latest(directory: Path) -> tuple[int | None, int | None]:
    with Store.open(directory) as store:
        (row,) = store.get(REFS, {"dest": ["LAX"]}).to_pylist()
    view = open_blocks(directory).snapshot.find("delays")
    rows = view.rows({"dest": ["LAX"]}, 1)
    (window,) = rows.numbers[rows.place, view.columns["flights_3h"].start].tolist()
    assert window == row["flights_3h"]
    return row["flights"], row["flights_3h"]


def test_joins_before_the_tombstone_are_bit_for_bit_the_same_and_later_ones_are_without_the_pane(
    store_dir: Path,
) -> None:
    fill(store_dir, VIEW, 30)
    before = range(0, GONE, HOUR // 2)
    was = joined(store_dir, before)
    publish(store_dir, tombstone(a_release(VIEW, 28 * HOUR)))
    assert joined(store_dir, [*before, GONE - 1]).slice(0, len(before)).equals(was)
    rows = joined(store_dir, [GONE - 1, GONE]).to_pylist()
    assert [row["flights_3h"] for row in rows] == [28 + 29 + 30, 28 + 30]
    assert latest(store_dir) == (30, 28 + 30)
    with Store.open(store_dir) as store:
        history = store.history("delays").filter(pa.compute.field("dest") == "LAX").to_pylist()
    windows = [row["flights_3h"] for row in history[26:]]
    assert windows == [25 + 26 + 27, 26 + 27 + 28, 27 + 28, 28 + 30]
    assert (history[28]["flights"], history[28]["flights__status"], history[28]["coverage_3h"]) == (None, "VOID", 2 / 3)


def test_a_retracted_newest_pane_is_void_online(store_dir: Path) -> None:
    fill(store_dir, VIEW, 3)
    publish(store_dir, tombstone(a_release(VIEW, 2 * HOUR)))
    assert latest(store_dir) == (None, 1 + 2)
    assert [row["flights__status"] for row in joined(store_dir, [GONE - 1, GONE]).to_pylist()] == ["OK", "VOID"]


def test_its_slots_are_in_no_window_issued_after_the_tombstone(store_dir: Path) -> None:
    fill(store_dir, VIEW, 2)
    publish(store_dir, tombstone(a_release(VIEW, HOUR)))
    publish(store_dir, a_release(VIEW, 2 * HOUR, 4, released_at=GONE + HOUR))
    assert latest(store_dir) == (4, 1 + 4)
    publish(store_dir, a_release(VIEW, 3 * HOUR, 8, released_at=2 * GONE))
    assert latest(store_dir) == (8, 4 + 8)


def test_a_pane_that_was_late_counts_between_its_release_and_its_tombstone(store_dir: Path) -> None:
    fill(store_dir, VIEW, 3)
    publish(store_dir, tombstone(a_release(VIEW, HOUR)))
    publish(store_dir, a_release(VIEW, 3 * HOUR, 4))  # replayed: dated before the tombstone, published after it
    rows = joined(store_dir, [GONE - 1, GONE]).to_pylist()
    assert [row["flights_3h"] for row in rows] == [2 + 3 + 4, 3 + 4]


def test_the_pane_stays_published_with_both_records(store_dir: Path) -> None:
    fill(store_dir, VIEW, 2)
    release = a_release(VIEW, HOUR, 2)
    publish(store_dir, tombstone(release))
    with Publisher(store_dir, lambda: GONE) as publisher:
        assert publisher.opened(VIEW).tolist() == [0, HOUR]
        report = publisher.publish([release])
        assert (report.published, report.repeated) == (0, 1)
        with pytest.raises(ReleaseRefused, match="other content"):
            publisher.publish([a_release(VIEW, HOUR, 3)])
    assert latest(store_dir) == (None, 1)
    with Store.open(store_dir) as store:
        listed = store.releases("delays").to_pylist()
        gone, grave = store.release(release.release_id), store.tombstone(release.release_id)
    assert [(pane["state"], pane["reason"]) for pane in listed] == [("opened", None), ("retracted", RETRACTED)]
    assert isinstance(gone, Release)
    assert gone.signed_bytes == release.signed_bytes
    assert grave is not None
    assert grave.signed_bytes == tombstone(release).signed_bytes
    assert grave.signature == b"signed"


def test_the_same_tombstone_again_changes_nothing_and_another_is_refused(store_dir: Path) -> None:
    fill(store_dir, VIEW, 2)
    once = tombstone(a_release(VIEW, HOUR))
    publish(store_dir, once)
    before = joined(store_dir, [GONE])
    with Publisher(store_dir, lambda: GONE) as publisher:
        report = publisher.publish([once, once])
        assert (report.published, report.repeated) == (0, 2)
        for other in (replace(once, released_at=GONE + 1), replace(once, signature=b"other")):
            with pytest.raises(PaneRetracted, match=utc_text(GONE)):
                publisher.publish([other])
    assert joined(store_dir, [GONE]).equals(before)


def test_a_tombstone_may_say_why(store_dir: Path) -> None:
    fill(store_dir, VIEW, 2)
    why = tombstone(a_release(VIEW, HOUR), reason="RETRACTED: a site counted twice")
    publish(store_dir, why)
    assert latest(store_dir) == (None, 1)
    with Publisher(store_dir, lambda: GONE) as publisher:
        assert publisher.publish([why]).repeated == 1
        with pytest.raises(PaneRetracted):
            publisher.publish([tombstone(a_release(VIEW, HOUR))])
        with pytest.raises(ReleaseRefused, match="other content"):
            publisher.publish([replace(why, reason="RETRACTEDLY")])
    with Store.open(store_dir) as store:
        grave = store.tombstone(why.release_id)
        assert store.releases("delays")["reason"].to_pylist()[1] == why.reason
    assert grave is not None
    assert grave.signed_bytes == why.signed_bytes


def test_only_an_opened_pane_is_retracted(store_dir: Path) -> None:
    fill(store_dir, VIEW, 1)
    publish(store_dir, a_void(VIEW, HOUR), a_void(VIEW, 2 * HOUR, BUDGET_SPENT))
    for hour in (1, 2, 3):
        with pytest.raises(PaneNotOpen, match=utc_text(hour * HOUR)):
            publish(store_dir, a_release(VIEW, 5 * HOUR), tombstone(a_void(VIEW, hour * HOUR)))
    with Publisher(store_dir, lambda: 0) as publisher:
        assert publisher.opened(VIEW).tolist() == [0, HOUR, 2 * HOUR]


@pytest.mark.parametrize(
    "early",
    [{"released_at": GONE - 1}, {"released_at": HOUR, "published_at": 0}],
    ids=["before it is made", "before R"],
)
def test_a_tombstone_is_not_dated_back(store_dir: Path, early: dict[str, int]) -> None:
    fill(store_dir, VIEW, 1)
    with pytest.raises(ReleaseRefused, match="earlier joins do not change"):
        publish(store_dir, tombstone(a_release(VIEW, 0), **early))


def test_a_release_and_its_tombstone_of_one_moment_and_one_call_were_never_open(store_dir: Path) -> None:
    release = a_release(VIEW, HOUR, 5, released_at=GONE)
    publish(store_dir, tombstone(release), a_release(VIEW, 0, 1), release)
    assert latest(store_dir) == (None, 1)
    assert {row["flights_3h"] for row in joined(store_dir, [GONE, 2 * GONE]).to_pylist()} == {1}
    with Store.open(store_dir) as store:
        assert store.release(release.release_id).content_hash == release.content_hash


@pytest.mark.parametrize("kind", [CrashBeforeCommit, CrashBeforeOnline, CrashBeforeCurrent])
def test_a_retraction_that_crashed_counts_from_its_commit_on(store_dir: Path, kind: type[Publisher]) -> None:
    fill(store_dir, VIEW, 3)
    grave = tombstone(a_release(VIEW, HOUR))
    with pytest.raises(Crash):
        publish(store_dir, grave, kind=kind)
    Publisher(store_dir, lambda: GONE).close()
    assert latest(store_dir) == ((3, 1 + 2 + 3) if kind is CrashBeforeCommit else (3, 1 + 3))
    publish(store_dir, grave)
    assert latest(store_dir) == (3, 1 + 3)
    assert [row["flights_3h"] for row in joined(store_dir, [GONE - 1, GONE]).to_pylist()] == [6, 4]


def test_slots_survive_the_merge_of_a_day_that_was_retracted_from_and_completed_later(store_dir: Path) -> None:
    fill(store_dir, VIEW, 20)
    publish(store_dir, tombstone(a_release(VIEW, 19 * HOUR)))
    publish(store_dir, *(a_release(VIEW, hour * HOUR, hour + 1) for hour in range(20, 24)))
    folder = store_dir / "store" / "offline" / "delays" / "v1"
    assert len(list(folder.iterdir())) == 1
    rows = joined(store_dir, [GONE - 1, GONE]).to_pylist()
    assert [row["flights_3h"] for row in rows] == [22 + 23 + 24] * 2
    with Store.open(store_dir) as store:
        history = store.history("delays").filter(pa.compute.field("dest") == "LAX").to_pylist()
        assert [row["flights_3h"] for row in history[20:22]] == [19 + 21, 21 + 22]
        kept = store.release(a_release(VIEW, 19 * HOUR).release_id)
    assert isinstance(kept, Release)
    assert (kept.slots == 20).all()
