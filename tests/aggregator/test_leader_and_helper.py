"""Leader and helper without a network: states, races, and an other side that misbehaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.errors import (
    AlreadyCollected,
    BudgetExceeded,
    CommitmentConflict,
    HelperRefused,
    HelperUnavailable,
    NotCommitted,
    PaneCollected,
    PlanTooLarge,
    Refused,
)
from aggregator.helper import GRACE_US, Helper
from aggregator.leader import Leader
from aggregator.messages import (
    Answer,
    Job,
    SealedShare,
    Signed,
    collect_request,
    commitment_from_bytes,
    commitment_to_bytes,
    sign,
)
from federation.batch import open_half
from federation.parties import Roster
from federation.plan import Plan
from federation.protocol import Aggregating, Commitment, NoisedShares, open_shares
from tests.aggregator.world import (
    COLLECTOR,
    DEADLINE,
    HELPER,
    LEADER,
    RHO,
    SETTINGS,
    Clock,
    LocalLink,
    Site,
    add_sums,
    make_helper,
    make_leader,
    make_plan,
    require_exact,
    signed,
    view,
)


class Two:
    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.helper: Helper = make_helper(path, clock=self.clock)
        self.link = LocalLink(self.helper)
        self.leader: Leader = make_leader(path, self.link, clock=self.clock)

    def open(self, plan: Plan) -> None:
        for party in (self.leader, self.helper):
            party.open_plan(signed(plan))

    def collect(self, plan: Plan) -> Any:
        request = collect_request(plan, COLLECTOR.sign)
        return opened(plan, self.leader.collect(request), self.helper.collect(request))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.leader.storage.close()
    made.helper.storage.close()


def opened(plan: Plan, leader: list[SealedShare], helper: list[SealedShare]) -> Any:
    sides = []
    for role, keys, shares in (("leader", LEADER, leader), ("helper", HELPER, helper)):
        parts = [share.open(plan, i, role, COLLECTOR.seal, keys.sign.public) for i, share in enumerate(shares)]
        sides.append(NoisedShares(role, tuple(o for o, _ in parts), tuple(e for _, e in parts)))
    return open_shares(plan, *sides)


def test_the_stored_commitment_is_the_one_of_the_protocol(two: Two) -> None:
    plan = make_plan(view("v", 2), view("w", 1), panes=3)
    site, states = Site(plan), Aggregating.start("leader", plan)
    two.open(plan)
    for collections in ([2, 0, 0], [3, 5, 5], [2, 2, 0]):
        batch = site.batch(collections)
        states = states.add(open_half("leader", plan, LEADER.seal, SETTINGS.roster, batch.half("leader")))
        two.leader.submit(batch.to_bytes())
    two.collect(plan)
    stored = two.leader.storage.plan(plan.hash)
    assert stored is not None
    assert stored.own == stored.other
    assert commitment_from_bytes(plan, stored.own or b"") == states.close().commitment


def test_batches_of_many_threads_and_a_collect_among_them_count_wholly_or_not_at_all(two: Two) -> None:
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


def test_a_job_that_comes_twice_at_once_is_taken_once(two: Two) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    batch = site.batch([0, 0, 1, 1])
    body = Job(plan.hash, bytes(16), batch.half("helper").to_bytes(), bytes(4)).to_bytes()
    request = sign(b"covey-1 job", body, LEADER.sign)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(two.helper.aggregate, [request] * 8))
    assert len(set(answers)) == 1
    assert two.helper.storage.one("SELECT count(*) FROM reports") == (4,)


def test_a_batch_that_comes_while_the_plan_closes_is_asked_about_first(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.leader.submit(site.batch([0, 0, 1]).to_bytes())
    late = site.batch([1, 1])
    ask_all = two.leader._ask_all

    def slow(number: int | None) -> None:
        ask_all(number)
        if not two.leader.storage.job(1, b"late"):
            two.leader.storage.record(1, b"late", b"", b"")  # once
            two.leader._keep(plan, b"j" * 16, late, late.to_bytes())

    monkeypatch.setattr(two.leader, "_ask_all", slow)
    require_exact(plan, two.collect(plan), site.sums)


def test_simultaneous_collects_give_the_same_bytes(two: Two) -> None:
    plan = make_plan(noise="full")
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    request = collect_request(plan, COLLECTOR.sign)
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(two.leader.collect, [request] * 4)
    assert all(other == first for other in others)


def test_a_collect_that_the_helper_does_not_answer_closes_nothing_and_goes_on_later(two: Two) -> None:
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


def test_a_commit_that_is_not_answered_goes_on_from_the_closed_plan(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_kept_batch_counts_although_its_site_left_the_roster_and_the_deadline_passed(two: Two) -> None:
    plan = make_plan()
    site = Site(plan)
    two.open(plan)
    two.link.down = True
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    two.leader.settings = replace(SETTINGS, roster=Roster([]))
    two.link.down = False
    two.clock.now = DEADLINE + 1
    require_exact(plan, two.collect(plan), site.sums)


def test_the_helper_takes_late_jobs_of_the_leader_for_a_day(two: Two) -> None:
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
    with pytest.raises(Refused, match="AFTER_DEADLINE"):
        two.leader.submit(kept)


def corrupt(answer: bytes, change: Callable[[Answer], Answer], key: Any = HELPER) -> bytes:
    parsed = Answer.from_bytes(Signed.from_bytes(answer).body)
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
    two: Two, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[bytes], bytes]
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
    with pytest.raises(HelperRefused, match="ANSWER_INVALID"):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    monkeypatch.undo()
    assert two.leader.submit(mixed.to_bytes()).verdicts == bytes([0, 0, 0, 1, 0])
    require_exact(plan, two.collect(plan), site.sums)


def test_the_helper_remembers_the_leaders_first_commitment(two: Two) -> None:
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


def test_budget_and_panes_are_checked_again_when_a_plan_is_collected(two: Two) -> None:
    settings = replace(SETTINGS, budget_micro_rho=RHO)
    two.leader.settings = settings
    one, two_views, same = make_plan(view("u")), make_plan(view("v"), number=1), make_plan(view("u"), number=2)
    sites = [Site(plan) for plan in (one, two_views, same)]
    for site in sites:
        two.open(site.plan)
        two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(one, two.collect(one), sites[0].sums)
    charged = two.leader.storage.rows("SELECT view, day, micro_rho FROM charges ORDER BY day")
    request = collect_request(two_views, COLLECTOR.sign)
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            two.leader.collect(request)
    with pytest.raises(PaneCollected):
        two.leader.collect(collect_request(same, COLLECTOR.sign))
    assert two.leader.storage.rows("SELECT view, day, micro_rho FROM charges ORDER BY day") == charged
    two.leader.settings = SETTINGS  # the operator grants more: it goes on
    require_exact(two_views, two.collect(two_views), sites[1].sums)


def test_a_plan_with_more_collections_than_one_message_compares_is_refused(two: Two) -> None:
    minutes = replace(view(), pane="1m")
    planned = replace(make_plan(minutes).views[0], pane_starts=np.arange(2**17 + 1, dtype=np.int64) * 60 * 10**6)
    with pytest.raises(PlanTooLarge):
        two.leader.open_plan(signed(replace(make_plan(minutes), views=(planned,))))


def test_a_charge_names_view_definition_sigma_and_day(two: Two) -> None:
    plan = make_plan(noise="full", first=3)
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0]).to_bytes())
    two.collect(plan)
    layout = plan.views[0].layout
    sigma = ";".join(f"{group.delta2_sq}/{group.micro_rho}" for group in layout.groups)
    for party in (two.leader, two.helper):
        rows = party.storage.rows("SELECT view, sigma, day, micro_rho FROM charges ORDER BY day")
        assert rows == [("v", sigma, day, layout.micro_rho) for day in (3, 4)]  # the void pane's day too


def test_no_status_and_no_refusal_tells_a_count_of_reports_taken(two: Two) -> None:
    plan = make_plan(k=40)
    two.open(plan)
    two.leader.submit(Site(plan).batch([0] * 37 + [1] * 40).to_bytes())
    result = two.collect(plan)
    assert result[0].outcomes.tolist() == [1, 0]
    assert "37" not in repr(two.leader.status(plan.hash)) + repr(result[0].outcomes)
