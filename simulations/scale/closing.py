"""Measure the costs after the last report: commitments, noise, merging, opening; and calls over gRPC."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.collect.collection_job import collect_request
from aggregator.services.client import Aggregators
from aggregator.services.services import serve
from aggregator.storage.role_storage import Storage
from crypto import field as field64
from crypto.noise import NOISE_KEY_BYTES, SecretNoise
from crypto.sharing import Accumulator
from crypto.signing import SIGNING_SEED_BYTES, SigningKey
from featurestore.define.layout import layout_of
from federation.aggregation import draw_noise
from federation.basis import to_noise_basis
from federation.batch.batch import BATCH_ID_BYTES
from federation.batch.sealing import seal_batch
from federation.commitment import ReceivedReports, commit
from federation.noise_context import NoiseContext
from federation.parties import Roster, RosterEntry
from federation.plan import PLAN_ID_BYTES, Plan, PlannedView, new_plan
from federation.sharding import protect
from federation.terms import Noise, Shares, Validity
from simulations.measuring import PROCESS, medians

from .costs import ClosingCosts, Linear
from .pair import SITE, Pair, reports_of, view_of


@dataclass(frozen=True)
class Effort:
    """The size of a measurement; larger values take longer and are more precise.

    Attributes:
        turns: turns of each timed piece; the median counts, and one more turn precedes them.
        ids: report ids in the closing, and in the storage before an insert.
        noise: number of noise samples.
        slots: slots of the merged and opened sums.
        batch: reports of a large batch, if so many fit.
    """

    turns: int = 7
    ids: int = 2**20
    noise: int = 4_000
    slots: int = 100_000
    batch: int = 500


def measure_closing(folder: Path, effort: Effort) -> ClosingCosts:
    """Measure the costs of closing; `folder` is empty."""
    rpc_s, rpc_byte_s = _rpc(folder, effort)
    pair = Pair(folder, view_of(4), Validity.NONE, Noise.NONE)
    try:
        ids = np.random.default_rng(3).integers(0, 256, (effort.ids, 16), dtype=np.uint8)
        commit_s, id_bytes = _commitment(pair.plan, ids)
        number = _number(pair)
        before = pair.storage["helper"].path.stat().st_size
        for storage in pair.storage.values():
            with storage.transaction():
                storage.reports.add_reports(number, np.zeros(len(ids), np.uint32), ids)
            storage.empty_log()
        stored = (pair.storage["helper"].path.stat().st_size - before) / len(ids)
        insert = _insert(pair.storage["helper"], number, effort)
        start = time.process_time()
        pair.leader.collect(collect_request(pair.plan, pair.keys["collector"].sign))
        service_close_s = (time.process_time() - start) / (2 * len(ids))
    finally:
        pair.close()
    noise_s = _noise(effort)
    merge_s, open_s = _slots(effort)
    return ClosingCosts(
        merge_s,
        commit_s,
        noise_s,
        open_s,
        service_close_s,
        id_bytes,
        stored,
        _roster_bytes(),
        rpc_s,
        rpc_byte_s,
        insert,
        len(ids),
    )


def _number(pair: Pair) -> int:
    """Return the number of the plan in the helper's storage. The leader has the same, because each has one plan."""
    stored = pair.storage["helper"].plan(pair.plan.hash)
    return 0 if stored is None else stored.number


def _commitment(plan: Plan, ids: Any) -> tuple[float, float]:
    """Measure seconds and bytes an id of `federation.commitment.commit`."""
    received = (ReceivedReports(np.zeros(len(ids), np.uint32), ids, None),)
    seconds = _cpu_s(lambda: commit(plan, received), 3)
    tracemalloc.start()
    try:
        commit(plan, received)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = ids.nbytes + received[0].collection.nbytes
    return seconds / len(ids), (peak + held) / len(ids)


def _insert(storage: Storage, number: int, effort: Effort) -> float:
    """Measure seconds a report id in the transaction of a large batch, with the stored ids there."""
    rng, collection = np.random.default_rng(4), np.zeros(effort.batch, np.uint32)

    def take() -> None:
        with storage.transaction():
            storage.reports.add_reports(number, collection, rng.integers(0, 256, (effort.batch, 16), dtype=np.uint8))

    return _cpu_s(take, effort.turns) / effort.batch


def _noise(effort: Effort) -> float:
    view = view_of(effort.noise)
    layout, plan = (
        layout_of(view),
        new_plan(
            [PlannedView(view, np.zeros(1, np.int64), 2)], Shares(), Noise.FULL, plan_id=bytes(PLAN_ID_BYTES), sites=()
        ),
    )
    context = NoiseContext.of_decrypted(plan, 0, b"", b"", np.zeros(layout.length, np.int64))
    return _cpu_s(lambda: draw_noise(layout, 1, SecretNoise(bytes(NOISE_KEY_BYTES)), context), 3) / effort.noise


def _slots(effort: Effort) -> tuple[float, float]:
    """Measure seconds a slot of merging, and of basis and opening."""
    slots, rng = effort.slots, np.random.default_rng(5)
    layout = layout_of(view_of(slots))
    mine, its = (rng.integers(0, field64.HALF, (1, slots), dtype=np.uint64) for _ in range(2))
    total = Accumulator.from_values(mine)

    def open_sums() -> None:
        both = field64.add(to_noise_basis(layout, mine), to_noise_basis(layout, its))
        field64.decode_centred(both)

    return _cpu_s(lambda: total.merge(its), effort.turns) / slots, _cpu_s(open_sums, effort.turns) / slots


def _roster_bytes() -> float:
    """Measure the memory of a site in a roster."""
    tracemalloc.start()
    try:
        roster = Roster(
            RosterEntry(f"site-{at}", SigningKey(os.urandom(SIGNING_SEED_BYTES)).public, 1) for at in range(2_000)
        )
        return tracemalloc.get_traced_memory()[0] / len(roster.entries)
    finally:
        tracemalloc.stop()


def _rpc(folder: Path, effort: Effort) -> tuple[float, float]:
    """Measure CPU seconds of a gRPC call and of each byte in it, both ends together, with answered batches."""
    (folder / "rpc").mkdir()
    pair = Pair(folder / "rpc", view_of(1_000), Validity.NONE, Noise.NONE)
    try:
        service = serve(pair.leader, "127.0.0.1", 0)
        try:
            with Aggregators(service.address, service.address) as client:
                small, large = (_call(pair, client, size, effort.turns) for size in (1, effort.batch))
        finally:
            service.stop(0)
    finally:
        pair.close()
    cost = Linear.through(small, large)
    return cost.batch, cost.report


def _call(pair: Pair, client: Aggregators, size: int, turns: int) -> tuple[int, float]:
    """Return (bytes, CPU seconds that gRPC adds) of a batch that was answered before."""
    leader, helper = protect(pair.plan, reports_of(pair.plan.views[0].view, size), os.urandom)
    sent = seal_batch(pair.plan, SITE, os.urandom(BATCH_ID_BYTES), leader, helper, pair.site).to_bytes()
    pair.leader.submit(sent)
    repeats = range(20)
    by_wire = _cpu_s(lambda: [client.submit(sent) for _ in repeats], turns)
    by_hand = _cpu_s(lambda: [pair.leader.submit(sent) for _ in repeats], turns)
    return len(sent), max(0.0, by_wire - by_hand) / len(repeats)


def _cpu_s(work: Callable[[], object], turns: int) -> float:
    """Measure CPU seconds of the process."""
    return medians(work, clock=PROCESS, turns=turns)[0]
