"""How the leader has a plan with finish mpc finished: by its own process, the helper's and the provider's, all at once.

    {witnessed} ──► session: a port ──► provider, helper, own process ──► the helper has stored what was opened
    ──► {finished; own noised shares erased} ──► the helper erases its own, too

One session at a time. What fails is named after the one that ended of itself; the others end because of it.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Final

from aggregator.collect.finishing import Finishing
from aggregator.collect.sealed_share import SealedShare
from aggregator.errors import (
    MessageMalformed,
    MpcFailed,
    PeerRefused,
    ProcessLost,
    ProviderUnavailable,
    ProviderUnknown,
    Refused,
    Stopping,
    Unreachable,
)
from aggregator.he.opening import EncryptedOpening
from aggregator.intake.intake import helper_of
from aggregator.services.peer_links import HelperLink, KeyHolderLink, ProviderLink, as_peers
from aggregator.shares.messages import FINISH_DOMAIN, FINISHED_DOMAIN, PROVIDE_DOMAIN, Finish, Signed, sign
from aggregator.shares.party import Clock, Settings
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Storage, StoredPlan
from federation.keys import RoleKeys
from federation.ledger.ledger import Ledger
from federation.plan import Plan

from .finish import free_port

_LOOK_S: Final = 0.05
_GRACE_S: Final = 2.0
"""How long the others have to notice that one has gone, and to say who."""


class FinishedOpening(EncryptedOpening, Finishing):
    """The leader, as far as the finish mpc is concerned."""

    def __init__(
        self,
        keys: RoleKeys,
        settings: Settings,
        storage: Storage,
        ledger: Ledger,
        live: LiveFolder,
        clock: Clock,
        helper: HelperLink,
        key_holder: KeyHolderLink | None = None,
        provider: ProviderLink | None = None,
    ) -> None:
        self._provider = provider
        super().__init__(keys, settings, storage, ledger, live, clock, helper, key_holder)

    def _require_terms(self, plan: Plan) -> None:
        super()._require_terms(plan)
        if plan.finish == "mpc":
            self._provided()

    def _provided(self) -> ProviderLink:
        if self._provider is None:
            raise ProviderUnknown
        return self._provider

    def _finish(self, plan: Plan) -> None:
        """Finish a plan that is witnessed, with helper and provider. Whatever fails, the next call goes on from there.

        Raises:
            ProviderUnknown, ProviderUnavailable, HelperUnavailable, PeerRefused, MpcFailed, Stopping: ask again.
        """
        stored, _ = self._opened(plan.hash)
        if self.storage.held(stored.number):
            finished = self._session(stored, plan)
            with self.storage.transaction():
                self.storage.set_finished(stored.number, finished)
                self.storage.settle(stored.number)
            self._forget()
        self._ask_helper(stored, plan, 0)

    def _session(self, stored: StoredPlan, plan: Plan) -> list[SealedShare]:
        """Run all three processes; the helper has stored the same by then."""
        port, threads = free_port(), ThreadPoolExecutor(3, thread_name_prefix="finish")
        body = Finish(plan.hash, port).to_bytes()
        providing = self._provided().provide(sign(PROVIDE_DOMAIN, body, self.keys.sign))
        try:
            third = threads.submit(providing.wait)
            other = threads.submit(self._ask_helper, stored, plan, port)
            mine = threads.submit(self._run, stored, plan, port)
            return self._outcome(mine, other, third)
        finally:
            self._seat.end()
            providing.end()
            threads.shutdown(wait=False)

    def _outcome(self, mine: Future[list[SealedShare]], other: Future[None], third: Future[None]) -> list[SealedShare]:
        """What was opened here, once the helper has it as well. Raises the error of the one that ended first."""
        pending: set[Future[Any]] = {mine, other, third}
        while not (mine.done() and other.done()):
            if self._stopped.is_set():
                raise Stopping("this aggregator is stopping; nothing was opened: ask again when it is back")
            done, pending = wait(pending, _LOOK_S, FIRST_COMPLETED)
            if third in done or any(one.exception() for one in done):
                break
        if all(one.done() and not one.exception() for one in (mine, other)):
            return mine.result()
        wait(pending, _GRACE_S)
        raise _named(*(one.exception() if one.done() else None for one in (mine, other, third)))

    def _ask_helper(self, stored: StoredPlan, plan: Plan, port: int) -> None:
        """Have the helper run its process, or (port 0) erase its shares. Raises HelperUnavailable, PeerRefused."""
        body = Finish(plan.hash, port).to_bytes()
        reply = self._call(stored, self._helper, self._helper.finish, sign(FINISH_DOMAIN, body, self.keys.sign))
        with as_peers():
            if Signed.from_bytes(reply).verify(FINISHED_DOMAIN, helper_of(plan)) != body:
                raise MessageMalformed("an answer to another session")


def _named(mine: BaseException | None, other: BaseException | None, third: BaseException | None) -> BaseException:
    """The error of the process that ended of itself, of those of leader, helper and provider; None: it runs, or has lost others."""
    if isinstance(third, Unreachable):
        return ProviderUnavailable()
    if mine is not None and not (isinstance(mine, ProcessLost) and not mine.of_itself):
        return mine
    if isinstance(third, Refused):
        return PeerRefused(third)
    return other or mine or MpcFailed("the process of the provider has lost another one")
