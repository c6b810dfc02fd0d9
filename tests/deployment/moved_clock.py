"""A wall clock that tests move, in this process and in the processes that it starts.

Covey reads the wall clock as `time.time_ns`. The processes of a test read the shift from a file, which a `sitecustomize` of the test
adds to that clock; nothing in the product knows about it. Monotonic clocks go on as they are.
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from base.atomic_files import replace_file
from base.times import to_us, wall_clock

_SITECUSTOMIZE: Final = """
import os, time
_real = time.time_ns
def _moved():
    with open(os.environ["MOVED_CLOCK"]) as file:
        return _real() + int(file.read())
time.time_ns = _moved
"""


class MovedClock:
    """The clock of a test. Without a move it is the wall clock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file, self._real = folder / "clock", time.time_ns
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        self._set(0)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("MOVED_CLOCK", str(self._file))
        monkeypatch.setattr(time, "time_ns", lambda: self._real() + self._shift)

    def move(self, moment: datetime) -> None:
        """Let it be this moment, in every process."""
        self._set(to_us(moment) * 1000 - self._real())

    def now(self) -> int:
        """µs since the epoch."""
        return wall_clock()

    def _set(self, shift_ns: int) -> None:
        self._shift = shift_ns
        replace_file(self._file, str(shift_ns), private=False, durable=False)
