"""The leader finishes a plan with the finish mpc: its own process, the helper's and the provider's run at the same time.

    {witnessed} ──► session: a port ──► provider, helper, own process ──► the helper has stored the opened values
    ──► {finished; own noised shares erased} ──► the helper erases its own, too

One session at a time. An error names the process that ended by itself; the others end because of it.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Final

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection_job import PROVIDE_DOMAIN, FinishSession
from aggregator.collect.meeting import SharedOpening
from aggregator.collect.swap import request_finish
from aggregator.errors import (
    MpcFailed,
    PeerRefused,
    ProcessLost,
    ProviderUnavailable,
    RemoteRefusal,
    Stopping,
    Unreachable,
)
from aggregator.mpc.suppression import Suppression
from aggregator.shares.peers import PeerCalls
from aggregator.shares.plans import PlanBook
from aggregator.signed_message import sign
from aggregator.storage.records import StoredPlan
from base.ports import free_port
from federation.plan import Plan

_LOOK_S: Final = 0.05
_GRACE_S: Final = 2.0
"""Time in which the other processes notice that one has ended, and report it."""


class LeaderSuppression:
    """The leader's opening with the finish mpc, helper and provider: an `Opening`."""

    def __init__(self, plans: PlanBook, own: Suppression, shared: SharedOpening, calls: PeerCalls) -> None:
        self._plans, self._own, self._shared, self._calls = plans, own, shared, calls
        self._storage, self._identity = plans.files.storage, plans.identity

    def require(self, plan: Plan) -> None:
        """As `Suppression`. Raises ProviderUnknown."""
        self._own.require(plan)
        self._calls.peers.known_provider()

    def accepted_keys(self, plan: Plan, given: bytes) -> bytes:
        """As `Suppression`."""
        return self._own.accepted_keys(plan, given)

    def draw(self, stored: StoredPlan, plan: Plan) -> None:
        """As `Suppression`."""
        self._own.draw(stored, plan)

    def open(self, plan: Plan) -> None:
        """Open the plan with the helper, and finish it with helper and provider. After a failure, call again.

        Raises:
            ProviderUnknown, ProviderUnavailable, HelperUnavailable, PeerRefused, MpcFailed, Stopping. And as `SharedOpening`.
        """
        self._shared.witnessed(plan)
        stored, _ = self._plans.opened(plan.hash)
        if self._storage.held(stored.number):
            finished = self._session(stored, plan)
            with self._storage.transaction():
                self._storage.set_finished(stored.number, finished)
                self._storage.settle(stored.number)
            self._plans.retention.forget()
        request_finish(self._calls, stored, plan, 0, self._identity.sign_key(plan))

    def _session(self, stored: StoredPlan, plan: Plan) -> list[SealedShare]:
        """Run all three processes. When this returns, the helper has stored the same values."""
        port, threads = free_port(), ThreadPoolExecutor(3, thread_name_prefix="finish")
        body = FinishSession(plan.hash, port).to_bytes()
        key = self._identity.sign_key(plan)
        providing = self._calls.peers.known_provider().provide(sign(PROVIDE_DOMAIN, body, key))
        try:
            third = threads.submit(providing.wait)
            other = threads.submit(request_finish, self._calls, stored, plan, port, key)
            mine = threads.submit(self._own.run, stored, plan, port)
            return self._outcome(mine, other, third)
        finally:
            self._own.seat.end()
            providing.end()
            threads.shutdown(wait=False)

    def _outcome(self, mine: Future[list[SealedShare]], other: Future[None], third: Future[None]) -> list[SealedShare]:
        """The values opened here, once the helper has stored them too. Raises the error of the process that ended first."""
        pending: set[Future[Any]] = {mine, other, third}
        while not (mine.done() and other.done()):
            if self._plans.stopped.is_set():
                raise Stopping("this aggregator is stopping; nothing was opened. Collect again when it is back")
            done, pending = wait(pending, _LOOK_S, FIRST_COMPLETED)
            if third in done or any(one.exception() for one in done):
                break
        if all(one.done() and not one.exception() for one in (mine, other)):
            return mine.result()
        wait(pending, _GRACE_S)
        raise _named(*(one.exception() if one.done() else None for one in (mine, other, third)))


def _named(mine: BaseException | None, other: BaseException | None, third: BaseException | None) -> BaseException:
    """The error of the process that ended by itself. Arguments: the errors of leader, helper and provider; None: still running."""
    if isinstance(third, Unreachable):
        return ProviderUnavailable()
    if mine is not None and not (isinstance(mine, ProcessLost) and not mine.of_itself):
        return mine
    if isinstance(third, RemoteRefusal):
        return PeerRefused(third)
    return other or mine or MpcFailed("the process of the provider ended because the process of another role did")
