"""Measure the costs of `costs.py` with the real site, leader and helper, and with storage on disk.

Batches of one report and of many reports give a cost a batch and a cost a report.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.aggregation import Aggregation
from federation.batch.batch import BATCH_ID_BYTES, SealedBatch
from federation.batch.reports import HelperHalf, LeaderHalf, ProvenHalf
from federation.batch.sealing import max_reports, open_content, open_half, seal_batch
from federation.plan import AGGREGATORS
from federation.protocol import verify
from federation.sharding import protect
from federation.terms import Noise, Validity
from simulations.measuring import PROCESS, Watch

from .closing import Effort, measure_closing
from .costs import Costs, Linear, ReportCosts
from .pair import SITE, Pair, reports_of, view_of

USUAL: Final = Effort()
Progress = Callable[[str, int, int], None]


def measure(
    slots: Sequence[int],
    validities: Sequence[Validity],
    folder: Path,
    effort: Effort = USUAL,
    progress: Progress = lambda *_: None,
) -> Costs:
    """Measure all costs; `folder` is empty and on the disk of the storage."""
    reports: dict[tuple[int, Validity], ReportCosts] = {}
    kinds = [(length, validity) for validity in validities for length in slots]
    for done, (length, validity) in enumerate(kinds):
        progress("reports", done, len(kinds))
        where = folder / f"{validity}-{length}"
        where.mkdir()
        reports[length, validity] = _reports(length, validity, where, effort)
    progress("reports", len(kinds), len(kinds))
    progress("closing", 0, 1)
    (folder / "closing").mkdir()
    closing = measure_closing(folder / "closing", effort)
    progress("closing", 1, 1)
    return Costs(reports, closing)


@dataclass
class _Batch:
    """One batch of a measurement: CPU seconds by step, disk waits, bytes."""

    cpu: dict[str, float]
    waits: dict[str, float]
    upload: int
    to_helper: int


def _reports(slots: int, validity: Validity, folder: Path, effort: Effort) -> ReportCosts:
    pair = Pair(folder, view_of(slots), validity, Noise.NONE)
    try:
        largest = max_reports(pair.plan, 0)
        sizes = sorted({1, min(effort.batch, largest)})
        few, many = (_median([_batch(pair, size) for _ in range(effort.turns + 1)][1:]) for size in (1, sizes[-1]))
        line = {
            name: Linear.through((1, few.cpu[name]), (sizes[-1], many.cpu[name]))
            for name in ("site", "leader", "helper")
        }
        steps = {(name, size): s for size, one in ((1, few), (sizes[-1], many)) for name, s in one.cpu.items()}
        return ReportCosts(
            slots,
            validity,
            largest,
            line["site"],
            line["leader"],
            line["helper"],
            Linear.through((1, few.waits["leader"]), (sizes[-1], many.waits["leader"])),
            Linear.through((1, few.waits["helper"]), (sizes[-1], many.waits["helper"])),
            Linear.through((1, few.upload), (sizes[-1], many.upload)),
            Linear.through((1, few.to_helper), (sizes[-1], many.to_helper)),
            steps,
        )
    finally:
        pair.close()


def _batch(pair: Pair, size: int) -> _Batch:
    """Measure one batch from a site's vectors into both sums, and its steps one by one for the breakdown."""
    plan, clocks = pair.plan, Watch(PROCESS)
    reports = reports_of(plan.views[0].view, size)
    with clocks.step("share"):
        to_leader, to_helper = protect(plan, reports, os.urandom)
    with clocks.step("seal, sign"):
        sealed = seal_batch(plan, SITE, os.urandom(BATCH_ID_BYTES), to_leader, to_helper, pair.site)
    sent = sealed.to_bytes()
    _pieces(pair, sent, clocks)
    before = {role: (one.waited_s, one.in_transactions_s) for role, one in pair.storage.items()}
    helper_s, bytes_before = pair.link.clocks.seconds["helper"], pair.link.bytes
    with clocks.step("leader"):
        pair.leader.submit(sent)
    helper_s = pair.link.clocks.seconds["helper"] - helper_s
    cpu = dict(clocks.seconds)
    cpu["site"] = cpu["share"] + cpu["seal, sign"]
    cpu["leader"], cpu["helper"] = cpu["leader"] - helper_s, helper_s
    for role, one in pair.storage.items():
        cpu[f"SQLite, {role}"] = one.in_transactions_s - before[role][1]
    waits = {role: one.waited_s - before[role][0] for role, one in pair.storage.items()}
    return _Batch(cpu, waits, len(sent), pair.link.bytes - bytes_before)


def _pieces(pair: Pair, sent: bytes, clocks: Watch) -> None:
    """Measure the steps of the services with a batch, one after the other."""
    plan, batch = pair.plan, SealedBatch.from_bytes(sent)
    with clocks.step("verify signature"):
        batch.signed.verify(pair.site.public)
    for role in AGGREGATORS:
        with clocks.step(f"HPKE open, {role}"):
            open_content(role, pair.seal_keys[role], batch.half(role))
    leader = open_half("leader", plan, pair.seal_keys["leader"], pair.roster, batch.half("leader"))
    helper = open_half("helper", plan, pair.seal_keys["helper"], pair.roster, batch.half("helper"))
    states = Aggregation.start("leader", plan), Aggregation.start("helper", plan)
    key = pair.verification_key
    if isinstance(leader, ProvenHalf) and isinstance(helper, ProvenHalf) and key is not None:
        with clocks.step("verify proof, both"):
            verified = verify(plan, key, leader, helper)
        with clocks.step("add, leader"):
            states[0].add(verified.leader)
        with clocks.step("add, helper"):
            states[1].add(verified.helper)
    elif isinstance(leader, LeaderHalf) and isinstance(helper, HelperHalf):
        with clocks.step("add, leader"):
            states[0].add(leader)
        with clocks.step("add, helper"):
            states[1].add(helper)


def _median(batches: Sequence[_Batch]) -> _Batch:
    first = batches[0]
    cpu = {name: statistics.median(one.cpu[name] for one in batches) for name in first.cpu}
    waits = {name: statistics.median(one.waits[name] for one in batches) for name in first.waits}
    return _Batch(cpu, waits, first.upload, first.to_helper)
