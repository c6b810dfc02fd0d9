"""The consumer of a site in a child process that is killed by SIGKILL at a chosen write, many times a second.

A child is a fork without threads of a process that has imported everything. It stops itself, strace is attached and sets the place
of its death, and it goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass

import pyarrow as pa

from edge_client.event_log.log import EventLog
from edge_client.sandbox import locked_duckdb
from edge_client.sources.source import KafkaSource
from edge_client.sources.streams import consumer as consumer_module
from edge_client.sources.streams.consumer import Consumer
from edge_client.sources.streams.decoding import Decoder
from edge_client.sources.streams.kafka import KafkaStreams

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Death:
    """The n-th call (from 1) of the consumer's thread, before it is executed."""

    call: str
    n: int


def open_log(source: KafkaSource) -> EventLog:
    return EventLog(source.log.path, client=source.client, time=source.time, event_id=source.event_id)


def consume_all(source: KafkaSource, most: int) -> None:
    """Read batches of at most `most` records until the log has what the broker has."""
    consumer_module.MOST, consumer_module.QUICK_S = most, 0.01  # type: ignore[misc]
    pa.set_cpu_count(1)
    with open_log(source) as log, locked_duckdb() as sandbox:
        decoder = Decoder(sandbox, source.columns, source.client, source.time)
        consumer = Consumer(KafkaStreams(source, "UA", time.monotonic), decoder.decode, log)
        reached = consumer.asked()
        while not reached.is_set():
            if pause := consumer.step():
                raise RuntimeError(f"{consumer.status().trouble} ({pause})")
        consumer.stop()
        consumer._disconnect()


def child(source: KafkaSource, most: int, death: Death | None) -> int:
    """Consume in a child. Returns its exit status: 0, or `KILLED`."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if death is not None:
                os.kill(os.getpid(), signal.SIGSTOP)
            consume_all(source, most)
            status = 0
        finally:
            os._exit(status)
    if death is None:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.waitpid(pid, os.WUNTRACED)
    inject = f"inject={death.call}:signal=SIGKILL:when={death.n}"
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(pid), "-o", os.devnull, "-e", f"trace={death.call}", "-e", inject],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    while "attached" not in (line := tracer.stderr.readline()):
        assert line, "strace ended"
    os.kill(pid, signal.SIGCONT)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    tracer.wait(60)
    tracer.stderr.close()
    return status
