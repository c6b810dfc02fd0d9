"""The life of a live secret at an aggregator: it is drawn once, stored before it is used, and erased when its time is over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.collection_job import collect_request
from aggregator.errors import AfterDeadline, DraftConflict, LiveSecretLost, SealKeyErased, StorageUnusable
from aggregator.intake.refusals import LOST, refusal_of
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.retention import LATEST_CHARGE_US
from crypto.errors import SignatureInvalid
from federation.draft import require_live, sign_draft
from federation.errors import PlanInvalid
from federation.live_keys import MOST_AFTER_DEADLINE_US
from federation.plan import Plan
from tests.aggregator.world import (
    COLLECTOR,
    DEADLINE,
    Clock,
    LocalLink,
    Site,
    draft,
    make_helper,
    make_leader,
    make_plan,
    signed,
)
from tests.federation.wire import HELPER, LEADER
from tests.federation.words import with_words


class Fresh(LiveFolder):
    """Live secrets drawn from the system's randomness, as in production."""

    def __init__(self, path: Path, _: Any) -> None:
        super().__init__(path, os.urandom)


class LeaderAndHelper:
    """Leader and helper in this process, on files that survive a restart."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, Clock()
        self.start()

    def start(self) -> None:
        self.helper = make_helper(self.path, clock=self.clock, live=Fresh)
        self.link = LocalLink(self.helper)
        self.leader: Leader = make_leader(self.path, self.link, clock=self.clock, live=Fresh)

    @property
    def parties(self) -> tuple[Leader, Helper]:
        return self.leader, self.helper

    def plan(self, **terms: Any) -> Plan:
        """A plan with the live keys of both aggregators, open at both."""
        plan = self.prepared(make_plan(**terms))
        for party in self.parties:
            party.open_plan(signed(plan))
        return plan

    def prepared(self, plan: Plan) -> Plan:
        assert plan.wire is not None
        leader, helper = (party.prepare(draft(plan)).live for party in self.parties)
        made = replace(plan, wire=replace(plan.wire, leader_live=leader, helper_live=helper))
        require_live(made)
        return made

    def collect(self, plan: Plan) -> None:
        request = collect_request(plan, COLLECTOR.sign)
        self.leader.collect(request)
        self.helper.collect(request)

    def restart(self) -> None:
        self.close()
        self.start()

    def close(self) -> None:
        for party in self.parties:
            party.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndHelper]:
    made = LeaderAndHelper(tmp_path)
    yield made
    made.close()


def held(party: Leader | Helper, plan: Plan) -> str:
    """How much of a plan's live secret exists: `both` halves, `K` alone, or nothing."""
    file = party.files.live.load(plan.plan_id)
    if file is None:
        assert not (party.files.live.path / plan.plan_id.hex()).exists()
        return ""
    return "K" if file.secret.seal is None else "both"


# drawing


def test_a_live_secret_is_drawn_once_and_a_repeat_gives_the_same_keys(two: LeaderAndHelper) -> None:
    plan = make_plan()
    first = [party.prepare(draft(plan)) for party in two.parties]
    assert first[0].live != first[1].live
    two.restart()
    assert [party.prepare(draft(plan)) for party in two.parties] == first
    for party, keys in zip(two.parties, (LEADER, HELPER), strict=True):
        path = party.files.live.path / plan.plan_id.hex()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.read_bytes()[-64:] not in (keys.secret_bytes, b"\1" * 64, b"\2" * 64)
    other = two.leader.prepare(draft(make_plan(number=1)))
    assert (other.live.seal, other.live.secret_hash) != (first[0].live.seal, first[0].live.secret_hash)


def test_another_draft_of_a_plan_id_is_refused_by_name(two: LeaderAndHelper) -> None:
    plan = make_plan()
    for party in two.parties:
        party.prepare(draft(plan))
        for other in (with_words(plan, participation="all"), make_plan(k=3), make_plan(noise="full")):
            with pytest.raises(DraftConflict, match="under a new id") as refused:
                party.prepare(draft(other))
            assert refusal_of(refused.value).reason == "DRAFT_CONFLICT"
        with pytest.raises(SignatureInvalid):
            party.prepare(sign_draft(plan, LEADER.sign))
    two.clock.now = DEADLINE
    with pytest.raises(AfterDeadline):
        two.leader.prepare(draft(make_plan(number=1)))


