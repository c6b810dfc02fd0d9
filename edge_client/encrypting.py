"""Encryption on all cores, in child processes that run this module: TenSEAL's calls hold the interpreter's lock.

A child reads blocks: first the parameters as JSON, then public keys and matrices int64[R, slots]. It answers a matrix
with R messages under the newest key, and ends when its input ends. Children are started, not forked, because a fork may hang
after TenSEAL was used. They run in a session of their own, so Ctrl-C reaches the parent only, and the parent ends them.
"""

from __future__ import annotations

import gc

from base.start_up import GC_THRESHOLD

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import IO, Final

import numpy as np
import psutil

from crypto.bfv import PublicKey, message_bytes
from crypto.bfv_parameters import BfvParameters, Slots
from federation.he.reports import Encrypt, encrypt_one_by_one

from .errors import EncryptionFailed

WORTH_IT: Final = 1_000
"""Number of ciphertexts from which children are worth their start: two seconds of one core against half a second each."""
_KEY, _VALUES = b"k", b"v"
_HEAD_BYTES: Final = 9
"""Length of a block's head: its kind, and its length as u64 LE."""


@contextmanager
def encrypting(parameters: BfvParameters, reports: int, processes: int | None = None) -> Iterator[Encrypt]:
    """An `Encrypt` for about `reports` reports, in `processes` processes (default: the cores that this process may use).

    The `Encrypt` raises EncryptionFailed if a child ended early.
    """
    count = processes or cores()
    if count == 1 or reports * parameters.ciphertexts < WORTH_IT:
        yield encrypt_one_by_one
        return
    children: list[_Child] = []
    threads = ThreadPoolExecutor(count)

    def encrypt(key: PublicKey, values: Slots) -> Sequence[bytes]:
        parts = threads.map(lambda child, part: child.encrypt(key, part), children, np.array_split(values, count))
        return [message for part in parts for message in part]

    try:
        children += (_Child(parameters) for _ in range(count))
        yield encrypt
    finally:
        for child in children:
            child.stop()  # a thread that waits for the child ends, too
        threads.shutdown()


def cores() -> int:
    """The number of cores that this process may use."""
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1


class _Child:
    """A process that encrypts under these parameters. One caller at a time."""

    def __init__(self, parameters: BfvParameters) -> None:
        self._bytes, self._key_id = message_bytes(parameters), b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "edge_client.encrypting"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._send(_KEY, json.dumps(asdict(parameters)).encode())

    def encrypt(self, key: PublicKey, values: Slots) -> list[bytes]:
        """Encrypt int64[R, slots] to R messages. Raises EncryptionFailed."""
        if key.key_id != self._key_id:
            self._send(_KEY, key.to_bytes())
            self._key_id = key.key_id
        self._send(_VALUES, np.ascontiguousarray(values, np.int64).tobytes())
        messages = [self._from.read(self._bytes) for _ in range(len(values))]
        if any(len(message) != self._bytes for message in messages):
            raise EncryptionFailed
        return messages

    def stop(self) -> None:
        """Kill the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(BrokenPipeError):
                pipe.close()

    def _send(self, kind: bytes, data: bytes) -> None:
        try:
            self._to.write(kind + len(data).to_bytes(_HEAD_BYTES - 1, "little"))
            self._to.write(data)
            self._to.flush()
        except BrokenPipeError:
            raise EncryptionFailed from None


def _blocks(pipe: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) until the end."""
    while head := pipe.read(_HEAD_BYTES):
        yield head[:1], pipe.read(int.from_bytes(head[1:], "little"))


def main() -> None:
    """Run as a child process."""
    blocks, sink = _blocks(sys.stdin.buffer), sys.stdout.buffer
    fields = json.loads(next(blocks)[1])
    parameters = BfvParameters(**{**fields, "prime_bits": tuple(fields["prime_bits"])})
    for kind, data in blocks:
        if kind == _KEY:
            key = PublicKey.from_bytes(parameters, data)
            continue
        for message in encrypt_one_by_one(key, np.frombuffer(data, np.int64).reshape(-1, parameters.slots)):
            sink.write(message)
        sink.flush()


if __name__ == "__main__":
    main()
