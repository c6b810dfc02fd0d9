"""The provider of triples as a service: at the leader's word it runs its process of the MPC finish for one session.

    Provide   port of the loopback ──► `aggregator.mpc.party` as provider ──► until it ends, or the leader ends the call

It is run by a third operator. It has no keys, no storage and no ledger, and sees no share, only how many triples are wanted.
"""

from __future__ import annotations

from typing import Final

from aggregator.collect.collection_job import PROVIDE_DOMAIN, FinishSession
from aggregator.errors import MessageMalformed
from aggregator.mpc.finish import MpcProcess, require_installed
from aggregator.mpc.party import PEER_LOST
from aggregator.mpc.seat import Seat
from aggregator.signed_message import Signed
from crypto.signing import VerifyKey


class Provider:
    """The third party of the finish mpc.

    Args:
        leader: the key of the leader that it works for.

    Raises:
        CrypTenMissing.
    """

    role: Final = "provider"

    def __init__(self, leader: VerifyKey) -> None:
        require_installed()
        self._leader = leader
        self._seat = Seat("provider")

    def begin(self, data: bytes) -> MpcProcess:
        """Start the process of a session; a session before it is over then.

        Raises:
            MessageMalformed, SignatureInvalid: not of this provider's leader. Stopping.
        """
        asked = FinishSession.from_bytes(Signed.from_bytes(data).verify(PROVIDE_DOMAIN, self._leader))
        if not asked.port:
            raise MessageMalformed("a session without a port")
        return self._seat.begin(asked.port)

    def wait(self, process: MpcProcess) -> None:
        """Until the process has ended because the others have gone. Raises MpcFailed, Stopping: it has ended otherwise."""
        process.read(1)
        if process.wait() != PEER_LOST:
            raise self._seat.lost(process)

    def stop(self) -> None:
        """End the session."""
        self._seat.stop()

    def close(self) -> None:
        """There is nothing to let go of."""
