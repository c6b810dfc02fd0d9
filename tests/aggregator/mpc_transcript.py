"""What `mpc_recorded` writes down. This module imports no torch, so that its reader needs none."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Entry:
    function: str
    dtype: str
    before: bytes
    after: bytes

    @property
    def words(self) -> tuple[np.ndarray, np.ndarray]:
        return np.frombuffer(self.before, np.int64), np.frombuffer(self.after, np.int64)


def read(path: Path) -> Iterator[Entry]:
    with path.open("rb") as file:
        while file.peek(1):
            entry = pickle.load(file)
            assert isinstance(entry, Entry)
            yield entry
