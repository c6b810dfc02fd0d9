"""A collection by the real site, leader, helper and coordinator in this process, with every byte that each role receives."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from aggregator.errors import RemoteRefusal
from aggregator.intake.aggregation_job import AggregationJob
from aggregator.signed_message import Signed
from crypto import field as field64
from deployment.coordinator.announcement import announce
from deployment.coordinator.batches import Conditions, collect
from deployment.coordinator.publication import evidence_of, items_of
from deployment.coordinator.site_answer import SiteAnswer
from deployment.coordinator.site_results import SiteResults
from edge_client.events import Events, make_events
from edge_client.policy import Policy, Refuse
from edge_client.site import SiteSettings, respond
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import OpenedView
from federation.batch.batch import SealedBatch, SealedHalf
from federation.batch.reports import LeaderHalf, ProvenHalf
from federation.batch.sealing import open_half
from federation.dating import Dating
from federation.draft import draft_of
from federation.parties import Roster, RosterEntry
from federation.plan import Plan
from federation.terms import Noise
from tests.aggregator.recorded import Recorded
from tests.aggregator.world import KEYS, NOW, SETTINGS, make_plan
from tests.federation.wire import COLLECTOR, COORDINATOR, DAY, HELPER, HELPER_SEAL, LEADER, LEADER_SEAL
from tests.federation.words import with_words

VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=["x", "y", "z"]),
    features=[Count("n"), Rate("r", where="amount > 5e8"), Mean("amount", clip=(0, 10**9), resolution=100)],
    pane="1d",
    bounds=Bounds(2, 2),
    privacy=Privacy(rho=0.5, min_clients=5),
)
POLICY = Policy(
    COORDINATOR.sign.public, LEADER.sign.public, HELPER.sign.public,
    max_micro_rho=500_000, min_k=5, allow_noise_off=True, allow_activity_visible=True,
)  # fmt: skip
ROSTER = Roster([RosterEntry(site, keys.sign.public, 1_000) for site, keys in KEYS.items()])
CLIENT_OF = {"a": "client-Ω-{:05d}-of-a", "b": "client-Ω-{:05d}-of-b"}
VALUE_OF = {"a": 123_456_789, "b": 987_654_321}
TIME = 37_123_456_789
"""µs of a day at which events happen."""


def site_events(site: str, clients: list[int]) -> Events:
    """`clients[p]` clients with events in pane p. The clients of the two sites differ in every slot: keys, counts, values."""
    rows = [
        (CLIENT_OF[site].format(client), pane * DAY + TIME + client, key, VALUE_OF[site] + client)
        for pane, count in enumerate(clients)
        for client in range(count)
        for key in (["x"] if site == "a" else ["y", "y", "z", "z"])
    ]
    names, times, keys, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = {
        "who": pa.array(names, pa.string()),
        "t": pa.array(times, pa.timestamp("us")),
        "k": pa.array(keys, pa.string()),
        "amount": pa.array(values, pa.int64()),
    }
    return make_events(pa.table(columns), "who", "t")


@dataclass
class Run:
    plan: Plan
    events: dict[str, Events]
    recorded: Recorded
    opened: tuple[OpenedView, ...]
    released: list[Any]
    exact: dict[str, npt.NDArray[np.uint64]]  # each aggregator's shares of the sums before noise
    verification_keys: set[bytes]  # as kept by both aggregators
    evidence: list[bytes]

    def batches(self, site: str) -> list[SealedBatch]:
        """The batches of one site that the leader received."""
        all_of = (SealedBatch.from_bytes(data) for data in self.recorded.batches)
        return [batch for batch in all_of if batch.signed.header.site == site]

    def helper_halves(self) -> list[SealedHalf]:
        """The halves that the helper received."""
        halves = []
        for data in self.recorded.received["helper"]:
            try:
                halves.append(SealedHalf.from_bytes(AggregationJob.from_bytes(Signed.from_bytes(data).body).half))
            except Exception:  # noqa: BLE001 - not a job
                continue
        return halves

    def leader_opens(self, site: str) -> list[LeaderHalf | ProvenHalf]:
        return [open_half("leader", self.plan, LEADER_SEAL, ROSTER, one.half("leader")) for one in self.batches(site)]

    def seeds(self, site: str) -> npt.NDArray[np.uint8]:
        halves = [one for one in self.helper_halves() if one.signed.header.site == site]
        opened = (open_half("helper", self.plan, HELPER_SEAL, ROSTER, one) for one in halves)
        return np.concatenate(
            [of.input_shares.seeds if isinstance(of, ProvenHalf) else of.seeds.seeds for of in opened]
        )

    def shares(self, site: str) -> npt.NDArray[np.uint64]:
        opened = self.leader_opens(site)
        return np.concatenate(
            [of.input_shares.meas_share if isinstance(of, ProvenHalf) else of.shares.elements for of in opened]
        )

    def transcript(self, role: str) -> bytes:
        """Everything that the role received or opened."""
        parts = list(self.recorded.received[role])
        for site in self.events:
            if role == "leader":
                parts.append(field64.to_bytes(self.shares(site)))
            elif role == "helper":
                parts.append(self.seeds(site).tobytes())
        if role == "coordinator":
            for side, shares in self.recorded.sealed.items():
                for view, share in enumerate(shares):
                    _, elements = share.open(self.plan, view, side, COLLECTOR.seal)
                    parts.append(field64.to_bytes(elements))
            for one in self.opened:
                parts += [one.sums.tobytes(), field64.to_bytes(field64.encode(one.sums))]
            parts += [item.signed_bytes + item.signature for item in self.released]
        return b"\0--\0".join(parts)


def run(
    path: Path,
    clients: dict[str, list[int]],
    noise: Noise = "full",
    k: int = 5,
    panes: int = 2,
    validity: str = "none",
    enrolled: int = 1_000,
    view: FeatureView = VIEW,
    **terms: Any,
) -> Run:
    path.mkdir(exist_ok=True)
    plan = with_words(make_plan(view, panes=panes, noise=noise, k=k, validity=validity), **terms)
    settings = replace(SETTINGS, roster=ROSTER)
    recorded = Recorded(path, settings)
    events = {site: site_events(site, counts) for site, counts in clients.items()}

    def ask(signed: bytes, _keys: bytes) -> Iterator[SiteAnswer]:
        for node, (site, own) in enumerate(events.items()):
            rng = np.random.default_rng([node, 7])  # the statistics below are of fixed bits
            site_settings = SiteSettings(site, KEYS[site], enrolled, POLICY, path / f"{site}.db")
            answer = respond(signed, site_settings, lambda _, own=own: own, lambda: NOW, rng.bytes)  # type: ignore[misc]
            assert not isinstance(answer, Refuse), answer
            yield SiteAnswer(node, site, "OK", tuple(batch.to_bytes() for batch in answer))

    exact = {}
    keys: list[bytes] = []

    def look() -> None:
        nonlocal plan
        for party in (recorded.leader, recorded.helper):
            (status,) = party.status()
            _, plan = party.plans.opened(status.plan_hash)
            if validity == "prio3":
                keys.append(party.plans.verification_key(plan).secret_bytes())
        for role, party in (("leader", recorded.leader), ("helper", recorded.helper)):
            number = party.files.storage.plan(plan.hash).number
            exact[role] = party.files.storage.reports.sums(
                number, np.arange(panes, dtype=np.uint32), plan.views[0].layout.length
            )

    recorded.before_collect = look
    try:
        announced = announce(draft_of(plan), COORDINATOR.sign, recorded, os.urandom)
        collected = collect(announced, (COORDINATOR, COLLECTOR), ask, recorded, SiteResults(), Conditions())  # type: ignore[arg-type]
        for role in ("leader", "helper"):
            recorded.status(role, plan.hash)  # type: ignore[arg-type]
        with pytest.raises(RemoteRefusal):
            recorded.submit(recorded.batches[0][:-1])
        recorded.batches.pop()
    finally:
        recorded.close()
    released = list(items_of(announced, collected, COLLECTOR.sign, now=NOW, dating=Dating.REPLAY_DAYS, keeps_due=False))
    evidence = evidence_of(announced, collected)
    return Run(plan, events, recorded, collected.opened, released, exact, set(keys), evidence)


def spelled(value: int) -> set[bytes]:
    """A number in all usual spellings."""
    return {
        str(value).encode(),
        struct.pack("<q", value),
        struct.pack(">q", value),
        struct.pack("<d", value),
        struct.pack(">d", value),
        field64.to_bytes(field64.encode(np.array([value], np.int64))),
    }


def key_bytes(seed: bytes) -> set[bytes]:
    """A key's seed, as bytes and as text."""
    return {seed, seed.hex().encode(), base64.b64encode(seed).rstrip(b"=")}


def found_in(data: bytes, secrets: set[bytes]) -> list[bytes]:
    """The byte strings that occur in the data. Strings of one length are looked up through all windows at once."""
    found = []
    for length in sorted({len(one) for one in secrets}):
        of_length = {one for one in secrets if len(one) == length}
        if len(of_length) < 16:
            found += [one for one in of_length if one in data]
        else:
            found += list(of_length.intersection(data[at : at + length] for at in range(len(data) - length + 1)))
    return found
