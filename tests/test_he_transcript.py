"""Every byte that each role receives in a collection with encrypted reports, and what the role can compute from it (DESIGN §1).

Sites compute real events and encrypt real reports. The real leader, key holder and coordinator run in this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.services import aggregator_pb2 as pb
from crypto.bfv import Ciphertexts
from crypto.bfv_secret import SecretKey
from crypto.errors import SealBroken
from crypto.seal import open_sealed
from deployment.coordinator.announcement import announce
from deployment.coordinator.batches import Conditions, collect
from deployment.coordinator.publication import items_of
from deployment.coordinator.site_answer import SiteAnswer
from deployment.coordinator.site_results import SiteResults
from edge_client.policy import Refuse
from edge_client.site import SiteSettings, respond
from federation.aggregation import OpenedView
from federation.batch.batch import SealedBatch
from federation.batch.he_batch import open_encrypted
from federation.batch.sealing import _info
from federation.dating import Dating
from federation.draft import draft_of
from federation.he.keys import verify_keys
from federation.plan import Plan
from federation.terms import Noise, Protection
from tests.aggregator.he_world import draft, make_key_holder
from tests.aggregator.recorded import Recorded, RecordingLink
from tests.aggregator.world import KEYS, NOW, SETTINGS, Clock, make_leader
from tests.federation.wire import COLLECTOR, COORDINATOR, HELPER, HELPER_SEAL, LEADER, LEADER_SEAL
from tests.federation.words import with_words
from tests.transcripts import POLICY, ROSTER, VIEW, found_in, key_bytes, site_events, spelled

ROLES = ("coordinator", "leader", "helper")  # the key holder takes the helper's place
PIECE = 64
"""Bytes of a searched piece of ciphertext; so many bytes never match by chance."""


class RecordingHolderLink(RecordingLink):
    """The leader's link to the key holder; it records both directions."""

    role = "key holder"

    def open_sums(self, parts: Iterator[pb.SumPart]) -> None:
        data = [part.SerializeToString() for part in parts]
        self.received["helper"] += data
        self._call(lambda _: self.helper.open_sums(pb.SumPart.FromString(one) for one in data), b"")


class RecordedHe(Recorded):
    """A leader and a key holder. The key holder's messages are recorded in the helper's place."""

    def __init__(self, path: Path, settings: Any) -> None:
        self.received = {role: [] for role in ROLES}
        self.batches, self.told, self.sealed, self.clock = [], [], {}, Clock()
        self.helper = make_key_holder(path, settings, self.clock)  # type: ignore[assignment]
        self.link = RecordingHolderLink(self.helper, self.received)
        self.leader = make_leader(path, None, settings, self.clock, key_holder=self.link)
        self.before_collect = lambda: None

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        self._tell(pb.OpenPlanReply(plan_hash=self._ask("helper", lambda party: party.open_plan(signed), signed)))
        data = pb.OpenPlanRequest(signed_plan=signed, encryption_keys=encryption_keys).SerializeToString()
        reply: bytes = self._ask("leader", lambda party: party.open_plan(signed, encryption_keys), data)
        self._tell(pb.OpenPlanReply(plan_hash=reply))
        return reply


@dataclass
class Run:
    plan: Plan
    recorded: RecordedHe
    secret: bytes
    finished: list[bytes]
    opened: tuple[OpenedView, ...]
    released: list[Any]
    events: dict[str, Any]

    def received(self, role: str) -> bytes:
        return b"\0--\0".join(self.recorded.received[role])

    def batches(self) -> list[SealedBatch]:
        return [SealedBatch.from_bytes(data) for data in self.recorded.batches]

    def messages(self) -> list[bytes]:
        """The ciphertexts of every report, as the leader opens them."""
        opened = [open_encrypted(self.plan, LEADER_SEAL, ROSTER, batch) for batch in self.batches()]
        return [message for batch in opened for message in batch.messages]


def run(path: Path, noise: Noise) -> Run:
    path.mkdir(exist_ok=True)
    recorded = RecordedHe(path, replace(SETTINGS, roster=ROSTER))
    events = {site: site_events(site, counts) for site, counts in {"a": [7, 5], "b": [4, 6]}.items()}
    policy = replace(POLICY, protection=Protection.HE, max_micro_rho=600_000)

    def ask(signed: bytes, keys: bytes) -> Iterator[SiteAnswer]:
        for node, (site, own) in enumerate(events.items()):
            settings = SiteSettings(site, KEYS[site], 1_000, policy, path / f"{site}.db")
            answer = respond(signed, settings, lambda _, own=own: own, lambda: NOW, os.urandom, encryption_keys=keys)  # type: ignore[misc]
            assert not isinstance(answer, Refuse), answer
            yield SiteAnswer(node, site, "OK", tuple(batch.to_bytes() for batch in answer))

    kept: list[bytes] = []

    def look() -> None:
        ((secret,),) = recorded.helper.files.storage.rows("SELECT secret FROM secret_keys")
        kept.append(secret)

    recorded.before_collect = look
    wanted = with_words(draft(VIEW, noise=noise, k=5, max_clients=2_000), participation="active")
    try:
        announced = announce(draft_of(wanted), COORDINATOR.sign, recorded, os.urandom)
        assert announced.plan is not None
        collected = collect(announced, (COORDINATOR, COLLECTOR), ask, recorded, SiteResults(), Conditions())  # type: ignore[arg-type]
    finally:
        recorded.close()
    finished = [part.sums for part in map(_sum_part, recorded.received["helper"]) if part is not None and part.sums]
    released = list(items_of(announced, collected, COLLECTOR.sign, now=NOW, dating=Dating.REPLAY_DAYS, keeps_due=False))
    return Run(announced.plan, recorded, kept[0], finished, collected.opened, released, events)


