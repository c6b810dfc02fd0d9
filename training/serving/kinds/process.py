"""A foreign model in a process of its own. The server stays whole, whatever the model does.

A batch that takes longer than its limit, or a process that ends, fails the batch. The process is started again beside the server's
work, at most once in 30 s: a model that fails again sooner has failed for good.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psutil

from training.errors import ModelFailed, TooLittleMemory
from training.serving.arrays import Arrays, Floats32
from training.serving.signature import ForeignCall

from .turns import DONE, MAX_TEXT, NO_MEMORY, REPLY, REQUEST, START, Library, bytes_of, opened, rows_of

LOAD_S: Final = 120.0
"""The time to import a library and load a model. A busy machine takes many times the usual 3 s."""
AGAIN_S: Final = 30.0
"""A process is started again at most once in this time."""
MORE_MEMORY: Final = 2**30
"""What a model may use beyond its library and four times its file: the arrays between its steps."""
_PER_BYTE: Final = 4
_LIBRARY_BYTES: Final = 400 * 2**20
"""What a library needs, measured: PyTorch 330 MiB, onnxruntime 90 MiB."""
_KEPT: Final = (
    "CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ",
)  # fmt: skip
"""The variables that the process gets. Keys, tokens and passwords of the server are not among them."""
_HOW: Final[Mapping[Library, str]] = {"onnx": "onnxruntime", "torch": "eager", "package": "AOTInductor"}
_SET: Final = {"OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""onnxruntime 1.29 and later sends hashes and names of models to its maker unless this variable is set."""


@dataclass(frozen=True)
class Foreign:
    """What a process loads.

    Attributes:
        model: its name and version, for errors.
        data: the content of its file, which was checked.
        width: F.
        device: of PyTorch.
        limit_s: the time for one batch.
        output_at: the place of the prediction among the outputs.
    """

    model: str
    library: Library
    data: bytes
    call: ForeignCall
    width: int
    device: str
    limit_s: float
    output_at: int = 0
    threads: int = 1

    @property
    def memory(self) -> int | None:
        """The bound on memory beyond the library; None on a GPU, whose driver reserves more than a bound could allow."""
        return MORE_MEMORY + _PER_BYTE * len(self.data) if self.device == "cpu" else None


