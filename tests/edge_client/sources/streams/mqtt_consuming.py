"""A program that consumes MQTT into an event log, in one child process after another: `mqtt_consuming.py LOG PORT NAME SEED DEATHS`.

A child that is killed is followed by another one, until one has caught up. After DEATHS deaths the program ends with code `CUT_SHORT`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from base.times import wall_clock
from edge_client.event_log.log import EventLog
from edge_client.sources.streams import consumer as consumer_module
from edge_client.sources.streams.consumer import Consumer
from edge_client.sources.streams.decoding import decoder
from edge_client.sources.streams.mqtt import MqttStreams
from edge_client.sources.streams.mqtt_client import MqttSession
from tests.edge_client.sources.streams.mqtt_sites import a_source, with_log

CUT_SHORT = 3


def consume(path: Path, port: int, name: str, seed: int) -> None:
    """Read what the broker has into the log, in batches of a few records: each is a place to die at."""
    source = with_log(a_source(port, name), path)
    consumer_module.MOST = random.Random(seed).randint(1, 10)  # type: ignore[misc]
    connect = MqttStreams(source, MqttSession(name), time.monotonic, wall_clock)
    with EventLog(path, client="device", time="at") as log, decoder(source) as decoding:
        consumer = Consumer(connect, decoding.decode, log)
        consumer.start()
        assert consumer.catch_up(60)
        consumer.stop()


def message(number: int) -> bytes:
    """An event. Without `event_id`, only the position in the log tells it from one that comes again."""
    return json.dumps({"device": "a", "at": 1, "id": number, "text": ""}).encode()


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
