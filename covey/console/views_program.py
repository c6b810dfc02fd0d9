"""`python -m covey.console.views_program VIEWS.py`: executes a views file that the operator trusts, in a process of its own.

It writes what the file declares as one line of JSON: views as canonical protobuf, and no function. So a file that loops is ended
after a deadline, and every execution reads the modules beside the file anew.
"""

from __future__ import annotations

import gc

from base.start_up import GC_THRESHOLD

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from base.errors import CoveyError
from deployment.view_source.graph import Problem
from featurestore.define.views_file import Declared, load_declared

from .run_request import OnDemandData, ServiceData, decoded, encoded

DEADLINE_S: Final = 20.0
MOST_FILES: Final = 1_000
"""Files beside the views file that are watched."""
_PROGRAM: Final = (sys.executable, "-P", "-B", "-m", "covey.console.views_program")
"""`-B`: it writes no bytecode beside the user's modules."""

Stamp = tuple[str, int, int]
"""A file, when it was written (ns), and its size; -1: there is none."""


class Execution(BaseModel):
    """What an execution has found.

    Attributes:
        problem: why it declares nothing; empty: it does.
        files: what it has read in the folder of the views file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    views: tuple[str, ...] = ()
    services: tuple[ServiceData, ...] = ()
    on_demand: tuple[OnDemandData, ...] = ()
    problem: str = ""
    files: tuple[Stamp, ...] = ()

    @property
    def declared(self) -> Declared | Problem:
        """The declarations, without functions."""
        if self.problem:
            return Problem("", "", self.problem)
        on_demand, services = (one.read() for one in self.on_demand), (one.read() for one in self.services)
        try:
            return Declared(decoded(self.views), tuple(on_demand), tuple(services))
        except CoveyError as error:  # such as a kind of feature that only the file has registered
            return Problem("", "", str(error))

    @property
    def is_current(self) -> bool:
        """Whether every file that it has read still is as it was."""
        return all(stamp_of(Path(file)) == (file, *rest) for file, *rest in self.files)


def execute(path: Path, deadline_s: float = DEADLINE_S) -> Execution:
    """Execute a views file in a process of its own, which ends with this one."""
    source, alive = os.pipe()
    try:
        done = subprocess.run(  # noqa: S603 - this program itself, with the file that the operator trusts
            [*_PROGRAM, str(path)], stdin=source, stdout=subprocess.PIPE, timeout=deadline_s, check=False
        )
        return Execution.model_validate_json(done.stdout)
    except subprocess.TimeoutExpired:
        why = f"{path} runs for more than {deadline_s:g} s; a views file only defines views"
    except ValidationError:
        why = f"{path} ends the process that executes it; a views file only defines views"
    finally:
        os.close(source)
        os.close(alive)
    return Execution(problem=why, files=(stamp_of(path), stamp_of(path.parent)))


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file or folder."""
    try:
        found = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), found.st_mtime_ns, found.st_size


def executed(path: Path) -> Execution:
    """Execute a views file in this process."""
    folder, opened = path.parent.resolve(), set[str]()

    def watch(event: str, given: tuple[object, ...]) -> None:
        if event == "open" and isinstance(given[0], str) and len(opened) < MOST_FILES:
            opened.add(given[0])

    sys.addaudithook(watch)
    try:
        declared = load_declared(path, need_views=False)
        found = Execution(
            views=encoded(declared.views),
            services=tuple(map(ServiceData.model_validate, declared.services)),
            on_demand=tuple(map(OnDemandData.of, declared.on_demand)),
        )
    except CoveyError as error:
        found = Execution(problem=str(error))
    except BaseException as error:  # noqa: BLE001 - it is the file's own
        found = Execution(problem=f"{path} raises {type(error).__name__}; a views file only defines views")
    imported = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    names = {
        str(path),
        *(name for name in opened if not name.endswith(".pyc")),
        *(name for name in imported if isinstance(name, str)),
    }
    beside = {file for name in names if (file := Path(name).absolute()).resolve().is_relative_to(folder)}
    if found.problem:  # a module that is missing may come
        beside.add(folder)
    return found.model_copy(update={"files": tuple(stamp_of(file) for file in sorted(beside))})


def main(path: str) -> None:
    """Execute a file, and write what it declares."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the file prints is no answer of ours
    Thread(target=_end_with_console, daemon=True).start()
    found = executed(Path(path)).model_dump_json().encode()
    out.write(found)
    out.flush()
    os._exit(0)  # whatever threads the file has started


def _end_with_console() -> None:
    os.read(sys.stdin.fileno(), 1)  # the pipe is never written: this returns when the console has ended
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
