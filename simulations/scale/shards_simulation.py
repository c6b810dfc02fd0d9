"""Simulate the shards of both aggregators in virtual time, to check the queues of the model.

The id of a batch chooses the leader's shard. The batch passes the core, the commit that keeps it, and the line: the job travels
to the helper's shard, which commits; the answer travels back and is settled. Any shard may crash. It loses uncommitted work and
restarts after a while. The simulation includes recovery: the coordinator submits batches again that were not kept, the leader
sends kept jobs again, and a helper that knows a job repeats its answer.

The seed determines everything; no clock is read.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from simulations.fleets.arrivals import Generated

from .model import Stations
from .queueing import AnswerWindow
from .sharded import shard_of

Floats = npt.NDArray[np.float64]

PASSES: Final = 3
"""The stations of a leader's shard: core, keep, line."""


@dataclass(frozen=True)
class Crashes:
    """The rate of crashes of a shard of either aggregator, and the seconds until it restarts."""

    an_hour: float = 0.0
    restart_s: float = 5.0


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """The result of a simulation.

    Attributes:
        late: batches that were refused after the deadline.
        leader, helper: how many times each batch entered the sums of the aggregator.
        latency_s: float64[counted], seconds from the first arrival of a batch until both counted it.
        core_load, line_load: average share of the time until the deadline in which a shard's core and line worked.
        drained_s: time at which the last batch was counted.
        crashes: crashes of shards.
        resubmitted: batches that were submitted again.
        asked_again, repeated: jobs that were sent again, and how many of them the helper knew.
    """

    late: int
    leader: Counter[int]
    helper: Counter[int]
    latency_s: Floats
    core_load: float
    line_load: float
    drained_s: float
    crashes: int
    resubmitted: int
    asked_again: int
    repeated: int


def play(
    batches: int,
    shards: int,
    stations: Stations,
    rtt_s: float,
    window: AnswerWindow,
    *,
    crashes: Crashes = Crashes(),
    seed: int = 0,
) -> SimulationResult:
    """Simulate one collection.

    Args:
        stations: seconds that a batch holds each station. The line includes the round to the helper with `rtt_s` of travel.
    """
    return _Play(shards, stations, rtt_s, window, crashes, seed).run(batches)


@dataclass
class _Server:
    """One server, first come first served."""

    queue: deque[int] = field(default_factory=deque)
    serving: int | None = None


@dataclass
class _Shard:
    """Shard i of both aggregators, on disk and in memory. An epoch separates work before a crash from later work."""

    stations: tuple[_Server, ...] = field(default_factory=lambda: tuple(_Server() for _ in range(PASSES)))
    waiting: deque[int] = field(default_factory=deque)  # arrived while the leader was down; the coordinator has them
    kept: dict[int, None] = field(default_factory=dict)  # on the leader's disk, not settled
    recorded: set[int] = field(default_factory=set)  # on the helper's disk
    leader_up: bool = True
    helper_up: bool = True
    leader_epoch: int = 0
    helper_epoch: int = 0


