"""Run a program many times after one import of its modules. Each run is a process of its own, forked from this one.

python -m tests.forking MODULE CALL BASE < JOBS

A job is a line [n, [argument, …], file of its output]. strace ends a process at its BASE-th CALL, so a run that shall end at its n-th
one makes BASE − n calls first that change nothing. The module's `main` takes the arguments.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final


def _unlink(_: int) -> None:
    with suppress(FileNotFoundError):
        Path("/no/such/file").unlink()


CALLS: Final[dict[str, Callable[[int], object]]] = {
    "pwrite64": lambda file: os.pwrite(file, b"", 0),
    "fdatasync": os.fdatasync,
    "ftruncate": lambda file: os.ftruncate(file, 0),
    "unlink": _unlink,
}
"""Each call, on a file that nobody reads."""


def main() -> None:
    """See the module."""
    module, call, base = import_module(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    for line in sys.stdin:
        n, arguments, output = json.loads(line)
        child = os.fork()
        if child == 0:
            for number, path in ((1, output), (2, f"{output}.err")):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            code = 1
            try:
                nothing = os.memfd_create("nothing")
                for _ in range(base - n):
                    CALLS[call](nothing)
                module.main(arguments)
                code = 0
            except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
