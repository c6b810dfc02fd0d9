"""The costs of `costs.py`, measured: the real site, leader and helper in one process, with storage on the disk.

The leader calls the helper by a function, so that the CPU time of each can be told apart; gRPC is measured by itself. Batches
of one report and of many give a cost a batch and a cost a report.
"""

from __future__ import annotations

import os
import statistics
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from aggregator.client import Aggregators
from aggregator.helper import Helper
from aggregator.key_agreement import prepare_request
from aggregator.leader import Leader
from aggregator.messages import collect_request
from aggregator.opendp_noise import OpenDPNoise
from aggregator.party import Settings
from aggregator.services import serve
from aggregator.storage import Storage
from crypto import field as field64
from crypto.sharing import Accumulator, SparseRows
from crypto.signing import SIGNING_SEED_BYTES, SigningKey
from featurestore.definitions import Bounds, FeatureView, Privacy
from featurestore.entities import Entity
from featurestore.features import Count
from featurestore.layout import layout_of
from featurestore.times import DAY_US
from federation.basis import to_noise_basis
from federation.batch import BATCH_ID_BYTES, SealedBatch, max_reports, open_content, open_half, seal_batch
from federation.keys import RoleKeys
from federation.ledger import Ledger
from federation.ledger_state import Budget
from federation.parties import MAX_CLIENTS, Roster, RosterEntry
from federation.plan import PLAN_ID_BYTES, Noise, Plan, PlannedView, Validity, WireTerms
from federation.protocol import Aggregating, commit, draw_noise, protect, verify
from federation.reports import HelperHalf, LeaderHalf, ProvenHalf, Reports
from federation.signed_plan import sign_plan
from federation.validity import VerificationKey

from .costs import ClosingCosts, Costs, Linear, ReportCosts

BITS: Final = 16
"""Of a count: proofs cost by the bit."""
FILLED: Final = 3
"""Slots of a report that are not 0; nothing depends on which."""
NOW: Final = 100 * DAY_US
SITE: Final = "site-0"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Effort:
    """How long a measurement takes, and so how good it is.

    Attributes:
        turns: of each timed piece, the median of which counts; one more goes before them.
        ids: report ids of the closing, and of the storage that is not empty.
        noise: samples of noise.
        slots: of the sums that are merged and opened.
        batch: reports of a large batch, where so many fit.
    """

    turns: int = 7
    ids: int = 2**20
    noise: int = 4_000
    slots: int = 100_000
    batch: int = 500


def measure(
    slots: Sequence[int],
    validities: Sequence[Validity],
    folder: Path,
    effort: Effort = Effort(),
    progress: Progress = lambda *_: None,
) -> Costs:
    """Measure everything; `folder` is empty and on the disk that storage would be on."""
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
    closing = _closing(folder / "closing", effort)
    progress("closing", 1, 1)
    return Costs(reports, closing)


def view_of(slots: int, bits: int = BITS) -> FeatureView:
    """A count at each of `slots` join keys."""
    return FeatureView(
        f"counts_{slots}",
        entity=Entity("key", domain=range(slots)),
        features=[Count("events")],
        pane="1d",
        bounds=Bounds(FILLED, 2**bits - 1),
        privacy=Privacy(rho=0.1, min_clients=2),
    )


def reports_of(view: FeatureView, count: int, seed: int = 7) -> Reports:
    """One report of each of some clients, at random keys."""
    rng, keys = np.random.default_rng(seed), len(view.entity.domain)
    filled = min(FILLED, keys)
    columns = np.concatenate([np.sort(rng.choice(keys, filled, replace=False)) for _ in range(count)])
    values = rng.integers(1, view.bounds.max_events_per_cell, len(columns), endpoint=True)
    starts = np.arange(count + 1, dtype=np.int64) * filled
    return Reports(0, np.zeros(count, np.uint32), SparseRows(starts, columns.astype(np.int32), values, keys))


# reports


@dataclass
class _Clocks:
    """CPU seconds by what was done, and what commits waited for the disk."""

    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.process_time()
        try:
            yield
        finally:
            self.cpu[name] += time.process_time() - start


class _TimedStorage(Storage):
    """Storage whose commits tell how long they waited for the disk: wall time less CPU time."""

    waited_s = 0.0
    in_transactions_s = 0.0

    def run(self, sql: str, *values: Any) -> int:
        if sql == "BEGIN IMMEDIATE":
            self._began = time.process_time()
        if sql != "COMMIT":
            return super().run(sql, *values)
        wall, cpu = time.perf_counter(), time.process_time()
        done = super().run(sql, *values)
        ended = time.process_time()
        self.waited_s += max(0.0, time.perf_counter() - wall - (ended - cpu))
        self.in_transactions_s += ended - self._began
        return done


