"""Two aggregators for tests: keys, plans, batches of random reports with their plain sums, a clock, and links."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.errors import RemoteRefusal, Unreachable
from aggregator.identity import Settings
from aggregator.intake.preparation import Preparation
from aggregator.intake.refusals import refusal_of
from aggregator.services.client import Aggregators
from aggregator.services.peer_channels import HelperChannel
from aggregator.services.services import Service, serve
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.shares.peers import Peers
from aggregator.storage.files import Files
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Storage
from crypto.ntt_field import FIELD64
from crypto.sharing import SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Rate
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import OpenedView
from federation.batch.batch import Heads, SealedBatch
from federation.batch.reports import Reports
from federation.batch.sealing import seal_batch
from federation.circuit.validity import encode, prove
from federation.draft import sign_draft
from federation.keys import RoleKeys
from federation.ledger.ledger import Ledger
from federation.ledger.state import Budget
from federation.parties import Roster, RosterEntry
from federation.plan import Plan, PlannedView
from federation.sharding import shard
from federation.signed_plan import sign_plan
from tests.federation.wire import (
    COLLECTOR,
    COORDINATOR,
    DAY,
    HELPER,
    LEADER,
    OTHER_SITE,
    SITE,
    TERMS,
    live,
    live_randomness,
)
from tests.federation.words import plan_in_words

KEYS: dict[str, RoleKeys] = {"a": SITE, "b": OTHER_SITE}
NOW = 100 * DAY
DEADLINE = 101 * DAY
RHO = 500_000  # µρ of one view and day


def roster(max_clients: int = 100) -> Roster:
    return Roster([RosterEntry(site, keys.sign.public, max_clients) for site, keys in KEYS.items()])


SETTINGS = Settings(COORDINATOR.sign.public, roster(), budget=Budget(10 * RHO), allow_no_noise=True)


def view(name: str = "v", keys: int = 3, **more: Any) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=range(keys)),
        features=[Count("n"), Rate("r", where="x > 1")],
        pane="1d",
        bounds=Bounds(2, 1),
        privacy=Privacy(rho=0.5, min_clients=2),
        **more,
    )


def make_plan(
    *views: FeatureView,
    panes: int = 2,
    noise: str = "none",
    number: int = 0,
    k: int = 2,
    first: int = 0,
    validity: str = "none",
) -> Plan:
    """A plan with live keys. With proofs, it lacks the hash of its verification key: see `prepared`."""
    planned = (PlannedView(v, np.arange(first, first + panes, dtype=np.int64) * DAY, k) for v in views or (view(),))
    terms = replace(TERMS, deadline_us=DEADLINE)
    return live(plan_in_words(number.to_bytes(16, "big"), tuple(planned), noise, validity=validity, wire=terms))


def draft(plan: Plan) -> bytes:
    return sign_draft(plan, COORDINATOR.sign)


def prepared(plan: Plan, prepare: Callable[[bytes], Preparation | tuple[Preparation, Preparation]]) -> Plan:
    """The plan with the hash of the verification key that leader and helper have agreed on."""
    assert plan.wire is not None
    found = prepare(draft(plan))
    leader = found[0] if isinstance(found, tuple) else found
    return replace(plan, wire=replace(plan.wire, verify_key_hash=leader.verify_key_hash))


def open_at(party: Any, plan: Plan) -> bytes:
    """Prepare and open a plan at one party, or at both through a client."""
    party.prepare(draft(plan))
    plan_hash: bytes = party.open_plan(signed(plan))
    return plan_hash


def signed(plan: Plan) -> bytes:
    return sign_plan(plan, COORDINATOR.sign)


@dataclass
class Site:
    """Seals random reports and remembers their plain sums."""

    plan: Plan
    name: str = "a"
    rng: np.random.Generator = field(init=False)
    sums: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([ord(self.name), *self.plan.plan_id])

    def batch(
        self,
        collections: list[int],
        *,
        counted: bool | Sequence[bool] = True,
        ids: np.ndarray | None = None,
        lying: Collection[int] = (),
        malformed: Collection[int] = (),
        heads: Heads = (None, None),
    ) -> SealedBatch:
        """One batch.

        Args:
            counted: which reports are part of the sums.
            ids: the ids of the reports, uint8[R, 16].
            lying: with proofs, the reports whose first entry is 2^40 when it is proven; they are in no sum.
            malformed: with proofs, the reports whose leader share is no field element; they are in no sum.
            heads: the heads of both aggregators' ledgers that the site remembers.
        """
        index = int(np.searchsorted(self.plan.offsets, collections[0], side="right")) - 1
        length = self.plan.views[index].layout.length
        dense = self.rng.integers(0, 9, (len(collections), length)) * (
            self.rng.random((len(collections), length)) < 0.5
        )
        if self.plan.terms.validity == "prio3":
            dense = np.array([self._honest() for _ in collections])
        which = [counted] * len(collections) if isinstance(counted, bool) else list(counted)
        which = [one and at not in (*lying, *malformed) for at, one in enumerate(which)]
        for collection, row, in_sums in zip(collections, dense, which, strict=True):
            if in_sums:
                self.sums[collection] = self.sums.get(collection, 0) + row
        indptr = np.concatenate(([0], np.cumsum((dense != 0).sum(axis=1)))).astype(np.int64)
        slots = SparseRows(indptr, np.nonzero(dense)[1].astype(np.int32), dense[dense != 0].astype(np.int64), length)
        reports = Reports(index, np.array(collections, np.uint32), slots)
        if ids is None:
            ids = self.rng.integers(0, 256, (len(collections), 16), dtype=np.uint8)
        if self.plan.terms.validity == "none":
            halves: Any = shard(self.plan, reports, self.rng.bytes, report_ids=ids)
        else:
            measurements = encode(self.plan.views[index].layout, slots)
            measurements[list(lying), 0] = 2**40
            halves = prove(self.plan, index, reports.collection, measurements, ids, self.rng.bytes)
            halves[0].input_shares.meas_share[list(malformed), 0] = FIELD64.modulus
        leader, helper = halves
        return seal_batch(self.plan, self.name, self.rng.bytes(16), leader, helper, KEYS[self.name].sign, heads)

    def _honest(self) -> np.ndarray:
        """Slots that a client of `view` can have: for at most two keys, an event that is true, false or null."""
        dense = np.zeros((3, 3), np.int64)
        for key in self.rng.permutation(3)[: self.rng.integers(0, 3)]:
            dense[key] = [(1, 1, 0), (1, 0, 1), (1, 0, 0)][self.rng.integers(0, 3)]
        return dense.reshape(-1)


def add_sums(*sites: Site) -> dict[int, np.ndarray]:
    total: dict[int, np.ndarray] = {}
    for collection, row in itertools.chain.from_iterable(site.sums.items() for site in sites):
        total[collection] = total.get(collection, 0) + row
    return total


def require_exact(plan: Plan, opened: tuple[OpenedView, ...], sums: dict[int, np.ndarray]) -> None:
    """Check that every opened pane equals the mapped plain sum, and that at least one pane is open."""
    found = 0
    for index, result in enumerate(opened):
        layout = result.planned.layout
        rows = iter(result.sums)
        for pane, outcome in enumerate(result.outcomes.tolist()):
            if outcome == 0:
                plain = sums[plan.offsets[index] + pane].reshape(layout.keys, layout.slots_per_key)
                np.testing.assert_array_equal(next(rows), plain @ layout.basis.T)
                found += 1
    assert found


@dataclass
class Clock:
    now: int = NOW

    def __call__(self) -> int:
        return self.now


class LocalLink:
    """The helper without a network. Errors cross it as they do on the wire. `down` makes the helper unreachable."""

    role = "helper"

    def __init__(self, helper: Helper) -> None:
        self.helper, self.down, self.calls = helper, False, 0

    def open_plan(self, data: bytes) -> None:
        self._call(self.helper.open_plan, data)

    def aggregate(self, data: bytes) -> bytes:
        return self._call(self.helper.aggregate, data)

    def prepare(self, data: bytes) -> Preparation:
        return self._call(self.helper.prepare, data)

    def take_key(self, data: bytes) -> bytes:
        return self._call(self.helper.take_key, data)

    def commit(self, data: bytes) -> bytes:
        return self._call(self.helper.commit, data)

    def witness(self, data: bytes) -> bytes:
        return self._call(self.helper.witness, data)

    def free(self, data: bytes) -> list[bytes]:
        return self._call(self.helper.free, data)

    def digest(self, data: bytes) -> bytes:
        return self._call(self.helper.digest, data)

    def swap(self, plan_hash: bytes, shares: bytes) -> list[bytes]:
        return [self._call(lambda data: self.helper.swap(plan_hash, [data]), shares)]

    def finish(self, data: bytes) -> bytes:
        return self._call(self.helper.finish, data)

    def _call(self, call: Any, data: bytes) -> Any:
        self.calls += 1
        if self.down:
            raise Unreachable(self.role, "local")
        try:
            return call(data)
        except Exception as error:  # noqa: BLE001
            refusal = refusal_of(error)
            raise RemoteRefusal(self.role, refusal.reason, refusal.text, refusal.numbers, refusal.view) from None


def make_helper(
    path: Path,
    settings: Settings = SETTINGS,
    clock: Clock | None = None,
    storage: Any = Storage,
    ledger: Any = Ledger,
    live: Any = LiveFolder,
) -> Helper:
    clock = clock or Clock()
    settings = replace(settings, peer=settings.peer or LEADER.sign.public)
    files = files_of(path, "helper", clock, storage, ledger, live)
    return Helper(HELPER, settings, files, clock)


def make_leader(
    path: Path,
    link: Any,
    settings: Settings = SETTINGS,
    clock: Clock | None = None,
    storage: Any = Storage,
    ledger: Any = Ledger,
    live: Any = LiveFolder,
    key_holder: Any = None,
    provider: Any = None,
) -> Leader:
    clock = clock or Clock()
    settings = replace(settings, peer=settings.peer or HELPER.sign.public)
    files = files_of(path, "leader", clock, storage, ledger, live)
    return Leader(LEADER, settings, files, clock, Peers(link, key_holder, provider))


def files_of(path: Path, role: str, clock: Clock, storage: Any, ledger: Any, live: Any) -> Files:
    made = storage(path / f"{role}.db", role)
    folder = live(path / f"{role}.live", live_randomness(role))
    try:
        return Files(made, ledger(path / f"{role}.ledger.db", role, clock), folder)
    except BaseException:
        made.close()
        raise


@dataclass
class World:
    """Both services on free loopback ports, and a client. Each service can stop and start again on the same file and port."""

    path: Path
    leader_settings: Settings = SETTINGS
    helper_settings: Settings = SETTINGS
    clock: Clock = field(default_factory=Clock)
    patience_s: float = 0.0
    helper: Service = field(init=False)
    leader: Service = field(init=False)
    link: HelperChannel = field(init=False)
    client: Aggregators = field(init=False)

    def start_helper(self, port: int = 0) -> None:
        self.helper = serve(make_helper(self.path, self.helper_settings, self.clock), "127.0.0.1", port)

    def start_leader(self, port: int = 0) -> None:
        self.link = HelperChannel(self.helper.address)
        self.leader = serve(make_leader(self.path, self.link, self.leader_settings, self.clock), "127.0.0.1", port)

    def restart_helper(self) -> None:
        self.start_helper(int(self.helper.address.rpartition(":")[2]))

    def collect(self, plan: Plan) -> tuple[OpenedView, ...]:
        return self.client.collect(plan, COLLECTOR).open(plan)


@contextmanager
def running(path: Path, **settings: Any) -> Iterator[World]:
    world = World(path, **settings)
    world.start_helper()
    world.start_leader()
    world.client = Aggregators(world.leader.address, world.helper.address, patience_s=world.patience_s)
    try:
        yield world
    finally:
        world.client.close()
        world.leader.stop(0)
        world.link.close()
        world.helper.stop(0)
