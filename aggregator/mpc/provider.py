"""The provider of triples as a service: on the leader's request it runs its process of the MPC finish for one session.

    Provide   port of the loopback ──► `aggregator.mpc.party` as provider ──► until it ends, or the leader ends the call

A third operator runs it. It has no keys, no storage and no ledger. It sees no share, only the number of triples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aggregator.collect.collection_job import PROVIDE_DOMAIN, FinishSession
from aggregator.errors import MessageMalformed, SettingsRefused
from aggregator.mpc.finish import MpcProcess, require_installed
from aggregator.mpc.party import PEER_LOST
from aggregator.mpc.seat import Seat
from aggregator.signed_message import Signed
from base.errors import CoveyError
from base.metrics import Meters
from federation.former_keys import PinnedKey


class Provider:
    """The third party of the finish mpc.

    Args:
        leader: reads the signing keys of the leader that it serves, as they are pinned now. Raises CoveyError.
        clock: µs since the epoch.

    Attributes:
        meters: the counters of this role.

    Raises:
        CrypTenMissing.
    """

    role: Final = "provider"

    def __init__(self, leader: Callable[[], PinnedKey], clock: Callable[[], int]) -> None:
        require_installed()
        self.meters = Meters()
        self._leader, self._clock = leader, clock
        self._seat = Seat("provider")

    def begin(self, data: bytes) -> MpcProcess:
        """Start the process of a session. An earlier session ends.

        Raises:
            MessageMalformed, SignatureInvalid: not a request of this provider's leader. Stopping.
            SettingsRefused: the leader's keys cannot be read.
        """
        signed, leader = Signed.from_bytes(data), self._pinned_leader()
        session = FinishSession.from_bytes(leader.signed(lambda key: signed.verify(PROVIDE_DOMAIN, key)))
        if not session.port:
            raise MessageMalformed("the session is without a port")
        return self._seat.begin(session.port)

    def _pinned_leader(self) -> PinnedKey:
        try:
            return self._leader().needed(self._clock())
        except CoveyError as error:
            raise SettingsRefused(self.role, str(error)) from None

    def wait(self, process: MpcProcess) -> None:
        """Wait until the process ends after the others. Raises MpcFailed, Stopping: it ended for another reason."""
        process.read(1)
        if process.wait() != PEER_LOST:
            raise self._seat.lost(process)

    def stop(self) -> None:
        """End the session."""
        self._seat.stop()

    def close(self) -> None:
        """The provider has nothing to close."""