class Link:
    """The helper by a function call, timed."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper
        self.clocks, self.bytes = _Clocks(), 0
        self.take_key, self.commit = helper.take_key, helper.commit
        self.witness, self.finish = helper.witness, helper.finish

    def open_plan(self, signed: bytes) -> None:
        """Pass a signed plan on."""
        self._helper.open_plan(signed)

    def aggregate(self, job: bytes) -> bytes:
        """The helper's answer."""
        with self.clocks.step("helper"):
            answer = self._helper.aggregate(job)
        self.bytes += len(job) + len(answer)
        return answer


class Pair:
    """A leader and a helper with storage in a folder, a site on their rosters, and a plan that they have opened."""

    def __init__(self, folder: Path, view: FeatureView, validity: Validity, noise: Noise) -> None:
        made = {role: RoleKeys.generate(role, os.urandom) for role in ("coordinator", "collector", "leader", "helper")}
        self.keys, self.site = made, RoleKeys.generate(SITE, os.urandom).sign
        self.roster = Roster([RosterEntry(SITE, self.site.public, MAX_CLIENTS)])
        settings = Settings(made["coordinator"].sign.public, self.roster, Budget(10**9), allow_no_noise=True)
        self._stack = ExitStack()
        self.storage = {role: _TimedStorage(folder / f"{role}.db", role) for role in ("leader", "helper")}
        files = {
            role: (self.storage[role], Ledger(folder / f"{role}.ledger.db", role, lambda: NOW))
            for role in ("leader", "helper")
        }
        for storage, ledger in files.values():
            self._stack.callback(storage.close)
            self._stack.callback(ledger.close)
        to_helper = replace(settings, peer=made["leader"].public)
        to_leader = replace(settings, peer=made["helper"].public)
        self.helper = Helper(made["helper"], to_helper, *files["helper"], lambda: NOW, OpenDPNoise())
        self.link = Link(self.helper)
        self.leader = Leader(made["leader"], to_leader, *files["leader"], lambda: NOW, OpenDPNoise(), self.link)
        plan_id = os.urandom(PLAN_ID_BYTES)
        wire = WireTerms(made["leader"].public, made["helper"].public, made["collector"].public, NOW + DAY_US)
        if validity == "prio3":
            key_hash = self.leader.prepare_key(prepare_request(plan_id, made["coordinator"].sign))
            wire = replace(wire, verify_key_hash=key_hash)
        planned = PlannedView(view, np.zeros(1, np.int64), view.privacy.min_clients)
        self.plan = Plan(plan_id, (planned,), noise, validity=validity, wire=wire)
        signed = sign_plan(self.plan, made["coordinator"].sign)
        self.helper.open_plan(signed)
        self.leader.open_plan(signed)

    @property
    def verification_key(self) -> VerificationKey | None:
        """The aggregators' own; None without proofs."""
        return self.storage["leader"].key(self.plan.plan_id)

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


@dataclass
class _Batch:
    """One batch of a measurement: CPU seconds by step, disk waits, bytes."""

    cpu: dict[str, float]
    waits: dict[str, float]
    upload: int
    to_helper: int


def _reports(slots: int, validity: Validity, folder: Path, effort: Effort) -> ReportCosts:
    pair = Pair(folder, view_of(slots), validity, "none")
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
    """One batch from a site's vectors into both sums; its pieces once more by themselves, for the breakdown."""
    plan, clocks = pair.plan, _Clocks()
    reports = reports_of(plan.views[0].view, size)
    with clocks.step("share"):
        to_leader, to_helper = protect(plan, reports, os.urandom)
    with clocks.step("seal, sign"):
        sealed = seal_batch(plan, SITE, os.urandom(BATCH_ID_BYTES), to_leader, to_helper, pair.site)
    sent = sealed.to_bytes()
    _pieces(pair, sent, clocks)
    before = {role: (one.waited_s, one.in_transactions_s) for role, one in pair.storage.items()}
    helper_s, bytes_before = pair.link.clocks.cpu["helper"], pair.link.bytes
    with clocks.step("leader"):
        pair.leader.submit(sent)
    helper_s = pair.link.clocks.cpu["helper"] - helper_s
    cpu = dict(clocks.cpu)
    cpu["site"] = cpu["share"] + cpu["seal, sign"]
    cpu["leader"], cpu["helper"] = cpu["leader"] - helper_s, helper_s
    for role, one in pair.storage.items():
        cpu[f"SQLite, {role}"] = one.in_transactions_s - before[role][1]
    waits = {role: one.waited_s - before[role][0] for role, one in pair.storage.items()}
    return _Batch(cpu, waits, len(sent), pair.link.bytes - bytes_before)