def _sum_part(data: bytes) -> pb.SumPart | None:
    try:
        part = pb.SumPart.FromString(data)
    except Exception:  # noqa: BLE001 - another message
        return None
    return part if part.SerializeToString() == data and len(part.sums) > 10_000 else None


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("exact"), "none")


@pytest.fixture(scope="module")
def noised(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("noised"), "full")


def pieces(messages: list[bytes]) -> set[bytes]:
    """Pieces of ciphertexts, of both polynomials of each."""
    return {message[at : at + PIECE] for message in messages for at in (32, len(message) // 2, len(message) - PIECE)}


def test_the_transcript_is_of_a_collection_that_works(exact: Run) -> None:
    key = SecretKey.from_bytes(exact.plan.he_parameters(exact.plan.views[0]), exact.secret)
    parsed = [Ciphertexts.from_bytes(key.public.parameters, key.public.key_id, one) for one in exact.finished]
    assert len(parsed) == 2
    assert exact.opened[0].outcomes.tolist() == [0, 0]
    for one, row in zip(parsed, exact.opened[0].sums, strict=True):
        np.testing.assert_array_equal(key._decrypt(one)[: row.size], row.reshape(-1))
    assert len(exact.messages()) == 22
    assert [item.manifest.k_checked_by for item in exact.released] == ["leader", "leader"]
    assert {item.manifest.trust for item in exact.released} == {"honest-leader"}


def test_the_coordinator_never_has_a_ciphertext_outside_of_a_sealed_batch(exact: Run, noised: Run) -> None:
    for of in (exact, noised):
        data = of.received("coordinator")
        for batch in of.batches():
            assert batch.leader in data  # the coordinator carries them sealed
        assert found_in(data, pieces(of.messages()) | pieces(of.finished)) == []
        for seal in (COLLECTOR.seal, HELPER_SEAL):
            for batch in of.batches():
                for key in (LEADER_SEAL.public.id, seal.public.id):
                    with pytest.raises(SealBroken):
                        open_sealed(seal, batch.leader, _info("leader", key, batch.signed.header_bytes))


def test_the_key_holder_never_has_a_reports_ciphertext_nor_its_id_nor_its_site(exact: Run, noised: Run) -> None:
    for of in (exact, noised):
        data = of.received("helper")
        assert found_in(data, pieces(of.messages())) == []
        assert not any(batch.leader[:PIECE] in data for batch in of.batches())
        headers = [batch.signed.header for batch in of.batches()]
        assert found_in(data, {one.tobytes() for header in headers for one in header.report_ids}) == []
        assert found_in(data, {header.batch_id for header in headers}) == []
        assert len(of.finished) == 2  # one sum for each pane
        assert sum(len(part) for part in of.finished) < len(data) < sum(len(part) for part in of.finished) + 20_000


def test_nobody_has_the_secret_key_but_the_key_holder_and_nobody_a_client(exact: Run, noised: Run) -> None:
    for of in (exact, noised):
        public = public_key_of(of)
        secret = of.secret[len(public) :]
        private = {secret[at : at + PIECE] for at in (0, 1_000, 20_000)}
        assert found_in(of.secret, private)
        clients: set[bytes] = set()
        for site, events in of.events.items():
            for who in events.identities.to_pylist():
                clients |= {who.encode(), who.split("-")[2].encode() + b"-of-" + site.encode()}
            for value in set(events.table["amount"].to_pylist()):
                clients |= spelled(value)
        keys = {
            "coordinator": (LEADER, HELPER, *KEYS.values()),
            "leader": (COORDINATOR, COLLECTOR, HELPER, *KEYS.values()),
            "helper": (COORDINATOR, COLLECTOR, LEADER, *KEYS.values()),
        }
        for role in ROLES:
            others = set().union(*(key_bytes(one.sign.secret_bytes()) for one in keys[role]))
            assert found_in(of.received(role), private | clients | others) == []


def public_key_of(of: Run) -> bytes:
    """The public key of the view, as the coordinator sends it on."""
    messages = [pb.OpenPlanRequest.FromString(one) for one in of.recorded.received["leader"][1:2]]
    (key,) = verify_keys(messages[0].encryption_keys, of.plan)
    return key.to_bytes()


def test_the_search_finds_what_does_leak(exact: Run) -> None:
    message = exact.messages()[3]
    for role in ("coordinator", "helper"):
        assert found_in(exact.received(role) + message, pieces(exact.messages()))
    assert found_in(exact.received("helper"), pieces(exact.finished))
