"""Leader and key holder for tests: plans with encrypted reports, sites that encrypt random reports, links, and attacks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request
from aggregator.he.key_holder import KeyHolder
from aggregator.intake.preparation import Preparation
from aggregator.services import aggregator_pb2 as pb
from aggregator.services.client import Aggregators
from aggregator.services.peer_channels import HelperChannel, KeyHolderChannel
from aggregator.services.services import Service, serve
from aggregator.shares.leader import Leader
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Storage
from crypto.bfv import PublicKey
from crypto.signing import SigningKey
from federation.aggregation import OpenedView
from federation.batch.batch import SealedBatch
from federation.batch.he_batch import seal_encrypted
from federation.commitment import Commitment, Outcome
from federation.he.keys import keys_hash, verify_keys
from federation.he.reports import EncryptedReports, encrypt_reports
from federation.ledger.ledger import Ledger
from federation.plan import Plan, PlannedView
from federation.statement import statement_of
from federation.terms import Protection
from tests.aggregator.world import DEADLINE, KEYS, SETTINGS, Clock, LocalLink, files_of, make_leader, signed
from tests.aggregator.world import draft as signed_draft
from tests.crypto.bfv_cases import chosen
from tests.federation.he_cases import reports_of, vectors, view
from tests.federation.wire import COLLECTOR, DAY, HELPER, LEADER, live
from tests.federation.wire import TERMS as WIRE
from tests.federation.words import plan_in_words

TERMS = replace(WIRE, deadline_us=DEADLINE)
NOBODY = "127.0.0.1:1"  # the helper's address in deployments without a helper


class Killed(BaseException):
    """The process is gone."""


def draft(
    *views: Any,
    panes: int = 2,
    noise: str = "none",
    number: int = 0,
    k: int = 2,
    first: int = 0,
    max_clients: int = 20,
) -> Plan:
    """A plan with encrypted reports that has no encryption keys yet."""
    starts = np.arange(first, first + panes, dtype=np.int64) * DAY
    planned = tuple(PlannedView(one, starts, k) for one in views or (view(keys=2),))
    return live(
        plan_in_words(number.to_bytes(16, "big"), planned, noise, protection="he", max_clients=max_clients, wire=TERMS)
    )


def with_keys(
    plan: Plan, prepare: Callable[[bytes], Preparation | tuple[Preparation, Preparation]]
) -> tuple[Plan, bytes]:
    """The plan with the hash of its encryption keys, and these keys, which the key holder makes."""
    assert plan.wire is not None
    found = prepare(signed_draft(plan))
    keys = (found[1] if isinstance(found, tuple) else found).encryption_keys
    return replace(plan, wire=replace(plan.wire, encryption_keys_hash=keys_hash(keys))), keys


@dataclass
class Site:
    """Encrypts random reports and remembers their plain sums."""

    plan: Plan
    keys: bytes = field(repr=False)
    name: str = "a"
    rng: np.random.Generator = field(init=False)
    sums: dict[int, np.ndarray] = field(default_factory=dict)
    public: tuple[PublicKey, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([ord(self.name), *self.plan.plan_id])
        self.public = verify_keys(self.keys, self.plan)

    def reports(
        self,
        collections: Sequence[int],
        *,
        counted: bool | Sequence[bool] = True,
        ids: np.ndarray | None = None,
        instead: Mapping[int, bytes] | None = None,
    ) -> EncryptedReports:
        """Encrypted reports. `instead` holds messages that replace honest ones. Other arguments as in `world.Site.batch`."""
        index = int(np.searchsorted(self.plan.offsets, collections[0], side="right")) - 1
        layout = self.plan.views[index].layout
        dense = vectors(layout.keys, len(collections), self.rng)
        which = [counted] * len(collections) if isinstance(counted, bool) else list(counted)
        for collection, row, in_sums in zip(collections, dense, which, strict=True):
            if in_sums:
                self.sums[collection] = self.sums.get(collection, 0) + row
        rows = np.array(collections, np.int64) - self.plan.offsets[index]
        made = reports_of(self.plan, index, rows, dense)
        encrypted = encrypt_reports(self.plan, self.public, made, self.rng.bytes, report_ids=ids)
        messages = list(encrypted.messages)
        for at, message in (instead or {}).items():
            messages[at] = message
        return replace(encrypted, messages=tuple(messages))

    def batch(self, collections: Sequence[int], **more: Any) -> SealedBatch:
        """The encrypted reports of `reports`, sealed to the leader."""
        return self.sealed(self.reports(collections, **more))

    def sealed(self, reports: EncryptedReports) -> SealedBatch:
        return seal_encrypted(self.plan, self.name, self.rng.bytes(16), reports, KEYS[self.name].sign)


def make_key_holder(
    path: Path,
    settings: Any = SETTINGS,
    clock: Clock | None = None,
    storage: Any = Storage,
    ledger: Any = Ledger,
    live: Any = LiveFolder,
) -> KeyHolder:
    clock = clock or Clock()
    settings = replace(settings, peer=settings.peer or LEADER.sign.public)
    return KeyHolder(HELPER, settings, files_of(path, "keyholder", clock, storage, ledger, live), clock)


class HolderLink(LocalLink):
    """The key holder without a network. `sent` holds the pieces of sums that it received, as bytes."""

    role = "key holder"

    def __init__(self, helper: Any) -> None:
        super().__init__(helper)
        self.sent: list[bytes] = []
        self.goes_before_the_sums = False

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        self.down |= self.goes_before_the_sums
        data = [part.SerializeToString() for part in parts]
        self.sent += data
        self._call(lambda _: self.helper.open_sums(pb.SumPart.FromString(one) for one in data), b"")


class LeaderAndKeyHolder:
    """Leader and key holder in this process, on files that survive them."""

    def __init__(self, path: Path, settings: Any = SETTINGS, **files: Any) -> None:
        self.path, self.settings, self.files, self.clock = path, settings, files, Clock()
        self.start()

    def start(self) -> None:
        self.holder = make_key_holder(self.path, self.settings, self.clock, **self.files)
        self.link = HolderLink(self.holder)
        self.leader: Leader = make_leader(
            self.path, None, self.settings, self.clock, key_holder=self.link, **self.files
        )

    def plan(self, *views: Any, **terms: Any) -> tuple[Plan, bytes]:
        """A plan with its keys, open at both."""
        plan, keys = with_keys(draft(*views, **terms), self.holder.prepare)
        self.open(plan, keys)
        return plan, keys

    def open(self, plan: Plan, keys: bytes) -> None:
        data, draft = signed(plan), signed_draft(plan)
        self.leader.prepare(draft)
        self.holder.open_plan(data)
        self.leader.open_plan(data, keys)

    def submit(self, batch: SealedBatch) -> bytes:
        return self.leader.submit(batch.to_bytes()).verdicts

    def shares(self, plan: Plan) -> tuple[list[SealedShare], list[SealedShare]]:
        request = collect_request(plan, COLLECTOR.sign)
        return self.leader.collect(request), self.holder.collect(request)

    def collect(self, plan: Plan) -> tuple[OpenedView, ...]:
        return CollectedShares.of(plan, *self.shares(plan), COLLECTOR.seal).open(plan)

    def restart(self) -> None:
        self.close()
        self.start()

    def close(self) -> None:
        self.leader.close()
        self.holder.close()


@dataclass
class World:
    """Both services on free loopback ports, and a client."""

    path: Path
    settings: Any = SETTINGS
    clock: Clock = field(default_factory=Clock)
    holder: Service = field(init=False)
    leader: Service = field(init=False)
    link: KeyHolderChannel = field(init=False)
    helper_link: HelperChannel = field(init=False)
    client: Aggregators = field(init=False)

    def start_holder(self, port: int = 0) -> None:
        self.holder = serve(make_key_holder(self.path, self.settings, self.clock), "127.0.0.1", port)

    def restart_holder(self) -> None:
        self.start_holder(int(self.holder.address.rpartition(":")[2]))

    def start_leader(self, port: int = 0) -> None:
        self.link = KeyHolderChannel(self.holder.address)
        self.helper_link = HelperChannel(NOBODY)
        leader = make_leader(self.path, self.helper_link, self.settings, self.clock, key_holder=self.link)
        self.leader = serve(leader, "127.0.0.1", port)

    def plan(self, *views: Any, **terms: Any) -> tuple[Plan, bytes]:
        plan, keys = with_keys(draft(*views, **terms), self.client.prepare)
        self.client.open_plan(signed(plan), keys)
        return plan, keys

    def collect(self, plan: Plan) -> tuple[OpenedView, ...]:
        return self.client.collect(plan, COLLECTOR).open(plan)


@contextmanager
def running(path: Path, **settings: Any) -> Iterator[World]:
    world = World(path, **settings)
    world.start_holder()
    world.start_leader()
    world.client = Aggregators(world.leader.address, world.holder.address, protection=Protection.HE, patience_s=0)
    try:
        yield world
    finally:
        world.client.close()
        world.leader.stop(0)
        world.link.close()
        world.helper_link.close()
        world.holder.stop(0)


def on_disk(party: Any, secret: bytes) -> bool:
    """Whether any storage file of this party, its log included, contains these bytes."""
    path = party.files.storage.path
    return any(secret in file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def secret_of(holder: KeyHolder, plan: Plan) -> bytes:
    """A piece of the secret key of the plan's first view, as it is stored on disk."""
    held = holder.files.storage.secret_keys(plan.plan_id)
    assert held is not None
    return held.secret[-200:-100]


