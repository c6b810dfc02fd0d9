"""The state of leader, helper and key holder, as their monitors show it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from aggregator.he.key_holder import KeyHolder
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from base.metrics import BUDGET_LEFT, JOBS_PENDING, LEDGER_ENTRIES, PEER_UP, PLAN_STATES, PLANS, Sample, gauges
from federation.errors import LedgerBroken

from .peers import PeerWatch
from .watched import STARTING


class AggregatorState:
    """The state of one aggregator.

    Args:
        peers: the services that it calls.
    """

    def __init__(self, party: Leader | Helper | KeyHolder, peers: Sequence[PeerWatch] = ()) -> None:
        self.listening = False
        self._party, self._peers = party, peers

    def waits_for(self) -> str | None:
        """Its start, a ledger that can be read, and the peers."""
        if not self.listening:
            return STARTING
        if self._party.plans.stopped.is_set():
            return "its end: it is stopping"
        if (problem := self._ledger_problem()) is not None:
            return problem
        for peer in self._peers:
            if (why := peer.problem()) is not None:
                return why
        return None

    def samples(self) -> Iterator[Sample]:
        """The counters, and gauges of storage and ledger."""
        yield from self._party.meters.samples()
        if self._party.plans.stopped.is_set():  # its files are closed soon
            return
        storage, ledger = self._party.files.storage, self._party.files.ledger
        states = storage.states()
        yield from gauges(PLANS, ((state, states.get(state, 0)) for state in PLAN_STATES))
        if isinstance(self._party, Leader):
            yield Sample(JOBS_PENDING, (), len(storage.pending_jobs()))
        yield from gauges(PEER_UP, ((peer.role, float(peer.problem() is None)) for peer in self._peers))
        broken = self._ledger_problem() is not None
        yield Sample(LEDGER_ENTRIES, (), -1 if broken else ledger.state.length)
        yield from gauges(BUDGET_LEFT, ledger.state.shares_left(self._party.identity.settings.budget).items())

    def _ledger_problem(self) -> str | None:
        """Why the ledger cannot be charged. It is read again: another process of the operator may have charged it."""
        try:
            self._party.files.ledger.look()
        except LedgerBroken as error:
            return f"an intact ledger: {error}"
        except sqlite3.Error as error:
            return f"a ledger that can be read: {error}"
        return None
