"""Plans with proofs through the real leader and helper: the round, rejects, and what a crash or a liar changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aggregator.intake.share_intake
import federation.batch.sealing
from aggregator.collect.collection_job import collect_request
from aggregator.errors import (
    HelperUnavailable,
    PeerRefused,
    RemoteRefusal,
)
from aggregator.intake.aggregation_job import AggregationJob, JobAnswer, job_digest
from aggregator.signed_message import Signed, sign
from deployment.coordinator.announcement import announce
from deployment.coordinator.batches import Conditions, collect
from deployment.coordinator.publication import items_of, summary_of
from deployment.coordinator.site_answer import SiteAnswer
from deployment.coordinator.site_results import SiteResults
from federation.circuit.circuit import prio3_of
from federation.dating import Dating
from federation.draft import draft_of, sign_draft
from federation.errors import RosterExceeded
from tests.aggregator.proven_pair import DUPLICATE, REJECTED, TAKEN, LeaderAndHelper
from tests.aggregator.recorded import Recorded
from tests.aggregator.world import (
    KEYS,
    NOW,
    SETTINGS,
    Site,
    add_sums,
    make_plan,
    open_at,
    prepared,
    require_exact,
    roster,
    running,
)
from tests.federation.wire import COLLECTOR, COORDINATOR, HELPER, LEADER


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndHelper]:
    made = LeaderAndHelper(tmp_path)
    yield made
    made.close()


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[LeaderAndHelper]:
    """A pair with room for one report for each byte of a report."""
    made = LeaderAndHelper(tmp_path, replace(SETTINGS, roster=roster(2_000)))
    yield made
    made.close()


def test_honest_reports_are_taken_and_their_sum_is_exact(two: LeaderAndHelper) -> None:
    plan = two.plan()
    a, b = Site(plan, "a"), Site(plan, "b")
    assert two.submit(a.batch([0, 0, 1, 0])) == TAKEN * 4
    assert two.submit(b.batch([1, 1, 0])) == TAKEN * 3
    require_exact(plan, two.collect(plan), add_sums(a, b))
    assert [party.status(plan.hash)[0].rejected for party in (two.leader, two.helper)] == [(0,), (0,)]


def test_a_lying_report_is_rejected_and_the_rest_of_its_batch_is_exact(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    assert two.submit(site.batch([0, 0, 1, 1, 1], lying=[1, 4])) == TAKEN + REJECTED + TAKEN * 2 + REJECTED
    assert two.submit(site.batch([0], lying=[0])) == REJECTED
    assert two.submit(site.batch([0])) == TAKEN
    require_exact(plan, two.collect(plan), site.sums)
    assert [party.status(plan.hash)[0].rejected for party in (two.leader, two.helper)] == [(3,), (3,)]


def test_rejected_reports_do_not_count_for_k(two: LeaderAndHelper) -> None:
    plan = two.plan(k=3)
    two.submit(Site(plan).batch([0, 0, 0, 1, 1, 1], lying=[1]))
    assert two.collect(plan)[0].outcomes.tolist() == [1, 0]


def test_a_report_id_is_verified_once_whether_it_was_taken_or_rejected(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    first = site.batch([0, 0, 1, 1], lying=[1])
    assert two.submit(first) == TAKEN + REJECTED + TAKEN * 2
    assert two.submit(first) == TAKEN + REJECTED + TAKEN * 2  # the same bytes get the same answer
    ids = first.signed.header.report_ids
    again = site.batch([0, 0, 1, 1], ids=ids, counted=False)  # all reports are honest now
    assert two.submit(again) == DUPLICATE + REJECTED + DUPLICATE * 2
    require_exact(plan, two.collect(plan), site.sums)
    assert two.leader.status(plan.hash)[0].rejected == (1,)


def test_a_site_has_no_more_tries_than_clients(tmp_path: Path) -> None:
    two = LeaderAndHelper(tmp_path, replace(SETTINGS, roster=roster(2)))
    plan = two.plan()
    site = Site(plan)
    two.submit(site.batch([0, 0], lying=[0, 1]))
    with pytest.raises(RosterExceeded):
        two.submit(site.batch([0], counted=False))
    two.close()


def test_a_helper_that_comes_back_answers_what_the_leader_kept(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    two.link.down = True
    batch = site.batch([0, 0, 1, 1], lying=[2])
    assert two.leader.submit(batch.to_bytes()).pending
    with pytest.raises(HelperUnavailable):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    two.link.down = False
    two.restart()  # only the files are left; verifier shares are computed again
    assert two.submit(batch) == TAKEN * 2 + REJECTED + TAKEN
    two.submit(site.batch([1]))
    require_exact(plan, two.collect(plan), site.sums)


def test_an_answer_that_was_lost_is_given_again_to_a_leader_that_died(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = two.plan()
    site = Site(plan)
    aggregate = two.link.aggregate

    def lost(data: bytes) -> bytes:
        aggregate(data)
        two.link.down = True
        return aggregate(data)

    monkeypatch.setattr(two.link, "aggregate", lost)
    assert two.leader.submit(site.batch([0, 0, 1, 1], lying=[0]).to_bytes()).pending
    monkeypatch.undo()
    two.link.down = False
    two.restart()
    two.submit(site.batch([0]))
    require_exact(plan, two.collect(plan), site.sums)
    assert [party.status(plan.hash)[0].rejected for party in (two.leader, two.helper)] == [(1,), (1,)]


def test_shares_that_are_no_field_elements_and_public_shares_that_differ_cost_their_own_report(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = two.plan()
    site = Site(plan)
    prio3 = prio3_of(plan.views[0].layout)
    contents = federation.batch.sealing._contents

    def broken(*arguments: Any) -> Any:
        hashes, (leader, helper) = contents(*arguments)
        rows = bytearray(leader)
        first = 5 * prio3.public_share_size
        for report in (1, 3):
            at = first + report * prio3.leader_share_size
            rows[at : at + 8] = b"\xff" * 8  # p or more
        other = bytearray(helper)
        other[4 * prio3.public_share_size] ^= 1  # the last report's public share, in the helper's copy only
        return hashes, (bytes(rows), bytes(other))

    with monkeypatch.context() as patched:
        patched.setattr("federation.batch.sealing._contents", broken)
        batch = site.batch([0, 0, 0, 1, 1], counted=[True, False, True, False, False])
    assert two.submit(batch) == TAKEN + REJECTED + TAKEN + REJECTED * 2
    assert two.submit(site.batch([1, 1])) == TAKEN * 2
    require_exact(plan, two.collect(plan), site.sums)


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_every_byte_of_a_report_counts_for_that_report_alone(
    crowded: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    """A site seals one half of each report with another byte changed, and two unchanged reports."""
    plan = crowded.plan()
    site = Site(plan)
    prio3 = prio3_of(plan.views[0].layout)
    public, size = prio3.public_share_size, prio3.leader_share_size if role == "leader" else prio3.helper_share_size
    bad = public + size
    contents = federation.batch.sealing._contents

    def changed(*arguments: Any) -> Any:
        hashes, halves = contents(*arguments)
        mine = np.frombuffer(halves[role == "helper"], np.uint8).copy()
        publics, shares = (part.reshape(bad + 2, -1) for part in np.split(mine, [(bad + 2) * public]))
        at = np.arange(bad)
        publics[at[:public], at[:public]] ^= 1 << (at[:public] % 8).astype(np.uint8)
        shares[at[public:], at[:size]] ^= 1 << (at[:size] % 8).astype(np.uint8)
        return hashes, (mine.tobytes(), halves[1]) if role == "leader" else (halves[0], mine.tobytes())

    with monkeypatch.context() as patched:
        patched.setattr("federation.batch.sealing._contents", changed)
        batch = site.batch([0] * (bad + 2), counted=[False] * bad + [True] * 2)
    assert crowded.submit(batch) == REJECTED * bad + TAKEN * 2
    require_exact(plan, crowded.collect(plan), site.sums)
    assert [party.status(plan.hash)[0].rejected for party in (crowded.leader, crowded.helper)] == [(bad,), (bad,)]


# the other aggregator does not follow the protocol


def changed(answer: bytes, change: Callable[[JobAnswer], JobAnswer]) -> bytes:
    parsed = JobAnswer.from_bytes(Signed.from_bytes(answer).body)
    return sign(b"covey-1 job answer", change(parsed).to_bytes(), HELPER.sign)


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a: replace(a, verifier_messages=b""),
        lambda a: replace(a, verifier_messages=a.verifier_messages + bytes(32)),
        lambda a: replace(a, verifier_messages=flip(a.verifier_messages, 70)),
        lambda a: replace(a, verdicts=TAKEN * 4),
        lambda a: replace(a, verdicts=TAKEN * 4, verifier_messages=a.verifier_messages + bytes(32)),
        lambda a: replace(a, verdicts=b"\x03" * 4),
    ],
    ids=["no messages", "too many", "another message", "took without a message", "took what fails", "no verdict"],
)
def test_what_the_leader_cannot_follow_is_an_error_by_name_and_commits_nothing(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[JobAnswer], JobAnswer]
) -> None:
    plan = two.plan()
    site = Site(plan)
    batch = site.batch([0, 0, 1, 1], lying=[3])
    aggregate = two.link.aggregate
    with monkeypatch.context() as patched:
        patched.setattr(two.link, "aggregate", lambda data: changed(aggregate(data), wrong))
        assert two.leader.submit(batch.to_bytes()).pending
        with pytest.raises(PeerRefused, match="ANSWER_INVALID"):
            two.leader.collect(collect_request(plan, COLLECTOR.sign))
    assert two.submit(batch) == TAKEN * 3 + REJECTED
    two.submit(site.batch([1]))
    require_exact(plan, two.collect(plan), site.sums)


@pytest.mark.parametrize("size", [-1, 1, 8], ids=["a byte less", "a byte more", "an element more"])
def test_verifier_shares_of_another_size_are_refused_whole(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    plan = two.plan()
    site = Site(plan)
    aggregate = two.link.aggregate

    def resized(data: bytes) -> bytes:
        job = AggregationJob.from_bytes(Signed.from_bytes(data).body)
        shares = job.verifier_shares[:size] if size < 0 else job.verifier_shares + bytes(size)
        body = replace(job, verifier_shares=shares).to_bytes()
        answer = JobAnswer.from_bytes(Signed.from_bytes(aggregate(sign(b"covey-1 job", body, LEADER.sign))).body)
        assert answer.refusal is not None
        assert answer.refusal.reason == "MESSAGE_MALFORMED"
        mine = replace(answer, job_digest=job_digest(Signed.from_bytes(data).body))
        return sign(b"covey-1 job answer", mine.to_bytes(), HELPER.sign)

    monkeypatch.setattr(two.link, "aggregate", resized)
    with pytest.raises(RemoteRefusal, match="MESSAGE_MALFORMED"):
        two.submit(site.batch([0, 1]))
    assert not any(two.helper.files.storage.reports.sums(1, np.arange(2, dtype=np.uint32), 9).flat)


def test_every_byte_of_a_verifier_share_counts_for_its_own_report(
    crowded: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader damages verifier shares. Both aggregators reject these reports, and the sums of the others stay exact."""
    plan = crowded.plan()
    site = Site(plan)
    size = prio3_of(plan.views[0].layout).verifier_share_size
    offer = aggregator.intake.share_intake.offer

    def damaged(*arguments: Any) -> bytes:
        rows = bytearray(offer(*arguments))
        for at in range(size):
            rows[at * size + at] ^= 1 << at % 8
        return bytes(rows)

    monkeypatch.setattr("aggregator.intake.share_intake.offer", damaged)
    batch = site.batch([0] * (size + 2), counted=[False] * size + [True] * 2)
    assert crowded.submit(batch) == REJECTED * size + TAKEN * 2
    require_exact(plan, crowded.collect(plan), site.sums)