def zeros(plan: Plan, keys: bytes, view: int = 0) -> bytes:
    """A message that opens to zeros, a sum that honest reports can give."""
    key = verify_keys(keys, plan)[view]
    return key.encrypt(np.zeros(key.parameters.slots, np.int64)).to_bytes()


def attack(plan: Plan, keys: bytes, factor: int, view: int = 0) -> bytes:
    """A message that opens to `factor` times the secret polynomial."""
    key = verify_keys(keys, plan)[view]
    return chosen(key.parameters, key.key_id, factor).to_bytes()


def sums_of(
    plan: Plan, *views: Sequence[bytes], outcomes: bytes | None = None, key: SigningKey = LEADER.sign
) -> list[pb.SumPart]:
    """The sums that a leader sends for a plan: any messages, under statements that fit them."""
    parts, plan_hash = [], plan.hash
    none = Commitment((0,) * plan.offsets[-1], (bytes(32),) * plan.offsets[-1])
    for at, messages in enumerate(views):
        said = outcomes or bytes([Outcome.OPENED]) * len(plan.views[at].pane_starts)
        digest = hashlib.sha256(b"".join(messages)).digest()
        statement = statement_of(plan, at, "leader", said, none, digest).sign(key)
        parts.append(pb.SumPart(plan_hash=plan_hash, view=at, statement=statement))
        parts += [pb.SumPart(view=at, sums=message) for message in messages]
        plan_hash = b""
    return parts