def test_a_draft_of_which_the_process_died_before_it_was_noted_keeps_its_secret(two: LeaderAndHelper) -> None:
    plan = make_plan()
    live = two.leader.prepare(draft(plan)).live
    two.leader.files.storage.run("DELETE FROM prepared")
    assert two.leader.prepare(draft(plan)).live == live
    two.leader.files.storage.run("DELETE FROM prepared")
    with pytest.raises(DraftConflict):
        two.leader.prepare(draft(make_plan(k=3)))


def test_a_plan_needs_the_secret_that_its_keys_were_signed_of(two: LeaderAndHelper, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = LeaderAndHelper(tmp_path / "other")
    plan = two.prepared(make_plan())
    foreign = other.prepared(make_plan())
    for party in two.parties:
        with pytest.raises(LiveSecretLost):
            party.open_plan(signed(foreign))
        assert party.status() == []
        party.open_plan(signed(plan))
    other.close()
    edited = with_words(plan, participation="all")
    with pytest.raises(PlanInvalid, match="did not sign its live keys for this plan"):
        signed(edited)


# erasing


def test_the_seal_seed_goes_when_the_plan_is_closed_and_the_rest_when_it_is_noised(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = two.plan(noise="full")
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    assert [held(party, plan) for party in two.parties] == ["both", "both"]
    seen: list[tuple[str, str]] = []
    for call in ("commit", "witness"):
        real = getattr(two.link, call)

        def watched(data: bytes, real: Any = real) -> bytes:
            before = held(two.leader, plan), held(two.helper, plan)
            answer: bytes = real(data)
            seen.extend((before, (held(two.leader, plan), held(two.helper, plan))))
            return answer

        monkeypatch.setattr(two.link, call, watched)
    two.collect(plan)
    meet, commit = seen[:2], seen[2:4]
    assert set(meet) == {("both", "both")}
    assert commit == [("K", "both"), ("K", "K")]  # each one before it sends its commitment
    assert seen[5][1] == ""  # the helper's is erased before it reports its noise
    assert seen[-1] == ("", "")
    with pytest.raises(LiveSecretLost):
        two.helper.plans.secrets.seal_key(plan)
    for _ in range(2):  # the stored bytes are still sent, and a repeated announcement is unchanged
        two.restart()
        two.collect(plan)
        assert two.prepared(make_plan(noise="full")).hash == plan.hash


@pytest.mark.parametrize("dies", ["commit", "_noise"])
def test_what_a_killed_process_has_left_goes_at_the_next_start(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    plan = two.plan(noise="full")
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    erased = "erase_seal" if dies == "commit" else "erase"
    with monkeypatch.context() as patched:
        patched.setattr(two.helper.files.live, erased, lambda _: None)
        two.collect(plan)
    assert held(two.helper, plan) == ("" if dies == "commit" else "K")
    two.restart()
    assert [held(party, plan) for party in two.parties] == ["", ""]


def test_a_closed_plan_whose_seed_was_left_loses_it_at_the_next_start(two: LeaderAndHelper) -> None:
    plan = two.plan(noise="full")
    stored = two.helper.files.storage.plan(plan.hash)
    assert stored is not None
    two.helper.files.storage.close_plan(stored.number, b"own", b"other")
    two.restart()
    assert [held(party, plan) for party in two.parties] == ["both", "K"]


def test_the_seed_goes_a_day_after_the_deadline_and_all_of_it_after_31(two: LeaderAndHelper) -> None:
    plan = two.plan()
    unopened = two.prepared(make_plan(number=1, first=5))
    for after, expected in (
        (MOST_AFTER_DEADLINE_US - 1, "both"),
        (MOST_AFTER_DEADLINE_US, "K"),
        (LATEST_CHARGE_US, "K"),
        (LATEST_CHARGE_US + 1, ""),
    ):
        two.clock.now = DEADLINE + after
        two.restart()
        assert [held(party, one) for party in two.parties for one in (plan, unopened)] == [expected] * 4


def test_a_batch_that_waits_until_the_seed_is_gone_counts_for_nothing_and_holds_up_nothing(
    two: LeaderAndHelper,
) -> None:
    plan = two.plan()
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    two.link.down = True
    late = Site(plan, "b").batch([0, 1]).to_bytes()
    assert two.leader.submit(late).pending
    two.clock.now = DEADLINE + MOST_AFTER_DEADLINE_US
    two.restart()
    assert held(two.leader, plan) == "K"
    with pytest.raises(SealKeyErased):
        two.leader.plans.secrets.seal_key(plan)
    two.collect(plan)
    assert two.leader.status(plan.hash)[0].pending == 0
    assert two.leader.files.storage.reports.reports_in(1, [0, 1]) == two.helper.files.storage.reports.reports_in(
        1, [0, 1]
    )


# losing


@pytest.mark.parametrize("role", ["leader", "helper"])
@pytest.mark.parametrize("noise", ["full", "none"])
def test_a_plan_whose_live_secret_is_lost_is_not_opened_and_says_what_is_left_to_do(
    two: LeaderAndHelper, role: str, noise: Any
) -> None:
    plan = two.plan(noise=noise)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    party: Leader | Helper = getattr(two, role)
    (party.files.live.path / plan.plan_id.hex()).unlink()
    two.restart()
    for _ in range(2):
        with pytest.raises(Exception, match="no backup holds it") as refused:
            two.collect(plan)
        assert refusal_of(refused.value).reason == "LIVE_SECRET_LOST"
        assert refusal_of(refused.value).reason in LOST
        assert "give the plan up" in str(refused.value)
    another = two.plan(number=1, first=7)  # other plans continue
    site = Site(another)
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    two.collect(another)


def test_no_second_secret_is_drawn_for_a_plan_id(two: LeaderAndHelper) -> None:
    plan = two.prepared(make_plan())
    (two.helper.files.live.path / plan.plan_id.hex()).unlink()
    two.restart()
    with pytest.raises(LiveSecretLost):
        two.helper.prepare(draft(plan))
    with pytest.raises(LiveSecretLost):
        two.helper.open_plan(signed(plan))
    two.helper.files.storage.run("DELETE FROM prepared")  # an older backup: a fresh secret does not open the older plan
    two.helper.prepare(draft(plan))
    with pytest.raises(LiveSecretLost):
        two.helper.open_plan(signed(plan))


# the folder


def test_a_file_that_is_no_live_secret_is_refused_by_its_path(two: LeaderAndHelper) -> None:
    plan = two.prepared(make_plan())
    path = two.leader.files.live.path / plan.plan_id.hex()
    good = path.read_bytes()
    for wrong in (b"", good[:-1], good + b"x", b"x" + good[1:]):
        path.write_bytes(wrong)
        with pytest.raises(StorageUnusable, match=plan.plan_id.hex()):
            two.leader.files.live.load(plan.plan_id)
    path.write_bytes(good)


def test_what_a_killed_writer_has_left_is_removed_and_other_files_are_left_alone(tmp_path: Path) -> None:
    folder = LiveFolder(tmp_path / "live")
    folder.draw(b"x" * 16, bytes(32), 5)
    left = tmp_path / "live" / f".{(b'x' * 16).hex()}.0123456789abcdef.new"
    left.write_bytes(b"secret")
    (tmp_path / "live" / "notes").write_text("mine")
    again = LiveFolder(tmp_path / "live")
    assert not left.exists()
    assert again.plan_ids() == [b"x" * 16]
    one, other = again.load(b"x" * 16), folder.load(b"x" * 16)
    assert one is not None
    assert other is not None
    assert one.to_bytes() == other.to_bytes()
    assert again.load(b"y" * 16) is None
    again.erase(b"y" * 16)
    again.erase_seal(b"y" * 16)


def test_nothing_of_a_live_secret_is_in_another_file(two: LeaderAndHelper, tmp_path: Path) -> None:
    plan = two.plan(noise="full")
    secrets = [(party.files.live.path / plan.plan_id.hex()).read_bytes()[-64:] for party in two.parties]
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    two.collect(plan)
    two.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(part in content for secret in secrets for part in (secret[:32], secret[32:]))
    two.start()