# through the coordinator, and over gRPC


def test_the_coordinator_is_told_how_many_were_rejected_by_view(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, SETTINGS)
    announced = announce(
        draft_of(make_plan(validity="prio3")),
        COORDINATOR.sign,
        recorded,
        np.random.default_rng(0).bytes,
    )
    plan = announced.plan
    assert plan is not None
    site = Site(plan)

    def ask(*_: bytes) -> Iterator[SiteAnswer]:
        yield SiteAnswer(0, "a", "OK", (site.batch([0, 0, 0, 1, 1], lying=[1]).to_bytes(),))

    collected = collect(announced, (COORDINATOR, COLLECTOR), ask, recorded, SiteResults(), Conditions())  # type: ignore[arg-type]
    assert collected.rejected == {"v": 1}
    require_exact(plan, collected.opened, site.sums)
    items = list(items_of(announced, collected, COLLECTOR.sign, now=NOW, dating=Dating.REPLAY_DAYS, keeps_due=False))
    assert summary_of(announced, collected, items, keeps_due=False)["rejected"] == {"v": 1}
    assert {item.manifest.validity for item in items} == {"prio3"}
    recorded.close()


def test_a_day_that_is_left_out_makes_a_plan_with_a_key_of_its_own(tmp_path: Path) -> None:
    asked: list[bytes] = []

    class RefusingOnce(Recorded):
        def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
            asked.append(signed)
            if len(asked) == 1:
                raise RemoteRefusal("helper", "DAY_BUDGET_SPENT", "", {"day": 0, "have": 0, "need": 1}, "v")
            return super().open_plan(signed)

    recorded = RefusingOnce(tmp_path, SETTINGS)

    announced = announce(
        draft_of(make_plan(validity="prio3")),
        COORDINATOR.sign,
        recorded,
        np.random.default_rng(0).bytes,
    )
    assert announced.plan is not None
    assert announced.plan.wire is not None
    (left,) = announced.left_out
    assert left.full_plan.wire is not None
    assert left.full_plan.wire.verify_key_hash != announced.plan.wire.verify_key_hash
    recorded.close()


def test_over_grpc_the_same_happens(tmp_path: Path) -> None:
    with running(tmp_path, patience_s=5.0) as world:
        plan = prepared(make_plan(validity="prio3"), world.client.prepare)
        open_at(world.client, plan)
        sites = [Site(plan, name) for name in KEYS]
        for site in sites:
            verdicts = world.client.submit(site.batch([0, 0, 1, 1, 1], lying=[3]).to_bytes()).verdicts
            assert verdicts == TAKEN * 3 + REJECTED + TAKEN
        require_exact(plan, world.collect(plan), add_sums(*sites))
        assert world.client.status("leader", plan.hash)[0].rejected == (2,)
        with pytest.raises(RemoteRefusal, match="SIGNATURE_INVALID"):
            world.client.prepare(sign_draft(make_plan(number=2), LEADER.sign))
