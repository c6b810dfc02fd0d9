"""One operator's process of the MPC finish: leader, helper and provider each have a seat, and start their own at the leader's word.

    begin ──► the process of this role, told where all three meet ──► it ends with its session

A session also ends when the next one begins, when the service stops, and after `SESSION_S`.
"""

from __future__ import annotations

from threading import Lock, Timer
from typing import Final

from aggregator.errors import AggregatorError, ProcessLost, Stopping
from aggregator.mpc.finish import ANSWER_S, START_S, MpcProcess, open_view, require_exact, require_noised
from aggregator.mpc.party import PEER_LOST, ROLES, Role
from federation.plan import Plan
from federation.protocol import NoisedShares, OpenedView

SESSION_S: Final = START_S + ANSWER_S
"""The longest that a session may take, from the start of its processes: time for some ten million cells."""

_STOPPING: Final = "this service is stopping; nothing was opened: ask again when it is back"


class Seat:
    """Where the one process of a role runs. Threads may share it."""

    def __init__(self, role: Role) -> None:
        self._role: Role = role
        self._lock = Lock()
        self._process: MpcProcess | None = None
        self._timer: Timer | None = None
        self._stopped = False

    def begin(self, port: int) -> MpcProcess:
        """Start the process of a session, for `SESSION_S` at most; that of the session before ends. Raises Stopping."""
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
        """The error of a process that has ended before it has answered: Stopping or ProcessLost."""
        if self._stopped:
            return Stopping(_STOPPING)
        return ProcessLost(self._role, process.wait() != PEER_LOST, SESSION_S)

    def end(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def stop(self) -> None:
        """The same, and start none any more."""
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
    """Run by leader and helper at once: open what is not suppressed, each with its own noised shares.

    The process goes on until the seat is left: the other one may still be reading what it has sent.

    Args:
        clients: the most that the reports of a collection can be of.

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
