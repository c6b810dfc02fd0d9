"""A real MQTT broker for tests: Mosquitto 2, on the loopback, with a session store that survives its restarts."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

_CONFIG = """
user root
persistence true
persistence_location {folder}/
autosave_interval {autosave}
autosave_on_changes {on_changes}
max_queued_messages 0
log_dest file {folder}/mosquitto.log
log_type notice
log_type warning
log_type error
"""


def mosquitto_program() -> str:
    """The broker's program; skips the test where it is not installed."""
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("mosquitto is not installed (apt: mosquitto)")
    pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed (pip install 'covey[mqtt]')")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Mosquitto:
    """A broker with one listener.

    Args:
        listener: more lines for its listener: TLS, passwords, access.
        store_each_change: survives SIGKILL, and is slow; otherwise what SIGTERM leaves survives.
    """

    def __init__(self, folder: Path, *listener: str, store_each_change: bool = False) -> None:
        self._program, self.folder, self.port = mosquitto_program(), folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        access = [] if any("allow_anonymous" in line for line in listener) else ["allow_anonymous true"]
        on_changes = "true" if store_each_change else "false"
        lines = [f"listener {self.port} 127.0.0.1", *access, *listener]
        self._config = folder / "mosquitto.conf"
        head = _CONFIG.format(folder=folder, autosave=1 if store_each_change else 1800, on_changes=on_changes)
        self._config.write_text(head + "\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def restart(self, number: int = signal.SIGTERM) -> None:
        self.stop(number)
        self.start()

    def log(self) -> str:
        path = self.folder / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def running_mosquitto(folder: Path, *listener: str, store_each_change: bool = False) -> Iterator[Mosquitto]:
    """A broker that runs, and is ended."""
    broker = Mosquitto(folder, *listener, store_each_change=store_each_change)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def publish(port: int, messages: Iterable[tuple[str, bytes]], *, qos: int = 1, retain: bool = False) -> None:
    """Publish messages (topic, payload) in order, and return when the broker has all of them."""
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_queued_messages_set(0)
    connected: list[Any] = []
    client.on_connect = lambda *_: connected.append(1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_until(lambda: bool(connected))
        sent = [client.publish(topic, value, qos=qos, retain=retain) for topic, value in messages]
        for one in sent:
            one.wait_for_publish(60)
            assert one.is_published()
    finally:
        client.disconnect()
        client.loop_stop()