def _pieces(pair: Pair, sent: bytes, clocks: _Clocks) -> None:
    """What the services are about to do with a batch, one piece after the other."""
    plan, batch = pair.plan, SealedBatch.from_bytes(sent)
    with clocks.step("verify signature"):
        batch.signed.verify(pair.site.public)
    for role in ("leader", "helper"):
        with clocks.step(f"HPKE open, {role}"):
            open_content(role, pair.keys[role].seal, batch.half(role))
    leader = open_half("leader", plan, pair.keys["leader"].seal, pair.roster, batch.half("leader"))
    helper = open_half("helper", plan, pair.keys["helper"].seal, pair.roster, batch.half("helper"))
    states = Aggregating.start("leader", plan), Aggregating.start("helper", plan)
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


# closing


def _closing(folder: Path, effort: Effort) -> ClosingCosts:
    rpc_s, rpc_byte_s = _rpc(folder, effort)
    pair = Pair(folder, view_of(4), "none", "none")
    try:
        ids = np.random.default_rng(3).integers(0, 256, (effort.ids, 16), dtype=np.uint8)
        commit_s, sort_s, id_bytes = _commitment(pair.plan, ids)
        number = _number(pair)
        before = pair.storage["helper"].path.stat().st_size
        for storage in pair.storage.values():
            with storage.transaction():
                storage.add_reports(number, np.zeros(len(ids), np.uint32), ids)
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
        sort_s,
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
    """The plan's number in the helper's storage; it is the leader's too, as each has one plan."""
    stored = pair.storage["helper"].plan(pair.plan.hash)
    return 0 if stored is None else stored.number


def _commitment(plan: Plan, ids: Any) -> tuple[float, float, float]:
    """Seconds an id besides sorting, seconds a comparison, and bytes an id, of `federation.protocol.commit`."""
    taken = ((np.zeros(len(ids), np.uint32), ids, None),)
    words = ids.view(">u8")
    sort, whole = _cpu(lambda: np.lexsort((words[:, 1], words[:, 0])), 3), _cpu(lambda: commit(plan, taken), 3)
    tracemalloc.start()
    try:
        commit(plan, taken)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = ids.nbytes + taken[0][0].nbytes
    comparisons = len(ids) * np.log2(len(ids))
    return max(0.0, whole - sort) / len(ids), sort / float(comparisons), (peak + held) / len(ids)


def _insert(storage: Storage, number: int, effort: Effort) -> float:
    """Seconds of a report id in the transaction of a large batch, among those that are there."""
    rng, collection = np.random.default_rng(4), np.zeros(effort.batch, np.uint32)

    def take() -> None:
        with storage.transaction():
            storage.add_reports(number, collection, rng.integers(0, 256, (effort.batch, 16), dtype=np.uint8))

    return _cpu(take, effort.turns) / effort.batch


def _noise(effort: Effort) -> float:
    layout = layout_of(view_of(effort.noise))
    return _cpu(lambda: draw_noise(layout, 1, OpenDPNoise()), 3) / effort.noise


def _slots(effort: Effort) -> tuple[float, float]:
    """Seconds a slot of a merge, and of basis and opening."""
    slots, rng = effort.slots, np.random.default_rng(5)
    layout = layout_of(view_of(slots))
    mine, its = (rng.integers(0, field64.HALF, (1, slots), dtype=np.uint64) for _ in range(2))
    total = Accumulator.from_values(mine)

    def open_sums() -> None:
        both = field64.add(to_noise_basis(layout, mine), to_noise_basis(layout, its))
        field64.decode_centred(both)

    return _cpu(lambda: total.merge(its), effort.turns) / slots, _cpu(open_sums, effort.turns) / slots


def _roster_bytes() -> float:
    """Memory of a site in a roster."""
    tracemalloc.start()
    try:
        roster = Roster(
            RosterEntry(f"site-{at}", SigningKey(os.urandom(SIGNING_SEED_BYTES)).public, 1) for at in range(2_000)
        )
        return tracemalloc.get_traced_memory()[0] / len(roster.entries)
    finally:
        tracemalloc.stop()


def _rpc(folder: Path, effort: Effort) -> tuple[float, float]:
    """CPU seconds of a gRPC call and of each byte in it, both ends together: the same answered batches, with and without."""
    (folder / "rpc").mkdir()
    pair = Pair(folder / "rpc", view_of(1_000), "none", "none")
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
    """(bytes, CPU seconds that gRPC adds) of a batch that is answered already."""
    leader, helper = protect(pair.plan, reports_of(pair.plan.views[0].view, size), os.urandom)
    sent = seal_batch(pair.plan, SITE, os.urandom(BATCH_ID_BYTES), leader, helper, pair.site).to_bytes()
    pair.leader.submit(sent)
    repeats = range(20)
    by_wire = _cpu(lambda: [client.submit(sent) for _ in repeats], turns)
    by_hand = _cpu(lambda: [pair.leader.submit(sent) for _ in repeats], turns)
    return len(sent), max(0.0, by_wire - by_hand) / len(repeats)


def _cpu(work: Callable[[], object], turns: int) -> float:
    """CPU seconds of the process: the median of some turns, after one that does not count."""
    taken = []
    for _ in range(turns + 1):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken[1:])
