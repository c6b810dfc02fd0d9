"""Leader and helper for tests of plans with proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request
from aggregator.intake.aggregation_job import Verdict
from federation.aggregation import OpenedView
from federation.plan import Plan
from tests.aggregator.world import (
    SETTINGS,
    Clock,
    LocalLink,
    make_helper,
    make_leader,
    make_plan,
    open_at,
    prepared,
)
from tests.federation.wire import COLLECTOR

TAKEN, DUPLICATE, REJECTED = (bytes([verdict]) for verdict in Verdict)


class LeaderAndHelper:
    """Leader and helper in this process, on files that survive a restart."""

    def __init__(self, path: Path, settings: Any = SETTINGS) -> None:
        self.path, self.settings, self.clock = path, settings, Clock()
        self.helper = make_helper(path, settings, self.clock)
        self.link = LocalLink(self.helper)
        self.leader = make_leader(path, self.link, settings, self.clock)

    def plan(self, **terms: Any) -> Plan:
        """A plan with proofs, prepared and open at both aggregators."""
        plan = prepared(make_plan(validity="prio3", **terms), self.leader.prepare)
        for party in (self.helper, self.leader):
            open_at(party, plan)
        return plan

    def submit(self, batch: Any) -> bytes:
        return self.leader.submit(batch.to_bytes()).verdicts

    def collect(self, plan: Plan) -> tuple[OpenedView, ...]:
        request = collect_request(plan, COLLECTOR.sign)
        return CollectedShares.of(
            plan, self.leader.collect(request), self.helper.collect(request), COLLECTOR.seal
        ).open(plan)

    def restart(self) -> None:
        self.close()
        self.helper = make_helper(self.path, self.settings, self.clock)
        self.link.helper = self.helper
        self.leader = make_leader(self.path, self.link, self.settings, self.clock)

    def close(self) -> None:
        self.leader.close()
        self.helper.close()
