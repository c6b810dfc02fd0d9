"""Leader and helper without a network: states, races, and a peer that misbehaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import (
    Stage,
    Witness,
    collect_request,
    commitment_from_bytes,
    commitment_to_bytes,
)
from aggregator.errors import (
    AfterDeadline,
    AlreadyCollected,
    CommitmentConflict,
    HelperUnavailable,
    NotCommitted,
    PeerRefused,
    PlanTooLarge,
    RemoteRefusal,
)
from aggregator.intake.aggregation_job import AggregationJob, JobAnswer
from aggregator.intake.refusals import refusal_of
from aggregator.shares.helper import GRACE_US, Helper
from aggregator.shares.leader import Leader
from aggregator.signed_message import Signed, sign
from aggregator.storage.retention import LATEST_CHARGE_US
from featurestore.define.wire import collection_hash, definition_hash
from federation.aggregation import Aggregation
from federation.batch.sealing import open_half
from federation.commitment import Commitment
from federation.errors import DayBudgetSpent, PaneTaken
from federation.ledger.entries import CompletionEntry, Head, IntentEntry
from federation.ledger.state import Budget
from federation.parties import Roster
from federation.plan import Plan
from federation.statement import digest_of
from tests.aggregator.world import (
    COLLECTOR,
    DEADLINE,
    HELPER,
    LEADER,
    NOW,
    RHO,
    SETTINGS,
    Clock,
    LocalLink,
    Site,
    add_sums,
    make_helper,
    make_leader,
    make_plan,
    open_at,
    require_exact,
    view,
)
from tests.federation.wire import LEADER_SEAL, live
from tests.ledgers import spent_of


class LeaderAndHelper:
    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.helper: Helper = make_helper(path, clock=self.clock)
        self.link = LocalLink(self.helper)
        self.leader: Leader = make_leader(path, self.link, clock=self.clock)

    def open(self, plan: Plan) -> None:
        for party in (self.leader, self.helper):
            open_at(party, plan)

    def collect(self, plan: Plan) -> Any:
        request = collect_request(plan, COLLECTOR.sign)
        return opened(plan, self.leader.collect(request), self.helper.collect(request))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndHelper]:
    made = LeaderAndHelper(tmp_path)
    yield made
    made.leader.close()
    made.helper.close()


def opened(plan: Plan, leader: list[SealedShare], helper: list[SealedShare]) -> Any:
    return CollectedShares.of(plan, leader, helper, COLLECTOR.seal).open(plan)


def test_the_stored_commitment_is_the_one_of_the_protocol(two: LeaderAndHelper) -> None:
    plan = make_plan(view("v", 2), view("w", 1), panes=3)
    site, states = Site(plan), Aggregation.start("leader", plan)
    two.open(plan)
    for collections in ([2, 0, 0], [3, 5, 5], [2, 2, 0]):
        batch = site.batch(collections)
        states = states.add(open_half("leader", plan, LEADER_SEAL, SETTINGS.roster, batch.half("leader")))
        two.leader.submit(batch.to_bytes())
    two.collect(plan)
    stored = two.leader.files.storage.plan(plan.hash)
    assert stored is not None
    assert stored.own == stored.other
    assert commitment_from_bytes(plan, stored.own or b"") == replace(states.close().commitment, sites=("a",))


def test_batches_of_many_threads_and_a_collect_among_them_count_wholly_or_not_at_all(two: LeaderAndHelper) -> None:
    plan = make_plan(panes=2)
    site = Site(plan)
    two.open(plan)
    batches = []
    for _ in range(24):
        before = {of: np.copy(row) for of, row in site.sums.items()}
        batch = site.batch([0, 1, 1])
        batches.append((batch.to_bytes(), {of: row - before.get(of, 0) for of, row in site.sums.items()}))

    def submit(data: bytes) -> bool:
        try:
            return not two.leader.submit(data).pending
        except AlreadyCollected:
            return False

    with ThreadPoolExecutor(4) as pool:
        early = [pool.submit(submit, data) for data, _ in batches[:12]]
        early[3].result()
        late = [pool.submit(submit, data) for data, _ in batches[12:]]
        result = two.collect(plan)
        taken = [future.result() for future in early + late]
    sums: dict[int, np.ndarray] = {}
    for (_, added), was_taken in zip(batches, taken, strict=True):
        for of, row in added.items():
            sums[of] = sums.get(of, 0) + (row if was_taken else 0)
    require_exact(plan, result, sums)


def test_a_job_that_comes_twice_at_once_is_taken_once(two: LeaderAndHelper) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    batch = site.batch([0, 0, 1, 1])
    body = AggregationJob(plan.hash, bytes(16), batch.half("helper").to_bytes(), bytes(4)).to_bytes()
    request = sign(b"covey-1 job", body, LEADER.sign)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(two.helper.aggregate, [request] * 8))
    assert len(set(answers)) == 1
    assert two.helper.files.storage.one("SELECT count(*) FROM reports") == (4,)


def test_a_batch_that_comes_while_the_plan_closes_is_asked_about_first(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.leader.submit(site.batch([0, 0, 1]).to_bytes())
    late = site.batch([1, 1])
    send_jobs = two.leader.share_intake.send_jobs

    def slow(number: int | None) -> None:
        send_jobs(number)
        if not two.leader.files.storage.job(1, b"late"):
            two.leader.files.storage.record(1, b"late", b"", b"")  # in the first call only
            two.leader.share_intake.keep(plan, b"j" * 16, late, late.to_bytes(), np.ones(2, np.bool_))

    monkeypatch.setattr(two.leader.share_intake, "send_jobs", slow)
    require_exact(plan, two.collect(plan), site.sums)


def test_simultaneous_collects_give_the_same_bytes(two: LeaderAndHelper) -> None:
    plan = make_plan(noise="full")
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    request = collect_request(plan, COLLECTOR.sign)
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(two.leader.collect, [request] * 4)
    assert all(other == first for other in others)


def test_a_collect_that_the_helper_does_not_answer_closes_nothing_and_goes_on_later(two: LeaderAndHelper) -> None:
    plan = make_plan()
    a, b = Site(plan, "a"), Site(plan, "b")
    two.open(plan)
    two.link.down = True
    assert two.leader.submit(a.batch([0, 0, 1]).to_bytes()).pending
    request = collect_request(plan, COLLECTOR.sign)
    with pytest.raises(HelperUnavailable):
        two.leader.collect(request)
    assert two.leader.submit(b.batch([0, 1]).to_bytes()).pending  # still open
    two.link.down = False
    require_exact(plan, two.collect(plan), add_sums(a, b))


def test_a_commit_that_is_not_answered_goes_on_from_the_closed_plan(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    commit = two.link.commit

    def lost(data: bytes) -> bytes:
        commit(data)
        two.link.down = True
        return commit(data)

    monkeypatch.setattr(two.link, "commit", lost)
    with pytest.raises(HelperUnavailable):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    assert [status.state for status in two.leader.status(plan.hash)] == ["closed"]
    with pytest.raises(AlreadyCollected):
        two.leader.submit(site.batch([0], counted=False).to_bytes())
    monkeypatch.undo()
    two.link.down = False
    require_exact(plan, two.collect(plan), site.sums)


def test_a_kept_batch_counts_although_its_site_left_the_roster_and_the_deadline_passed(two: LeaderAndHelper) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.link.down = True
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    two.leader.identity.settings = replace(SETTINGS, roster=Roster([]))
    two.link.down = False
    two.clock.now = DEADLINE + 1
    require_exact(plan, two.collect(plan), site.sums)


def test_a_clock_that_is_years_ahead_for_a_moment_charges_nothing_and_stops_nobody_for_good(
    two: LeaderAndHelper,
) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    two.clock.now = DEADLINE + LATEST_CHARGE_US + 1
    with pytest.raises(AfterDeadline):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    assert not two.leader.files.ledger.state.intended
    two.clock.now = NOW
    require_exact(plan, two.collect(plan), site.sums)


def test_the_helper_takes_late_jobs_of_the_leader_for_a_day(two: LeaderAndHelper) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.leader.submit(site.batch([0, 0]).to_bytes())
    two.link.down = True
    kept = site.batch([1, 1], counted=False).to_bytes()
    two.leader.submit(kept)
    two.link.down = False
    two.clock.now = DEADLINE + GRACE_US
    assert two.collect(plan)[0].outcomes.tolist() == [0, 1]
    with pytest.raises(RemoteRefusal, match="AFTER_DEADLINE"):
        two.leader.submit(kept)


def corrupt(answer: bytes, change: Callable[[JobAnswer], JobAnswer], key: Any = HELPER) -> bytes:
    parsed = JobAnswer.from_bytes(Signed.from_bytes(answer).body)
    return sign(b"covey-1 job answer", change(parsed).to_bytes(), key.sign)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda answer: b"",
        lambda answer: answer[:-1],
        lambda answer: corrupt(answer, lambda a: a, LEADER),
        lambda answer: corrupt(answer, lambda a: replace(a, job_id=bytes(16))),
        lambda answer: corrupt(answer, lambda a: replace(a, job_digest=bytes(32))),
        lambda answer: corrupt(answer, lambda a: replace(a, verdicts=b"\x00")),
        lambda answer: corrupt(answer, lambda a: replace(a, verdicts=bytes(5))),  # the fourth was a duplicate
        lambda answer: corrupt(answer, lambda a: replace(a, verdicts=b"\x09" * 5)),
    ],
)
def test_an_answer_that_is_wrong_commits_nothing(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[bytes], bytes]
) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    first = site.batch([0])
    two.leader.submit(first.to_bytes())
    ids = site.batch([0, 0, 1, 1, 1], counted=False).signed.header.report_ids.copy()
    ids[3] = first.signed.header.report_ids[0]
    mixed = site.batch([0, 0, 1, 1, 1], counted=[True, True, True, False, True], ids=ids)

    aggregate = two.link.aggregate
    monkeypatch.setattr(two.link, "aggregate", lambda data: wrong(aggregate(data)))
    assert two.leader.submit(mixed.to_bytes()).pending
    with pytest.raises(PeerRefused, match="ANSWER_INVALID"):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    monkeypatch.undo()
    assert two.leader.submit(mixed.to_bytes()).verdicts == bytes([0, 0, 0, 1, 0])
    require_exact(plan, two.collect(plan), site.sums)


def test_the_helper_remembers_the_leaders_first_commitment(two: LeaderAndHelper) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    with pytest.raises(NotCommitted):
        two.helper.collect(collect_request(plan, COLLECTOR.sign))
    require_exact(plan, two.collect(plan), site.sums)
    other = commitment_to_bytes(plan, Commitment((2, 2), (bytes(32),) * 2))
    with pytest.raises(CommitmentConflict):
        two.helper.commit(sign(b"covey-1 commitment leader", other, LEADER.sign))


def test_nobody_sends_shares_before_the_other_one_knows_of_the_opening(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(noise="full")
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    request = collect_request(plan, COLLECTOR.sign)
    witness, calls = two.link.witness, 0

    def lost_at(number: int) -> Callable[[bytes], bytes]:
        def call(data: bytes) -> bytes:
            nonlocal calls
            calls += 1
            two.link.down = calls == number
            return witness(data)

        return call

    # before the charge; before the helper's noise; after the plan closed and before the completions are exchanged
    for number in (1, 2, 2):
        calls = 0
        monkeypatch.setattr(two.link, "witness", lost_at(number))
        with pytest.raises(HelperUnavailable):
            two.leader.collect(request)
        with pytest.raises(NotCommitted):
            two.helper.collect(request)
        two.link.down = False
    assert [party.status()[0].state for party in (two.leader, two.helper)] == ["noised", "noised"]
    monkeypatch.undo()
    leader = two.leader.collect(request)
    assert two.helper.collect(request)
    assert two.leader.collect(request) == leader


def test_a_helper_that_does_not_remember_the_leaders_opening_gets_no_share_out_of_it(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(noise="full")
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    witness = two.link.witness
    first: Head | None = None

    def forgets(data: bytes) -> bytes:
        nonlocal first
        told = Witness.from_bytes(Signed.from_bytes(witness(data)).body)
        first = first or told.remembered
        return sign(b"covey-1 witness helper", replace(told, remembered=first).to_bytes(), HELPER.sign)

    monkeypatch.setattr(two.link, "witness", forgets)
    with pytest.raises(PeerRefused, match="does not remember the leader's opening"):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    assert two.leader.status()[0].state == "noised"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda told: b"",
        lambda told: sign(b"covey-1 witness leader", told.to_bytes(), HELPER.sign),
        lambda told: sign(b"covey-1 witness helper", told.to_bytes(), LEADER.sign),
        lambda told: sign(b"covey-1 witness helper", replace(told, plan_hash=bytes(32)).to_bytes(), HELPER.sign),
        lambda told: sign(b"covey-1 witness helper", replace(told, stage=Stage.COMMITTED).to_bytes(), HELPER.sign),
        lambda told: sign(
            b"covey-1 witness helper", replace(told, confirmed=Head(1, bytes(32))).to_bytes(), HELPER.sign
        ),
    ],
)
def test_a_witness_that_is_wrong_closes_nothing(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Witness], bytes]
) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    witness = two.link.witness
    monkeypatch.setattr(
        two.link, "witness", lambda data: wrong(Witness.from_bytes(Signed.from_bytes(witness(data)).body))
    )
    with pytest.raises(PeerRefused, match="ANSWER_INVALID"):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    assert [party.status()[0].state for party in (two.leader, two.helper)] == ["open", "open"]
    assert not two.leader.files.ledger.state.intended
    monkeypatch.undo()
    require_exact(plan, two.collect(plan), site.sums)


def test_budget_and_panes_are_checked_when_a_plan_is_closed(two: LeaderAndHelper) -> None:
    tight = replace(SETTINGS, budget=Budget(RHO))
    two.leader.identity.settings = tight
    one, two_views, same = make_plan(view("u")), make_plan(view("v"), number=1), make_plan(view("u"), number=2)
    sites = [Site(plan) for plan in (one, two_views, same)]
    for site in sites:
        two.open(site.plan)
        two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(one, two.collect(one), sites[0].sums)
    charged = spent_of(two.leader.files.ledger.state)
    request = collect_request(two_views, COLLECTOR.sign)
    for _ in range(2):
        with pytest.raises(DayBudgetSpent):
            two.leader.collect(request)
    with pytest.raises(PaneTaken):
        two.leader.collect(collect_request(same, COLLECTOR.sign))
    assert spent_of(two.leader.files.ledger.state) == charged
    assert [status.state for status in two.leader.status()] == ["witnessed", "open", "open"]  # no plan was closed
    two.leader.identity.settings = SETTINGS  # with a larger budget it continues
    require_exact(two_views, two.collect(two_views), sites[1].sums)


def test_what_the_helper_has_no_budget_for_is_refused_by_its_reason_and_numbers(two: LeaderAndHelper) -> None:
    two.helper.identity.settings = replace(SETTINGS, budget=Budget(RHO))
    one, other = make_plan(view("u")), make_plan(view("v"), number=1)
    for plan in (one, other):
        two.open(plan)
        two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    two.collect(one)
    before = spent_of(two.helper.files.ledger.state)
    with pytest.raises(PeerRefused) as refused:
        two.leader.collect(collect_request(other, COLLECTOR.sign))
    told = refusal_of(refused.value)
    assert (told.reason, told.view, told.numbers["day"]) == ("DAY_BUDGET_SPENT", "v", 0)
    assert told.numbers["have"] < told.numbers["need"]
    assert spent_of(two.helper.files.ledger.state) == before
    assert [(one.code, one.view, one.day) for one in two.helper.files.ledger.state.refused] == [
        ("DAY_BUDGET_SPENT", "v", 0)
    ]


def test_of_two_plans_for_the_same_panes_the_one_that_closes_first_wins(two: LeaderAndHelper) -> None:
    """Two coordinators share one key, and both plans are open with reports. Both aggregators refuse the second by name."""
    first, second = make_plan(number=1), make_plan(number=2)
    sites = [Site(first), Site(second)]
    for site in sites:
        two.open(site.plan)
        two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(second, two.collect(second), sites[1].sums)
    request = collect_request(first, COLLECTOR.sign)
    for _ in range(2):
        with pytest.raises(PaneTaken):
            two.leader.collect(request)
    own = commitment_to_bytes(first, Commitment((0, 0), (bytes(32),) * 2))
    with pytest.raises(PaneTaken):  # the helper decides by its own ledger
        two.helper.commit(sign(b"covey-1 commitment leader", own, LEADER.sign))
    with pytest.raises(NotCommitted):
        two.helper.collect(request)
    for party in (two.leader, two.helper):
        assert [status.state for status in party.status()] == ["open", "witnessed"]
        with pytest.raises(PaneTaken):
            open_at(party, make_plan(number=3))


def test_two_collects_of_rival_plans_at_once_open_one_of_them(two: LeaderAndHelper) -> None:
    plans = [make_plan(number=number) for number in range(4)]
    for plan in plans:
        two.open(plan)
        two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())

    def collect(plan: Plan) -> bool:
        try:
            two.collect(plan)
        except PaneTaken:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(collect, plans)) == 1


def test_a_plan_with_more_collections_than_one_message_compares_is_refused(two: LeaderAndHelper) -> None:
    minutes = replace(view(), pane="1m")
    planned = replace(make_plan(minutes).views[0], pane_starts=np.arange(2**17 + 1, dtype=np.int64) * 60 * 10**6)
    with pytest.raises(PlanTooLarge):
        open_at(two.leader, live(replace(make_plan(minutes), views=(planned,))))


def test_a_charge_names_view_definition_noise_and_day(two: LeaderAndHelper) -> None:
    plan = make_plan(noise="full", first=3)
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0]).to_bytes())
    two.collect(plan)
    layout = plan.views[0].layout
    for party in (two.leader, two.helper):
        intended, done = party.files.ledger.entries()
        assert isinstance(intended, IntentEntry)
        assert isinstance(done, CompletionEntry)
        (charge,) = intended.views
        hashes = collection_hash(plan.views[0].view), definition_hash(plan.views[0].view)
        assert (charge.view, charge.collection, charge.schema) == ("v", *hashes)
        assert (charge.price.aggregator.micro_rho, charge.days.tolist()) == (
            layout.micro_rho,
            [3, 4],
        )  # the day of the void pane is charged too
        assert charge.panes.tolist() == plan.views[0].pane_starts.tolist()
        shares = party.collect(collect_request(plan, COLLECTOR.sign))
        assert done.digest == digest_of(share.statement for share in shares)


def test_no_status_and_no_refusal_tells_a_count_of_reports_taken(two: LeaderAndHelper) -> None:
    plan = make_plan(k=40)
    two.open(plan)
    two.leader.submit(Site(plan).batch([0] * 37 + [1] * 40).to_bytes())
    result = two.collect(plan)
    assert result[0].outcomes.tolist() == [1, 0]
    assert "37" not in repr(two.leader.status(plan.hash)) + repr(result[0].outcomes)
