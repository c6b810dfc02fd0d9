"""A whole run in one process: events → reports → protocol → releases → store, every step real.

One process sees everything here, so nothing is hidden from it; releases say `trust="in-process"`. What is published is
the same as over the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from aggregator.collector import releases_of
from crypto.noise import NoiseSource
from edge_client.compute import Contributions, Dropped, compute, days_with_events
from edge_client.events import Events, check_schema
from featurestore.definitions import FeatureView
from featurestore.layout import layout_of
from featurestore.publish import Publisher
from featurestore.times import DAY_US
from federation.plan import Plan, PlannedView
from federation.protocol import Randomness, Reports, run_collections

from .errors import RunRefused

CHUNK_ELEMENTS: Final = 2**23
"""Accumulated slots of one plan: 64 MiB at each aggregator. A plan covers whole days."""

NOISE_CHUNK: Final = 2**15
"""Samples that are drawn between two steps of the progress bar."""

Progress = Callable[[str, str, int, int], None]
"""(view, step, done, total), called often; the steps are `compute`, `protect`, `noise`, `publish`."""


@dataclass(frozen=True)
class NoisePair:
    """The noise sources of the two aggregators; `None` is noise off."""

    leader: NoiseSource
    helper: NoiseSource


@dataclass(frozen=True)
class ViewReport:
    """What became of one view in a run. Pane lists are pane starts in µs since the epoch.

    Attributes:
        reports: number of reports that went through the protocol; None over the wire, where nobody may know it.
        already_open: panes that an earlier run had published; they were skipped.
        days_not_over: UTC days (since the epoch) that have not ended, or whose releases are not due yet.
        dropped: events of the days that were run that were not counted.
    """

    view: str
    reports: int | None
    opened: int
    void: int
    already_open: tuple[int, ...]
    days_not_over: tuple[int, ...]
    dropped: Dropped


def run_in_process(
    views: Sequence[FeatureView],
    events: Events,
    directory: Path,
    *,
    noise: NoisePair | None,
    randomness: Randomness,
    clock: Callable[[], int],
    days: tuple[int, int] | None = None,
    min_clients: int | None = None,
    progress: Progress = lambda *_: None,
) -> tuple[ViewReport, ...]:
    """Collect every pane of the chosen days that is not open yet, and publish it into the store at `directory`.

    Args:
        noise: the aggregators' noise sources; None is noise off, and marks the releases.
        clock: the wall clock, µs since the epoch.
        days: [from, to) in UTC days since the epoch; default: the days that hold events.
        min_clients: k instead of the views' own; may only tighten, except with noise off.

    Raises:
        RunRefused: min_clients would loosen a view's k, or a day is open in part. EventsError, BadReference: the events
            do not fit a view; nothing is made or registered then. ViewChanged, StoreInUse: of the store.
    """
    require_tighter(views, min_clients, noise_off=noise is None)
    for view in views:
        check_schema(view, events)
        events.times(view)  # text that is no time is refused here
    with Publisher(directory, clock) as publisher:
        for view in views:
            publisher.register(view)
        return tuple(
            _run_view(view, events, publisher, noise, randomness, clock, days, min_clients, progress) for view in views
        )


def require_tighter(views: Sequence[FeatureView], min_clients: int | None, *, noise_off: bool) -> None:
    """RunRefused if another k than the views' own would loosen one of them; with noise off, anything goes."""
    for view in views:
        if min_clients is not None and not noise_off and min_clients < view.privacy.min_clients:
            raise RunRefused(
                f"--min-clients {min_clients} is below view {view.name!r}'s own {view.privacy.min_clients}; "
                "it may only tighten (anything goes with --noise off)"
            )