class _Child:
    """A process that has loaded the model. Raises ModelFailed, TooLittleMemory."""

    def __init__(self, of: Foreign) -> None:
        self._of, self._turn, self._is_open = of, 0, True
        need, have = _LIBRARY_BYTES + _PER_BYTE * len(of.data), psutil.virtual_memory().available
        if need > have:
            raise TooLittleMemory(of.model, need, have)
        file, shared = os.memfd_create("model"), os.memfd_create("arrays")
        requests, self._to = os.pipe()
        self._from, replies = os.pipe()
        given = (requests, replies, file, shared)
        self._poll = select.poll()
        self._poll.register(self._from, select.POLLIN)
        try:
            with os.fdopen(os.dup(file), "wb") as writing:
                writing.write(of.data)
            os.ftruncate(shared, bytes_of(of.width))
            self._shared = opened(shared, of.width)
            self._process = subprocess.Popen(  # noqa: S603 - this program itself, without outside input
                [sys.executable, "-P", "-m", "training.serving.kinds.child", *map(str, given)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=given,
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            for descriptor in given:
                os.close(descriptor)
        start = {
            "library": of.library,
            "call": of.call.to_json(),
            "width": of.width,
            "device": of.device,
            "output_at": of.output_at,
            "threads": of.threads,
            "memory": of.memory,
        }
        text = json.dumps(start).encode()
        try:
            self._send(START.pack(len(text)) + text)
            self._answered(time.monotonic() + LOAD_S, "loading the model took", LOAD_S)
        except BaseException:
            self.kill()
            raise

    def run(self, arrays: Arrays) -> Floats32:
        """Return float32[B] for up to `rows_of` rows. Raises ModelFailed; `alive` says whether the process is still there."""
        rows, limit_s = len(arrays.x), self._of.limit_s
        for place, array in zip(self._shared.given, arrays, strict=True):
            place[:rows] = array
        self._turn = (self._turn + 1) % 2**32
        self._send(REQUEST.pack(self._turn, rows))
        self._answered(time.monotonic() + limit_s, "a batch took", limit_s)
        return self._shared.predicted[:rows].copy()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def end(self) -> None:
        """End the process, whatever it does: a batch that runs in another thread fails. Can be called again."""
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """End the process, and close its pipes, which no other thread may use any more. Can be called again."""
        self.end()
        if self._is_open:
            self._is_open = False
            os.close(self._to)
            os.close(self._from)

    def _send(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._to, data) :]
        except BrokenPipeError:
            raise self._ended() from None

    def _answered(self, until: float, what: str, limit_s: float) -> None:
        """Wait for the answer of this turn. Raises ModelFailed."""
        turn, outcome, length = REPLY.unpack(self._read(REPLY.size, until, what, limit_s))
        if turn != self._turn or length > MAX_TEXT:
            self.kill()
            raise ModelFailed(self._of.model, "its process answered with something else than a turn")
        text = self._read(length, until, what, limit_s).decode(errors="replace")
        if outcome == NO_MEMORY and self._of.memory is not None:
            more = f"it needs more than {self._of.memory / 2**20:,.0f} MiB beside its library ({text})"
            raise ModelFailed(self._of.model, more)
        if outcome != DONE:
            raise ModelFailed(self._of.model, text)

    def _read(self, size: int, until: float, what: str, limit_s: float) -> bytes:
        read = b""
        while len(read) < size:
            if not self._poll.poll(max(0.0, until - time.monotonic()) * 1_000):
                self.kill()
                raise ModelFailed(self._of.model, f"{what} more than {limit_s:g} s, and its process was ended")
            part = os.read(self._from, size - len(read))
            if not part:
                raise self._ended()
            read += part
        return read

    def _ended(self) -> ModelFailed:
        """The error of a process that closed its pipes: it has ended, or is ended now."""
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        how = f"with signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        return ModelFailed(self._of.model, f"its process ended {how}")


class ForeignRunner:
    """A `Runner` of a foreign model.

    Args:
        clock: seconds, monotonic.

    Raises:
        ModelFailed: the model cannot be loaded. TooLittleMemory.
    """

    def __init__(self, of: Foreign, clock: Callable[[], float] = time.monotonic) -> None:
        self._of, self._clock = of, clock
        self._rows = rows_of(of.width)
        self._lock, self._running = threading.Lock(), threading.Lock()
        self._child: _Child | None = _Child(of)
        self._again_at: float | None = None
        self._starting: threading.Thread | None = None
        self._closed = False
        self._failure: str | None = None

    @property
    def how(self) -> str:
        """See `Runner`."""
        return _HOW[self._of.library]

    @property
    def pid(self) -> int | None:
        """The number of its process; None: it is being started again, or has failed."""
        child = self._child
        return None if child is None else child.pid

    @property
    def is_starting(self) -> bool:
        """Whether the process is being started again."""
        return self._starting is not None and self._starting.is_alive()

    @property
    def failure(self) -> str | None:
        """See `Runner`."""
        return self._failure

    def run(self, arrays: Arrays) -> Floats32:
        """See `Runner`."""
        with self._running:  # a compiled one is compared with it beside its work
            return self._run(arrays)

    def _run(self, arrays: Arrays) -> Floats32:
        child = self._child
        if child is None:
            raise ModelFailed(self._of.model, self._failure or "its process is being started again")
        parts = [slice(at, at + self._rows) for at in range(0, len(arrays.x), self._rows)]
        try:
            made = [child.run(Arrays(arrays.x[part], arrays.mask[part], arrays.se[part])) for part in parts]
        except ModelFailed as error:
            if not child.alive:
                self._start_again(error.why)
            raise
        return made[0] if len(made) == 1 else np.concatenate([*made, np.empty(0, np.float32)])

    def close(self) -> None:
        """See `Runner`."""
        with self._lock:
            self._closed = True
            child, self._child = self._child, None
        if child is not None:
            child.end()
            with self._running:  # a batch that runs fails now; its thread reads from the pipes
                child.kill()

    def _start_again(self, why: str) -> None:
        with self._lock:
            self._child = None
            if self._closed:
                return
        now = self._clock()
        if self._again_at is not None and now - self._again_at < AGAIN_S:
            self._failure = f"{why}; it had been started again less than {AGAIN_S:g} s before"
            return
        self._again_at = now
        self._starting = threading.Thread(target=self._load, name=f"start of {self._of.model}", daemon=True)
        self._starting.start()

    def _load(self) -> None:
        try:
            child = _Child(self._of)
        except (ModelFailed, TooLittleMemory, OSError) as error:
            self._failure = getattr(error, "why", str(error))
            return
        with self._lock:
            if self._closed:
                child.kill()
            else:
                self._child = child


def _environment() -> dict[str, Any]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | _SET | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
