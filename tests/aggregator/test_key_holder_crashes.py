"""Leader and key holder that die, return, or return with older files: nothing changes, or nothing is opened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.collection_job import collect_request
from aggregator.errors import EncryptionKeysMissing, KeyHolderUnavailable, PeerRefused, StateBehindLedger
from aggregator.intake.refusals import refusal_of
from aggregator.services import aggregator_pb2 as pb
from aggregator.storage.role_storage import Storage
from federation.errors import EncryptionKeysInvalid
from tests.aggregator.he_world import HolderLink, Killed, LeaderAndKeyHolder, Site, draft, make_key_holder, with_keys
from tests.aggregator.world import Clock, open_at, signed
from tests.aggregator.world import draft as signed_draft
from tests.federation.wire import COLLECTOR

from . import world as shares_world


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndKeyHolder]:
    made = LeaderAndKeyHolder(tmp_path)
    yield made
    made.close()


def test_a_restart_of_both_between_any_two_steps_changes_nothing(two: LeaderAndKeyHolder) -> None:
    plan, keys = with_keys(draft(noise="full"), two.holder.prepare)
    two.restart()
    open_at(two.holder, plan)
    two.restart()
    two.leader.prepare(signed_draft(plan))
    two.restart()
    two.leader.open_plan(signed(plan), keys)
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    for site in (a, b):
        two.restart()
        two.submit(site.batch([0, 1, 1]))
    two.restart()
    request = collect_request(plan, COLLECTOR.sign)
    two.link.down = True
    with pytest.raises(KeyHolderUnavailable):
        two.leader.collect(request)
    assert two.leader.status()[0].state == "open"  # the charge waits for the key holder
    for _ in range(2):
        two.restart()
        two.link.goes_before_the_sums = True
        with pytest.raises(KeyHolderUnavailable):
            two.leader.collect(request)
        assert two.leader.status()[0].state == "noised"
    finished = two.leader.files.storage.message("finished", 1, 0)
    two.restart()
    assert two.leader.files.storage.message("finished", 1, 0) == finished
    shares = two.shares(plan)
    two.restart()
    assert two.shares(plan) == shares


def test_a_kill_before_any_write_of_either_changes_nothing(tmp_path: Path) -> None:
    """With noise on, the finished sums and noised values that were kept are the ones that are sent, however often a role dies."""
    source = tmp_path / "source"
    source.mkdir()
    two = LeaderAndKeyHolder(source)
    plan, keys = two.plan(panes=1, noise="full")
    batches = [Site(plan, keys, name).batch([0, 0]) for name in "ab"]
    two.submit(batches[0])
    two.close()
    for victim in ("leader", "keyholder"):
        at = kills = 0
        while True:
            at += 1
            folder = tmp_path / f"{victim}-{at}"
            shutil.copytree(source, folder)
            left = [at]

            class Mortal(Storage):
                synchronous = "OFF"

                def run(self, sql: str, *values: Any, left: list[int] = left, victim: str = victim) -> int:
                    if self.path.stem == victim and not sql.startswith(("PRAGMA", "SELECT")):
                        left[0] -= 1
                        if left[0] == 0:
                            raise Killed
                    return super().run(sql, *values)

            died = False
            mortal: LeaderAndKeyHolder | None = None
            for _ in range(2):
                try:
                    mortal = LeaderAndKeyHolder(folder, storage=Mortal)
                    mortal.submit(batches[1])
                    first = mortal.shares(plan)
                    break
                except Killed:
                    died = True
                    if mortal is not None:
                        mortal.close()
            assert mortal is not None
            left[0] = 0
            assert mortal.shares(plan) == first
            assert [entry.__class__.__name__ for entry in mortal.holder.files.ledger.entries()] == [
                "IntentEntry",
                "CompletionEntry",
            ]
            mortal.close()
            shutil.rmtree(folder)
            if not died:
                break
            kills += 1
        assert kills > {"leader": 10, "keyholder": 6}[victim]


def test_a_sum_that_was_finished_before_a_kill_is_what_is_sent_after_it(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan(noise="full")
    two.submit(Site(plan, keys).batch([0, 0, 1, 1]))
    keep = two.leader.files.storage.set_message

    def dies(table: Any, number: int, collection: int, message: bytes) -> None:
        if (table, collection) == ("finished", 1):
            raise Killed
        keep(table, number, collection, message)

    two.leader.files.storage.set_message = dies  # type: ignore[method-assign]  # a kill at this very write
    with pytest.raises(Killed):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    finished = two.leader.files.storage.message("finished", 1, 0)
    two.restart()
    two.shares(plan)
    sent = b"".join(pb.SumPart.FromString(part).sums for part in two.link.sent)
    assert finished is not None
    assert sent.startswith(finished)


def test_a_key_holder_that_lost_its_storage_opens_nothing_again(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0, 0, 1, 1]))
    two.shares(plan)
    two.close()
    for file in two.path.glob("keyholder.db*"):
        file.unlink()
    two.start()
    with pytest.raises(StateBehindLedger):
        open_at(two.holder, plan)
    with pytest.raises(PeerRefused) as refused:
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    assert refusal_of(refused.value).reason == "LEDGER_BROKEN"
    two.close()
    for file in two.path.glob("keyholder.*db*"):  # its ledger too: the leader remembers the ledger's head
        file.unlink()
    two.start()
    with pytest.raises(EncryptionKeysMissing):
        two.holder.open_plan(signed(plan))
    assert with_keys(draft(), two.holder.prepare)[1] != keys
    with pytest.raises(EncryptionKeysInvalid):
        two.holder.open_plan(signed(plan))


def test_a_state_that_is_older_than_the_ledger_is_found_before_anything_is_decrypted(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0, 0, 1, 1]))
    older = two.path / "older"
    older.mkdir()
    two.close()
    for file in two.path.glob("keyholder.db*"):
        shutil.copy(file, older)
    two.start()
    two.shares(plan)
    sent = list(two.link.sent)
    two.close()
    for file in older.iterdir():
        shutil.copy(file, two.path)
    two.start()
    assert two.holder.files.storage.secret_keys(plan.plan_id) is not None
    two.holder.decryption.draw = None  # type: ignore[assignment, method-assign]
    with pytest.raises(StateBehindLedger):
        two.holder.open_sums(pb.SumPart.FromString(part) for part in sent)


def test_a_clock_and_a_link_are_all_that_a_restart_needs(tmp_path: Path) -> None:
    """A key holder that is reachable at times only: it makes keys, leaves, and returns for the sums."""
    holder = make_key_holder(tmp_path, clock=Clock())
    plan, keys = with_keys(draft(), holder.prepare)
    open_at(holder, plan)
    holder.close()
    link = HolderLink(holder)
    link.down = True
    leader = shares_world.make_leader(tmp_path, None, key_holder=link)
    leader.prepare(signed_draft(plan))
    leader.open_plan(signed(plan), keys)
    site = Site(plan, keys)
    assert leader.submit(site.batch([0, 0, 1, 1]).to_bytes()).verdicts == bytes(4)
    with pytest.raises(KeyHolderUnavailable) as refused:
        leader.collect(collect_request(plan, COLLECTOR.sign))
    assert refusal_of(refused.value).reason == "KEY_HOLDER_UNAVAILABLE"
    link.helper, link.down = make_key_holder(tmp_path, clock=Clock()), False
    assert leader.collect(collect_request(plan, COLLECTOR.sign))
    leader.close()
    link.helper.close()
