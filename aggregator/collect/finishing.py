"""An aggregator's own side of the finish mpc, after both have been witnessed. The same steps at leader and helper.

    run      own noised shares ──► own process, with the other's and the provider's ──► what is opened, sealed and signed
    settle   both have stored that ──► own noised shares are erased, and the result may be sent

What is opened follows from the noised shares alone, so a crash before `settle` is mended by running again.
"""

from __future__ import annotations

from aggregator.errors import NotCommitted
from aggregator.mpc.finish import require_exact, require_installed
from aggregator.mpc.seat import Seat, finish_own
from aggregator.shares.party import Clock, Settings
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Storage, StoredPlan
from federation.errors import FinishRefused
from federation.keys import RoleKeys
from federation.ledger.ledger import Ledger
from federation.plan import Plan

from .sealed_share import SealedShare, noised_of
from .swapping import Swapping


class Finishing(Swapping):
    """Leader or helper, as far as its own process is concerned."""

    def __init__(
        self, keys: RoleKeys, settings: Settings, storage: Storage, ledger: Ledger, live: LiveFolder, clock: Clock
    ) -> None:
        self._seat = Seat(self.role)
        super().__init__(keys, settings, storage, ledger, live, clock)

    def stop(self) -> None:
        """Draw no more noise, and end the process of the finish."""
        super().stop()
        self._seat.stop()

    def _require_terms(self, plan: Plan) -> None:
        """Raises CrypTenMissing, ConversionUnsafe: by the most clients that the roster allows. And as `Party`."""
        super()._require_terms(plan)
        if plan.finish == "mpc":
            require_installed()
            require_exact(plan.views, self._most_clients(plan))

    def _most_clients(self, plan: Plan) -> int:
        """How many clients the reports of a collection can be of, by the roster and the plan, whatever sites declare."""
        if plan.report_per == "site":
            return len(self.settings.roster.entries) * plan.max_clients
        return sum(entry.max_clients for entry in self.settings.roster.entries)

    def _run(self, stored: StoredPlan, plan: Plan, port: int) -> list[SealedShare]:
        """Run this party's process over its noised shares, and seal what was opened.

        Raises:
            NotCommitted: the plan is not witnessed. FinishRefused: its shares are erased. And as `finish_own`.
        """
        if stored.state != "witnessed":
            raise NotCommitted(plan.hash)
        held = self.storage.held(stored.number)
        if not held:
            raise FinishRefused(
                f"plan {plan.hash.hex()[:16]}… was finished before, and its noised shares are erased: put the newest copy "
                "of the other aggregator's file back"
            )
        shares, said = noised_of(plan, self.role, held, self.keys.sign.public)
        opened = finish_own(self._seat, port, plan, shares, self._most_clients(plan))
        return [SealedShare.of_finished(plan, *both, self.keys.sign) for both in zip(said, opened, strict=True)]
