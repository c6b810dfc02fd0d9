"""A site that is killed at any write while it reads a real broker loses and doubles no record."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from edge_client.compute import compute
from edge_client.events import Events, make_events
from edge_client.sources.log_reader import LogReader
from featurestore.define.privacy import Bounds
from federation.plan import PlannedView
from tests.brokers import KafkaBroker, Record, kafka_broker
from tests.edge_client.making import DAY, VIEW
from tests.killing import require_strace

from .killed_site import KILLED, Death, child, open_log
from .making import kafka

COLUMNS = 'who = "text"\nat = {from = "t", type = "time", unit = "us"}\nk = "text"\nn = "whole"\nid = "text"\n'
CALLS = {"pwrite64": 40, "fdatasync": 8}
"""By call: how many of them the reading of a topic makes about, at least."""
MOST = 7
PLANNED = PlannedView(replace(VIEW, bounds=Bounds(2, 20)), np.array([0, DAY], np.int64), 2)

_numbers = count()


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    require_strace()
    with kafka_broker() as running:
        yield running


def events_of(random_: random.Random) -> list[dict[str, object]]:
    return [
        {
            "who": f"c{random_.randrange(9)}",
            "t": random_.randrange(2 * DAY),
            "k": random_.choice("xyz"),
            "n": n,
            "id": f"e{n}",
        }
        for n in range(random_.randrange(20, 60))
    ]


def killed_while_it_reads(broker: KafkaBroker, folder: Path, seed: int) -> int:
    """Returns how often the site was killed."""
    random_ = random.Random(seed)
    topic = f"kills.{next(_numbers)}"
    broker.create(topic, 2)
    event_id = 'event_id = "id"' if seed % 2 else ""
    source = kafka(broker.address, topic, folder / f"{seed}.log", event_id, COLUMNS)
    events = events_of(random_)
    records: list[Record] = [(random_.randrange(2), None, json.dumps(one).encode()) for one in events]
    garbage = random_.randrange(6)
    for _ in range(garbage):
        records.insert(
            random_.randrange(len(records)), (random_.randrange(2), None, random_.choice([b"x", b"", b"{}"]))
        )
    again = [one for one in random_.sample(records, 5) if one[2] and b"id" in one[2]] if event_id else []
    cut = random_.randrange(len(records))
    broker.produce(topic, records[:cut])
    kills = 0
    for attempt in range(2):
        call = random_.choice(sorted(CALLS))
        status = child(source, MOST, Death(call, random_.randint(1, CALLS[call])))
        assert status in (0, KILLED)
        kills += status == KILLED
        if attempt == 0:
            broker.produce(topic, [*records[cut:], *again])
    assert child(source, MOST, None) == 0
    with open_log(source) as log:
        life = log.counts().life
        found = sorted(n for _, table in log.batches() for n in table.column("n").to_pylist())
        assert found == [one["n"] for one in events]
        assert (life.kept, life.bad, life.duplicates, life.lost) == (len(events), garbage, len(again), 0)
        reader = LogReader(log, source.url, "who", "at", declared=source.columns.schema())
        times = pa.array([one["t"] for one in events], pa.timestamp("us", "UTC"))
        table = pa.Table.from_pylist(events).set_column(1, "t", times)
        assert reports_of(reader.read([PLANNED])) == reports_of(make_events(table, "who", "t"))
    return kills


def reports_of(events: Events) -> dict[tuple[int, str], list[tuple[int, int]]]:
    """By pane and client: the (slot, value) pairs of the report, as it is before its noise and its shares."""
    made = compute(PLANNED.view, events, panes=PLANNED.pane_starts)
    names, ends = events.identities.to_pylist(), made.slots.indptr.tolist()
    pairs = list(zip(made.slots.columns.tolist(), made.slots.values.tolist(), strict=True))
    return {
        (pane, names[client]): sorted(pairs[ends[row] : ends[row + 1]])
        for row, (pane, client) in enumerate(zip(made.pane_start.tolist(), made.client.tolist(), strict=True))
    }


def test_no_record_is_lost_or_doubled_whenever_a_site_is_killed(
    broker: KafkaBroker, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seeds = 1_000 if pytestconfig.getoption("--full") else 20
    kills = sum(killed_while_it_reads(broker, tmp_path, seed) for seed in range(seeds))
    assert kills > seeds / 2
