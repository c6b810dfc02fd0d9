"""From an event in Kafka to its feature on a feature server: a real broker, two `covey start site` processes, and panes of 5 s.

Each client sends an event in each pane, one after another over its five seconds, with the wall clock's time. An event waits for the
end of its pane and for the grace of 1 s, so the mean of `event_to_served_s` is some 2.5 s above `pane_end_to_served_s`.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from base.times import SECOND_US, wall_clock
from benchmarks.freshness import WARM_UP, Served
from benchmarks.freshness_deployment import CLIENTS, KEYS, PANE_S, Deployment, collecting, make_project, start
from deployment.local.processes import Processes
from deployment.project.fleet import SITES
from tests.brokers import KafkaBroker, kafka_broker

PANES: Final = 12
"""Measured panes."""
TOPIC: Final = "machines"
_WIDTH_US: Final = PANE_S * SECOND_US
_PATIENCE_US: Final = 60 * SECOND_US
_SOURCE: Final = """
[source]
url = "kafka://{servers}/{topic}"
partitions = [{partition}]
client = "who"
time = "at"
event_id = "id"

[source.columns]
who = "text"
at = {{type = "time", unit = "us"}}
line = "text"
heat = "number"
id = "whole"

[source.log]
path = "{site}.log"
"""


class Producing(threading.Thread):
    """Sends the events of each client when they happen, and notes when the broker had them. Use it as a context manager."""

    def __init__(self, broker: KafkaBroker, sites: int) -> None:
        super().__init__(name="producer", daemon=True)
        self._address, self._sites, self._over = broker.address, sites, threading.Event()
        self.sent: list[int] = []
        """The time (µs) of each event that the broker has; it is sent at this time."""

    def __enter__(self) -> Producing:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Send until stopped."""
        from confluent_kafka import Producer

        producer, step = (
            Producer({"bootstrap.servers": self._address, "linger.ms": 0, "batch.num.messages": 1}),
            _WIDTH_US // CLIENTS,
        )
        at, number = wall_clock() // step * step + step, 0
        while not self._over.wait(max(0.0, (at - wall_clock()) / 1e6)):
            for site in range(self._sites):
                number += 1
                client = at // step % CLIENTS
                event = {"who": f"c{client}", "at": at, "line": KEYS[number % len(KEYS)], "heat": 50.5, "id": number}
                producer.produce(TOPIC, json.dumps(event), partition=site)
            if producer.flush(10) == 0:
                self.sent.append(at)
            at += step


@contextmanager
def _deployed(broker: KafkaBroker) -> Iterator[tuple[Deployment, Processes]]:
    """A fresh deployment of two sites, each of which reads a partition."""
    with tempfile.TemporaryDirectory(prefix="covey-stream-") as scratch:
        project = Path(scratch) / "p"
        names = make_project(project, 2)
        for number, name in enumerate(names):
            file = project / SITES / f"{name}.toml"
            source = _SOURCE.format(servers=broker.address, topic=TOPIC, partition=number, site=name)
            file.write_text(file.read_text().partition("\n[source]")[0] + source)
        with Processes(project / "logs") as processes:
            yield start(project, processes, names, in_processes=True), processes


def freshness_figures() -> dict[str, Any]:
    """Measure, print a table, and return the figures."""
    with kafka_broker() as broker:
        broker.create(TOPIC, 2)
        with (
            _deployed(broker) as (deployment, processes),
            Producing(broker, 2) as producing,
            Served(deployment) as served,
            collecting(deployment, processes),
        ):
            first = wall_clock() // _WIDTH_US * _WIDTH_US + (1 + WARM_UP) * _WIDTH_US
            ends = [first + number * _WIDTH_US for number in range(1, PANES + 1)]
            while ends[-1] not in served.since:
                processes.require_running("collect")
                if wall_clock() > ends[-1] + _PATIENCE_US:
                    raise RuntimeError(f"the last pane was not served within {_PATIENCE_US // SECOND_US} s")
                time.sleep(0.2)
            of_pane = [(served.since[end] - end) / 1e6 for end in ends]
            of_event = [
                (served.since[end] - at) / 1e6 for end in ends for at in producing.sent if end - _WIDTH_US <= at < end
            ]
    figures = {
        "event_to_served_s": {"p50": median(of_event), "mean": mean(of_event), "max": max(of_event)},
        "pane_end_to_served_s": {"p50": median(of_pane), "max": max(of_pane)},
    }
    rounded = {name: {what: round(value, 2) for what, value in of.items()} for name, of in figures.items()}
    shown = Table(
        "figure", "seconds", title=f"{len(of_event)} events in {PANES} panes of {PANE_S} s, from Kafka to HTTP"
    )
    for name, values in rounded.items():
        shown.add_row(name, ", ".join(f"{what} {value}" for what, value in values.items()))
    Console().print(shown)
    return rounded
