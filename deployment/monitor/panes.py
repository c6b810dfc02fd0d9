"""The panes of a project's views as metrics, for the roles of the coordinator's operator."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from threading import Lock
from typing import Final

from base.errors import CoveyError
from base.metrics import PANES, Sample
from deployment.inspect.pane_counts import PaneCounts

FRESH_S: Final = 10.0
"""How long a result is used, because each reading opens the store."""

log = logging.getLogger(__name__)


class PaneSamples:
    """The panes of a project by state. Threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._counts, self._lock = PaneCounts(directory), Lock()
        self._read_at, self._samples = float("-inf"), list[Sample]()

    def read(self) -> list[Sample]:
        """The samples. A store that cannot be read has none, and is logged."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                try:
                    self._samples = _samples(self._counts)
                except (CoveyError, OSError) as error:
                    log.warning("the panes cannot be read: %s", error)
                    self._samples = []
                self._read_at = time.monotonic()
            return self._samples


def _samples(panes: PaneCounts) -> list[Sample]:
    found = []
    for one in panes.read():
        counts = {"opened": one.opened, "void": one.void, "due": one.due, "exhausted": len(one.exhausted)}
        found += [Sample(PANES, (one.view.name, state), count) for state, count in counts.items()]
    return found