def _run_view(
    view: FeatureView,
    events: Events,
    publisher: Publisher,
    noise: NoisePair | None,
    randomness: Randomness,
    clock: Callable[[], int],
    days: tuple[int, int] | None,
    min_clients: int | None,
    progress: Progress,
) -> ViewReport:
    progress(view.name, "compute", 0, 1)
    choice = choose_panes(view, events, publisher.opened(view), days, clock())
    todo = choice.todo
    if not len(todo):
        progress(view.name, "compute", 1, 1)
        return ViewReport(
            view.name, 0, 0, 0, tuple(choice.already_open.tolist()), tuple(choice.days_not_over.tolist()), Dropped()
        )
    contributions = compute(view, events, days=np.unique(todo // DAY_US))
    progress(view.name, "compute", 1, 1)
    reports = opened = void = done = 0
    for chunk in _chunks(view, todo):
        plan = Plan(
            randomness(16),
            (PlannedView(view, chunk, min_clients or view.privacy.min_clients),),
            "none" if noise is None else "full",
        )
        chosen = _reports(contributions, chunk)
        reports += len(chosen.collection)
        batches = _counted(chosen, view.name, progress)
        draws = _Draws(view.name, 2 * len(chunk) * layout_of(view).length, progress)
        sources = (None, None) if noise is None else (draws.of(noise.leader), draws.of(noise.helper))
        try:
            (result,) = run_collections(plan, batches, randomness, *sources)
        except BaseException:
            draws.stop()
            raise
        draws.finish()
        items = list(
            releases_of(
                plan,
                result,
                now=clock(),
                clock="replay",
                noise_source="none" if noise is None else f"{noise.leader.name}, {noise.helper.name}",
                trust="in-process",
            )
        )
        publisher.publish(items)
        opened += len(result.sums)
        void += len(items) - len(result.sums)
        done += len(chunk)
        progress(view.name, "publish", done, len(todo))
    return ViewReport(
        view.name,
        reports,
        opened,
        void,
        tuple(choice.already_open.tolist()),
        tuple(choice.days_not_over.tolist()),
        contributions.dropped,
    )


class _Draws:
    """Counts what both aggregators draw, for the progress bar. `total` holds if every pane opens."""

    def __init__(self, view: str, total: int, progress: Progress) -> None:
        self._view, self._total, self._progress = view, total, progress
        self._done, self._stopped = 0, False
        self._lock = Lock()

    def of(self, source: NoiseSource) -> NoiseSource:
        """The same source, drawn in chunks that are counted."""
        return _Counted(source, self)

    def add(self, samples: int) -> None:
        """Count samples; RunRefused once the run was stopped, because a thread cannot be interrupted."""
        with self._lock:
            if self._stopped:
                raise RunRefused("the run was stopped")
            self._done += samples
            self._progress(self._view, "noise", self._done, self._total)

    def stop(self) -> None:
        self._stopped = True

    def finish(self) -> None:
        if self._done:
            self._progress(self._view, "noise", self._done, self._done)


class _Counted:
    """A noise source that tells how far it is."""

    def __init__(self, source: NoiseSource, draws: _Draws) -> None:
        self._source, self._draws = source, draws
        self.name, self.seeded = source.name, source.seeded

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> npt.NDArray[np.int64]:
        samples = np.empty(size, dtype=np.int64)
        for first in range(0, size, NOISE_CHUNK):
            last = min(first + NOISE_CHUNK, size)
            samples[first:last] = self._source.discrete_gaussian(sigma_sq, last - first)
            self._draws.add(last - first)
        return samples


@dataclass(frozen=True, eq=False)
class PaneChoice:
    """Which panes of a view a run collects: int64 arrays of pane starts (µs), of whole days, and of UTC days."""

    todo: npt.NDArray[np.int64]
    already_open: npt.NDArray[np.int64]
    days_not_over: npt.NDArray[np.int64]


def choose_panes(
    view: FeatureView, events: Events, opened: npt.NDArray[np.int64], days: tuple[int, int] | None, now: int
) -> PaneChoice:
    """The panes of whole days that are over and not open yet; `days` defaults to those that hold events.

    Raises:
        RunRefused: some panes of a day are open and some are not. What a client used up of that day's bounds is not
            known here, so the rest of it could let it use them again.
    """
    asked = np.arange(*days) if days is not None else days_with_events(view, events)
    is_over = (asked + 1) * DAY_US + view.release_delay_us <= now
    panes = asked[is_over, None] * DAY_US + np.arange(view.panes_per_day) * view.pane_us
    is_open = np.isin(panes, opened)
    partly = asked[is_over][is_open.any(axis=1) & ~is_open.all(axis=1)]
    if len(partly):
        named = ", ".join(str(np.datetime64(int(day), "D")) for day in partly[:3])
        more = f" and {len(partly) - 3} more" if len(partly) > 3 else ""
        raise RunRefused(
            f"view {view.name!r}: only some panes of {named}{more} are open, and a run takes whole days: a client's "
            "bounds hold for the whole day; leave these days out with --from and --to"
        )
    return PaneChoice(panes[~is_open], panes[is_open], asked[~is_over])


def _chunks(view: FeatureView, panes: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """The panes in runs of whole days whose accumulators fit `CHUNK_ELEMENTS`."""
    days = panes // DAY_US
    starts = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
    per_chunk = max(1, CHUNK_ELEMENTS // (layout_of(view).length * view.panes_per_day))
    for first in range(0, len(starts), per_chunk):
        last = first + per_chunk
        yield panes[starts[first] : starts[last] if last < len(starts) else len(panes)]


def _reports(contributions: Contributions, panes: npt.NDArray[np.int64]) -> Reports:
    """The contributions to these panes, numbered by the plan that asks for exactly them."""
    first, last = np.searchsorted(contributions.pane_start, (panes[0], panes[-1] + 1))
    collection = np.searchsorted(panes, contributions.pane_start[first:last])
    return Reports(0, collection.astype(np.uint32), contributions.slots[first:last])


def _counted(reports: Reports, view: str, progress: Progress) -> Iterator[Reports]:
    total, done = len(reports.collection), 0
    for batch in reports.batches():
        yield batch
        done += len(batch.collection)
        progress(view, "protect", done, total)
