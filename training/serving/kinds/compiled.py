"""Compile a network beside its eager runner, once for a machine and a user: the package is kept in the user's cache.

The package is machine code that this user's compiler made of a checked program. Its folder belongs to the user alone, because
whoever writes into it can run code as the user.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from base.user_cache import user_cache
from training.errors import ModelFailed
from training.serving.arrays import Arrays, Floats32

from .compiler import LENGTH, MAX_ROWS
from .model_kind import Exported, TorchProgram
from .process import Foreign, ForeignRunner
from .runner import Runner

FORMAT: Final = 1
"""Part of the key of a package; raise it when `compiler` makes others."""
SETTLE_S: Final = 5.0
"""A version that is closed sooner is not compiled."""
LIMIT_S: Final = 1800.0
"""The time of a compilation. It takes 30 s of an idle machine, and any time of a busy one."""
_PROBE_ROWS: Final = 33
_KEPT: Final = ("CPATH", "CXX", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LIBRARY_PATH", "PATH", "TMPDIR")
_log = logging.getLogger("covey.server")

Compile: TypeAlias = Callable[[threading.Event], Runner | None]
"""Compiles until the event is set, and loads what was made; None: it was set."""


def has_compiler() -> bool:
    """Return whether PyTorch finds a C++ compiler."""
    return any(shutil.which(one) is not None for one in (os.environ.get("CXX") or "g++", "clang++"))


class CompilingRunner:
    """A `Runner` that runs eager, and compiled from when that is ready and agrees.

    Args:
        model: its name and version.
        eager: runs it until then; it is closed by the first batch after that.
        width: F.
        compile_model: see `Compile`; it is called in a thread.
        settle_s: the time before that.
    """

    def __init__(
        self, model: str, eager: Runner, width: int, compile_model: Compile, settle_s: float = SETTLE_S
    ) -> None:
        self._model, self._eager, self._width, self._compile = model, eager, width, compile_model
        self._compiled: Runner | None = None
        self._is_eager_open = True
        self._closed, self._taking_over = threading.Event(), threading.Lock()
        self._settle_s = settle_s
        self._thread = threading.Thread(target=self._take_over, name=f"compilation of {model}", daemon=True)
        self._thread.start()

    @property
    def how(self) -> str:
        """See `Runner`."""
        return self._eager.how if self._compiled is None else self._compiled.how

    @property
    def failure(self) -> str | None:
        """See `Runner`."""
        return self._eager.failure if self._compiled is None else self._compiled.failure

    @property
    def is_compiling(self) -> bool:
        """Whether it may become compiled."""
        return self._thread.is_alive()

    def run(self, arrays: Arrays) -> Floats32:
        """See `Runner`."""
        compiled = self._compiled
        if compiled is None:
            return self._eager.run(arrays)
        if self._is_eager_open:
            self._is_eager_open = False
            self._eager.close()
        rows, width = arrays.x.shape
        if width != self._width:
            raise ModelFailed(self._model, f"it takes {self._width:,} features, but {width:,} are given")
        return compiled.run(arrays) if rows else np.empty(0, np.float32)

    def close(self) -> None:
        """See `Runner`."""
        self._closed.set()
        if self._is_eager_open:
            self._eager.close()
        with self._taking_over:
            if self._compiled is not None:
                self._compiled.close()

    def _take_over(self) -> None:
        if self._closed.wait(self._settle_s):
            return
        try:
            compiled = self._compile(self._closed)
            if compiled is None:
                return
            try:
                for rows in (_PROBE_ROWS, 1):
                    self._require_same(compiled, rows)
            except BaseException:
                compiled.close()
                raise
        except Exception as error:  # noqa: BLE001 - whatever PyTorch or a compiler raises: eager goes on
            if not self._closed.is_set():
                _log.warning("%s stays eager, because it was not compiled: %s", self._model, str(error))
            return
        with self._taking_over:
            if self._closed.is_set():
                compiled.close()
                return
            self._compiled = compiled
        _log.info("%s runs compiled (AOTInductor)", self._model)

    def _require_same(self, compiled: Runner, rows: int) -> None:
        """Compare with eager on random rows. Raises ValueError."""
        random = np.random.default_rng(rows)
        shape = rows, self._width
        mask = random.random(shape) < 0.8
        x, se = (np.where(mask, random.normal(size=shape), 0).astype(np.float32) for _ in range(2))
        probe = Arrays(x, mask, np.abs(se))
        made, due = compiled.run(probe), self._eager.run(probe)
        if made.shape != due.shape or not np.allclose(made, due, rtol=1e-4, atol=1e-5, equal_nan=True):
            raise ValueError("the compiled program gives other predictions")


class PackageRunner:
    """A `Runner` of a package that was made of a network of `covey train`, in this process."""

    how, failure = "AOTInductor", None

    def __init__(self, model: str, package: Path) -> None:
        import torch

        self._model = model
        self._program = torch._inductor.aoti_load_package(str(package))

    def run(self, arrays: Arrays) -> Floats32:
        """See `Runner`."""
        import torch

        parts = [slice(at, at + MAX_ROWS) for at in range(0, len(arrays.x), MAX_ROWS)]
        try:
            with torch.inference_mode():
                made = [self._program(*(torch.from_numpy(one[part]) for one in arrays)).numpy() for part in parts]
        except RuntimeError as error:
            raise ModelFailed(self._model, str(error).splitlines()[0]) from None
        predicted: Floats32 = made[0] if len(made) == 1 else np.concatenate([*made, np.empty(0, np.float32)])
        return predicted

    def close(self) -> None:
        """See `Runner`."""


def compile_program(model: str, data: bytes, width: int, folder: Path | None = None) -> Compile:
    """Return a `Compile` of the bytes of a checked `model.pt2`.

    Args:
        folder: the cache; None: `covey/compiled` in the user's cache.
    """

    def compile_model(stop: threading.Event) -> Runner | None:
        package = _package(Exported.NAME, data, width, folder or _default_folder(), stop)
        return None if package is None else PackageRunner(model, package)

    return compile_model


def compile_foreign(of: Foreign, folder: Path | None = None) -> Compile:
    """Return a `Compile` of a `torch.export` program that was checked and is trusted. It gets a process of its own, too."""

    def compile_model(stop: threading.Event) -> Runner | None:
        package = _package(TorchProgram.NAME, of.data, of.width, folder or _default_folder(), stop)
        return None if package is None else ForeignRunner(replace(of, library="package", data=package.read_bytes()))

    return compile_model


def _package(kind: str, data: bytes, width: int, folder: Path, stop: threading.Event) -> Path | None:
    import torch

    _require_private(folder)
    parts = (
        FORMAT,
        kind,
        torch.__version__,
        platform.machine(),
        torch.backends.cpu.get_cpu_capability(),
        _processor(),
        width,
    )
    key = "\0".join(map(str, parts)) + "\0"
    name = hashlib.sha256(key.encode() + hashlib.sha256(data).digest()).hexdigest()
    package = folder / f"{name}.pt2"
    with _one_at_a_time(folder, stop) as mine:
        if not mine:
            return None
        if not package.is_file():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                made = Path(scratch) / package.name
                if not _run(kind, data, width, made, Path(scratch), stop):
                    return None
                made.replace(package)
    return package


def _run(kind: str, data: bytes, width: int, package: Path, scratch: Path, stop: threading.Event) -> bool:
    """Compile in a process. Returns whether it did; False: it was stopped. Raises OSError: it failed."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TORCHINDUCTOR_CACHE_DIR": str(scratch / "cache")}
    with (scratch / "log").open("w+b") as log:
        process = subprocess.Popen(  # noqa: S603 - this program itself, without outside input
            [sys.executable, "-P", "-m", "training.serving.kinds.compiler", str(package), kind],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=kept | paths,
            cwd=scratch,
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            until = time.monotonic() + LIMIT_S
            process.stdin.write(LENGTH.pack(len(data), width) + data)
            process.stdin.flush()
            while process.poll() is None and time.monotonic() < until:
                if stop.wait(0.2):
                    return False
            if process.returncode == 0 and package.is_file():
                return True
            log.seek(0)
            last = log.read()[-2000:].decode(errors="replace").strip().splitlines()
            raise OSError(last[-1][:200] if last else f"exit code {process.poll()}")
        finally:
            _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    """End a process, and the compilers that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.stdin is not None
    process.stdin.close()


@contextmanager
def _one_at_a_time(folder: Path, stop: threading.Event) -> Iterator[bool]:
    """Hold the lock of the folder: the workers of a server compile a model once, and a machine one model at a time."""
    with (folder / "lock").open("wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if stop.wait(0.5):
                    yield False
                    return
            else:
                yield True
                return


def _default_folder() -> Path:
    return user_cache() / "compiled"


def _processor() -> str:
    """The instructions of this processor. The compiler uses all of them, and machines may share a home folder."""
    with suppress(OSError):  # not Linux
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()


def _require_private(folder: Path) -> None:
    """Make the folder. Raises OSError: others may write into it, so what it holds could be theirs."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise OSError(f"the folder {folder} must belong to this user alone (chmod 700)")
