"""The newest check of each view of a project, for the metrics of the coordinator that stays.

A check runs in a thread of its own after a publication, so it delays no collection. While one runs, the publications that come
are covered by one more. Between two checks the thread rests, so that it takes at most a tenth of a core however short the
panes are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from base.errors import CoveyError
from base.metrics import DRIFT, DRIFT_SERIES, Sample
from base.times import DAY_US, wall_clock
from featurestore.errors import StoreNotFound

from .report import Checked, Report
from .stored_panes import StoredPanes

LEVEL: Final = 0.01
"""The chance of a false alarm of a view on a day, over all of its panes of the day."""
FRESH_US: Final = 7 * DAY_US
"""A check of older panes is no metric: no pane may ever end the alert of a view that is not collected any more."""

REST: Final = 9
"""How many times as long as the last check the thread rests before the next one."""

log = logging.getLogger(__name__)


def check_project(directory: Path) -> list[Report]:
    """Check every view of a project's store; none if it has no store yet. A view that cannot be read is logged, and left out.

    Raises:
        CoveyError, OSError: the store cannot be read.
    """
    try:
        store = StoredPanes(directory)
    except StoreNotFound:
        return []
    with store:
        return [report for name in store.names() if (report := _daily(store, name)) is not None]


def _daily(store: StoredPanes, name: str) -> Report | None:
    from .checks import check_version, daily_terms  # scipy is slow to import

    try:
        version = store.version(name)
        return check_version(store, name, version, daily_terms(version.view, LEVEL))
    except (CoveyError, OSError) as error:
        log.warning("drift of view %s cannot be checked: %s", name, error)
        return None


class DriftWatch:
    """The newest check of each view. Threads may share it.

    Args:
        check: checks all views.
        clock: wall clock, µs since the epoch.
        monotonic: seconds. rest: waits so many seconds.

    Attributes:
        checks: how often they were checked.
    """

    def __init__(
        self,
        check: Callable[[], Sequence[Report]],
        clock: Callable[[], int] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._check, self._clock, self._lock = check, clock, Lock()
        self._monotonic, self._rest = monotonic, rest
        self._reports: Sequence[Report] = ()
        self._thread: Thread | None = None
        self._again = False
        self.checks = 0

    def published(self) -> None:
        """Check soon, in another thread."""
        with self._lock:
            self._again = True
            if self._thread is None:
                self._thread = Thread(target=self._run, name="drift", daemon=True)
                self._thread.start()

    def samples(self) -> list[Sample]:
        """The metrics. A view that could not be checked has none, nor has one without a pane for a week."""
        found, now = list[Sample](), self._clock()
        for one in self._reports:
            if isinstance(one, Checked) and one.released_us > now - FRESH_US:
                found.append(Sample(DRIFT, (one.view,), float(one.drifts)))
                found.append(Sample(DRIFT_SERIES, (one.view,), float(len(one.changes))))
        return found

    def wait(self) -> None:
        """Wait until no check runs."""
        while (thread := self._thread) is not None:
            thread.join()

    def _run(self) -> None:
        try:
            took = 0.0
            while self._is_due(REST * took):
                begin = self._monotonic()
                try:
                    self._reports = self._check()
                except (CoveyError, OSError) as error:
                    log.warning("drift cannot be checked: %s", error)
                    self._reports = ()
                took = self._monotonic() - begin
        except BaseException:  # a defect ends this thread; the next publication starts another one
            self._thread, self._reports = None, ()
            raise

    def _is_due(self, rest: float) -> bool:
        """Whether something was published since the last check began, after so many seconds. Otherwise the thread ends."""
        with self._lock:
            if not self._again:
                self._thread = None
                return False
        if rest:
            self._rest(rest)
        with self._lock:
            self._again = False
            self.checks += 1
            return True
