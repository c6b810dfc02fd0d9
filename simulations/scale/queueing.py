"""One queue, first come first served, with a fixed service time and Poisson arrivals at a log-normal rate.

Below saturation a job waits as in M/D/1 (Pollaczek and Khinchine) at the current rate. Above saturation the queue is a fluid
that fills and drains. In a row of stations with fixed service times a job waits as long as at the slowest station alone
(Friedman 1965), so one queue describes the row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

STEPS: Final = 5_000
BUSIEST: Final = 0.95
"""The largest load at which M/D/1 has time to settle; the fluid covers higher loads."""


@dataclass(frozen=True)
class AnswerWindow:
    """Log-normal arrival times after the announcement, as in `simulations.fleets.arrivals.Generated`.

    Attributes:
        tail: σ of the log-normal times.
        deadline_s: later answers are refused.
    """

    median_s: float = 900.0
    tail: float = 0.5
    deadline_s: float = 3_600.0

    def arrived(self, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the share of the sites that have answered by `t` seconds."""
        with np.errstate(divide="ignore"):
            z = (np.log(t) - math.log(self.median_s)) / (self.tail * math.sqrt(2))
        return np.array([0.5 * (1 + math.erf(one)) for one in z])

    @property
    def busiest(self) -> float:
        """Return the largest share of the sites that answer in one second: at the mode, median · exp(-σ²)."""
        return math.exp(self.tail**2 / 2) / (self.median_s * self.tail * math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class Flow:
    """The load and the waiting times of one queue.

    Attributes:
        jobs: jobs that arrive before the deadline.
        load: share of the time until the deadline in which the server works.
        peak: seconds of work that arrive in the busiest second.
        wait_s: mean time of a job in the queue.
        drain_s: seconds of work that are left at the deadline.
    """

    jobs: float
    load: float
    peak: float
    wait_s: float
    drain_s: float


def flow(window: AnswerWindow, jobs: float, service_s: float) -> Flow:
    """Compute the flow of one queue with one server.

    Args:
        jobs: jobs of all sites that answer, also after the deadline.
    """
    at = np.linspace(0, window.deadline_s, STEPS + 1)
    step_s = window.deadline_s / STEPS
    arrivals = jobs * np.diff(window.arrived(at))
    work = arrivals * service_s
    # the backlog is the arrived work minus the time, above its running minimum
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
