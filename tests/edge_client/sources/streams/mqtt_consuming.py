"""A program that consumes MQTT into an event log, in one child process after another: `mqtt_consuming.py LOG PORT NAME SEED DEATHS`.

A child that is killed is followed by another one, until one has caught up. After DEATHS deaths the program ends with code `CUT_SHORT`.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa

from base.times import wall_clock
from edge_client.errors import SourceAway
from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.event_log.log import EventLog
from edge_client.sources.streams.mqtt import MqttSession, MqttStream, MqttStreams
from edge_client.sources.streams.stream import Polled
from tests.edge_client.sources.streams.mqtt_sites import a_source

CUT_SHORT = 3


def consume(path: Path, port: int, name: str, seed: int) -> None:
    """Read what the broker has into the log. The consumer is as plain as possible: what is tested is the stream and the log."""
    draw = random.Random(seed)
    connect = MqttStreams(a_source(port, name), MqttSession(name), time.monotonic, wall_clock)
    with EventLog(path, client="device", time="at") as log:
        while True:
            try:
                stream = connect(log.positions())
                return read(stream, log, draw)
            except SourceAway:  # the broker was killed
                time.sleep(0.05)


def read(stream: MqttStream, log: EventLog, draw: random.Random) -> None:
    caught_up = stream.mark()
    while not caught_up():
        polled = stream.poll(draw.randint(1, 10), 0.1)
        if polled:
            append(log, polled)
            stream.done(polled.positions)
    stream.close()


def append(log: EventLog, polled: Polled) -> None:
    """Values are numbers; others are bad records."""
    good = [value for value in polled.values if value.isdigit()]
    bad = [BadRecord(BadReason.NOT_JSON, value, "here") for value in polled.values if not value.isdigit()]
    batch = pa.table(
        {
            "device": ["a"] * len(good),
            "at": pa.array([1] * len(good), pa.timestamp("us", "UTC")),
            "id": list(map(int, good)),
        }
    )
    log.append(batch, positions=polled.positions, bad=bad)


def main(path: str, port: str, name: str, seed: str, deaths: str) -> int:
    for life in range(int(deaths)):
        child = os.fork()
        if child == 0:
            try:
                consume(Path(path), int(port), name, int(seed) + life)
            except BaseException as error:  # noqa: BLE001 - the parent ends
                sys.stderr.write(f"{error!r}\n")
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            continue
        sys.stdout.write(f"{life}\n")
        return os.waitstatus_to_exitcode(status)
    sys.stdout.write(f"{deaths}\n")
    return CUT_SHORT


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
