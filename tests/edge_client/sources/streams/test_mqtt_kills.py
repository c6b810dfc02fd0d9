"""A site's consumer that is killed at any write, between a real broker and its event log: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from base.times import wall_clock
from edge_client.event_log.log import EventLog
from edge_client.sources.streams.mqtt import MqttStreams
from edge_client.sources.streams.mqtt_client import MqttSession
from tests.edge_client.sources.streams.mqtt_consuming import CUT_SHORT, consume, message
from tests.edge_client.sources.streams.mqtt_sites import a_source
from tests.killing import killed_at, require_strace
from tests.mosquitto import Mosquitto, publish, running_mosquitto

PROGRAM = Path(__file__).parent / "mqtt_consuming.py"
ROOT = PROGRAM.parents[4]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
CALLS = ("pwrite64", "fdatasync", "sendto")
"""The writes of the log, and of the connection."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def command(path: Path, port: int, name: str, seed: int, deaths: int) -> list[str]:
    return [sys.executable, str(PROGRAM), str(path), str(port), name, str(seed), str(deaths)]


def subscribe(port: int, name: str) -> None:
    """Make the session, so that the broker keeps what is published."""
    with closing(MqttStreams(a_source(port, name), MqttSession(name), time.monotonic, wall_clock)({})):
        pass


def in_log(path: Path) -> tuple[list[int], int]:
    """The ids of the log's events, in order, and its number of bad records."""
    with EventLog.existing(path) as log:
        ids = [one for _, table in log.batches() for one in table.column("id").to_pylist()]
        return ids, log.counts().life.bad


def killed_and_restarted(broker: Mosquitto, folder: Path, seed: int, *, deaths: int = 8, calls: int = 40) -> int:
    """Consume 60 events and 5 bad records, dying at the n-th call of one kind again and again. Returns the number of deaths.

    Args:
        deaths: most of them. calls: the largest n.
    """
    draw, name, path = random.Random(seed), f"site-{seed}", folder / f"{seed}.log"
    subscribe(broker.port, name)
    values = [message(at) for at in range(60)] + [b"garbage"] * 5
    order = sorted(range(65), key=lambda at: (at // 13, draw.random()))
    publish(broker.port, [(f"{name}/a", values[at]) for at in order])
    n, call = draw.randint(1, calls), draw.choice(CALLS)
    ended = killed_at(command(path, broker.port, name, seed, deaths), n, call=call, env=ENVIRONMENT)
    assert ended.code in (0, CUT_SHORT), ended.err
    consume(path, broker.port, name, seed)
    ids, bad = in_log(path)
    assert (sorted(ids), bad) == (list(range(60)), 5)
    return int(ended.out)


def test_a_consumer_that_is_killed_at_any_write_loses_and_doubles_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    require_strace()
    deaths = [killed_and_restarted(broker, tmp_path, seed, deaths=2, calls=30) for seed in range(5)]
    assert sum(deaths) >= 5


@pytest.mark.long
def test_a_consumer_that_is_killed_a_hundred_times_loses_and_doubles_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    require_strace()
    deaths = [killed_and_restarted(broker, tmp_path, seed) for seed in range(100, 200)]
    assert sum(deaths) >= 100


def test_a_broker_that_is_killed_with_its_stored_session_loses_nothing(tmp_path: Path) -> None:
    with running_mosquitto(tmp_path / "broker", store_each_change=True) as broker:
        subscribe(broker.port, "killed")
        publish(broker.port, [("killed/a", message(at)) for at in range(30)])
        path = tmp_path / "events.log"
        site = subprocess.Popen(command(path, broker.port, "killed", 1, 1), env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        broker.restart(signal.SIGKILL)
        publish(broker.port, [("killed/a", message(at)) for at in range(30, 60)])
        assert site.wait(60) == 0
        consume(path, broker.port, "killed", 2)
        ids, _ = in_log(path)
        assert sorted(set(ids)) == list(range(60))
