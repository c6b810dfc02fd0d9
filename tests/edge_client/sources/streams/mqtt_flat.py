"""A program that consumes MQTT into a bounded event log: `mqtt_flat.py LOG PORT NAME SIZE`.

For each line of its input it waits until it has what the broker has, and writes a line of JSON: its memory, and its counts.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from base.times import wall_clock
from edge_client.event_log.log import EventLog
from edge_client.sources.streams.consumer import Consumer
from edge_client.sources.streams.decoding import decoder
from edge_client.sources.streams.mqtt import MqttStreams
from edge_client.sources.streams.mqtt_client import MqttSession
from tests.edge_client.sources.streams.mqtt_sites import a_source, with_log


def main(path: str, port: str, name: str, size: str) -> None:
    source = with_log(a_source(int(port), name), Path(path))
    log = EventLog(path, client="device", time="at", event_id="id", size=int(size), when_full="drop-oldest")
    with log, decoder(source) as decoding:
        connect = MqttStreams(source, MqttSession(name), time.monotonic, wall_clock)
        consumer = Consumer(connect, decoding.decode, log)
        consumer.start()
        for _ in sys.stdin:
            caught_up = consumer.catch_up(60)
            memory = psutil.Process().memory_info().rss
            found = {"caught_up": caught_up, "memory": memory, **asdict(consumer.status())}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
        consumer.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
