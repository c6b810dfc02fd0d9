"""Streams of answers hold the tables of answers, in every form that answers have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.on_demand import Feature, Input, on_demand
from featurestore.errors import BadReference
from featurestore.publish.publish import Publisher
from featurestore.read import part_loops
from featurestore.read.answer import AnswerTable, key_arrays, key_types
from featurestore.read.answer_stream import MAX_LAYOUTS, AnswerStream
from featurestore.read.request import Reading, find_columns
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view

VIEW = a_view(
    entity=Entity(["dest", "hour"], [(dest, hour) for dest in ("ATL", "LÄX") for hour in range(24)]),
    features=[
        Histogram("delay", edges=[0, 15]),
        Count("flights"),
        Mean("delay", clip=(-60, 180)),
        Rate("late", where="delay >= 15"),
    ],
)
PLANES = a_view("planes", entity=Entity("dest", ["ATL"]), features=[ClientCount("planes")], ttl="2d")
EMPTY = a_view("empty", entity=Entity("dest", ["ATL"]))
REFS = ["delays:late", "scaled:x", "planes:planes", "delays:delay_hist_3h", "empty:flights", "delays:delay_mean"]
REFS += ["delays:flights"]


@on_demand(outputs=["x"])
def scaled(
    late: Annotated[np.ndarray, Feature("delays:late_3h")], by: Annotated[np.ndarray, Input("float64")]
) -> np.ndarray:
    return late * by


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("streams")
    with Publisher(directory, lambda: DAY) as publisher:
        for view in (VIEW, PLANES, EMPTY):
            publisher.register(view)
        for view in (VIEW, PLANES):
            publisher.publish([a_release(view, i * HOUR, 10 * i + 1) for i in range(4)])
    return directory


def keys_of(count: int) -> dict[str, list[Any]]:
    rng = np.random.default_rng(count)
    dests = [["ATL", "LÄX", "XXX", None][i] for i in rng.integers(0, 4, count)]
    hours = rng.integers(0, 26, count).tolist()
    by = [None if one < 0.2 else one for one in rng.random(count).tolist()]
    return {"dest": dests, "hour": hours, "by": by}


def both(
    directory: Path, refs: list[str], keys: list[dict[str, list[Any]]], now: int
) -> list[tuple[pa.Table, pa.Table]]:
    """For each request of one plan, the table that is read from the stream, and that of the arrays."""
    with Store.open(directory, on_demand=[scaled]) as opened:
        snapshot, on_demand = opened.blocks.require(), opened.on_demand
        requested = find_columns(refs, snapshot, on_demand, full_names=True)
        table = AnswerTable(requested, part_loops)
        by_numpy = AnswerTable(requested)
        stream, types = AnswerStream(table), key_types(view for view, _, _ in table.views)
        found = []
        for one in keys:
            reading = Reading(snapshot, on_demand, one, len(next(iter(one.values()))), now)
            given = key_arrays(one, types)
            read = pa.ipc.open_stream(stream.write(given, reading)).read_all()
            read.validate(full=True)
            found.append((read, pa.table(by_numpy.columns(given, reading, clamp=False))))
        assert len(stream._layouts) <= MAX_LAYOUTS
        return found


@pytest.mark.parametrize("now", [0, 10 * DAY], ids=["fresh", "expired"])
def test_a_stream_holds_the_table_of_its_answer(store: Path, now: int) -> None:
    keys = [keys_of(count) for count in (1, 0, 7, 8, 9, 64, 65, 300, 1)]
    assert any(one is None for some in keys for one in some["by"])
    for read, table in both(store, REFS, keys, now):
        assert read.equals(table)
        assert read.schema.equals(table.schema)


def test_given_columns_of_every_json_type_are_in_the_stream(store: Path) -> None:
    more: list[list[Any]] = [[None, None], [True, None], ["a", "ü"], [None, "b"], [1, -1], [0.5, None], [2, 3]]
    keys = [{"dest": ["ATL", "LÄX"], "hour": [0, None], "by": [1.0, 2.0], "more": one} for one in more]
    for read, table in both(store, REFS, keys, 0):
        assert read.equals(table)


def test_layouts_are_few_however_the_given_columns_are_called(store: Path) -> None:
    keys = [{"dest": ["ATL"], "hour": [1], f"more{i}": [i]} for i in range(2 * MAX_LAYOUTS)]
    for read, table in both(store, ["delays:flights"], keys, 0):
        assert read.equals(table)


def test_a_stream_takes_no_column_twice(store: Path) -> None:
    keys = [{"dest": ["ATL"], "hour": [1], "delays__pane_end": [1]}] * 2
    with pytest.raises(BadReference, match="pane_end"):
        both(store, ["delays:flights"], keys, 0)
