from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.times import DAY_US
from edge_client.errors import EventColumnError
from edge_client.event_log.ids import id_hashes
from edge_client.event_log.log import EventLog
from edge_client.event_log.log_row import Tally
from tests.examples import examples

from .conftest import Clocks, events, numbers_of

Open = Callable[..., EventLog]


def with_ids(log: EventLog, ids: list[Any], kind: pa.DataType | None = None) -> tuple[int, int]:
    appended = log.append(events(len(ids), 100 * log.counts().life.kept, id=pa.array(ids, kind)))
    return appended.kept, appended.duplicates


def ids_of(log: EventLog) -> list[Any]:
    return [one for _, table in log.batches() for one in table["id"].to_pylist()]


def test_the_first_event_of_each_id_is_kept_within_a_batch_and_over_batches_and_restarts(open_log: Open) -> None:
    with open_log(event_id="id") as log:
        assert with_ids(log, ["a", "b", "a", "c", "b"]) == (3, 2)
        assert with_ids(log, ["d", "a", "e"]) == (2, 1)
        assert with_ids(log, ["a", "e"]) == (0, 2)
    with open_log(event_id="id") as log:
        assert with_ids(log, ["c", "f"]) == (1, 1)
        assert ids_of(log) == ["a", "b", "c", "d", "e", "f"]
        assert numbers_of(log)[:3] == [0, 1, 3]
        assert log.counts().life == Tally(kept=6, duplicates=6)


def test_an_event_without_an_id_is_kept_each_time(open_log: Open) -> None:
    log = open_log(event_id="id")
    assert with_ids(log, [None, None, "a"]) == (3, 0)
    assert with_ids(log, [None, "a"]) == (1, 1)
    assert log.append(events(3)).kept == 3
    assert with_ids(log, [None], pa.null()) == (1, 0)


def test_seven_and_its_text_and_its_bytes_differ_and_its_width_does_not(open_log: Open) -> None:
    log = open_log(event_id="id")
    assert with_ids(log, [7]) == (1, 0)
    assert with_ids(log, ["7"]) == (1, 0)
    assert with_ids(log, [b"7"]) == (1, 0)
    for kind in (pa.int8(), pa.int32(), pa.uint64()):
        assert with_ids(log, [7], kind) == (0, 1)
    assert with_ids(log, ["7"], pa.string_view()) == (0, 1)
    assert with_ids(log, [2**64 - 1, 2**63], pa.uint64()) == (2, 0)
    with pytest.raises(EventColumnError, match="ids of events must be"):
        with_ids(log, [7.0])


def test_the_positions_of_a_batch_of_duplicates_are_stored(open_log: Open) -> None:
    log = open_log(event_id="id")
    with_ids(log, ["a"])
    log.append(events(1, id=["a"]), positions={"p": b"2"})
    assert log.positions() == {"p": b"2"}


def test_ids_live_as_long_as_their_events(open_log: Open, clocks: Clocks) -> None:
    log = open_log(event_id="id", days=2)
    for day in range(6):
        clocks.pass_days(1)
        assert with_ids(log, [*(f"{day}-{at}" for at in range(300)), None]) == (301, 0)
        if day:
            assert with_ids(log, [f"{day - 1}-{at}" for at in range(300)]) == (0, 300)
    assert with_ids(log, ["0-0", "4-0"]) == (1, 1)
    log.close()
    import sqlite3

    with sqlite3.connect(log.path) as database:
        (count,) = database.execute("SELECT count(*) FROM ids").fetchone()
    assert count == sum(one is not None for one in ids_of(open_log(event_id="id", days=2)))


def test_the_hash_of_an_id_is_that_of_this_log_alone(open_log: Open) -> None:
    value = pa.array(["a"], pa.large_string())
    assert id_hashes("id", value, b"k" * 32) != id_hashes("id", value, b"l" * 32)
    (found,) = id_hashes("id", value, b"k" * 32)
    assert found is not None
    assert len(found) == 16


@settings(max_examples=examples(60))
@given(st.lists(st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=40), max_size=8))
def test_what_is_kept_is_what_a_set_would_keep(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int | None]]
) -> None:
    seen: set[int] = set()
    kept: list[int | None] = []
    with EventLog(
        tmp_path_factory.mktemp("ids") / "e.log", client="who", time="at", event_id="id", clock=lambda: DAY_US
    ) as log:
        for batch in batches:
            log.append(events(len(batch), id=pa.array(batch, pa.int64())))
            for one in batch:
                if one is None or one not in seen:
                    kept.append(one)
                    seen.update([] if one is None else [one])
        assert (ids_of(log) if kept else []) == kept