class _Play:
    def __init__(
        self, shards: int, stations: Stations, rtt_s: float, window: AnswerWindow, crashes: Crashes, seed: int
    ) -> None:
        self._stations, self._rtt_s, self._window, self._crashes = stations, rtt_s, window, crashes
        self._shards = [_Shard() for _ in range(shards)]
        self._rng, self._seed = np.random.default_rng(seed), seed
        self._now, self._events, self._tick = 0.0, list[tuple[float, int, Callable[[], None]]](), itertools.count()
        self._at: Floats = np.empty(0)
        self._done: dict[int, float] = {}
        self._asked: Counter[int] = Counter()
        self._leader, self._helper = Counter[int](), Counter[int]()
        self._busy = {"core": 0.0, "line": 0.0}
        self._late = self._crashed = self._resubmitted = self._asked_again = self._repeated = 0

    def run(self, batches: int) -> SimulationResult:
        """Simulate until no event is left."""
        names = [f"site-{at}" for at in range(batches)]
        self._at = Generated(self._window.median_s, self._window.tail, seed=self._seed).of(names).at_s
        of = [shard_of(name.encode(), len(self._shards)) for name in names]
        for batch, (at, shard) in enumerate(zip(self._at.tolist(), of, strict=True)):
            if at >= self._window.deadline_s:
                self._late += 1
            else:
                self._plan(at, partial(self._arrive, self._shards[shard], batch))
        self._plan_crashes()
        while self._events:
            self._now, _, act = heapq.heappop(self._events)
            act()
        latency = np.array([done - self._at[batch] for batch, done in self._done.items()])
        over = len(self._shards) * self._window.deadline_s
        return SimulationResult(
            self._late,
            self._leader,
            self._helper,
            latency,
            self._busy["core"] / over,
            self._busy["line"] / over,
            max(self._done.values(), default=0.0),
            self._crashed,
            self._resubmitted,
            self._asked_again,
            self._repeated,
        )

    def _plan(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._tick), act))

    # the path of a batch

    def _arrive(self, shard: _Shard, batch: int) -> None:
        if shard.leader_up:
            self._enter(shard, 0, batch)
        else:
            shard.waiting.append(batch)

    def _enter(self, shard: _Shard, station: int, batch: int) -> None:
        shard.stations[station].queue.append(batch)
        self._serve(shard, station)

    def _serve(self, shard: _Shard, station: int) -> None:
        """Start the next batch if there is one and the station is free."""
        server = shard.stations[station]
        if server.serving is not None or not server.queue or not shard.leader_up:
            return
        if station == PASSES - 1 and not shard.helper_up:
            return
        batch = server.serving = server.queue.popleft()
        if station == PASSES - 1:
            self._ask(shard, batch)
            return
        takes_s = (self._stations.core, self._stations.keep)[station]
        if station == 0:
            self._work("core", takes_s)
        self._unless_crashed(shard, takes_s, lambda: self._passed(shard, station, batch))

    def _passed(self, shard: _Shard, station: int, batch: int) -> None:
        shard.stations[station].serving = None
        if station == 1:
            shard.kept[batch] = None
        self._enter(shard, station + 1, batch)
        self._serve(shard, station)

    def _ask(self, shard: _Shard, batch: int) -> None:
        """Run the round to the helper: half of the travel, its commit, half of the travel, the leader's commit."""
        self._asked[batch] += 1
        self._asked_again += self._asked[batch] > 1
        there = self._rtt_s / 2
        at_helper = self._stations.line - self._rtt_s - self._stations.keep
        self._unless_crashed(shard, there + at_helper, lambda: self._helper_takes(shard, batch), helper=True)
        self._unless_crashed(shard, self._stations.line, lambda: self._settle(shard, batch), helper=True)

    def _helper_takes(self, shard: _Shard, batch: int) -> None:
        if batch in shard.recorded:
            self._repeated += 1
            return
        shard.recorded.add(batch)
        self._helper[batch] += 1

    def _settle(self, shard: _Shard, batch: int) -> None:
        self._work("line", self._stations.line, ended=True)
        shard.stations[-1].serving = None
        del shard.kept[batch]
        self._leader[batch] += 1
        self._done[batch] = self._now
        self._serve(shard, PASSES - 1)

    def _work(self, what: str, seconds: float, *, ended: bool = False) -> None:
        """Count the work of a server before the deadline."""
        start = self._now - seconds if ended else self._now
        self._busy[what] += max(0.0, min(self._window.deadline_s, start + seconds) - start)

    # crashes

    def _unless_crashed(self, shard: _Shard, after_s: float, act: Callable[[], None], *, helper: bool = False) -> None:
        """Act later, unless the leader's shard (or the helper's, if `helper`) has crashed meanwhile."""
        leader_epoch, helper_epoch = shard.leader_epoch, shard.helper_epoch

        def check() -> None:
            if shard.leader_epoch == leader_epoch and (not helper or shard.helper_epoch == helper_epoch):
                act()

        self._plan(self._now + after_s, check)

    def _plan_crashes(self) -> None:
        hours = self._window.deadline_s / 3_600
        for shard in self._shards:
            for crash in (self._crash_leader, self._crash_helper):
                for at in self._rng.uniform(
                    0, self._window.deadline_s, self._rng.poisson(self._crashes.an_hour * hours)
                ):
                    self._plan(float(at), partial(crash, shard))

    def _crash_leader(self, shard: _Shard) -> None:
        if not shard.leader_up:
            return
        self._crashed += 1
        shard.leader_epoch += 1
        shard.leader_up = False
        for server in shard.stations[:-1]:  # not kept yet: the calls of the coordinator fail, and it submits again
            lost = [*([] if server.serving is None else [server.serving]), *server.queue]
            self._resubmitted += len(lost)
            shard.waiting.extend(lost)
        for server in shard.stations:
            server.queue.clear()
            server.serving = None
        self._plan(self._now + self._crashes.restart_s, lambda: self._leader_back(shard))

    def _leader_back(self, shard: _Shard) -> None:
        shard.leader_up = True
        shard.stations[-1].queue.extend(shard.kept)  # oldest first
        self._serve(shard, PASSES - 1)
        waiting, shard.waiting = shard.waiting, deque()
        for batch in waiting:
            self._enter(shard, 0, batch)

    def _crash_helper(self, shard: _Shard) -> None:
        if not shard.helper_up:
            return
        self._crashed += 1
        shard.helper_epoch += 1
        shard.helper_up = False
        line = shard.stations[-1]
        if line.serving is not None:  # there is no answer, and the batch stays kept
            line.queue.appendleft(line.serving)
            line.serving = None
        self._plan(self._now + self._crashes.restart_s, lambda: self._helper_back(shard))

    def _helper_back(self, shard: _Shard) -> None:
        shard.helper_up = True
        self._serve(shard, PASSES - 1)
