"""Level processes: leader and helper (under `he` the key holder) are services over gRPC that charge one operator's ledger.

Sites run in this process, each with its own key, ledger, policy and file of events. Batches are submitted in the order of
their arrival in virtual time. Late batches are submitted after the plan is closed, and must be refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aggregator.errors import RemoteRefusal
from aggregator.services.client import Aggregators
from base.metrics import Meters
from base.ports import free_port
from deployment.coordinator.job_run import aggregators_of, run_job
from deployment.coordinator.site_answer import NO_ANSWER, SiteAnswer
from deployment.errors import CollectionFailed
from deployment.local.processes import Processes
from deployment.local.processes_run import START_SECONDS
from deployment.local.service_processes import second_of, service_command, services_of
from deployment.project.fleet import SITES
from edge_client.answering import answer_plan
from edge_client.policy import Refuse
from edge_client.site_config import load_config
from federation.ledger.operator import LEDGERS
from federation.sharding import Protect, protect
from simulations.measuring import peak_bytes

from .collection import Collected, Collection, Progress
from .real import FleetProject, finish, prepare


def collect_by_processes(collection: Collection, directory: Path, progress: Progress) -> Collected:
    """Collect as `collect` does."""
    prepared = prepare(collection, directory)
    plan, project = prepared.plan, prepared.project
    ports = {name: free_port() for name in services_of(plan)}
    second = ports[second_of(plan.terms)]
    job = replace(prepared.job, leader=f"127.0.0.1:{ports['leader']}", helper=f"127.0.0.1:{second}")
    with Processes(project / "logs") as processes:
        for name in ports:
            processes.start(name, service_command(name, project, job.store / LEDGERS, ports))
        for name, port in ports.items():
            processes.wait_for_port(name, port, START_SECONDS)
        start = time.perf_counter()
        sites = _Sites(prepared, collection, progress)
        with aggregators_of(job) as aggregators:
            run_job(job, aggregators, sites.ask, lambda: collection.now, Meters())
            _require_refused(aggregators, sites.late)
        wall_s = time.perf_counter() - start
        peak = peak_bytes() + sum(peak_bytes(one.pid) for one in processes.marked())
    result: Mapping[str, Any] = json.loads(job.result.read_text(encoding="utf-8"))
    collected = finish(prepared, collection, directory, result, wall_s, peak, progress)
    collected.tally.batches, collected.tally.bytes_sent = sites.batches, sites.bytes_sent
    return collected


class _Sites:
    """The sites of the fleet; they answer one after the other.

    Attributes:
        late: batches that arrive after the deadline.
        batches, bytes_sent: all sealed batches, also lost and late ones.
    """

    def __init__(self, prepared: FleetProject, collection: Collection, progress: Progress) -> None:
        self._prepared, self._deadline_s, self._progress = prepared, collection.terms.deadline_s, progress
        self._lying = collection.lying
        self.late: list[bytes] = []
        self.batches = self.bytes_sent = 0

    def ask(self, signed: bytes, encryption_keys: bytes) -> Iterator[SiteAnswer]:
        """Yield the answers in the order of their arrival, as Flower would."""
        at_s = self._prepared.at_s
        self._progress("sites", 0, len(at_s))
        for number, (site, at) in enumerate(at_s.items(), 1):
            config = load_config(self._prepared.project / SITES / f"{site}.toml")
            result = answer_plan(signed, encryption_keys, config, self._protect_of(site))
            code, batches = (str(result.code), []) if isinstance(result, Refuse) else ("OK", result)
            self.batches += len(batches)
            self.bytes_sent += sum(map(len, batches))
            if site in self._prepared.counting:
                yield SiteAnswer(number, site, code, tuple(batches))
            else:
                self.late += batches if at >= self._deadline_s else []
                yield SiteAnswer(number, site, NO_ANSWER, ())
            self._progress("sites", number, len(at_s))

    def _protect_of(self, site: str) -> Protect:
        return protect if self._lying is None else self._lying.protect_of(site)


def _require_refused(aggregators: Aggregators, late: list[bytes]) -> None:
    """Submit late batches. Raises CollectionFailed: the leader accepted one."""
    for batch in late:
        try:
            aggregators.submit(batch)
        except RemoteRefusal:
            continue
        raise CollectionFailed("the leader accepted a batch after the plan was closed")
