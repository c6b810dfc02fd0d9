"""One operator's process of the MPC finish. Leader, helper and provider each have a seat; the leader starts the sessions.

    begin ──► the process of this role, with the port where all three meet ──► it ends with its session

A session also ends when the next one begins, when the service stops, and after `SESSION_S`.
"""

from __future__ import annotations

from threading import Lock, Timer
from typing import Final

from aggregator.errors import AggregatorError, ProcessLost, Stopping
from aggregator.mpc.finish import ANSWER_S, START_S, MpcProcess, open_view, require_exact, require_noised
from aggregator.mpc.party import PEER_LOST, ROLES, Role
from federation.aggregation import NoisedShares, OpenedView
from federation.plan import Plan

SESSION_S: Final = START_S + ANSWER_S
"""Longest duration of a session, from the start of its processes: enough for about ten million cells."""

_STOPPING: Final = "this service is stopping; nothing was opened. Collect again when it is back"


class Seat:
    """The place of a role's one process. Threads may share it."""

    def __init__(self, role: Role) -> None:
        self._role: Role = role
        self._lock = Lock()
        self._process: MpcProcess | None = None
        self._timer: Timer | None = None
        self._stopped = False

    def begin(self, port: int) -> MpcProcess:
        """Start the process of a session, for at most `SESSION_S`. An earlier process ends. Raises Stopping."""
        with self._lock:
            self._end()
            if self._stopped:
                raise Stopping(_STOPPING)
            self._process = process = MpcProcess(self._role, ROLES.index(self._role), port)
            self._timer = Timer(SESSION_S, process.kill)
            self._timer.daemon = True
            self._timer.start()
            return process

    def lost(self, process: MpcProcess) -> AggregatorError:
        """The error of a process that ended before its answer: Stopping or ProcessLost."""
        if self._stopped:
            return Stopping(_STOPPING)
        return ProcessLost(self._role, process.wait() != PEER_LOST, SESSION_S)

    def end(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def stop(self) -> None:
        """End the process, and start no other."""
        with self._lock:
            self._stopped = True
            self._end()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None:
            self._process.kill()
            self._process.reap()
            self._process = None


def finish_own(seat: Seat, port: int, plan: Plan, shares: NoisedShares, clients: int) -> tuple[OpenedView, ...]:
    """Run by leader and helper at the same time: open the cells that are not suppressed, each with its own noised shares.

    The process runs until the seat ends it, because the other party may still read what it has sent.

    Args:
        clients: the most clients that the reports of a collection can include.

    Raises:
        FinishRefused, ConversionUnsafe: nothing was started. MpcFailed, Stopping: nothing was opened here.
    """
    require_noised(plan, shares)
    require_exact(plan.views, clients)
    process = seat.begin(port)

    def ask(blocks: tuple[bytes, ...], size: int) -> bytes:
        if len(answer := process.ask(blocks[0], size)) != size:
            raise seat.lost(process)
        return answer

    return tuple(
        open_view(planned, outcomes, (words,), ask)
        for planned, outcomes, words in zip(plan.views, shares.outcomes, shares.shares, strict=True)
    )
