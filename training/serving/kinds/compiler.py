"""The process that compiles a network with AOTInductor. It runs at the lowest priority, and is ended with its server.

It reads a checked file from its standard input, after its length, and writes a package to the path that it is called with. A
network of `covey train` is read as data; a `torch.export` program, which is trusted then, is loaded by PyTorch.
"""

from __future__ import annotations

import io
import os
import select
import signal
import struct
import sys
import threading
from contextlib import suppress
from typing import Any, Final

from .model_kind import Exported

MAX_ROWS: Final = 2**20
"""The most rows that the compiled program takes."""
LENGTH: Final = struct.Struct("<QI")
"""The length of the file, and the number of features."""


def main(package: str, kind: str) -> None:
    """Compile one network, of the kind `exported` or `torch`."""
    _lowest_priority()
    length, width = LENGTH.unpack(sys.stdin.buffer.read(LENGTH.size))
    data = sys.stdin.buffer.read(length)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    import torch

    torch.set_num_threads(1)  # the number of threads is compiled in
    exported = _exported(data, width) if kind == Exported.NAME else torch.export.load(io.BytesIO(data))
    torch._inductor.aoti_compile_and_package(exported, package_path=package)


def _exported(data: bytes, width: int) -> Any:
    import torch

    from training.serving.arrays import INPUTS

    from .program import Program, Traced

    x, rows = torch.zeros((2, width)), torch.export.Dim("rows", max=MAX_ROWS)
    return torch.export.export(
        Traced(Program.of(data)),
        (x, x > 0, torch.ones((2, width))),
        dynamic_shapes={name: {0: rows} for name in INPUTS},
    )


def _lowest_priority() -> None:
    os.nice(19)
    with suppress(AttributeError, OSError):  # Linux only
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _end_with_the_server() -> None:
    """End this process and the C++ compiler below it when the server's end of the pipe is closed."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), 0)  # a hang-up is always reported
    poll.poll()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
