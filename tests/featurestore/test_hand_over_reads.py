"""Readers, joins and other writers while a view changes: no error, no mixed read, and one result."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.define.kinds import Count, Rate
from featurestore.publish.publish import Publisher
from featurestore.publish.verify import check_store
from featurestore.registry.registry import Registry
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view

LATE = Rate("late", where="delay >= 15")
V1 = a_view()
V2 = a_view(windows=["3h", "6h"])
V3 = a_view(features=[Count("flights"), LATE, Count("all_flights")], windows=["3h", "6h"])
NOW = 10 * DAY + HOUR
APPLY = """
import sys
from pathlib import Path
from featurestore.publish.publish import Publisher
from tests.featurestore.test_hand_over_reads import NOW, V2
with Publisher(Path(sys.argv[1]), lambda: NOW, wait=True) as publisher:
    print(*(one.registered.version for one in publisher.apply([V2])))
"""


def reading(read: Callable[[], None], ended: threading.Event, failed: list[BaseException]) -> threading.Thread:
    def run() -> None:
        while not ended.is_set():
            try:
                read()
            except BaseException as error:  # noqa: BLE001 - the test shows it
                failed.append(error)
                return

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_readers_and_joins_see_whole_versions_through_every_kind_of_change(tmp_path: Path) -> None:
    """Pane i holds the value i in all slots, so a row's window tells which panes it sums, and a mixed row would differ."""
    labels = pa.table({"dest": ["ATL"] * 2, "at": pa.array([10 * DAY, 13 * DAY], pa.timestamp("us", "UTC"))})
    seen: set[tuple[int, int]] = set()
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(V1)
        publisher.publish([a_release(V1, 9 * DAY + i * HOUR, i) for i in range(24)])
        with Store.open(tmp_path, clock=lambda: NOW) as store:

            def vector() -> None:
                rows = store.get(["delays:flights", "delays:flights_3h"], {"dest": ["ATL"]})
                flights, window = rows["flights"][0].as_py(), rows["flights_3h"][0].as_py()
                assert window == flights + (flights - 1) + (flights - 2)
                snapshot = store.blocks.snapshot
                seen.add((snapshot.find("delays").header.version, flights))

            def join() -> None:
                answer = store.join(labels, ["delays:flights", "delays:flights_3h"], "at").read_all()
                for flights, window in zip(
                    *(answer[name].to_pylist() for name in ("flights", "flights_3h")), strict=True
                ):
                    assert window == flights + (flights - 1) + (flights - 2)

            def history() -> None:
                assert len(set(store.history("delays")["view_version"].to_pylist())) == 1
                assert store.history("delays@v1").num_rows >= 48

            ended, failed = threading.Event(), list[BaseException]()
            threads = [reading(read, ended, failed) for read in (vector, join, history)]
            try:
                publisher.apply([a_view(description="of all airlines")])
                publisher.apply([V2])
                publisher.publish([a_release(V2, 10 * DAY + i * HOUR, 24 + i, view_version=2) for i in range(12)])
                publisher.apply([V3])
                publisher.publish([a_release(V2, 10 * DAY + i * HOUR, 24 + i, view_version=2) for i in range(12, 24)])
                for i in range(6):
                    publisher.publish([a_release(V3, 11 * DAY + i * HOUR, 48 + i, view_version=3)])
                publisher.apply([V2], start=12 * DAY)
                publisher.publish([a_release(V3, 11 * DAY + i * HOUR, 48 + i, view_version=3) for i in range(6, 12)])
            finally:
                ended.set()
                for thread in threads:
                    thread.join()
            assert not failed, failed
            vector()
    assert (3, 59) in seen


def test_two_processes_that_apply_the_same_file_make_one_version(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(V1)
        publisher.publish([a_release(V1, 9 * DAY + i * HOUR, i) for i in range(24)])
    command = [sys.executable, "-c", APPLY, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate() for process in running]
    assert [out.split() for out, _ in said] == [["2"], ["2"]], said
    registry = Registry(tmp_path / "store" / "registry.db", read_only=True)
    assert [one.registered.version for one in registry.versions("delays")] == [1, 2]
    registry.close()


@pytest.mark.parametrize(
    ("between", "published"),
    [("SELECT versions.name, versions.id", True), ("SELECT data FROM definitions", False)],
    ids=["the next version", "another definition of a version without panes"],
)
def test_repro_a_change_between_two_statements_of_a_reader_is_read_whole_or_not_at_all(
    tmp_path: Path, between: str, *, published: bool
) -> None:
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(V1)
        if published:
            publisher.publish([a_release(V1, 9 * DAY, 1)])
        registry = Registry(tmp_path / "store" / "registry.db", read_only=True)
        with before_a_statement(registry, between, lambda: publisher.apply([V2])) as changed:
            assert [one.view for one in registry.views()] == [V1]
        assert changed
        assert [one.view for one in registry.views()] == [V2]
        registry.close()


def test_repro_a_publication_between_two_statements_of_a_reader_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    def publish(pane: int) -> None:
        publisher.publish([a_release(V1, 9 * DAY + pane * HOUR, pane, plan_hash=f"{pane:02x}" * 32)])

    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(V1)
        publish(1)
        registry = Registry(tmp_path / "store" / "registry.db", read_only=True)
        view = registry.view("delays")
        with before_a_statement(
            registry, "SELECT collection_id, pane_start, release_id", lambda: publish(2)
        ) as changed:
            assert len(registry.panes(view)) == 1
        assert changed
        assert len(registry.panes(view)) == 2
        registry.close()


def test_repro_an_interrupt_right_after_the_commit_of_a_change_deletes_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(V1)
        publisher.publish([a_release(V1, 9 * DAY + i * HOUR, i) for i in range(24)])
        transaction = Registry.transaction

        @contextmanager
        def interrupted(self: Registry) -> Iterator[None]:
            with transaction(self):
                yield
            raise KeyboardInterrupt

        monkeypatch.setattr(Registry, "transaction", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publisher.apply([V2])
        monkeypatch.undo()
    with Publisher(tmp_path, lambda: NOW) as publisher:
        assert publisher.apply([V2])[0].registered.version == 2
    assert check_store(tmp_path).damaged == ()
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        assert store.history("delays@v2").num_rows == 48


@contextmanager
def before_a_statement(registry: Registry, begins: str, change: Callable[[], object]) -> Iterator[list[str]]:
    """Make a change right before a reader's statement; gives the statement once it has run."""
    seen: list[str] = []

    def look(statement: str) -> None:
        if begins in statement and not seen:
            seen.append(statement)
            change()

    registry._db.set_trace_callback(look)
    try:
        yield seen
    finally:
        registry._db.set_trace_callback(None)
