"""One queue, first come first served, with a fixed service time, under Poisson arrivals at a log-normal rate.

Below saturation a job waits as in M/D/1 (Pollaczek and Khinchine) at the rate of its moment; above it the queue is a fluid
that fills and drains. Stations in a row, each with a fixed service time, make a job wait as long as the slowest of them would
by itself (Friedman 1965), so a row needs no more than this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

STEPS: Final = 5_000
BUSIEST: Final = 0.95
"""The load up to which M/D/1 has time to settle; what lies above is left to the fluid."""


@dataclass(frozen=True)
class AnswerWindow:
    """When sites answer: log-normal times after the announcement, as `simulations.fleets.arrivals.Generated`.

    Attributes:
        tail: σ in logarithms.
        deadline_s: what arrives later is refused.
    """

    median_s: float = 900.0
    tail: float = 0.5
    deadline_s: float = 3_600.0

    def arrived(self, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The part of the sites that have answered by `t` seconds."""
        with np.errstate(divide="ignore"):
            z = (np.log(t) - math.log(self.median_s)) / (self.tail * math.sqrt(2))
        return np.array([0.5 * (1 + math.erf(one)) for one in z])

    @property
    def busiest(self) -> float:
        """The largest part of the sites that answer in one second: at the mode, median · exp(-σ²)."""
        return math.exp(self.tail**2 / 2) / (self.median_s * self.tail * math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class Flow:
    """What becomes of the jobs of one queue.

    Attributes:
        jobs: that arrive before the deadline.
        load: of the part of the window up to the deadline, how much the server works.
        peak: work that arrives a second, at the busiest moment.
        wait_s: a job's mean time in the queue.
        drain_s: what is left to do at the deadline.
    """

    jobs: float
    load: float
    peak: float
    wait_s: float
    drain_s: float


def flow(window: AnswerWindow, jobs: float, service_s: float) -> Flow:
    """One queue with one server.

    Args:
        jobs: of all sites that ever answer; the deadline cuts some off.
    """
    at = np.linspace(0, window.deadline_s, STEPS + 1)
    step_s = window.deadline_s / STEPS
    arrivals = jobs * np.diff(window.arrived(at))
    work = arrivals * service_s
    # the backlog is the work that has come in, less the time, above its own running minimum
    net = np.concatenate(([0.0], np.cumsum(work - step_s)))
    backlog = net - np.minimum.accumulate(net)
    load = np.minimum(work / step_s, BUSIEST)
    settled = load * service_s / (2 * (1 - load))
    waits = np.where(backlog[1:] > 0, (backlog[1:] + backlog[:-1]) / 2 + settled, settled)
    taken = float(arrivals.sum())
    wait_s = float((waits * arrivals).sum()) / taken if taken else 0.0
    worked = float(work.sum() - backlog[-1])
    peak = jobs * window.busiest * service_s
    return Flow(taken, worked / window.deadline_s, peak, wait_s, float(backlog[-1]))
